// The seal: what it keeps apart, and what it notices.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import { createSeal } from '../../src/custody/seal.ts';
import { Secret } from '../../src/secret.ts';

const seal = createSeal(new Secret(randomBytes(32)));
const refused = { name: 'Problem', code: 'custody_unavailable' };

describe('a sealed value', () => {
  test('opens to what it was, for the context it was sealed for', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.string({ unit: 'binary' }), (plain, context) => {
        assert.deepEqual(seal.open(seal.seal(plain, context), context).reveal(), Buffer.from(plain));
      }),
    );
  });

  test('does not open for another context, so that one row copied over another is noticed', () => {
    assert.throws(() => seal.open(seal.seal(Buffer.from('a key'), 'custody key 1'), 'custody key 2'), refused);
  });

  test('does not open under another master key', () => {
    const other = createSeal(new Secret(randomBytes(32)));
    assert.throws(() => other.open(seal.seal(Buffer.from('a key'), 'it'), 'it'), refused);
  });

  test('does not open when any of its octets has changed, or any is missing', () => {
    const sealed = seal.seal(Buffer.from('a key'), 'it');
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 1;
      assert.throws(() => seal.open(changed, 'it'), refused, `octet ${at}`);
      assert.throws(() => seal.open(sealed.subarray(0, at), 'it'), refused, `${at} octets`);
    }
    assert.throws(() => seal.open(Buffer.concat([sealed, Buffer.of(0)]), 'it'), refused);
  });

  test('is another one each time, and parts of two do not fit together', () => {
    const [one, other] = [seal.seal(Buffer.from('a key'), 'it'), seal.seal(Buffer.from('a key'), 'it')];
    const half = 1 + 12 + 32 + 16;
    assert.notDeepEqual(one.subarray(0, half), other.subarray(0, half));
    assert.notDeepEqual(one.subarray(half), other.subarray(half));
    const mixed = Buffer.concat([one.subarray(0, half), other.subarray(half)]);
    assert.throws(() => seal.open(mixed, 'it'), refused);
  });

  test('says what does not open, and nothing of what is in it', () => {
    const sealed = seal.seal(Buffer.from('the plain text'), 'custody key 7');
    sealed[sealed.length - 1]! ^= 1;
    assert.throws(
      () => seal.open(sealed, 'custody key 7'),
      (error: Error) => error.message.includes('custody key 7') && !error.message.includes('plain'),
    );
  });
});

test('a master key of another size is refused', () => {
  for (const size of [0, 16, 31, 33]) assert.throws(() => createSeal(new Secret(randomBytes(size))), TypeError);
});
