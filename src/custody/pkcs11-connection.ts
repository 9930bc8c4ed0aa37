// The way to an HSM's token: a process that holds it, opened when it is needed, and anew when the token was away.

import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { CustodyProblem } from './custodian.ts';
import { startTokenProcess, TokenClosed } from './pkcs11-child.ts';
import type { TokenProcess } from './pkcs11-child.ts';
import { TokenGone } from './pkcs11-errors.ts';
import type { Call, MadeKey, TokenSettings } from './pkcs11-messages.ts';

/** Calls that may wait at once; beyond it the next is turned away rather than kept waiting in vain. */
const mostWaiting = 4_096;
/** Some HSMs take long to open: not for a caller, but for whoever comes after. In milliseconds. */
const patienceToOpen = 30_000;
/** Between two attempts to open a token that is away; doubled each time, up to the longest. In milliseconds. */
const shortestPause = 500;
const longestPause = 2_000;

/** Why the token is not open, and when it is tried again. */
interface Away {
  problem: CustodyProblem;
  pause: number;
  until: number;
}

export class TokenConnection implements AsyncDisposable {
  readonly #settings: TokenSettings;
  readonly #timeout: number;
  readonly #withheld: readonly string[];
  readonly #marking = randomBytes(32);
  /** The PIN that the token refused, marked: a new process must not try it again, lest the token lock it. */
  #refused: Buffer | null = null;
  #current: TokenProcess | null = null;
  #opening: Promise<TokenProcess> | null = null;
  #away: Away | null = null;
  readonly #processes = new Set<TokenProcess>();
  #waiting = 0;
  readonly #closing = new AbortController();

  /** `timeout` in milliseconds; `withheld` are variables that the token's process does not get. Nothing is opened yet. */
  constructor(settings: TokenSettings, timeout: number, withheld: readonly string[]) {
    this.#settings = settings;
    this.#timeout = timeout;
    this.#withheld = withheld;
  }

  /**
   * Asks the token, opening it first where it is not open. Where the token went away meanwhile it is asked once more,
   * so `call` must be one that does no harm twice. Throws CustodyProblem within the time-out.
   */
  async ask(call: Call): Promise<Buffer | MadeKey | null> {
    const end = performance.now() + this.#timeout;
    const left = () => Math.max(1, end - performance.now());
    return this.#counted(async () => {
      try {
        return await (await this.#open(left())).ask(call, left());
      } catch (error) {
        if (!(error instanceof TokenGone) || this.#closing.signal.aborted) throw error;
        return (await this.#open(left())).ask(call, left());
      }
    });
  }

  /** Asks for what must not be done twice, having seen that the token is there. */
  async askOnce(call: Call): Promise<Buffer | MadeKey | null> {
    const end = performance.now() + this.#timeout;
    await this.ask({ kind: 'check' });
    const left = Math.max(1, end - performance.now());
    return this.#counted(async () => (await this.#open(left)).ask(call, left));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#opening?.catch(() => {});
    await Promise.all([...this.#processes].map((one) => one.close()));
  }

  async #counted<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= mostWaiting) {
      throw new CustodyProblem('unavailable', `More than ${mostWaiting} calls wait for the HSM.`, 'Try again later.');
    }
    this.#waiting += 1;
    try {
      return await work();
    } finally {
      this.#waiting -= 1;
    }
  }

  /**
   * The process whose token is open. While the token is known to be away, one caller at a time finds out whether it is
   * back, and all the others hear at once that it is not.
   */
  async #open(patience: number): Promise<TokenProcess> {
    if (this.#closing.signal.aborted)
      throw new CustodyProblem('unavailable', 'The server is ending, and its HSM is closed.');
    if (this.#current?.serves) return this.#current;
    if (this.#away && (this.#opening || performance.now() < this.#away.until)) throw this.#away.problem;
    this.#opening ??= this.#reopen().finally(() => (this.#opening = null));
    const opened = await within(this.#opening, patience);
    if (opened) return opened;
    const problem = new CustodyProblem(
      'unavailable',
      `The HSM did not open its token within ${Math.round(patience)} ms.`,
      'Check that the HSM is reachable; it is tried again.',
    );
    // It is still being opened, but nobody else is to wait for that as long as this caller did.
    this.#away ??= { problem, pause: shortestPause, until: 0 };
    throw problem;
  }

  async #reopen(): Promise<TokenProcess> {
    const start = { ...this.#settings, marking: this.#marking, refused: this.#refused };
    try {
      const opened = await startTokenProcess(start, {
        withheld: this.#withheld,
        patience: Math.max(this.#timeout, patienceToOpen),
        signal: this.#closing.signal,
      });
      this.#processes.add(opened);
      void opened.exited.then(() => this.#processes.delete(opened));
      this.#away = null;
      this.#refused = null;
      return (this.#current = opened);
    } catch (error) {
      const problem = error as CustodyProblem;
      if (problem instanceof TokenClosed && problem.refused) this.#refused = problem.refused;
      const length = this.#away ? Math.min(2 * this.#away.pause, longestPause) : shortestPause;
      this.#away = { problem, pause: length, until: performance.now() + length };
      throw problem;
    }
  }
}

/** The process, or null where it took longer than `patience`. */
async function within(opening: Promise<TokenProcess>, patience: number): Promise<TokenProcess | null> {
  const stop = new AbortController();
  try {
    return await Promise.race([opening, pause(patience, null, { signal: stop.signal })]);
  } finally {
    stop.abort();
  }
}
