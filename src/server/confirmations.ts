// Changes as gateway processes confirm them: who waits until all have heard of one, or have acted on it.

import { setTimeout as pause } from 'node:timers/promises';
import type { WorkerProcess } from './worker-process.ts';

/** How long it is waited for connections to be judged anew, in milliseconds; that a change was heard is waited for whole. */
const actsWithin = 5_000;

interface Waiter {
  readonly number: number;
  readonly acted: boolean;
  readonly resolve: () => void;
}

export class Confirmations {
  readonly #processes: () => readonly WorkerProcess[];
  /** The number of the last change. */
  #last = 0;
  #waiters: Waiter[] = [];

  constructor(processes: () => readonly WorkerProcess[]) {
    this.#processes = processes;
  }

  get last(): number {
    return this.#last;
  }

  /** The number of another change. */
  next(): number {
    return (this.#last += 1);
  }

  /** Resolves when each process that serves has heard all changes so far; where `acted`, has acted on them or had its time. */
  async all(acted: boolean): Promise<void> {
    const number = this.#last;
    const acting = acted ? this.#reached(number, true) : undefined;
    if (acting) await Promise.race([acting, pause(actsWithin, undefined, { ref: false })]);
    await this.#reached(number, false);
  }

  #reached(number: number, acted: boolean): Promise<void> | undefined {
    if (this.#hasReached(number, acted)) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push({ number, acted, resolve });
    return promise;
  }

  #hasReached(number: number, acted: boolean): boolean {
    return this.#processes().every((process) => !process.serves || process.upTo(acted) >= number);
  }

  /** To be called whenever a process has confirmed more, or has ended: then nobody is served by it any more. */
  release(): void {
    this.#waiters = this.#waiters.filter(({ number, acted, resolve }) => {
      if (!this.#hasReached(number, acted)) return true;
      resolve();
      return false;
    });
  }
}
