// The PKCS#12 of a device: its exact form, and that everybody who must read it does.

import assert from 'node:assert/strict';
import { createDecipheriv, createHash, createPublicKey, pbkdf2Sync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createSecureContext } from 'node:tls';

import fc from 'fast-check';

import { certificateToPem } from '../../src/x509/certificate.ts';
import { children, elements, inner, readElement, readOctetString, readOid, tags } from '../../src/x509/der.ts';
import type { Element } from '../../src/x509/der.ts';
import { encodePkcs12 } from '../../src/x509/pkcs12.ts';
import { make, makeCa, newKey } from '../support/certificate-maker.ts';
import type { Made } from '../support/certificate-maker.ts';
import { Openssl } from '../support/openssl.ts';
import { needs } from '../support/require.ts';

const root = makeCa('Fleet Root');
const gateway = makeCa('Gateway');
const standby = makeCa('Standby Gateway');
const devices: { kind: string; device: Made }[] = [
  { kind: 'a P-256', device: make({ subject: 'device-1', by: root }) },
  { kind: 'a P-384', device: make({ subject: 'device-2', by: root, key: newKey('P-384') }) },
  { kind: 'an RSA', device: make({ subject: 'device-3', by: root, key: newKey('rsa2048') }) },
];
const cas = [root, gateway, standby].map(({ certificate }) => certificate.der);

function pkcs8Of({ key }: Made): Buffer {
  return key.privateKey.export({ type: 'pkcs8', format: 'der' });
}

function encode(device: Made): Buffer {
  return encodePkcs12({ privateKey: pkcs8Of(device), certificate: device.certificate.der, cas });
}

/** An openssl with the file of a device in it, as `device.p12`. */
function opensslWith(file: Buffer): Openssl {
  const openssl = new Openssl();
  writeFileSync(join(openssl.directory, 'device.p12'), file);
  return openssl;
}

const publicPem = ({ certificate }: Made) =>
  certificate.publicKey.toKeyObject().export({ type: 'spki', format: 'pem' });

describe('every reader that devices have opens the file with an empty password', () => {
  for (const { kind, device } of devices) {
    test(`openssl finds ${kind} key, the leaf and the CAs`, { skip: needs('openssl') }, () => {
      using openssl = opensslWith(encode(device));
      const key = openssl.run('openssl pkcs12 -in device.p12 -passin pass: -nocerts -nodes | openssl pkey -pubout');
      assert.equal(key, publicPem(device));
      const leaf = openssl.run('openssl pkcs12 -in device.p12 -passin pass: -nokeys -clcerts | openssl x509');
      assert.equal(leaf, certificateToPem(device.certificate.der));
      // As the guide has people take the gateway's CAs out of it.
      const found = openssl.run('openssl pkcs12 -in device.p12 -nokeys -cacerts -passin pass:');
      for (const ca of cas) assert.ok(found.includes(certificateToPem(ca)));
      assert.ok(!found.includes(certificateToPem(device.certificate.der)));
    });

    test(`Node takes ${kind} key for a TLS context`, () => {
      assert.ok(createSecureContext({ pfx: encode(device), passphrase: '' }));
    });

    test(`Java decrypts ${kind} key and pairs it with its chain`, { skip: needs('java', 'openssl') }, () => {
      using openssl = opensslWith(encode(device));
      openssl.run(`
        keytool -importkeystore -srckeystore device.p12 -srcstoretype PKCS12 -srcstorepass '' \\
                -destkeystore java.p12 -deststoretype PKCS12 -deststorepass changeit
        openssl pkcs12 -in java.p12 -passin pass:changeit -nocerts -nodes -out key.pem`);
      assert.equal(openssl.run('openssl pkey -in key.pem -pubout'), publicPem(device));
      const list = openssl.run("keytool -list -v -keystore device.p12 -storetype PKCS12 -storepass ''");
      assert.match(list, /Entry type: PrivateKeyEntry\nCertificate chain length: 2\n/);
    });

    test(`GnuTLS decrypts ${kind} key`, { skip: needs('certtool') }, () => {
      using files = opensslWith(encode(device));
      const info = files.run("certtool --p12-info --inder --infile device.p12 --password ''");
      const pem = /-----BEGIN ENCRYPTED PRIVATE KEY-----[^]+?-----END ENCRYPTED PRIVATE KEY-----\n/.exec(info)![0];
      writeFileSync(join(files.directory, 'key.pem'), pem);
      files.run("certtool --to-p8 --load-privkey key.pem --password '' --outfile clear.pem");
      const key = createPublicKey(files.read('clear.pem')).export({ type: 'spki', format: 'pem' });
      assert.equal(key, publicPem(device));
    });
  }
});

