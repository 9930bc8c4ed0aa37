// The key pairs that we make for others: as OpenSSL would write them, and gone when they are disposed of.

import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { test } from 'node:test';

import { type KeyPair, makeKeyPair } from '../../src/issuing/keys.ts';

function assertWritten({ publicKey, privateKey }: KeyPair): void {
  const key = createPrivateKey({ key: privateKey.reveal(), format: 'der', type: 'pkcs8' });
  assert.deepEqual(privateKey.reveal(), key.export({ format: 'der', type: 'pkcs8' }));
  assert.deepEqual(publicKey, createPublicKey(key).export({ format: 'der', type: 'spki' }));
}

for (const keyType of ['p256', 'p384', 'rsa2048', 'rsa3072'] as const) {
  test(`a ${keyType} key pair is, octet for octet, what OpenSSL writes`, async () => {
    using pair = await makeKeyPair(keyType);
    assertWritten(pair);
  });
}

test('every key is, also the one in 256 whose scalar begins with a zero octet', async () => {
  for (let n = 0; n < 1500; n += 1) {
    using pair = await makeKeyPair('p256');
    assertWritten(pair);
  }
});

test('keys that are made together are different ones', async () => {
  const pairs = await Promise.all(Array.from({ length: 50 }, () => makeKeyPair('p256')));
  assert.equal(new Set(pairs.map(({ publicKey }) => publicKey.toString('hex'))).size, 50);
  for (const pair of pairs) assertWritten(pair);
});

test('a key pair that is disposed of leaves zeros, and had shared its memory with nothing', async () => {
  for (const keyType of ['p256', 'rsa2048'] as const) {
    let bytes: Buffer;
    {
      using pair = await makeKeyPair(keyType);
      bytes = pair.privateKey.reveal();
      assert.equal(bytes.buffer.byteLength, bytes.length);
      assert.ok(bytes.some((octet) => octet !== 0));
    }
    assert.ok(bytes.every((octet) => octet === 0));
  }
});
