// Work that only so many may do at a time: who is known to belong here goes before who may be anybody.

import { Problem } from '../problem.ts';

/** Lets `atOnce` of those who ask work at a time, and `waiting` of each lane wait for it; the others are turned away. */
export class Turns {
  readonly #waitingAtMost: number;
  readonly #lanes: { readonly known: (() => void)[]; readonly others: (() => void)[] } = { known: [], others: [] };
  #free: number;

  constructor({ atOnce, waiting }: { atOnce: number; waiting: number }) {
    this.#free = atOnce;
    this.#waitingAtMost = waiting;
  }

  /** Does the work when its turn comes. Throws Problem `too_many_requests` where too many wait already. */
  async take<T>(known: boolean, work: () => Promise<T>): Promise<T> {
    await this.#turn(this.#lanes[known ? 'known' : 'others']);
    try {
      return await work();
    } finally {
      const next = this.#lanes.known.shift() ?? this.#lanes.others.shift();
      if (next) next();
      else this.#free += 1;
    }
  }

  #turn(lane: (() => void)[]): Promise<void> | void {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    if (lane.length >= this.#waitingAtMost) {
      throw new Problem(
        'too_many_requests',
        'Too many people, or programs, are signing in just now.',
        'Try again in some seconds; a passkey needs no such turn.',
        { members: { retry_after: 5 } },
      );
    }
    return new Promise((resolve) => lane.push(resolve));
  }
}