describe('the form is the one that they all read', () => {
  const device = devices[0]!.device;

  test('openssl calls it PBES2, AES-256 and a SHA-256 MAC, one iteration each', { skip: needs('openssl') }, () => {
    using openssl = opensslWith(encode(device));
    const info = openssl.run('openssl pkcs12 -in device.p12 -passin pass: -info -noout 2>&1');
    assert.equal(
      info,
      [
        'MAC: sha256, Iteration 1',
        'MAC length: 32, salt length: 16',
        'PKCS7 Data',
        ...Array(4).fill('Certificate bag'),
        'PKCS7 Data',
        'Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 1, PRF hmacWithSHA256',
        '',
      ].join('\n'),
    );
  });

  test('the leaf comes first, and it and the key alone have one and the same localKeyID', () => {
    const [leaf, ...others] = bagsOf(encode(device), 0);
    const [key] = bagsOf(encode(device), 1);
    assert.ok(leaf!.value.includes(device.certificate.der));
    assert.deepEqual(
      others.map(({ value }, index) => value.includes(cas[index]!)),
      [true, true, true],
    );
    const localKeyId = readOid(
      children(children(leaf!.attributes, tags.set, 'attributes')[0], tags.sequence, 'one')[0],
    );
    assert.equal(localKeyId, '1.2.840.113549.1.9.21');
    assert.deepEqual(key!.attributes!.raw, leaf!.attributes!.raw);
    assert.deepEqual(
      others.map(({ attributes }) => attributes),
      [undefined, undefined, undefined],
    );
  });

  test('the iterations of the MAC are left out, since one is their default in DER', () => {
    const [, , macData] = children(readElement(encode(device)), tags.sequence, 'PFX');
    assert.equal(children(macData, tags.sequence, 'MacData').length, 2);
  });

  test('a changed octet anywhere breaks it', { skip: needs('openssl') }, () => {
    const file = encode(device);
    // In the middle of the last CA and in the ciphertext: neither is looked at by anything but the MAC.
    for (const at of [file.indexOf(cas[2]!) + 20, file.length - 120]) {
      const changed = Buffer.from(file);
      changed[at]! ^= 1;
      using openssl = opensslWith(changed);
      assert.throws(() => openssl.run('openssl pkcs12 -in device.p12 -passin pass: -noout'), /Mac verify error/);
    }
  });
});

describe('the key in it', () => {
  const device = devices[0]!.device;

  test('is nowhere in the clear, and encrypted otherwise in every file', () => {
    const [one, other] = [encode(device), encode(device)];
    const scalar = Buffer.from(device.key.privateKey.export({ format: 'jwk' }).d!, 'base64url');
    assert.equal(one.indexOf(scalar), -1);
    assert.notDeepEqual(bagsOf(one, 1)[0]!.value, bagsOf(other, 1)[0]!.value);
  });

  test('is left as it was, and the file has memory of its own to be wiped', () => {
    const privateKey = pkcs8Of(device);
    const before = createHash('sha256').update(privateKey).digest('hex');
    const file = encodePkcs12({ privateKey, certificate: device.certificate.der, cas: [] });
    assert.equal(createHash('sha256').update(privateKey).digest('hex'), before);
    assert.equal(file.buffer.byteLength, file.length);
  });

  test('comes back whole, whatever its length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 3000 }), (octets) => {
        const file = encodePkcs12({ privateKey: Buffer.from(octets), certificate: device.certificate.der, cas: [] });
        assert.deepEqual(decrypt(bagsOf(file, 1)[0]!.value), Buffer.from(octets));
      }),
    );
  });
});

/** EncryptedPrivateKeyInfo, opened under the empty password. */
function decrypt(der: Buffer): Buffer {
  const [algorithm, encrypted] = children(readElement(der), tags.sequence, 'EncryptedPrivateKeyInfo');
  const [, parameters] = children(algorithm, tags.sequence, 'PBES2');
  const [derivation, cipher] = children(parameters, tags.sequence, 'PBES2-params');
  const [salt] = children(elements(derivation!.content)[1], tags.sequence, 'PBKDF2-params');
  const key = pbkdf2Sync('', readOctetString(salt), 1, 32, 'sha256');
  const decipher = createDecipheriv('aes-256-cbc', key, readOctetString(elements(cipher!.content)[1]));
  return Buffer.concat([decipher.update(readOctetString(encrypted)), decipher.final()]);
}

interface Bag {
  value: Buffer;
  attributes: Element | undefined;
}

/** The bags of the first or second ContentInfo. */
function bagsOf(file: Buffer, which: 0 | 1): Bag[] {
  const [, authSafe] = children(readElement(file), tags.sequence, 'PFX');
  const contents = children(readElement(dataOf(authSafe)), tags.sequence, 'AuthenticatedSafe');
  return children(readElement(dataOf(contents[which])), tags.sequence, 'SafeContents').map((bag) => {
    const [, value, attributes] = elements(bag.content);
    return { value: inner(value!).raw, attributes };
  });
}

function dataOf(contentInfo: Element | undefined): Buffer {
  const [type, content] = children(contentInfo, tags.sequence, 'ContentInfo');
  assert.equal(readOid(type), '1.2.840.113549.1.7.1');
  return readOctetString(inner(content!));
}
