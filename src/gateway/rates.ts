// How fast an account may go, so that one account's storm does not slow another's: the rates, and what is said beyond them.

import { Problem } from '../problem.ts';
import { retryAfter, TokenBuckets } from './token-bucket.ts';

/** Each in a second; a bucket holds what comes in within ten (token-bucket.ts). */
export interface RateOptions {
  /** Handshakes of each account. */
  readonly accountHandshakes: number;
  /** Provisionings by shared credentials of each account, and by each of its provisioning keys. */
  readonly accountProvisionings: number;
  readonly keyProvisionings: number;
}

/** What a node does in a second when it is well again, at the least: those it sent away come back no faster. */
const comebackRate = 500;
/** How long a fault lasts at the least, in seconds: before, nobody need ask again. */
const shortestFault = 5;
/** Hosts that nothing is known of are looked up so many times a second. */
const lookUpRate = 500;
const node = 'node';

/** The buckets of everything that is limited. */
export class Rates {
  readonly #handshakes: TokenBuckets;
  readonly #ofAccounts: TokenBuckets;
  readonly #ofKeys: TokenBuckets;
  readonly #lookUps = new TokenBuckets(lookUpRate);
  readonly #sentAway = new TokenBuckets(comebackRate);

  constructor(options: RateOptions) {
    this.#handshakes = new TokenBuckets(options.accountHandshakes);
    this.#ofAccounts = new TokenBuckets(options.accountProvisionings);
    this.#ofKeys = new TokenBuckets(options.keyProvisionings);
  }

  /** Whether an account (or, under '', whoever belongs to none) may have one more handshake. */
  handshake(account_id: string): boolean {
    return this.#handshakes.take(account_id, performance.now());
  }

  /** Whether one more host may be looked up of which nothing is known: who makes names up does not keep the database from others. */
  lookUp(): boolean {
    return this.#lookUps.take(node, performance.now());
  }

  /** Counts one more provisioning. Throws `too_many_requests` with `retry_after`, in seconds, where it is one too many. */
  provisioning(account_id: string, provisioning_key_id: string): void {
    const now = performance.now();
    const ofAccount = this.#ofAccounts.take(account_id, now);
    if (ofAccount && this.#ofKeys.take(provisioning_key_id, now)) return;
    const [rule, buckets, key] = ofAccount
      ? ['The provisioning key is used faster than limits.key_provisionings allows.', this.#ofKeys, provisioning_key_id]
      : ['The account provisions faster than limits.account_provisionings allows.', this.#ofAccounts, account_id];
    if (ofAccount) this.#ofAccounts.giveBack(account_id);
    const retry_after = retryAfter(buckets.promise(key, now), Math.random());
    throw new Problem('too_many_requests', rule, null, { members: { retry_after } });
  }

  /** When whoever cannot be served now is to come back, in seconds: the later, the more have been sent away. */
  comeBack(): number {
    const window = shortestFault + this.#sentAway.promise(node, performance.now());
    return retryAfter(window, Math.random(), shortestFault);
  }
}

/** What is said of handshakes beyond their rate. */
export const handshakeRule = 'The account has more handshakes a second than limits.account_handshakes allows.';
