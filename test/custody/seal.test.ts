// The seal: what it keeps apart, and what it notices.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import { ChangeableSeal, createSeal } from '../../src/custody/seal.ts';
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
    const [head, half] = [1 + 8, 1 + 8 + 12 + 32 + 16];
    assert.deepEqual(one.subarray(0, head), other.subarray(0, head));
    assert.notDeepEqual(one.subarray(head, half), other.subarray(head, half));
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

describe('a seal whose master key is changed', () => {
  const one = new Secret(Buffer.alloc(32, 1));
  const other = new Secret(Buffer.alloc(32, 2));
  const changed = () => {
    const changing = new ChangeableSeal(one);
    changing.change(other);
    return changing;
  };

  test('opens what lay under the one before, and seals under the new one', () => {
    const before = createSeal(one).seal(Buffer.from('a key'), 'it');
    assert.equal(changed().open(before, 'it').reveal().toString(), 'a key');
    const after = changed().seal(Buffer.from('a key'), 'it');
    assert.equal(createSeal(other).open(after, 'it').reveal().toString(), 'a key');
    assert.throws(() => createSeal(one).open(after, 'it'), refused);
  });

  test('wraps a data key anew and leaves the ciphertext as it is, and does so once', () => {
    const before = createSeal(one).seal(Buffer.from('a key'), 'it');
    const after = changed().rewrap(before, 'it')!;
    const half = 1 + 8 + 12 + 32 + 16;
    assert.deepEqual(after.subarray(half), before.subarray(half));
    assert.equal(createSeal(other).open(after, 'it').reveal().toString(), 'a key');
    assert.throws(() => createSeal(one).open(after, 'it'), refused);
    assert.equal(changed().rewrap(after, 'it'), null);
  });

  test('wraps nothing anew for another context, that is damaged, or that lay under a third key', () => {
    const before = createSeal(one).seal(Buffer.from('a key'), 'it');
    assert.throws(() => changed().rewrap(before, 'something else'), refused);
    const half = 1 + 8 + 12 + 32 + 16;
    for (const [value, from] of [
      [before, 0],
      [changed().rewrap(before, 'it')!, 0],
    ] as const) {
      for (let at = from; at < half; at += 1) {
        const damaged = Buffer.from(value);
        damaged[at]! ^= 1;
        assert.throws(() => changed().rewrap(damaged, 'it'), refused, `octet ${at}`);
      }
    }
    const third = createSeal(new Secret(Buffer.alloc(32, 3))).seal(Buffer.from('a key'), 'it');
    assert.throws(() => changed().rewrap(third, 'it'), refused);
  });

  test('a value does not pass for one of another master key, whose ID is written on it', () => {
    const [before, after] = [one, other].map((key) => createSeal(key).seal(Buffer.from('a key'), 'it'));
    const relabelled = Buffer.concat([after!.subarray(0, 9), before!.subarray(9)]);
    assert.throws(() => changed().open(relabelled, 'it'), refused);
    const older = Buffer.concat([Buffer.of(1), after!.subarray(9)]);
    assert.throws(() => changed().open(older, 'it'), refused);
  });
});

describe('a value of version 1, which tells no master key', () => {
  const master = new Secret(Buffer.alloc(32, 1));
  const plain = 'a secret of version 1';
  const sealed = Buffer.from(
    'AYs13VwhUVoeviolnLe51stwEt7KVLgbfFk/120RzXrF20IzfYC9o6tAo26ir46xYs6ZHUcCBc+2L8yWwNqUns0yDpSxQbFRjsPyNMrIMlsEpfIKJY75/TstpL2Wi0KrOmg=',
    'base64',
  );

  test('opens under its own master key alone', () => {
    assert.equal(createSeal(master).open(sealed, 'it').reveal().toString(), plain);
    assert.throws(() => createSeal(new Secret(Buffer.alloc(32, 2))).open(sealed, 'it'), refused);
    assert.throws(() => createSeal(master).open(sealed, 'something else'), refused);
  });

  test('is wrapped anew, be it under the same master key or the next', () => {
    const seal = new ChangeableSeal(master);
    assert.equal(createSeal(master).open(seal.rewrap(sealed, 'it')!, 'it').reveal().toString(), plain);
    const next = new Secret(Buffer.alloc(32, 2));
    seal.change(next);
    assert.equal(createSeal(next).open(seal.rewrap(sealed, 'it')!, 'it').reveal().toString(), plain);
  });
});

test('a master key of another size is refused', () => {
  for (const size of [0, 16, 31, 33]) assert.throws(() => createSeal(new Secret(randomBytes(size))), TypeError);
});
