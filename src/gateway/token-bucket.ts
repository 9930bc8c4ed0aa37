// How often somebody may do something: a bucket of tokens for each, which fills as time passes.

import { LRUCache } from 'lru-cache';
import { atMost } from './remembered.ts';

/** A bucket holds what comes in within so many seconds: a fleet that has been still may come in one go. */
const heldSeconds = 10;
/** Who has not been seen for longest is forgotten first, with a full bucket; it would have filled meanwhile. */
const mostBuckets = 100_000;

interface Bucket {
  tokens: number;
  /** Who found it empty and has been told to come back: as many turns are promised as come in meanwhile. */
  waiting: number;
  /** When it was filled last, in milliseconds. */
  at: number;
}

/** Buckets that fill at one rate, by whose they are. */
export class TokenBuckets {
  readonly #rate: number;
  readonly #buckets = new LRUCache<string, Bucket>(atMost(mostBuckets));

  /** `rate` is how many tokens come into each bucket in a second. */
  constructor(rate: number) {
    this.#rate = rate;
  }

  /** Takes a token at an instant of `performance.now()`; false where there is none. */
  take(whose: string, now: number): boolean {
    const bucket = this.#filled(whose, now);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  /** Gives back a token that was taken for nothing. */
  giveBack(whose: string): void {
    const bucket = this.#buckets.get(whose);
    if (bucket) bucket.tokens += 1;
  }

  /**
   * Promises whoever found it empty a turn; in how many seconds all that have been promised one will have had it. Those
   * that come back at any moment before then do not come in one go, however many they are.
   */
  promise(whose: string, now: number): number {
    const bucket = this.#filled(whose, now);
    bucket.waiting += 1;
    return bucket.waiting / this.#rate;
  }

  #filled(whose: string, now: number): Bucket {
    const most = this.#rate * heldSeconds;
    const bucket = this.#buckets.get(whose) ?? { tokens: most, waiting: 0, at: now };
    const came = Math.max(0, ((now - bucket.at) / 1000) * this.#rate);
    bucket.tokens = Math.min(most, bucket.tokens + came);
    bucket.waiting = Math.max(0, bucket.waiting - came);
    bucket.at = now;
    this.#buckets.set(whose, bucket);
    return bucket;
  }
}

/** The longest time that anybody is told to stay away, in seconds. */
const longestAway = 300;

/**
 * A `Retry-After` in whole seconds (RFC 9110 §10.2.3), at random over a window of seconds, which follows the time in
 * which nothing would be had: whoever is turned away now does not come back all at once. `random` is from 0 up to 1.
 */
export function retryAfter(window: number, random: number, least = 1): number {
  return Math.min(longestAway, Math.ceil(least + random * window));
}
