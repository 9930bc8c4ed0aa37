// The keys that could not be used the last time, though their custodian is there: denied, gone, or not the ones recorded.

import type { CustodyProblem } from '../custody/custodian.ts';
import type { KeyRow } from '../registry/tables.ts';

/** A key that could not be used the last time. */
export interface FailingKey {
  readonly key: KeyRow;
  readonly problem: CustodyProblem;
  /** Since when, by `performance.now()`. */
  readonly since: number;
}

/** Remembers them until they work again. */
export class FailingKeys {
  readonly #all = new Map<string, FailingKey>();

  get all(): FailingKey[] {
    return [...this.#all.values()];
  }

  /** What is destroyed or erased was meant to be, and is none of them. */
  note(key: KeyRow, problem: CustodyProblem): void {
    if (key.remembered === null || key.destroyed_at !== null) return this.forget(key.id);
    this.#all.set(key.id, { key, problem, since: this.#all.get(key.id)?.since ?? performance.now() });
  }

  forget(key_id: string): void {
    this.#all.delete(key_id);
  }
}
