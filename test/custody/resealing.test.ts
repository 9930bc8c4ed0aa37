// Going through all that is sealed: however much it is, everybody else has a turn between two batches.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';

import { checkAll, resealAll, type SealedStore, type SealedValue } from '../../src/custody/resealing.ts';
import { ChangeableSeal } from '../../src/custody/seal.ts';
import { Secret } from '../../src/secret.ts';

/** Turns of the event loop, counted while it is not disposed of. */
class Turns implements Disposable {
  count = 0;
  #next = setImmediate(() => this.#turn());

  #turn(): void {
    this.count += 1;
    this.#next = setImmediate(() => this.#turn());
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#next);
  }
}

/** A store of these values in batches of ten, read without waiting; `seen` is told before each of them is given. */
function storeOf(values: readonly SealedValue[], seen: () => void): SealedStore {
  return {
    async *values() {
      for (let at = 0; at < values.length; at += 10) {
        seen();
        yield values.slice(at, at + 10);
      }
      seen();
    },
    replace: async () => {},
  };
}

describe('going through all that is sealed', () => {
  for (const [what, go] of Object.entries({ 'to prove it': checkAll, 'to seal it anew': resealAll })) {
    test(`${what} leaves a turn of the event loop to others between any two batches`, async () => {
      const seal = new ChangeableSeal(new Secret(randomBytes(32)));
      const values = Array.from({ length: 50 }, (_, place) => {
        return { place, context: `value ${place}`, sealed: seal.seal(randomBytes(32), `value ${place}`) };
      });
      using turns = new Turns();
      const seen: number[] = [];
      const store = storeOf(values, () => seen.push(turns.count));
      await go(seal, store, new AbortController().signal);
      assert.equal(seen.length, 6);
      assert.equal(new Set(seen).size, seen.length, seen.join(' '));
    });
  }
});
