// Challenges for passkeys, which the server need not remember: each proves by itself that it was made here, and when.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';

/** How long there is to answer one, in milliseconds. */
export const challengeLifetime = 5 * 60_000;
/** Challenges that have been answered, remembered until they would have ended. */
const mostAnswered = 100_000;

const nonceSize = 16;
const instantSize = 8;
const macSize = 32;

/**
 * Makes and takes challenges: a nonce, when it ends, and an HMAC of both and of what it is for, under a key of this
 * process. Whoever asks for millions of them fills no memory; one that was answered is not taken again.
 */
export class Challenges {
  readonly #clock: () => number;
  readonly #lifetime: number;
  readonly #key = randomBytes(32);
  readonly #answered = new LRUCache<string, true>({ max: mostAnswered });

  /** `clock` in milliseconds since 1970; how long there is to answer, in milliseconds. */
  constructor(clock: () => number, lifetime: number = challengeLifetime) {
    this.#clock = clock;
    this.#lifetime = lifetime;
  }

  /** A challenge for this purpose. */
  make(purpose: string): Uint8Array<ArrayBuffer> {
    const end = Buffer.alloc(instantSize);
    end.writeBigUInt64BE(BigInt(this.#clock() + this.#lifetime));
    const head = Buffer.concat([randomBytes(nonceSize), end]);
    return new Uint8Array(Buffer.concat([head, this.#mac(head, purpose)]));
  }

  /** Whether a challenge (base64url) was made here for this purpose, has not ended, and has not been taken before. */
  take(challenge: string, purpose: string): boolean {
    const bytes = Buffer.from(challenge, 'base64url');
    if (bytes.length !== nonceSize + instantSize + macSize) return false;
    const head = bytes.subarray(0, nonceSize + instantSize);
    if (!timingSafeEqual(bytes.subarray(head.length), this.#mac(head, purpose))) return false;
    if (head.readBigUInt64BE(nonceSize) <= BigInt(this.#clock())) return false;
    const name = bytes.toString('base64url');
    if (this.#answered.has(name)) return false;
    this.#answered.set(name, true);
    return true;
  }

  #mac(head: Buffer, purpose: string): Buffer {
    return createHmac('sha256', this.#key).update(head).update(purpose).digest();
  }
}
