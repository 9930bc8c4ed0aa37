// How everything that is sealed comes to lie under another master key, while it is in use.

import { setImmediate } from 'node:timers/promises';

import type { ChangeableSeal } from './seal.ts';

/** A sealed value where it lies: `context` is the one it was sealed for, `place` the store's own affair. */
export interface SealedValue {
  readonly place: unknown;
  readonly context: string;
  readonly sealed: Uint8Array;
}

/** Where everything sealed lies. */
export interface SealedStore {
  /** All of it, some at a time; what comes or changes meanwhile may be among it or not. */
  values(): AsyncIterable<readonly SealedValue[]>;
  /** Puts each in the place of what was read; one that has changed or gone since stays as it is. */
  replace(changes: readonly (SealedValue & { readonly resealed: Buffer })[]): Promise<void>;
}

/**
 * The batches of a store, each in a turn of the event loop of its own: where a store reads without waiting, thousands of
 * values would otherwise be gone through in one turn, and nobody served meanwhile.
 */
async function* batchesOf(store: SealedStore, signal: AbortSignal): AsyncGenerator<readonly SealedValue[]> {
  for await (const batch of store.values()) {
    await setImmediate();
    signal.throwIfAborted();
    yield batch;
  }
}

/**
 * Brings everything under the newest key of the seal, without opening any of it: data keys are unwrapped and wrapped.
 * Goes through it until once all of it lay there, each value proved, and gives how many those were. `signal` ends it
 * between two batches. Throws CustodyProblem for a value that does not open under any of the seal's keys.
 */
export async function resealAll(seal: ChangeableSeal, store: SealedStore, signal: AbortSignal): Promise<number> {
  for (;;) {
    let [values, replaced] = [0, 0];
    for await (const batch of batchesOf(store, signal)) {
      const changes = batch.flatMap((value) => {
        const resealed = seal.rewrap(value.sealed, value.context);
        return resealed === null ? [] : [{ ...value, resealed }];
      });
      if (changes.length > 0) await store.replace(changes);
      values += batch.length;
      replaced += changes.length;
    }
    if (replaced === 0) return values;
  }
}

/** Throws CustodyProblem that names the first value which does not open under any of the seal's keys. */
export async function checkAll(seal: ChangeableSeal, store: SealedStore, signal: AbortSignal): Promise<void> {
  for await (const batch of batchesOf(store, signal)) {
    for (const { sealed, context } of batch) seal.rewrap(sealed, context);
  }
}
