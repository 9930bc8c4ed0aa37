// The document that an owner signs: written in one way, read in no other, and worth nothing with one byte changed.

import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { isSignedBy, parseOwnerKey, readOwnerKey } from '../../src/provisioning/owner-key.ts';
import { parseTrustSet, type TrustSet, writeTrustSet } from '../../src/provisioning/trust-set.ts';
import { basicConstraints, make } from '../support/certificate-maker.ts';

const certificate = (subject: string) => make({ subject, extensions: [basicConstraints(true)] }).certificate;
const root = certificate('CN=Flotte \u{1F697}');
const plant = certificate('CN=Line 1');
const narrowing = {
  id: 'a narrowing',
  kind: 'disable',
  fleet_root_ca: 'root-1',
  public_key_sha256: root.publicKey.sha256,
  set: 4,
  at: '2026-11-22T21:00:00.000Z',
} as const;
const set: TrustSet = {
  account: { id: 'account-1', name: 'acme' },
  number: 5,
  drawn_at: '2026-11-22T20:00:00.000Z',
  previous_sha256: 'a'.repeat(64),
  fleet_root_cas: [{ id: 'root-1', name: 'Flotte Ä \u{1F697}', state: 'active', certificates: [root] }],
  distrusted_keys: [plant],
  lifts: [narrowing],
};
const document = writeTrustSet(set);

const edited = (change: (value: any) => void): Buffer => {
  const value = JSON.parse(document.toString());
  change(value);
  return Buffer.from(
    `${JSON.stringify(value, null, 2).replaceAll(/[^\n -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`,
  );
};

test('what is written is read as it was, and is ASCII that says what it is', () => {
  const read = parseTrustSet(document);
  assert.deepEqual(writeTrustSet(read), document);
  assert.deepEqual([read.number, read.fleet_root_cas[0]!.name, read.lifts], [5, 'Flotte Ä \u{1F697}', [narrowing]]);
  assert.match(
    document.toString('latin1'),
    /^\{\n {2}"format": "fleetroot-trust-set",\n {2}"version": 1,[\n -~]*\}\n$/,
  );
  assert.ok(document.includes('"name": "Flotte \\u00c4 \\ud83d\\ude97"'));
  assert.deepEqual(
    edited(() => {}),
    document,
  );
});

for (const [what, change] of Object.entries<(value: any) => void>({
  'a further member': (value) => (value.more = true),
  'a further member within': (value) => (value.fleet_root_cas[0].more = true),
  'a missing member': (value) => delete value.lifts,
  'another version': (value) => (value.version = 2),
  'another format': (value) => (value.format = 'fleetroot-owner-trust'),
  'the number 0': (value) => (value.number = 0),
  'a number that is none': (value) => (value.number = 1.5),
  'a state that is none': (value) => (value.fleet_root_cas[0].state = 'open'),
  'a root without a certificate': (value) => (value.fleet_root_cas[0].certificates = []),
  'a root named twice': (value) => value.fleet_root_cas.push(value.fleet_root_cas[0]),
  'a certificate that is none': (value) => (value.fleet_root_cas[0].certificates[0].certificate = 'nothing'),
  'two certificates in the place of one': (value) =>
    (value.distrusted_keys[0].certificate += value.fleet_root_cas[0].certificates[0].certificate),
  'certificates of several keys': (value) => {
    const { public_key_sha256: _, ...other } = value.distrusted_keys[0];
    value.fleet_root_cas[0].certificates.push(other);
  },
  'a subject that is not that of the certificate': (value) =>
    (value.fleet_root_cas[0].certificates[0].subject = 'CN=Another'),
  'an end that is not that of the certificate': (value) =>
    (value.fleet_root_cas[0].certificates[0].not_after = '2099-01-01T00:00:00.000Z'),
  'a hash that is not that of the certificate': (value) =>
    (value.fleet_root_cas[0].certificates[0].sha256 = 'b'.repeat(64)),
  'a distrusted key that is not that of the certificate': (value) =>
    (value.distrusted_keys[0].public_key_sha256 = 'b'.repeat(64)),
})) {
  test(`a document with ${what} is refused`, () => {
    assert.throws(() => parseTrustSet(edited(change)), { code: 'invalid_request' });
  });
}

