// ECDSA signatures as HSMs give them, in the form that certificates carry.

import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { test } from 'node:test';

import fc from 'fast-check';

import { ecdsaSignature } from '../../src/custody/ecdsa-signature.ts';
import { elements, readElement, readInteger } from '../../src/x509/der.ts';

/** Both numbers, without the octet that only keeps them from being negative; the reader takes no longer form. */
function read(der: Buffer): string[] {
  const whole = readElement(der);
  assert.equal(whole.tag, 0x30);
  const numbers = elements(whole.content).map((element) => readInteger(element));
  assert.ok(numbers.every((number) => number[0]! < 0x80));
  return numbers.map((number) => number.toString('hex').replace(/^(00)+(?=..)/, ''));
}

/** Numbers as they come, and such as begin with zeros or with a bit that looks like a sign. */
const number = (octets: number) =>
  fc
    .tuple(fc.uint8Array({ minLength: octets, maxLength: octets }), fc.integer({ min: 0, max: octets }))
    .map(([digits, zeros]) => digits.fill(0, 0, zeros > octets / 2 ? zeros - octets / 2 : 0));

test('r and s come out as they went in, each in its shortest form', () => {
  const pairs = fc.constantFrom(32, 48).chain((octets) => fc.tuple(number(octets), number(octets)));
  fc.assert(
    fc.property(pairs, ([r, s]) => {
      const expected = [r, s].map((one) =>
        Buffer.from(one)
          .toString('hex')
          .replace(/^(00)+(?=..)/, ''),
      );
      assert.deepEqual(read(ecdsaSignature(Buffer.concat([r, s]))), expected);
    }),
    { numRuns: 2_000 },
  );
});

test('OpenSSL reads real signatures in it', () => {
  for (const [namedCurve, digest] of [
    ['P-256', 'sha256'],
    ['P-384', 'sha384'],
  ] as const) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
    for (let round = 0; round < 300; round += 1) {
      const data = randomBytes(40);
      const raw = sign(digest, data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
      assert.ok(verify(digest, data, publicKey, ecdsaSignature(raw)));
    }
  }
});

test('what is no pair of numbers is none', () => {
  for (const length of [0, 63, 98, 132]) assert.throws(() => ecdsaSignature(Buffer.alloc(length)), RangeError);
});
