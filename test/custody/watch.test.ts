// A watched custodian, over one that does what the test says: what puts it in trouble, who waits, and how that ends.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';

import { type Custodian, type CustodyFault, type CustodyKey, CustodyProblem } from '../../src/custody/custodian.ts';
import { WatchedCustodian } from '../../src/custody/watch.ts';
import { Secret } from '../../src/secret.ts';
import { eventually } from '../support/eventually.ts';

const key: CustodyKey = {
  id: randomUUID(),
  keyType: 'p256',
  exportable: false,
  publicKey: Buffer.alloc(0),
  remembered: Buffer.alloc(0),
};
const signature = Buffer.from('signature');

/** A custodian that is well until the test says what becomes of its calls and its checks. */
class Told implements Custodian {
  readonly name = 'told';
  call: () => Promise<void> = async () => {};
  state: () => Promise<void> = async () => {};
  /** Of calls and checks, under way at present, at the most, and ever. */
  calls = 0;
  checks = { now: 0, most: 0, ever: 0 };

  async #do<T>(answer: T): Promise<T> {
    this.calls += 1;
    await this.call();
    return answer;
  }
  create = () => this.#do({ publicKey: Buffer.alloc(0), remembered: Buffer.alloc(0) });
  import = () => this.#do({ publicKey: Buffer.alloc(0), remembered: Buffer.alloc(0) });
  publicKey = () => this.#do(Buffer.alloc(0));
  sign = () => this.#do(signature);
  export = () => this.#do(new Secret(Buffer.alloc(1)));
  destroy = () => this.#do(undefined);

  async check(): Promise<void> {
    this.checks.now += 1;
    this.checks.ever += 1;
    this.checks.most = Math.max(this.checks.most, this.checks.now);
    try {
      await this.state();
    } finally {
      this.checks.now -= 1;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

const problem = (fault: CustodyFault) => new CustodyProblem(fault, `It is ${fault}.`);

async function open() {
  const told = new Told();
  const logged: { level: number; fault?: CustodyFault; err?: { message: string } }[] = [];
  const log = pino({ base: null }, { write: (line) => void logged.push(JSON.parse(line)) });
  let back = 0;
  const watched = new WatchedCustodian(told, { log, clock: Date.now, onWell: () => (back += 1) });
  await watched.check();
  const sign = () => watched.sign(key, 'ecdsa-sha256', Buffer.alloc(1));
  return { told, watched, sign, logged, back: () => back, [Symbol.asyncDispose]: () => watched[Symbol.asyncDispose]() };
}

const fails = (fault: CustodyFault) => async () => Promise.reject(problem(fault));

describe('a watched custodian', () => {
  for (const fault of ['unavailable', 'sealed', 'denied'] as const) {
    test(`that is ${fault} is asked nothing from then on, and used as soon as it is well again`, async () => {
      await using held = await open();
      const { told, watched, sign, logged } = held;
      assert.equal(await sign(), signature);
      told.call = told.state = fails(fault);
      await assert.rejects(sign(), { fault });
      assert.equal(watched.trouble?.problem.fault, fault);
      const asked = told.calls;
      const request = { id: randomUUID(), keyType: 'p256', exportable: true } as const;
      using privateKey = new Secret(Buffer.alloc(1));
      const calls = [
        () => watched.create(request),
        () => watched.import(request, privateKey),
        () => watched.publicKey(key),
        sign,
        () => watched.export(key),
        () => watched.destroy(key),
      ];
      for (const call of calls) await assert.rejects(call(), (error) => error === watched.trouble?.problem);
      assert.equal(told.calls, asked, 'nothing reaches it');
      const checked = told.checks.ever;
      await eventually(() => told.checks.ever > checked);

      told.call = told.state = async () => {};
      await eventually(() => watched.trouble === null);
      assert.equal(held.back(), 1);
      assert.equal(await sign(), signature);
      assert.deepEqual(
        logged.map(({ level, fault: told }) => [level, told]),
        [
          [40, fault],
          [30, undefined],
        ],
      );
    });
  }

  test('that cannot be checked, by an error of ours, is away too, which is logged once with the error', async () => {
    await using held = await open();
    const { told, watched, sign, logged } = held;
    told.state = async () => Promise.reject(new TypeError('a secret, perhaps'));
    await eventually(() => watched.trouble !== null);
    assert.equal(watched.trouble?.problem.fault, 'unavailable');
    assert.match(watched.trouble.problem.message, /could not be checked/);
    assert.doesNotMatch(watched.trouble.problem.message, /a secret/);
    await assert.rejects(sign(), (error) => error === watched.trouble?.problem);
    const checked = told.checks.ever;
    await eventually(() => told.checks.ever > checked + 1);
    assert.deepEqual(
      logged.map(({ level, err }) => [level, err?.message]),
      [
        [50, 'a secret, perhaps'],
        [40, undefined],
      ],
    );
    told.state = async () => {};
    await eventually(() => watched.trouble === null);
    assert.equal(held.back(), 1);
  });

  test('is found to be away though nobody asks anything of it', async () => {
    await using held = await open();
    held.told.state = fails('sealed');
    await eventually(() => held.watched.trouble?.problem.fault === 'sealed');
  });

  test('is away once, however many calls find that out, and all are told the same', async () => {
    await using held = await open();
    const { told, watched, sign, logged } = held;
    told.call = told.state = async () => {
      await pause(1_100);
      throw problem('unavailable');
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 300 }, sign));
    const reasons = new Set(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason));
    assert.deepEqual([...reasons], [watched.trouble?.problem]);
    assert.equal(logged.length, 1);
  });

  test('is not away for one call that was slow, while others are answered', async () => {
    await using held = await open();
    const { told, watched, sign, logged } = held;
    told.call = async () => {
      await pause(1_100);
      throw problem('unavailable');
    };
    const slow = sign().catch((error: unknown) => error);
    told.call = async () => {};
    const fault = await eventually(async () => {
      await sign();
      return Promise.race([slow, Promise.resolve(null)]);
    });
    assert.deepEqual((fault as CustodyProblem).fault, 'unavailable');
    assert.equal(watched.trouble, null);
    assert.deepEqual(logged, []);
  });

  test('is not away for one call that was slow, while it says itself that it is there', async () => {
    await using held = await open();
    const { told, watched, sign, logged } = held;
    told.call = async () => {
      await pause(3_500);
      throw problem('unavailable');
    };
    await assert.rejects(sign(), { fault: 'unavailable' });
    assert.equal(watched.trouble, null);
    assert.deepEqual(logged, []);
  });

  test('is not away for a call that it refuses while it is well, or a key that it does not have', async () => {
    await using held = await open();
    const { told, watched, sign, logged } = held;
    for (const fault of ['denied', 'unavailable', 'no_such_key', 'not_exportable', 'corrupted'] as const) {
      told.call = fails(fault);
      await assert.rejects(sign(), { fault });
      assert.equal(watched.trouble, null, fault);
    }
    assert.deepEqual(logged, []);
  });

  test('turns away at once who would be one too many to wait for it', async () => {
    await using held = await open();
    const { told, watched, sign } = held;
    const answer = Promise.withResolvers<void>();
    told.call = () => answer.promise;
    const waiting = Array.from({ length: 4_096 }, sign);
    await assert.rejects(sign(), { fault: 'unavailable' });
    assert.equal(told.calls, 4_096);
    assert.equal(watched.trouble, null);
    answer.resolve();
    await Promise.all(waiting);
    assert.equal(await sign(), signature);
  });

  test('is never asked twice at once whether it is there', async () => {
    await using held = await open();
    const { told, watched, sign } = held;
    const answer = Promise.withResolvers<void>();
    told.state = () => answer.promise;
    told.call = fails('denied');
    const all = [sign(), sign(), watched.check(), watched.check()];
    await eventually(() => told.checks.now === 1);
    answer.reject(problem('denied'));
    for (const outcome of await Promise.allSettled(all)) assert.equal(outcome.status, 'rejected');
    await eventually(() => told.checks.ever > 3);
    assert.equal(told.checks.most, 1);
  });

  test('is said to be away for what it is away for now: one that comes back sealed is sealed', async () => {
    await using held = await open();
    const { told, watched } = held;
    told.state = fails('unavailable');
    await assert.rejects(watched.check());
    const since = watched.trouble?.since;
    told.state = fails('sealed');
    await eventually(() => watched.trouble?.problem.fault === 'sealed');
    assert.equal(watched.trouble?.since, since);
  });

  test('is watched no longer once it is disposed of', async () => {
    const held = await open();
    await held[Symbol.asyncDispose]();
    held.told.state = fails('sealed');
    await assert.rejects(held.watched.check());
    assert.equal(held.watched.trouble, null);
    assert.deepEqual(held.logged, []);
  });
});
