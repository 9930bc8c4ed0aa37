// Passwords as they are kept: Argon2id with its costs and a salt, opened by the password alone, a few at a time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PasswordHashes } from '../../src/login/password-hash.ts';
import { Turns } from '../../src/login/turns.ts';
import { Problem } from '../../src/problem.ts';
import { Secret } from '../../src/secret.ts';

const password = () => Secret.fromText('mill otter vivid');

test('a hash has its costs and a salt of its own, and opens to its password alone', async () => {
  const hashes = new PasswordHashes();
  const [one, other] = [await hashes.hash(password()), await hashes.hash(password())];
  assert.match(one, /^\$argon2id\$v=19\$m=47104,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.notEqual(one, other);
  assert.equal(await hashes.verify(password(), one), true);
  assert.equal(await hashes.verify(Secret.fromText('mill otter vivie'), one), false);
  assert.equal(await hashes.verify(password(), null), false);
});

test('a hash of other costs still opens, and is to be renewed', async () => {
  const cheap = new PasswordHashes({ memory: 1024, passes: 2, lanes: 1 });
  const old = await cheap.hash(password());
  const hashes = new PasswordHashes();
  assert.equal(await hashes.verify(password(), old), true);
  assert.equal(hashes.isOutdated(old), true);
  assert.equal(hashes.isOutdated(await hashes.hash(password())), false);
});

test('what is no hash of ours is a fault, and no password', async () => {
  await assert.rejects(new PasswordHashes().verify(password(), '$argon2id$v=19$m=1,t=1,p=1$x$y'), TypeError);
});

test('only so many work at a time, who is known goes first, and who finds too many waiting is turned away', async () => {
  const turns = new Turns({ atOnce: 1, waiting: 2 });
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const work = (name: string, known: boolean) =>
    turns.take(known, async () => {
      order.push(name);
      await gate.promise;
    });
  const all = [work('first', false), work('stranger', false), work('another', false), work('known', true)];
  await assert.rejects(
    work('too many', false),
    (error) => error instanceof Problem && error.code === 'too_many_requests',
  );
  assert.deepEqual(order, ['first']);
  gate.resolve();
  await Promise.all(all);
  assert.deepEqual(order, ['first', 'known', 'stranger', 'another']);
});

test("nobody takes more than two places, and every fourth turn is a stranger's", async () => {
  const turns = new Turns({ atOnce: 1, waiting: 9 });
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const work = (name: string, known: boolean, whose: string) =>
    turns.take(
      known,
      async () => {
        order.push(name);
        await gate.promise;
      },
      whose,
    );
  const all = [work('first', true, 'ada'), work('second', true, 'ada')];
  await assert.rejects(
    work('third', true, 'ada'),
    (error) => error instanceof Problem && error.code === 'too_many_requests',
  );
  all.push(work('stranger', false, 'x'), work('another', false, 'y'));
  for (const name of ['b', 'c', 'd', 'e']) all.push(work(name, true, name));
  gate.resolve();
  await Promise.all(all);
  assert.deepEqual(order, ['first', 'second', 'b', 'c', 'stranger', 'd', 'e', 'another']);
  await work('later', true, 'ada');
});
