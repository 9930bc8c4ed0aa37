// Public keys: which are accepted, and one hash for one key.

import assert from 'node:assert/strict';
import { createHash, createPublicKey, ECDH } from 'node:crypto';
import { test } from 'node:test';

import fc from 'fast-check';

import { DerError, elements, readElement } from '../../src/x509/der.ts';
import { bitString, element, integer, nullValue, oid, sequence } from '../../src/x509/der-write.ts';
import { parsePublicKey } from '../../src/x509/key.ts';
import { newKey } from '../support/certificate-maker.ts';
import { Openssl } from '../support/openssl.ts';

const p256 = sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7'));
const rsa = sequence(oid('1.2.840.113549.1.1.1'), nullValue());

/** The octets of a P-256 key's point in another form. */
function point(spki: Buffer, form: 'compressed' | 'hybrid' | 'uncompressed'): Buffer {
  return ECDH.convertKey(spki.subarray(-65), 'prime256v1', undefined, undefined, form);
}

function rsaKey(modulus: Buffer, exponent: Buffer, algorithm = rsa): Buffer {
  return sequence(algorithm, bitString(sequence(element(0x02, modulus), element(0x02, exponent))));
}

const modulus = Buffer.concat([Buffer.of(0), Buffer.alloc(256, 0xff)]);
const f4 = Buffer.of(1, 0, 1);

test('every kind of key that devices and CAs have is told with its size', () => {
  const kinds = ['P-256', 'P-384', 'P-521', 'ed25519', 'rsa1024', 'rsa2048', 'rsa-pss2048', 'secp256k1'] as const;
  assert.deepEqual(
    kinds.map((kind) => parsePublicKey(newKey(kind).spki)).map(({ kind, bits }) => [kind, bits]),
    [
      ['p256', 256],
      ['p384', 384],
      ['p521', 521],
      ['ed25519', 256],
      ['rsa', 1024],
      ['rsa', 2048],
      ['rsa', 2048],
      ['other', 0],
    ],
  );
});

test('the hash of a key in its usual form is that of its SubjectPublicKeyInfo', () => {
  for (const kind of ['P-256', 'P-384', 'P-521', 'ed25519', 'rsa2048'] as const) {
    const { spki } = newKey(kind);
    assert.equal(parsePublicKey(spki).sha256, createHash('sha256').update(spki).digest('hex'));
    assert.deepEqual(parsePublicKey(spki).canonicalSpki, spki);
  }
});

test('a compressed point is the same key as the uncompressed one, and works', () => {
  const { spki } = newKey();
  const compressed = parsePublicKey(sequence(p256, bitString(point(spki, 'compressed'))));
  assert.equal(compressed.kind, 'p256');
  assert.equal(compressed.sha256, parsePublicKey(spki).sha256);
  assert.deepEqual(compressed.canonicalSpki, spki);
  assert.deepEqual(
    compressed.toKeyObject().export({ format: 'jwk' }),
    createPublicKey({ key: spki, format: 'der', type: 'spki' }).export({ format: 'jwk' }),
  );
});

test('an RSA key is the same one without the NULL, and bound to PSS', () => {
  const plain = parsePublicKey(rsaKey(modulus, f4));
  for (const algorithm of [sequence(oid('1.2.840.113549.1.1.1')), sequence(oid('1.2.840.113549.1.1.10'))]) {
    const other = parsePublicKey(rsaKey(modulus, f4, algorithm));
    assert.deepEqual([other.kind, other.bits, other.sha256], ['rsa', 2048, plain.sha256]);
    assert.deepEqual(other.canonicalSpki, plain.spki);
  }
});

