// Master keys from passphrases: the derivation is Argon2id, and what cannot be a good passphrase is refused.

import assert from 'node:assert/strict';
import { argon2Sync } from 'node:crypto';
import { describe, test } from 'node:test';

import {
  decodeDerivation,
  deriveMasterKey,
  encodeDerivation,
  newDerivation,
  readPassphrase,
} from '../../src/custody/passphrase.ts';
import { Secret } from '../../src/secret.ts';

const read = (text: string | Buffer) =>
  readPassphrase(typeof text === 'string' ? Secret.fromText(text) : new Secret(text), 'the file x')
    .reveal()
    .toString();
const derive = async (text: string, derivation: Parameters<typeof deriveMasterKey>[1]) =>
  (await deriveMasterKey(Secret.fromText(text), derivation)).reveal().toString('hex');

describe('the derivation', () => {
  test("is Argon2id as its authors' own implementation has it (phc-winner-argon2, src/test.c)", async () => {
    const salt = Buffer.from('somesalt');
    for (const [memory, passes, lanes, key] of [
      [65_536, 2, 1, '09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7'],
      [256, 2, 2, '6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037'],
    ] as const) {
      assert.equal(await derive('password', { salt, memory, passes, lanes }), key);
    }
  });

  test('rests on an Argon2id that gives the tag of RFC 9106 §5.3', () => {
    const of = (octet: number, size: number) => Buffer.alloc(size, octet);
    const inputs = { message: of(1, 32), nonce: of(2, 16), secret: of(3, 8), associatedData: of(4, 12) };
    const tag = argon2Sync('argon2id', { ...inputs, parallelism: 4, tagLength: 32, memory: 32, passes: 3 });
    assert.equal(tag.toString('hex'), '0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659');
  });

  test('asks for no less than the second choice of RFC 9106 §4, and each time for another salt', () => {
    const { salt, memory, passes, lanes } = newDerivation();
    assert.ok(memory >= 64 * 1024 && passes >= 3 && lanes === 4 && salt.length === 16);
    assert.notDeepEqual(salt, newDerivation().salt);
  });

  test('gives the same key again from what the registry keeps, and another under another salt', async () => {
    const one = newDerivation();
    const key = await derive('correct horse battery staple', one);
    assert.equal(await derive('correct horse battery staple', decodeDerivation(encodeDerivation(one))), key);
    assert.notEqual(await derive('correct horse battery staple', newDerivation()), key);
  });

  test('is not made with what somebody may have written into the registry to stop the server, or to weaken it', () => {
    const good = JSON.parse(encodeDerivation(newDerivation()).toString()) as Record<string, unknown>;
    assert.ok(decodeDerivation(Buffer.from(JSON.stringify(good))));
    for (const change of [
      { memory: 2 ** 22 },
      { memory: 1024 },
      { memory: 131_072.5 },
      { memory: '131072' },
      { passes: 1 },
      { passes: 1e9 },
      { lanes: 0 },
      { lanes: 1e6 },
      { salt: '' },
      { salt: 'AAAA' },
      { salt: undefined },
      { algorithm: 'argon2i' },
    ]) {
      const encoded = Buffer.from(JSON.stringify({ ...good, ...change }));
      assert.throws(() => decodeDerivation(encoded), { fault: 'corrupted' }, JSON.stringify(change));
    }
    for (const nonsense of ['', 'null', '[]', '7', '{', '"argon2id"']) {
      assert.throws(() => decodeDerivation(Buffer.from(nonsense)), { fault: 'corrupted' }, nonsense);
    }
  });
});

describe('a passphrase', () => {
  test('is what stands before the end of its line, and no more of it is cut', () => {
    assert.equal(read('six words that nobody can guess\n'), 'six words that nobody can guess');
    assert.equal(read('six words that nobody can guess\r\n'), 'six words that nobody can guess');
    assert.equal(read(' six words that nobody can guess '), ' six words that nobody can guess ');
  });

  test('is the same whichever way its letters are composed (NFC)', () => {
    const composed = 'Fünf Wörter über Bäume';
    assert.notEqual(composed.normalize('NFD'), composed);
    assert.equal(read(composed.normalize('NFD')), composed);
    assert.equal(read(composed), composed);
  });

  test('that is too short, too long, no line or no text is refused, and told nothing of', () => {
    const faults: [string | Buffer, RegExp][] = [
      ['', /fewer than 16 characters/],
      ['\n', /fewer than 16 characters/],
      ['fifteen letters', /fewer than 16 characters/],
      ['ü'.repeat(15), /fewer than 16 characters/],
      ['x'.repeat(1025), /longer than 1024 octets/],
      ['two lines of text\nin one file', /not one line/],
      ['ends in two lines of it\n\n', /not one line/],
      ['something with a \0 in it', /not one line/],
      [Buffer.from([...Buffer.from('sixteen characters'), 0xff]), /not UTF-8/],
    ];
    for (const [text, message] of faults) {
      const told = (error: any) => {
        assert.match(error.message, message);
        assert.match(error.message, /^The passphrase of the master key \(the file x\) /);
        assert.match(error.hint, /nobody can guess/);
        return error.fault === 'denied';
      };
      assert.throws(() => read(text), told, JSON.stringify(text));
    }
    assert.equal(read('ü'.repeat(16)), 'ü'.repeat(16));
    assert.throws(
      () => read('hunter2'),
      (error: Error) => !JSON.stringify([error.message, error]).includes('hunter2'),
    );
  });
});
