// An exported private key: its exact form, that everybody who may have to read it does, and what is read back.

import assert from 'node:assert/strict';
import {
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  pbkdf2Sync,
  randomBytes,
} from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import { certificateToPem } from '../../src/x509/certificate.ts';
import { children, elements, readElement, readInteger, readOctetString, tags } from '../../src/x509/der.ts';
import { explicit, integer, octetString, oid, sequence, set } from '../../src/x509/der-write.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { encryptPrivateKey, isEncrypted, readPrivateKey } from '../../src/x509/pkcs8.ts';
import { make, newKey } from '../support/certificate-maker.ts';
import { Openssl } from '../support/openssl.ts';
import { needs } from '../support/require.ts';

const passphrase = 'correct horse Batterie, äußerst';
const keys = (['P-256', 'P-384', 'rsa2048'] as const).map((kind) => {
  const { privateKey, spki } = newKey(kind);
  return { kind, privateKey, spki, der: privateKey.export({ type: 'pkcs8', format: 'der' }) };
});
const encrypted = (der: Buffer, under = passphrase) => encryptPrivateKey(der, Buffer.from(under));

/** An openssl with an encrypted key in it, as `key.pem` and `key.der`. */
function opensslWith(der: Buffer): Openssl {
  const openssl = new Openssl();
  writeFileSync(join(openssl.directory, 'key.der'), der);
  writeFileSync(join(openssl.directory, 'key.pem'), encodePem('ENCRYPTED PRIVATE KEY', der));
  return openssl;
}

describe('whoever may have to read an exported key does', () => {
  for (const { kind, privateKey, spki, der } of keys) {
    const clear = privateKey.export({ type: 'pkcs8', format: 'pem' });

    test(`openssl reads a ${kind} key`, { skip: needs('openssl') }, async () => {
      using openssl = opensslWith(await encrypted(der));
      assert.equal(openssl.run(`openssl pkey -in key.pem -passin 'pass:${passphrase}'`), clear);
    });

    test(`Node reads a ${kind} key`, async () => {
      const key = createPrivateKey({ key: await encrypted(der), format: 'der', type: 'pkcs8', passphrase });
      assert.ok(key.equals(privateKey));
    });

    test(`GnuTLS reads a ${kind} key`, { skip: needs('certtool') }, async () => {
      using files = opensslWith(await encrypted(der));
      const info = files.run(`certtool --pubkey-info --load-privkey key.pem --password '${passphrase}'`);
      const pem = /-----BEGIN PUBLIC KEY-----[^]+?-----END PUBLIC KEY-----\n/.exec(info)![0];
      assert.deepEqual(createPublicKey(pem).export({ type: 'spki', format: 'der' }), spki);
    });

    test(`Java reads a ${kind} key`, { skip: needs('java', 'openssl') }, async () => {
      // keytool takes keys from a PKCS#12 alone: one without a MAC, around the very bytes that we wrote.
      const { certificate } = make({ subject: kind, key: { privateKey, spki } });
      using openssl = opensslWith(pkcs12(await encrypted(der, 'only ASCII here'), certificate.der));
      openssl.run(`
        keytool -importkeystore -srckeystore key.der -srcstoretype PKCS12 -srcstorepass 'only ASCII here' \\
                -destkeystore java.p12 -deststoretype PKCS12 -deststorepass changeit
        openssl pkcs12 -in java.p12 -passin pass:changeit -nocerts -nodes -out key.pem`);
      assert.equal(openssl.run('openssl pkey -in key.pem'), clear);
    });
  }
});

describe('an exported key', () => {
  const { der } = keys[0]!;

  test(
    'is under PBES2, PBKDF2 with HMAC-SHA256 and 600,000 rounds, and AES-256',
    { skip: needs('openssl') },
    async () => {
      using openssl = opensslWith(await encrypted(der));
      const shown = openssl.run('openssl asn1parse -inform DER -in key.der').split('\n');
      assert.deepEqual(
        shown.flatMap((line) => /(?:OBJECT|INTEGER) +:(.*)$/.exec(line)?.[1] ?? []),
        ['PBES2', 'PBKDF2', '0927C0', 'hmacWithSHA256', 'aes-256-cbc'],
      );
      assert.equal(0x0927c0, 600_000);
    },
  );

  test('is salted anew each time', async () => {
    const [one, other] = await Promise.all([encrypted(der), encrypted(der)]);
    assert.notDeepEqual(one.subarray(-der.length), other.subarray(-der.length));
    assert.notDeepEqual(partsOf(one).salt, partsOf(other).salt);
    assert.equal(partsOf(one).salt.length, 16);
  });

  test('does not show the key, and leaves it as it was', async () => {
    const before = Buffer.from(der);
    const scalar = Buffer.from(keys[0]!.privateKey.export({ format: 'jwk' }).d!, 'base64url');
    assert.equal((await encrypted(der)).indexOf(scalar), -1);
    assert.deepEqual(der, before);
  });

  test('does not keep the event loop from others while the passphrase is stretched', async () => {
    let turns = 0;
    const counting = setInterval(() => (turns += 1), 1);
    await encrypted(der);
    clearInterval(counting);
    assert.ok(turns > 1, `${turns} turns`);
  });

  test('comes back whole, whatever its length', async () => {
    for (const size of [1, 15, 16, 17, 138, 2374]) {
      const octets = randomBytes(size);
      const { salt, rounds, iv, content } = partsOf(await encrypted(octets));
      const key = pbkdf2Sync(passphrase, salt, rounds, 32, 'sha256');
      const decipher = createDecipheriv('aes-256-cbc', key, iv);
      assert.deepEqual(Buffer.concat([decipher.update(content), decipher.final()]), octets);
    }
  });
});