test('keys as openssl makes them: compressed is accepted, explicit parameters and other curves are not', () => {
  using openssl = new Openssl();
  openssl.run(`
    openssl ecparam -name prime256v1 -genkey -noout -out key.pem
    openssl ec -in key.pem -pubout -outform DER -out plain.der
    openssl ec -in key.pem -pubout -conv_form compressed -outform DER -out compressed.der
    openssl ec -in key.pem -pubout -conv_form hybrid -outform DER -out hybrid.der
    openssl ec -in key.pem -pubout -param_enc explicit -outform DER -out explicit.der
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1 -out b.pem
    openssl pkey -in b.pem -pubout -outform DER -out brainpool.der
    openssl genpkey -genparam -algorithm DSA -pkeyopt pbits:1024 -out dsa.params
    openssl genpkey -paramfile dsa.params -out dsa.pem
    openssl pkey -in dsa.pem -pubout -outform DER -out dsa.der
    openssl genpkey -algorithm ED448 -out ed448.pem
    openssl pkey -in ed448.pem -pubout -outform DER -out ed448.der`);
  const kind = (name: string): string => parsePublicKey(openssl.read(`${name}.der`)).kind;
  assert.equal(kind('plain'), 'p256');
  assert.equal(kind('compressed'), 'p256');
  for (const name of ['hybrid', 'explicit', 'brainpool', 'dsa', 'ed448']) assert.equal(kind(name), 'other', name);
});

test('a point that is not on its curve is no key', () => {
  const { spki } = newKey();
  const moved = Buffer.from(spki.with(-1, spki.at(-1)! ^ 1));
  assert.equal(parsePublicKey(moved).kind, 'other');
  assert.throws(() => parsePublicKey(moved).toKeyObject(), DerError);
  // Half of all x have no y.
  const kinds = Array.from({ length: 16 }, (_, x) =>
    Buffer.concat([Buffer.of(2), Buffer.alloc(31, 7), Buffer.of(x)]),
  ).map((octets) => parsePublicKey(sequence(p256, bitString(octets))).kind);
  assert.deepEqual(new Set(kinds), new Set(['p256', 'other']));
});

test('coordinates beyond the field are not a second way to write a point', () => {
  const p = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
  // (5, y) is on P-256; (5 + p, y) is the same point modulo p.
  const five = ECDH.convertKey(
    Buffer.concat([Buffer.of(2), Buffer.alloc(31), Buffer.of(5)]),
    'prime256v1',
    undefined,
    undefined,
    'uncompressed',
  ) as Buffer;
  assert.equal(parsePublicKey(sequence(p256, bitString(five))).kind, 'p256');
  const beyond = Buffer.concat([
    Buffer.of(4),
    Buffer.from((5n + p).toString(16).padStart(64, '0'), 'hex'),
    five.subarray(33),
  ]);
  assert.equal(parsePublicKey(sequence(p256, bitString(beyond))).kind, 'other');
});

test('points of the wrong length or form, and parameters that do not belong there, make no key', () => {
  const { spki } = newKey();
  const whole = point(spki, 'uncompressed');
  for (const octets of [
    Buffer.alloc(0),
    Buffer.of(0),
    whole.subarray(0, 64),
    Buffer.concat([whole, Buffer.of(0)]),
    point(spki, 'hybrid'),
  ]) {
    assert.equal(parsePublicKey(sequence(p256, bitString(octets))).kind, 'other');
  }
  for (const parameters of [[], [nullValue()], [oid('1.3.132.0.10')], [sequence()]]) {
    assert.equal(
      parsePublicKey(sequence(sequence(oid('1.2.840.10045.2.1'), ...parameters), bitString(whole))).kind,
      'other',
    );
  }
  const ed25519 = newKey('ed25519').spki.subarray(-32);
  assert.equal(parsePublicKey(sequence(sequence(oid('1.3.101.112'), nullValue()), bitString(ed25519))).kind, 'other');
  assert.equal(parsePublicKey(sequence(sequence(oid('1.3.101.112')), bitString(ed25519.subarray(1)))).kind, 'other');
});

