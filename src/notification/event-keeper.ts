// Keeps the events in order: tells of what ends soon and of refusals that were gathered, and takes away what is old.

import type { Log } from '../log.ts';
import { accountsWithEnds } from '../registry/expiry.ts';
import type { NewEvent } from '../registry/notes.ts';
import type { Registry } from '../registry/writer.ts';

/** How often refusals are told of, and old events taken away, in milliseconds. */
const interval = 60 * 1000;
/** How often what ends soon is looked for, in milliseconds. */
const expiryInterval = 60 * 60 * 1000;
/** Rows that one write takes away: the others that wait for the writer get their turn in between. */
const batch = 500;
/** Accounts that are looked at together. */
const accountsAtOnce = 200;
/** Of those that have something to tell, as many share a commit. */
const toldAtOnce = 20;

export interface EventKeeperOptions {
  readonly registry: Registry;
  readonly clock: () => number;
  /** How long events and deliveries are kept, in milliseconds. */
  readonly kept: number;
  readonly log: Log;
}

/** Looks every minute while it is open. */
export class EventKeeper implements AsyncDisposable {
  readonly #options: EventKeeperOptions;
  readonly #timer: NodeJS.Timeout;
  #look: Promise<void> | null = null;
  #expiryLookedAt = -Infinity;
  #ended = false;

  constructor(options: EventKeeperOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#begin(), interval).unref();
    this.#begin();
  }

  /** Tells of something that no write tells of by itself; where the registry fails it is only logged. */
  async note(event: NewEvent): Promise<void> {
    const { registry, log } = this.#options;
    await registry.write('recordEvents', { events: [event] }).catch((error: unknown) => {
      if (!this.#ended) log.error({ err: error, type: event.type }, 'an event could not be kept');
    });
  }

  /** Does now what is done every minute, and what is done every hour too. */
  async look(): Promise<void> {
    await this.#look;
    this.#expiryLookedAt = -Infinity;
    this.#begin();
    await this.#look;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    clearInterval(this.#timer);
    await this.#look;
  }

  #begin(): void {
    this.#look ??= this.#lookAtAll()
      .catch((error: unknown) => {
        if (!this.#ended) this.#options.log.error({ err: error }, 'events could not be kept in order');
      })
      .finally(() => (this.#look = null));
  }

  async #lookAtAll(): Promise<void> {
    const { registry, clock, kept } = this.#options;
    const now = clock();
    await registry.write('tellRefusals', {});
    if (Math.abs(now - this.#expiryLookedAt) >= expiryInterval) {
      await this.#tellOfEnds(now);
      this.#expiryLookedAt = now;
    }
    const before = now - kept;
    await this.#turnDays(before);
    await this.#prune((limit) => registry.write('pruneEvents', { before, limit }));
    await this.#prune((limit) => registry.write('pruneDeliveries', { before, limit }));
  }

  /** Where the database is read for long, as by a back-up, it waits for the next look. */
  async #turnDays(before: number): Promise<void> {
    const { registry, log } = this.#options;
    try {
      while (!this.#ended && (await registry.write('turnEventDays', { before })));
    } catch (error) {
      if (!this.#ended) log.warn({ err: error }, 'the days that events are divided by could not be kept in order');
    }
  }

  async #tellOfEnds(now: number): Promise<void> {
    const { registry } = this.#options;
    for (let after = ''; !this.#ended;) {
      const { accounts, last } = await accountsWithEnds(registry.read, { after, limit: accountsAtOnce, now });
      // Side by side, so that those of many accounts share their commits.
      for (let at = 0; at < accounts.length; at += toldAtOnce) {
        const some = accounts.slice(at, at + toldAtOnce);
        await Promise.all(some.map((account_id) => this.#tellOfEndsIn(account_id)));
      }
      if (last === null) await registry.write('recordExpiryLook', { at: now });
      if (last === null) return;
      after = last;
    }
  }

  async #tellOfEndsIn(account_id: string): Promise<void> {
    let more = true;
    while (more && !this.#ended) ({ more } = await this.#options.registry.write('tellOfEnds', { account_id }));
  }

  async #prune(some: (limit: number) => Promise<number>): Promise<void> {
    let pruned = batch;
    while (pruned === batch && !this.#ended) pruned = await some(batch);
  }
}