test('a second way to write the same is refused: members twice, other spaces, other escapes, UTF-8', () => {
  const text = document.toString('latin1');
  for (const other of [
    text.replace('"number": 5', '"number": 4,\n  "number": 5'),
    text.replace('"number": 5', '"number":5'),
    text.replace('"number": 5', '"number": 5.0'),
    text.replace('"acme"', '"\\u0061cme"'),
    text.trimEnd(),
    ` ${text}`,
    `\ufeff${text}`,
    text.replace('\\u00c4', 'Ä'),
    '',
    'null',
  ]) {
    assert.throws(() => parseTrustSet(Buffer.from(other, 'utf8')), { code: 'invalid_request' });
  }
});

test('a document of more than 2 MiB is not even looked at', () => {
  assert.throws(() => parseTrustSet(Buffer.alloc(2 * 1024 * 1024 + 1, ' ')), /larger than 2 MiB/);
});

test('no bytes at all make the reader throw anything else', () => {
  const refused = (bytes: Uint8Array): boolean => {
    try {
      parseTrustSet(bytes);
      return Buffer.from(bytes).equals(document);
    } catch (error) {
      return (error as { code?: string }).code === 'invalid_request';
    }
  };
  fc.assert(fc.property(fc.uint8Array(), refused));
  fc.assert(fc.property(fc.json(), (json) => refused(Buffer.from(json))));
});

const keys = {
  p256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ed25519: () => generateKeyPairSync('ed25519'),
};
const digests = { p256: 'sha256', p384: 'sha384', ed25519: null } as const;

for (const kind of ['p256', 'p384', 'ed25519'] as const) {
  test(`with one byte of the document or of the ${kind} signature changed, added or taken away, it is not signed`, () => {
    const { publicKey, privateKey } = keys[kind]();
    const key = parseOwnerKey(publicKey.export({ type: 'spki', format: 'der' }));
    const signature = sign(digests[kind], document, privateKey);
    assert.ok(isSignedBy(key, document, signature));
    const change = fc.record({
      at: fc.nat(),
      how: fc.constantFrom('flip', 'insert', 'remove'),
      by: fc.integer({ min: 1, max: 255 }),
    });
    const changed = (bytes: Buffer, { at, how, by }: { at: number; how: string; by: number }): Buffer => {
      const place = at % bytes.length;
      const [before, after] = [bytes.subarray(0, place), bytes.subarray(place + (how === 'insert' ? 0 : 1))];
      const middle = how === 'flip' ? [bytes[place]! ^ by] : how === 'insert' ? [by] : [];
      return Buffer.concat([before, Buffer.from(middle), after]);
    };
    fc.assert(fc.property(change, (how) => !isSignedBy(key, changed(document, how), signature)));
    fc.assert(
      fc.property(change, (how) => !isSignedBy(key, document, changed(signature, how))),
      { numRuns: 1000 },
    );
    const other = parseOwnerKey(keys[kind]().publicKey.export({ type: 'spki', format: 'der' }));
    assert.ok(!isSignedBy(other, document, signature));
  });
}

test('an ECDSA signature over another hash, or raw, is none', () => {
  const { publicKey, privateKey } = keys.p256();
  const key = readOwnerKey(Buffer.from(publicKey.export({ type: 'spki', format: 'pem' })));
  assert.ok(!isSignedBy(key, document, sign('sha384', document, privateKey)));
  assert.ok(!isSignedBy(key, document, sign('sha256', document, { key: privateKey, dsaEncoding: 'ieee-p1363' })));
});
