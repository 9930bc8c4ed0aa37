// How often somebody may try: attempts are counted by who is tried from where, and by where, never by who alone.

import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';
import { Problem } from '../problem.ts';

/** One count that an attempt falls under: after `free` failures each further one is waited for, twice as long as the last. */
export interface Limit {
  readonly key: string;
  readonly free: number;
  /** Whether a success forgets its failures: never where others' failures are counted too. */
  readonly forgiven: boolean;
}

interface Count {
  failures: number;
  /** When the last one was, and until when there may be none, in milliseconds since 1970. */
  at: number;
  until: number;
}

/** An attempt under way. It counts as failed until it is said to be otherwise, so that a thousand at once are a thousand. */
export interface Attempt {
  succeeded(): void;
  /** It was neither: as if it had not been. */
  takenBack(): void;
}

const firstDelay = 1_000;
const longestDelay = 15 * 60_000;
/** Failures are forgotten when there has been none for so long. */
const memory = 60 * 60_000;
/** Counts kept; beyond it the longest unused are forgotten. */
const most = 100_000;

/** Counts attempts in memory, by a clock in milliseconds since 1970. */
export class Throttle {
  readonly #clock: () => number;
  // By `max` it would make room for all of them at once: 14 ms of every start.
  readonly #counts = new LRUCache<string, Count>({ maxSize: most, sizeCalculation: () => 1 });

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Begins an attempt. Throws Problem `too_many_requests`, with the seconds to wait, where one of its limits is reached. */
  begin(limits: readonly Limit[]): Attempt {
    const now = this.#clock();
    const wait = Math.max(0, ...limits.map(({ key }) => this.#count(key, now).until - now));
    if (wait > 0) throw tooMany(wait);
    for (const { key, free } of limits) {
      const count = this.#count(key, now);
      count.failures += 1;
      count.at = now;
      if (count.failures >= free) {
        count.until = now + Math.min(longestDelay, firstDelay * 2 ** Math.min(count.failures - free, 20));
      }
      this.#counts.set(key, count);
    }
    const takenBack = (forgive: boolean) => {
      for (const { key, forgiven } of limits) {
        const count = this.#counts.get(key);
        if (!count) continue;
        if (forgive && forgiven) this.#counts.delete(key);
        else {
          count.failures -= 1;
          count.until = Math.min(count.until, now);
        }
      }
    };
    return { succeeded: () => takenBack(true), takenBack: () => takenBack(false) };
  }

  #count(key: string, now: number): Count {
    const count = this.#counts.get(key);
    return count && now - count.at < memory ? count : { failures: 0, at: now, until: 0 };
  }
}

function tooMany(wait: number): Problem {
  const seconds = Math.ceil(wait / 1000);
  return new Problem(
    'too_many_requests',
    'Too many attempts have failed from here.',
    `Wait ${seconds} seconds. A browser from which this operator has signed in before need not.`,
    { members: { retry_after: seconds } },
  );
}

/** What addresses are counted by: an IPv6 network of 64 bits is one customer's, who may take any address in it. */
export function networkOf(address: string | null): string {
  if (address === null || !ipaddr.isValid(address)) return 'local';
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return `${new ipaddr.IPv6([...(parsed as ipaddr.IPv6).parts.slice(0, 4), 0, 0, 0, 0]).toString()}/64`;
}
