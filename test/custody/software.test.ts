// The software custodian: keys that lie sealed, and are in the clear only while they sign.

import assert from 'node:assert/strict';
import { createPrivateKey, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';

import type { CustodyKey, Custodian } from '../../src/custody/custodian.ts';
import { createSeal, type Seal } from '../../src/custody/seal.ts';
import { createSoftwareCustodian } from '../../src/custody/software.ts';
import { Secret } from '../../src/secret.ts';

/** A seal that keeps what it has given out in the clear. */
class WatchedSeal implements Seal {
  readonly #seal = createSeal(new Secret(randomBytes(32)));
  readonly opened: Secret[] = [];
  readonly sealed: Uint8Array[] = [];

  seal(plain: Uint8Array, context: string): Buffer {
    this.sealed.push(plain);
    return this.#seal.seal(plain, context);
  }

  open(sealed: Uint8Array, context: string): Secret {
    const secret = this.#seal.open(sealed, context);
    this.opened.push(secret);
    return secret;
  }
}

async function newKey(custodian: Custodian, id: string, keyType: CustodyKey['keyType'] = 'p256'): Promise<CustodyKey> {
  const request = { id, keyType, exportable: true };
  return { ...request, ...(await custodian.create(request)) };
}

describe('a key of the software custodian', () => {
  test('is remembered sealed, with nothing of it in the clear', async () => {
    const seal = new WatchedSeal();
    const { remembered, id } = await newKey(createSoftwareCustodian(seal), 'key-1');
    using pkcs8 = seal.open(remembered, `custody key ${id}`);
    const { d } = createPrivateKey({ key: pkcs8.reveal(), format: 'der', type: 'pkcs8' }).export({ format: 'jwk' });
    assert.equal(Buffer.from(remembered).indexOf(Buffer.from(d!, 'base64url')), -1);
  });

  test('is wiped when it has been sealed, and each time when it has been unwrapped', async () => {
    const seal = new WatchedSeal();
    const custodian = createSoftwareCustodian(seal);
    for (const keyType of ['p256', 'rsa2048'] as const) {
      const key = await newKey(custodian, keyType, keyType);
      await custodian.sign(key, keyType === 'p256' ? 'ecdsa-sha256' : 'rsa-sha256', randomBytes(40));
    }
    assert.equal(seal.sealed.length, 2);
    assert.equal(seal.opened.length, 2);
    for (const bytes of [...seal.sealed, ...seal.opened.map((secret) => secret.reveal())]) {
      assert.ok(bytes.every((octet) => octet === 0));
    }
  });

  test('is unwrapped once for all signatures of one turn, and anew for those of the next', async () => {
    const seal = new WatchedSeal();
    const custodian = createSoftwareCustodian(seal);
    const [one, other] = [await newKey(custodian, 'one'), await newKey(custodian, 'other')];
    const sign = (key: CustodyKey) => custodian.sign(key, 'ecdsa-sha256', randomBytes(40));
    await Promise.all([sign(one), sign(other), sign(one), sign(one), sign(other)]);
    assert.equal(seal.opened.length, 2);
    await sign(one);
    assert.equal(seal.opened.length, 3);
  });

  test('lets other work have its turn when very many signatures are asked for', async () => {
    const custodian = createSoftwareCustodian(new WatchedSeal());
    const key = await newKey(custodian, 'key-1');
    const progress = { done: 0 };
    const all = Promise.all(
      Array.from({ length: 200 }, async () => {
        await custodian.sign(key, 'ecdsa-sha256', randomBytes(40));
        progress.done += 1;
      }),
    );
    const seen = new Set<number>();
    while (progress.done < 200) {
      await new Promise(setImmediate);
      seen.add(progress.done);
    }
    await all;
    assert.deepEqual([...seen], [64, 128, 192, 200]);
  });

  test('that is none when it is opened is refused', async () => {
    const seal = new WatchedSeal();
    const custodian = createSoftwareCustodian(seal);
    const key = await newKey(custodian, 'key-1');
    const remembered = seal.seal(Buffer.from('no key'), 'custody key key-1');
    const signature = custodian.sign({ ...key, remembered }, 'ecdsa-sha256', randomBytes(40));
    await assert.rejects(signature, { code: 'custody_unavailable' });
  });
});
