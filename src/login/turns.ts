// Work that only so many may do at a time: who is known to belong here goes before who may be anybody.

import { Problem } from '../problem.ts';

/** Of one person, or program: one works, and one waits. */
const mostOfOne = 2;
/** So many turns in a row go to who is known while others wait; the next is theirs. */
const knownInARow = 3;

/** Lets `atOnce` of those who ask work at a time, and `waiting` of each lane wait for it; the others are turned away. */
export class Turns {
  readonly #waitingAtMost: number;
  readonly #lanes: { readonly known: (() => void)[]; readonly others: (() => void)[] } = { known: [], others: [] };
  readonly #countOf = new Map<string, number>();
  #free: number;
  #inARow = 0;

  constructor({ atOnce, waiting }: { atOnce: number; waiting: number }) {
    this.#free = atOnce;
    this.#waitingAtMost = waiting;
  }

  /**
   * Does the work when its turn comes. Throws Problem `too_many_requests` where too many wait already, or two of the same
   * `whose` are there: nobody fills a lane alone.
   */
  async take<T>(known: boolean, work: () => Promise<T>, whose: string | null = null): Promise<T> {
    using _place = this.#place(whose);
    await this.#turn(this.#lanes[known ? 'known' : 'others']);
    try {
      return await work();
    } finally {
      const next = this.#next();
      if (next) next();
      else this.#free += 1;
    }
  }

  #place(whose: string | null): Disposable | null {
    if (whose === null) return null;
    const count = this.#countOf.get(whose) ?? 0;
    if (count >= mostOfOne) throw tooMany('Two sign-ins with this name are under way already.');
    this.#countOf.set(whose, count + 1);
    return {
      [Symbol.dispose]: () => {
        const left = this.#countOf.get(whose)! - 1;
        if (left > 0) this.#countOf.set(whose, left);
        else this.#countOf.delete(whose);
      },
    };
  }

  #next(): (() => void) | undefined {
    const { known, others } = this.#lanes;
    const next = this.#inARow < knownInARow || others.length === 0 ? known.shift() : undefined;
    this.#inARow = next ? this.#inARow + 1 : 0;
    return next ?? others.shift();
  }

  #turn(lane: (() => void)[]): Promise<void> | void {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    if (lane.length >= this.#waitingAtMost) {
      throw tooMany('Too many people, or programs, are signing in just now.');
    }
    return new Promise((resolve) => lane.push(resolve));
  }
}

function tooMany(message: string): Problem {
  const hint = 'Try again in some seconds; a passkey needs no such turn.';
  return new Problem('too_many_requests', message, hint, { members: { retry_after: 5 } });
}
