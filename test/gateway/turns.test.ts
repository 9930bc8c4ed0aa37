// Turns and rates: accounts take turns however long their lines are, and buckets give what comes into them, no more.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Lines } from '../../src/gateway/lines.ts';
import { retryAfter, TokenBuckets } from '../../src/gateway/token-bucket.ts';

function all<Member>(lines: Lines<Member>): Member[] {
  const taken: Member[] = [];
  for (let one = lines.next(); one !== null; one = lines.next()) taken.push(one);
  return taken;
}

describe('lines', () => {
  test('take turns, and each is served in the order of arrival', () => {
    const lines = new Lines<string>(100);
    for (const one of ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'c2']) lines.add(one[0]!, one);
    assert.deepEqual(all(lines), ['a1', 'b1', 'c1', 'a2', 'c2', 'a3', 'a4']);
  });

  test('whoever comes to an empty line waits for one of each other line at the most', () => {
    const lines = new Lines<string>(1_000);
    for (let n = 0; n < 900; n += 1) lines.add(`${n % 3}`, `${n}`);
    lines.next();
    lines.add('late', 'late');
    assert.equal([lines.next(), lines.next(), lines.next(), lines.next()].indexOf('late'), 3);
  });

  test('beyond the bound the newest of the longest leaves, be it the newcomer or not', () => {
    const lines = new Lines<string>(4);
    for (const one of ['a1', 'a2', 'a3', 'b1']) assert.equal(lines.add(one[0]!, one), null);
    assert.equal(lines.add('a', 'a4'), 'a4');
    assert.equal(lines.add('b', 'b2'), 'a3');
    assert.equal(lines.add('c', 'c1'), 'b2');
    assert.deepEqual(all(lines), ['a1', 'b1', 'c1', 'a2']);
  });

  test('agree with a plain list of who waits, whatever comes and goes', () => {
    const step = fc.record({ what: fc.constantFrom('add', 'leave', 'next'), key: fc.constantFrom('a', 'b', 'c') });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const lines = new Lines<string>(20);
        const waiting: string[] = [];
        for (const [n, { what, key }] of steps.entries()) {
          if (what === 'add') {
            waiting.push(`${key}${n}`);
            const left = lines.add(key, `${key}${n}`);
            if (left !== null) {
              assert.ok(waiting.length === 21 && waiting.findLast((each) => each[0] === left[0]) === left);
              waiting.splice(waiting.indexOf(left), 1);
            }
          } else if (what === 'leave') {
            const gone = waiting.splice(
              waiting.findIndex((each) => each[0] === key),
              1,
            )[0];
            if (gone) lines.leave(gone);
          } else {
            const next = lines.next();
            if (next === null) assert.equal(waiting.length, 0);
            else {
              assert.equal(
                next,
                waiting.find((each) => each[0] === next[0]),
                'the oldest of its line',
              );
              waiting.splice(waiting.indexOf(next), 1);
            }
          }
          assert.equal(lines.size, waiting.length);
        }
        assert.deepEqual(all(lines).toSorted(), waiting.toSorted());
      }),
      { numRuns: 500, seed: 1 },
    );
  });
});

describe('token buckets', () => {
  test('give what is in them, then what comes in, to each its own', () => {
    const buckets = new TokenBuckets(5);
    const had = (whose: string, now: number) => {
      let count = 0;
      while (buckets.take(whose, now)) count += 1;
      return count;
    };
    assert.equal(had('a', 0), 50);
    assert.equal(had('a', 1_000), 5);
    assert.equal(had('a', 1_100), 0);
    assert.equal(had('a', 1_200), 1);
    assert.equal(had('b', 1_200), 50);
    assert.equal(had('a', 3_600_000), 50);
  });

  test('promise turns over as long as it takes to keep the promises', () => {
    const buckets = new TokenBuckets(5);
    for (let n = 1; n <= 100; n += 1) assert.equal(buckets.promise('a', 0), n / 5);
    assert.equal(buckets.promise('a', 10_000), 51 / 5);
    assert.equal(buckets.promise('a', 3_600_000), 1 / 5);
  });

  test('whoever is turned away comes back at any time of it', () => {
    assert.equal(retryAfter(0, 0.999), 1);
    assert.deepEqual(
      [0, 0.25, 0.5, 0.999].map((random) => retryAfter(100, random)),
      [1, 26, 51, 101],
    );
    assert.equal(retryAfter(1e9, 0.5), 300);
  });
});
