// Being logged in to a vault: one token for all calls, renewed before it ends, and a new login when it is lost.

import type { Secret } from '../secret.ts';
import { CustodyProblem } from './custodian.ts';
import { LoginRefused, readCredentials, renew } from './vault-login.ts';
import type { Lease, VaultLogin } from './vault-login.ts';
import type { VaultAnswer, VaultRequest, VaultTransport } from './vault-transport.ts';

/** A lease by our clock, `performance.now()`: all in milliseconds. */
interface Held {
  token: Secret;
  since: number;
  end: number;
  renewable: boolean;
  /** How long it was good for when we logged in. */
  fullLife: number;
}

const second = 1000;
/** With a token younger than this a refusal is the policy's, if the token itself is good: see `#replace`. */
const young = 60 * second;
const shortestWait = second;
const longestWait = 2 ** 31 - 1;

/** Calls a vault with a token that it keeps good. */
export class VaultSession implements Disposable {
  readonly #transport: VaultTransport;
  readonly #login: VaultLogin;
  /** For a login or a renewal, in milliseconds. */
  readonly #timeout: number;
  #held: Held | null = null;
  /** The login under way, which all who need it wait for. */
  #entering: Promise<Held> | null = null;
  #refused: { mark: string; until: number; problem: LoginRefused } | null = null;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(transport: VaultTransport, login: VaultLogin, timeout: number) {
    this.#transport = transport;
    this.#login = login;
    this.#timeout = timeout;
  }

  get address(): string {
    return this.#transport.address;
  }

  /**
   * Asks with the token. A 403 that the token's end explains is followed by one new login and one repeat; any other
   * status is the caller's to judge. Rejects with `unavailable`, `sealed`, or `denied` where there is no login.
   */
  async ask(request: VaultRequest, signal: AbortSignal): Promise<VaultAnswer> {
    const held = await this.#entered(signal);
    const answer = await this.#transport.ask({ ...request, token: held.token }, signal);
    if (answer.status !== 403) return answer;
    const other = await this.#until(
      signal,
      this.#share(() => this.#replace(held), held),
    );
    return other === held ? answer : this.#transport.ask({ ...request, token: other.token }, signal);
  }

  async #entered(signal: AbortSignal): Promise<Held> {
    if (this.#held !== null && performance.now() < this.#held.end) return this.#held;
    return this.#until(
      signal,
      this.#share(() => this.#enter(), null),
    );
  }

  /** What is under way, or this; nothing where somebody has replaced the token since. */
  #share(enter: () => Promise<Held>, instead: Held | null): Promise<Held> {
    if (instead !== null && this.#held !== null && this.#held !== instead) return Promise.resolve(this.#held);
    this.#entering ??= enter().finally(() => {
      this.#entering = null;
    });
    return this.#entering;
  }

  /** The login goes on for the others where one caller's time is over. */
  #until(signal: AbortSignal, entering: Promise<Held>): Promise<Held> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        reject(new CustodyProblem('unavailable', `The login to the vault at ${this.address} did not end in time.`));
      };
      if (signal.aborted) giveUp();
      signal.addEventListener('abort', giveUp, { once: true });
      entering.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
    });
  }

  /**
   * After a 403 with this token. One that still lets itself be renewed is good, and what was refused was the call: a new
   * login would end the same, and one for each call would fill the vault with tokens. An older one is replaced all the same,
   * since a role's policies are those of the time of the login.
   */
  async #replace(held: Held): Promise<Held> {
    if (performance.now() - held.since < young) {
      try {
        await renew(this.#transport, held.token, AbortSignal.timeout(this.#timeout));
        return held;
      } catch (error) {
        if (!(error instanceof LoginRefused)) throw error;
      }
    }
    return this.#enter();
  }

  async #enter(): Promise<Held> {
    const credentials = await readCredentials(this.#login);
    const refused = this.#refused;
    if (refused !== null && refused.mark === credentials.mark && performance.now() < refused.until) {
      throw refused.problem;
    }
    try {
      const lease = await credentials.offer(this.#transport, AbortSignal.timeout(this.#timeout));
      this.#refused = null;
      return this.#hold(lease, lease.life ?? Infinity);
    } catch (error) {
      if (error instanceof LoginRefused) {
        const until = performance.now() + credentials.pauseAfter(error.answered);
        this.#refused = { mark: credentials.mark, until, problem: error };
      }
      throw error;
    }
  }

  #hold({ token, life, renewable }: Lease, fullLife: number): Held {
    const now = performance.now();
    const held = { token, since: now, end: now + (life ?? Infinity), renewable, fullLife };
    this.#held = held;
    if (life !== null) this.#wait((life * 2) / 3);
    return held;
  }

  #wait(time: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#prolong(), Math.min(Math.max(time, shortestWait), longestWait));
    this.#timer.unref();
  }

  /** Renews the token, or logs in anew where that gives it little more: it nears the longest life that it may have. */
  async #prolong(): Promise<void> {
    const held = this.#held;
    if (held === null) return;
    // A refused call is being looked into, which may leave the token as it is.
    if (this.#entering !== null) return this.#wait(shortestWait);
    try {
      await this.#share(() => this.#renewOrEnter(held), null);
    } catch {
      // Whoever calls is told why. While the token is good it is tried again; after that each call tries.
      const left = held.end - performance.now();
      if (left > 0) this.#wait(Math.min(left / 3, 30 * second));
    }
  }

  async #renewOrEnter(held: Held): Promise<Held> {
    if (held.renewable) {
      try {
        const lease = await renew(this.#transport, held.token, AbortSignal.timeout(this.#timeout));
        if (lease.life === null || lease.life >= held.fullLife / 2) {
          return Object.assign(this.#hold(lease, held.fullLife), { since: held.since });
        }
      } catch (error) {
        if (!(error instanceof LoginRefused)) throw error;
      }
    }
    return this.#enter();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#held = null;
  }
}
