// Takes away what is kept no longer, and the rows of accounts that were removed: a few hundred at a time, between other writes.

import type { Log } from '../log.ts';
import { removedAccounts } from '../registry/account-removal.ts';
import type { Registry } from '../registry/writer.ts';

/** How often it is looked, in milliseconds; and at once where an account is removed. */
const interval = 60 * 1000;
/** Rows that one write takes away: the others that wait for the writer get their turn in between. */
const batch = 500;

export interface RetentionOptions {
  readonly registry: Registry;
  readonly clock: () => number;
  /** How long each is kept, in milliseconds; null for ever. */
  readonly refusals: number | null;
  readonly reports: number | null;
  readonly log: Log;
}

/** Looks every minute while it is open. */
export class Retention implements AsyncDisposable {
  readonly #options: RetentionOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #stopListening: () => void;
  #look: Promise<void> | null = null;
  #again = false;
  #ended = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#begin(), interval).unref();
    this.#stopListening = options.registry.changes.listen(({ kind }) => {
      if (kind === 'account') this.#begin();
    });
    this.#begin();
  }

  /** Does now what is done every minute. */
  async look(): Promise<void> {
    await this.#look;
    this.#begin();
    await this.#look;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#stopListening();
    await this.#look;
  }

  #begin(): void {
    this.#again = this.#look !== null;
    this.#look ??= this.#lookAtAll()
      .catch((error: unknown) => {
        if (!this.#ended) this.#options.log.error({ err: error }, 'what is kept no longer could not be taken away');
      })
      .finally(() => {
        this.#look = null;
        if (this.#again && !this.#ended) this.#begin();
      });
  }

  async #lookAtAll(): Promise<void> {
    const { registry, clock, refusals, reports } = this.#options;
    for (const account_id of await removedAccounts(registry.read)) {
      let left = true;
      while (left && !this.#ended) ({ left } = await registry.write('removeRowsOfAccount', { account_id }));
    }
    const now = clock();
    if (refusals !== null) {
      await this.#prune((limit) => registry.write('pruneRefusals', { before: now - refusals, limit }));
    }
    if (reports !== null) {
      await this.#prune((limit) => registry.write('pruneReports', { before: now - reports, limit }));
    }
  }

  async #prune(some: (limit: number) => Promise<number>): Promise<void> {
    let pruned = batch;
    while (pruned === batch && !this.#ended) pruned = await some(batch);
  }
}
