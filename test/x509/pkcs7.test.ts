// What EST replies carry: that every reader opens it, its exact form, and what is asked of requests.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { certificateToPem } from '../../src/x509/certificate.ts';
import { csrAttributes } from '../../src/x509/csr-attributes.ts';
import {
  children,
  contextTag,
  elements,
  inner,
  readElement,
  readOid,
  readSmallInteger,
  tags,
} from '../../src/x509/der.ts';
import { encodeCertsOnly, estBase64 } from '../../src/x509/pkcs7.ts';
import { make, makeCa, newKey } from '../support/certificate-maker.ts';
import { Openssl } from '../support/openssl.ts';
import { needs } from '../support/require.ts';

const root = makeCa('Fleet Root');
const line = makeCa('Line', { by: root, key: newKey('P-384') });
const leaf = make({ subject: 'device-1', by: line, key: newKey('rsa2048') });
const chain = [leaf, line, root].map(({ certificate }) => certificate.der);
const pemsIn = (text: string): string[] =>
  [...text.matchAll(/-----BEGIN CERTIFICATE-----[^]+?-----END CERTIFICATE-----\n/g)].map(([pem]) => pem).sort();
const pemsOf = (ders: readonly Buffer[]): string[] => ders.map((der) => certificateToPem(der)).sort();

/** An openssl with the body of a reply in it, as `reply`. */
function opensslWith(ders: readonly Buffer[]): Openssl {
  const openssl = new Openssl();
  writeFileSync(join(openssl.directory, 'reply'), estBase64(encodeCertsOnly(ders)));
  return openssl;
}

describe('the body of an EST reply', () => {
  for (const count of [1, 2, 3]) {
    const ders = chain.slice(0, count);

    test(`openssl and base64 read one of ${count}`, { skip: needs('openssl') }, () => {
      using openssl = opensslWith(ders);
      for (const decode of ['base64 -d reply', 'openssl base64 -d -in reply']) {
        assert.deepEqual(
          pemsIn(openssl.run(`${decode} | openssl pkcs7 -inform DER -print_certs`)),
          pemsOf(ders),
          decode,
        );
      }
    });

    test(`GnuTLS reads one of ${count}`, { skip: needs('certtool') }, () => {
      using files = opensslWith(ders);
      const info = files.run('base64 -d reply > reply.der; certtool --p7-info --inder --infile reply.der');
      // Of signers it prints the heading, and none.
      assert.match(info, new RegExp(`^Signers:\nNumber of certificates: ${count}\n`));
    });
  }

  test('is base64 of 64 columns, line feeds alone, one at the end', () => {
    const der = encodeCertsOnly(chain);
    const body = estBase64(der);
    const lines = body.split('\n');
    assert.equal(lines.pop(), '');
    const last = lines.pop()!;
    assert.ok(lines.length > 0 && lines.every((each) => /^[A-Za-z0-9+/]{64}$/.test(each)));
    assert.match(last, /^[A-Za-z0-9+/]{1,64}={0,2}$/);
    assert.deepEqual(Buffer.from(body, 'base64'), der);
    // Of a length where the last line is full, too.
    assert.equal(estBase64(Buffer.alloc(48)), `${'A'.repeat(64)}\n`);
  });
});

test('a certs-only PKCS#7 is a SignedData of version 1 without digest algorithms, content, CRLs and signers', () => {
  const [type, content, more] = children(readElement(encodeCertsOnly(chain)), tags.sequence, 'ContentInfo');
  assert.equal(readOid(type), '1.2.840.113549.1.7.2');
  assert.equal(content!.tag, contextTag(0, true));
  assert.equal(more, undefined);
  const [version, digests, data, certificates, signers, rest] = children(inner(content!), tags.sequence, 'SignedData');
  assert.equal(readSmallInteger(version), 1);
  for (const empty of [digests, signers]) assert.deepEqual(children(empty, tags.set, 'set'), []);
  const [dataType, nothing] = children(data, tags.sequence, 'content');
  assert.equal(readOid(dataType), '1.2.840.113549.1.7.1');
  assert.equal(nothing, undefined);
  assert.equal(certificates!.tag, contextTag(0, true));
  assert.equal(rest, undefined);
  // DER: a SET OF is sorted (X.690 §11.6), so that whatever order they came in, it is the same.
  assert.deepEqual(
    elements(certificates!.content).map(({ raw }) => raw),
    chain.toSorted(Buffer.compare),
  );
  assert.deepEqual(encodeCertsOnly(chain.toReversed()), encodeCertsOnly(chain));
  assert.throws(() => encodeCertsOnly([]), RangeError);
});

test('requests are asked for a P-256 key and ECDSA with SHA-256', { skip: needs('openssl') }, () => {
  // SEQUENCE { SEQUENCE { id-ecPublicKey, SET { secp256r1 } }, ecdsa-with-SHA256 }, RFC 7030 §4.5.2.
  assert.equal(
    csrAttributes.toString('hex'),
    '3021 3015 06072a8648ce3d0201 310a 06082a8648ce3d030107 06082a8648ce3d040302'.replaceAll(' ', ''),
  );
  using openssl = new Openssl();
  writeFileSync(join(openssl.directory, 'attributes'), estBase64(csrAttributes));
  const dump = openssl.run('openssl base64 -d -in attributes | openssl asn1parse -inform DER');
  assert.deepEqual(
    [...dump.matchAll(/OBJECT +:(\S+)/g)].map(([, name]) => name),
    ['id-ecPublicKey', 'prime256v1', 'ecdsa-with-SHA256'],
  );
});
