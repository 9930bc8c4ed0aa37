// A custodian that is watched: while it is known to be away nobody waits for it, and as soon as it is back it is used.

import type { Log } from '../log.ts';
import { Metrics, secondsSince } from '../metrics.ts';
import type { Secret } from '../secret.ts';
import {
  type CustodyFault,
  type CustodyKey,
  CustodyProblem,
  type Custodian,
  type KeyRequest,
  type NewKey,
  type SigningAlgorithm,
  type Trouble,
  type Watched,
} from './custodian.ts';

/** How often a custodian is asked whether it is there, in milliseconds: while it is well, and while it is not. */
const checkedEvery = { well: 3_000, inTrouble: 1_000 };
/** A custodian that answers nobody for so long, in milliseconds, while a call waits for it in vain, is away. */
const longestSilence = 1_000;
/** Calls that may wait for one custodian: more would only take memory, and wait in vain where it is a slow one. */
const mostWaiting = 4_096;

/** The faults of a custodian as a whole; the others are those of one key. */
const absences: readonly CustodyFault[] = ['unavailable', 'sealed', 'denied'];

/** What is told of a custodian: why it is away, or for how many seconds it was. */
export type CustodyNews =
  | { readonly custodian: string; readonly fault: CustodyFault; readonly reason: string }
  | { readonly custodian: string; readonly seconds: number };

export interface WatchOptions {
  readonly log: Log;
  /** What `trouble.since` is told by. */
  readonly clock: () => number;
  /** Called each time that it is well again. */
  readonly onWell: () => void;
  /** Told each time that it goes away, or is away for another reason, and each time that it is back. */
  readonly tell?: (news: CustodyNews) => void;
  readonly metrics?: Metrics;
}

/**
 * A custodian between whoever asks and the one that does the work. It is in trouble from the moment at which that one is
 * known to be away until a check succeeds; then it is asked nothing, and every call fails at once. Disposing of it
 * disposes of the other.
 */
export class WatchedCustodian implements Custodian, Watched {
  readonly name: string;
  readonly #custodian: Custodian;
  readonly #options: WatchOptions;
  readonly #metrics: Metrics;
  #trouble: Trouble | null = null;
  #waiting = 0;
  /** When it last did what it was asked, by `performance.now()`. */
  #lastAnswer = -Infinity;
  #check: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #ended = false;

  /** Begins to watch: the first check is under way when this returns. */
  constructor(custodian: Custodian, options: WatchOptions) {
    this.name = custodian.name;
    this.#custodian = custodian;
    this.#options = options;
    this.#metrics = options.metrics ?? new Metrics();
    this.#metrics.custodyAway.from(() => [[{ custodian: this.name }, this.#trouble === null ? 0 : 1]]);
    this.#look();
  }

  get trouble(): Trouble | null {
    return this.#trouble;
  }

  create(request: KeyRequest): Promise<NewKey> {
    return this.#measure('create', () => this.#custodian.create(request));
  }

  import(request: KeyRequest, privateKey: Secret): Promise<NewKey> {
    return this.#measure('import', () => this.#custodian.import(request, privateKey));
  }

  publicKey(key: CustodyKey): Promise<Buffer> {
    return this.#measure('public_key', () => this.#custodian.publicKey(key));
  }

  sign(key: CustodyKey, algorithm: SigningAlgorithm, data: Uint8Array): Promise<Buffer> {
    return this.#measure('sign', () => this.#custodian.sign(key, algorithm, data));
  }

  export(key: CustodyKey): Promise<Secret> {
    return this.#measure('export', () => this.#custodian.export(key));
  }

  destroy(key: CustodyKey): Promise<void> {
    return this.#measure('destroy', () => this.#custodian.destroy(key));
  }