describe('a private key in a file', () => {
  const { privateKey, der } = keys[0]!;
  const rsa = keys[2]!;
  const cipher = { cipher: 'aes-256-cbc', passphrase } as const;
  const forms: [string, string | Buffer, Buffer][] = [
    ['PKCS#8, PEM', privateKey.export({ type: 'pkcs8', format: 'pem' }), der],
    ['PKCS#8, DER', der, der],
    ['SEC 1, PEM', privateKey.export({ type: 'sec1', format: 'pem' }), der],
    ['SEC 1, DER', privateKey.export({ type: 'sec1', format: 'der' }), der],
    ['PKCS#1, PEM', rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }), rsa.der],
    ['PKCS#1, DER', rsa.privateKey.export({ type: 'pkcs1', format: 'der' }), rsa.der],
    ['PKCS#8 encrypted, PEM', privateKey.export({ type: 'pkcs8', format: 'pem', ...cipher }), der],
    ['PKCS#8 encrypted, DER', privateKey.export({ type: 'pkcs8', format: 'der', ...cipher }), der],
    ['SEC 1 encrypted, PEM', privateKey.export({ type: 'sec1', format: 'pem', ...cipher }), der],
    ['after a certificate', certificateToPem(make().certificate.der) + encodePem('PRIVATE KEY', der), der],
  ];
  for (const [form, file, key] of forms) {
    const bytes = Buffer.from(file);
    const isLocked = form.includes('encrypted');
    test(`is read: ${form}`, () => {
      assert.equal(isEncrypted(bytes), isLocked);
      assert.deepEqual(readPrivateKey(bytes, Buffer.from(passphrase)), key);
      assert.deepEqual(readPrivateKey(bytes, null), isLocked ? 'passphrase_missing' : key);
      if (isLocked) assert.equal(readPrivateKey(bytes, Buffer.from('another')), 'passphrase_wrong');
    });
  }

  test('is not found in what is none', () => {
    const { certificate } = make();
    const { publicKey } = generateKeyPairSync('ed25519');
    for (const none of [
      Buffer.alloc(0),
      Buffer.from('nothing'),
      certificate.der,
      Buffer.from(certificateToPem(certificate.der)),
      publicKey.export({ type: 'spki', format: 'der' }),
      Buffer.from(encodePem('PRIVATE KEY', randomBytes(100))),
      Buffer.from('-----BEGIN PRIVATE KEY-----\nAAAA'),
    ]) {
      assert.equal(readPrivateKey(none, null), 'no_key');
    }
  });

  test('of any bytes at all, none makes the reader throw', () => {
    const starts = [Buffer.alloc(0), der.subarray(0, 30), Buffer.from('-----BEGIN EC PRIVATE KEY-----\n')];
    fc.assert(
      fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 200 }), (start, rest) => {
        const found = readPrivateKey(Buffer.concat([start, rest]), null);
        assert.ok(Buffer.isBuffer(found) || found === 'no_key' || found === 'passphrase_missing');
      }),
    );
  });
});

/** The parts of an EncryptedPrivateKeyInfo of ours. */
function partsOf(der: Buffer): { salt: Buffer; rounds: number; iv: Buffer; content: Buffer } {
  const [algorithm, content] = children(readElement(der), tags.sequence, 'EncryptedPrivateKeyInfo');
  const [, parameters] = children(algorithm, tags.sequence, 'PBES2');
  const [derivation, cipher] = children(parameters, tags.sequence, 'PBES2-params');
  const [salt, rounds] = children(elements(derivation!.content)[1], tags.sequence, 'PBKDF2-params');
  return {
    salt: readOctetString(salt),
    rounds: readInteger(rounds, 'rounds').readUIntBE(0, 3),
    iv: readOctetString(elements(cipher!.content)[1]),
    content: readOctetString(content),
  };
}

/** A PKCS#12 (RFC 7292) without a MAC: the certificate in the clear, the encrypted key as it is. */
function pkcs12(encryptedKey: Buffer, certificate: Buffer): Buffer {
  const content = (der: Buffer) => sequence(oid('1.2.840.113549.1.7.1'), explicit(0, octetString(der)));
  const pairing = set(sequence(oid('1.2.840.113549.1.9.21'), set(octetString(Buffer.of(1)))));
  const x509 = sequence(oid('1.2.840.113549.1.9.22.1'), explicit(0, octetString(certificate)));
  const bags = [
    sequence(oid('1.2.840.113549.1.12.10.1.3'), explicit(0, x509), pairing),
    sequence(oid('1.2.840.113549.1.12.10.1.2'), explicit(0, encryptedKey), pairing),
  ];
  return sequence(integer(3), content(sequence(...bags.map((bag) => content(sequence(bag))))));
}