test('RSA keys that would accept any signature, or keep a CPU busy, are none', () => {
  const kind = (n: Buffer, e: Buffer): string => parsePublicKey(rsaKey(n, e)).kind;
  assert.equal(kind(modulus, f4), 'rsa');
  assert.equal(kind(modulus, Buffer.of(3)), 'rsa');
  assert.equal(kind(modulus, Buffer.of(1)), 'other');
  assert.equal(kind(modulus, Buffer.of(0)), 'other');
  assert.equal(kind(modulus, Buffer.of(4)), 'other');
  assert.equal(kind(modulus, Buffer.of(0xff)), 'other');
  assert.equal(kind(modulus, Buffer.alloc(8, 0x7f)), 'rsa');
  assert.equal(kind(modulus, Buffer.concat([Buffer.of(0), Buffer.alloc(9, 0xff)])), 'other');
  assert.equal(kind(Buffer.alloc(256, 0xf1), f4), 'other');
  assert.equal(kind(Buffer.of(0), f4), 'other');
  assert.equal(kind(Buffer.from(modulus.with(-1, 0xfe)), f4), 'other');
  assert.equal(kind(Buffer.concat([Buffer.of(0), Buffer.alloc(2049, 0xff)]), f4), 'other');
});

test('the bits of a modulus are counted from its first one', () => {
  const bits = (n: Buffer): number => parsePublicKey(rsaKey(n, f4)).bits;
  assert.equal(bits(Buffer.concat([Buffer.of(0), Buffer.alloc(255, 0xff)])), 2040);
  assert.equal(bits(Buffer.concat([Buffer.of(0x7f), Buffer.alloc(255, 0xff)])), 2047);
});

test('malformed keys are refused', () => {
  const { spki } = newKey();
  const [algorithm, key] = elements(readElement(spki).content).map(({ raw }) => raw);
  for (const wrong of [
    Buffer.alloc(0),
    sequence(),
    sequence(algorithm!),
    sequence(key!, algorithm!),
    sequence(algorithm!, key!, nullValue()),
    sequence(sequence(oid('1.2.3'), nullValue(), nullValue()), key!),
    sequence(sequence(), key!),
    sequence(algorithm!, bitString(Buffer.of(0x80), 7)),
    sequence(rsa, bitString(Buffer.of(1, 2, 3))),
    sequence(rsa, bitString(sequence(integer(7)))),
    sequence(rsa, bitString(sequence(integer(7), integer(3), integer(3)))),
    sequence(rsa, bitString(Buffer.concat([sequence(integer(7), integer(3)), Buffer.of(0)]))),
    Buffer.concat([spki, Buffer.of(0)]),
  ]) {
    assert.throws(() => parsePublicKey(wrong), DerError);
  }
});

test('whatever the bytes, there is a key or a DerError, and OpenSSL takes every elliptic one that we take', () => {
  const spkis = (['P-256', 'P-384', 'P-521', 'rsa1024', 'ed25519'] as const).map((kind) => newKey(kind).spki);
  const real = fc.constantFrom(...spkis);
  const mutated = fc
    .tuple(real, fc.array(fc.tuple(fc.nat(2_000), fc.nat(255)), { maxLength: 2 }))
    .map(([spki, changes]) =>
      changes.reduce((bytes, [at, value]) => Buffer.from(bytes.with(at % bytes.length, value)), spki),
    );
  const truncated = fc.tuple(real, fc.nat(500)).map(([spki, length]) => spki.subarray(0, length));
  const random = fc.uint8Array().map((octets) => Buffer.from(octets));
  fc.assert(
    fc.property(fc.oneof(mutated, truncated, random), (spki) => {
      try {
        const key = parsePublicKey(spki);
        assert.match(key.sha256, /^[0-9a-f]{64}$/);
        // What is canonical stays as it is, and is the same key.
        const again = parsePublicKey(key.canonicalSpki);
        assert.deepEqual(again.canonicalSpki, key.canonicalSpki);
        assert.deepEqual([again.sha256, again.kind, again.bits], [key.sha256, key.kind, key.bits]);
        if (/^p\d/.test(key.kind)) key.toKeyObject();
      } catch (error) {
        assert.ok(error instanceof DerError && !error.message.includes('OpenSSL'), String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});