  /** Asks it now, together with whoever is asking it already; what comes of it counts for everybody. */
  check(): Promise<void> {
    if (this.#check !== null) return this.#check;
    const check = this.#checkNow().finally(() => {
      this.#check = null;
      this.#schedule();
    });
    this.#check = check;
    return check;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#custodian[Symbol.asyncDispose]();
  }

  async #measure<T>(operation: string, call: () => Promise<T>): Promise<T> {
    const began = performance.now();
    let outcome = this.#trouble === null ? 'done' : 'away';
    try {
      return await this.#ask(call);
    } catch (error) {
      if (outcome === 'done') outcome = error instanceof CustodyProblem ? error.fault : 'failed';
      throw error;
    } finally {
      this.#metrics.custodyDuration.observe({ custodian: this.name, operation, outcome }, secondsSince(began));
    }
  }

  async #ask<T>(call: () => Promise<T>): Promise<T> {
    if (this.#trouble !== null) throw this.#trouble.problem;
    if (this.#waiting >= mostWaiting) {
      throw new CustodyProblem(
        'unavailable',
        `${mostWaiting} calls wait for the custodian ${this.name} already.`,
        'Ask again later.',
      );
    }
    const began = performance.now();
    this.#waiting += 1;
    try {
      const answer = await call();
      this.#lastAnswer = performance.now();
      return answer;
    } catch (error) {
      if (!isAbsence(error)) throw error;
      throw await this.#judge(error, began);
    } finally {
      this.#waiting -= 1;
    }
  }

  /**
   * What a call that failed says of the custodian. Where nobody has been answered since it began, it is believed that it
   * is sealed, or silent; whatever else may be the matter of this one call, so a check decides. All who fail by the same
   * trouble are given the same problem.
   */
  async #judge(problem: CustodyProblem, began: number): Promise<CustodyProblem> {
    const wasLong = performance.now() - began >= longestSilence;
    const isAlone = this.#lastAnswer > began;
    if (this.#trouble === null) {
      if (!isAlone && (problem.fault === 'sealed' || (problem.fault === 'unavailable' && wasLong))) {
        this.#enter(problem);
      } else {
        const check = this.check().catch(() => {});
        // Who has waited long enough does not wait for that too.
        if (!wasLong) await check;
      }
    }
    return this.#trouble?.problem ?? problem;
  }

  async #checkNow(): Promise<void> {
    const began = performance.now();
    try {
      await this.#custodian.check();
    } catch (error) {
      if (!(error instanceof CustodyProblem)) throw this.#broken(error);
      // Where others were answered meanwhile it is only slow.
      const isSlow = error.fault === 'unavailable' && this.#lastAnswer > began;
      if (isAbsence(error) && !isSlow) this.#enter(error);
      throw error;
    }
    this.#lastAnswer = performance.now();
    this.#leave();
  }

  /** A check that fails by an error of ours says nothing good of the custodian either: it is away until one succeeds. */
  #broken(error: unknown): CustodyProblem {
    const problem = new CustodyProblem(
      'unavailable',
      `The custodian ${this.name} could not be checked, by an error of the server's own.`,
      'The error is in the log: please report it.',
      { cause: error },
    );
    if (!this.#ended && this.#trouble?.problem.fault !== problem.fault) {
      this.#options.log.error({ err: error, custodian: this.name }, 'a custodian could not be checked');
    }
    this.#enter(problem);
    return problem;
  }

  #enter(problem: CustodyProblem): void {
    const before = this.#trouble;
    if (this.#ended || before?.problem.fault === problem.fault) return;
    const { log, clock, tell } = this.#options;
    this.#trouble = { problem, since: before?.since ?? clock() };
    const { fault, message, hint } = problem;
    log.warn({ custodian: this.name, fault, reason: message, hint }, 'a custodian is away');
    tell?.({ custodian: this.name, fault, reason: message });
    this.#schedule();
  }

  #leave(): void {
    if (this.#ended || this.#trouble === null) return;
    const { log, clock, onWell, tell } = this.#options;
    const seconds = Math.round((clock() - this.#trouble.since) / 1000);
    this.#trouble = null;
    log.info({ custodian: this.name, seconds }, 'a custodian is back');
    tell?.({ custodian: this.name, seconds });
    onWell();
  }

  /** The next check, where none is under way. */
  #schedule(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#ended || this.#check !== null) return;
    const wait = this.#trouble === null ? checkedEvery.well : checkedEvery.inTrouble;
    this.#timer = setTimeout(() => this.#look(), wait).unref();
  }

  #look(): void {
    // What comes of it is known by `trouble`, and logged.
    this.check().catch(() => {});
  }
}

function isAbsence(error: unknown): error is CustodyProblem {
  return error instanceof CustodyProblem && absences.includes(error.fault);
}
