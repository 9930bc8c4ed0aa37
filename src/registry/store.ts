// A database as a program holds it: direct reads, and writes that one thread groups into durable transactions.

import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Metrics, type Samples, secondsSince } from '../metrics.ts';
import { Problem } from '../problem.ts';
import { presentActor, presentInstance, waitsForOthers } from './acting.ts';
import { Changes } from './changes.ts';
import { lockDirectory, openForReading, overSqlite } from './database.ts';
import type { Failure, Message, Request, Start, Writing } from './commit-thread.ts';
import type { Kysely } from 'kysely';

/** The writes of a database, by their names. */
type Writes = Writing['writes'];
export type NameIn<W extends Writes> = keyof W & string;
export type ArgumentsIn<W extends Writes, N extends NameIn<W>> = Parameters<W[N]>[1];
export type ResultIn<W extends Writes, N extends NameIn<W>> = Awaited<ReturnType<W[N]>>;

/** Whether the database answers; where it does not, since when (milliseconds since 1970). */
export type Standing = { readonly reachable: true } | { readonly reachable: false; readonly since: number };

/** An open database with the tables D and the writes W. */
export interface Store<D, W extends Writes> extends AsyncDisposable {
  /** Straight from the file, on this thread, without waiting for the writer; sees what is committed. */
  readonly read: Kysely<D>;
  readonly changes: Changes;
  readonly standing: Standing;
  /** This run of this process, as what it is making names it. */
  readonly instance: string;
  /** What has been done since the start: writes that were answered, and the commits that it took. */
  readonly counted: { readonly writes: number; readonly commits: number };
  /**
   * Runs a function of `writes` in the writer thread, as asked for by who acts (acting.ts), together with all that waits
   * there, in one transaction. Resolves when that is on the disk and every listener of `changes` has been told; for an
   * operator when all have acted on it, or have had their time. Rejects
   * with what the function threw (then nothing of it is left), or with Problem `unavailable` where the disk failed, the
   * writer died or all is closed.
   */
  write<N extends NameIn<W>>(name: N, args: ArgumentsIn<W, N>): Promise<ResultIn<W, N>>;
  /**
   * Waits until no other process that shares the database does `what`, and keeps them from it until disposed of: for what
   * one of them is to make where it is missing. Throws Problem `unavailable` where another has been at it for a minute, and
   * the reason of `signal` where it is aborted meanwhile.
   */
  alone(what: string, signal?: AbortSignal): Promise<AsyncDisposable>;
  /**
   * Runs a write as `write` does, and undoes it: gives what it would give and rejects as it would, and nothing is left of
   * it, no entry and no event; nobody is told. For dry runs.
   */
  rehearse<N extends NameIn<W>>(name: N, args: ArgumentsIn<W, N>): Promise<ResultIn<W, N>>;
}

export interface StoreOptions {
  /** The SQLite file; its directory is held against a second program. */
  file: string;
  /** The module that is the thread: it calls `runCommitThread`. */
  thread: URL;
  /** Milliseconds since 1970. */
  clock: () => number;
  /**
   * Called once when the registry cannot go on: its thread has died, or a listener of `changes` has thrown, so that
   * something may still act on what is no longer so. The server should end.
   */
  onFailure: (error: Error) => void;
  metrics?: Metrics;
  /** This run of this process; one of its own where it is not given. */
  instance?: string;
}

/**
 * Opens a database, making or upgrading the file first; D and W are those that its thread has. Throws Problem `conflict`
 * while another program has the directory or when a newer one has had the file, `unavailable` where the disk fails.
 */
export async function openStore<D, W extends Writes>({
  file,
  thread,
  clock,
  onFailure,
  metrics = new Metrics(),
  instance = randomUUID(),
}: StoreOptions): Promise<Store<D, W>> {
  await using held = new AsyncDisposableStack();
  held.use(lockDirectory(dirname(file)));
  const start: Start = { file, now: clock() };
  const worker = new Worker(thread, { workerData: start });
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  held.defer(async () => {
    worker.postMessage('close');
    await exited;
  });
  await opened(worker);
  // Closed before the thread's connection: only the last one that may write takes the WAL away when it closes.
  const reader = held.use(openForReading(file));
  const read = overSqlite<D>(reader, (milliseconds) => metrics.registryReads.observe(milliseconds / 1_000));
  metrics.registrySize.from(() => sizesOf(file));
  return new SqliteStore<D, W>(read, worker, held.move(), { clock, onFailure, metrics, instance });
}

/** How much the database takes on the disk; the write-ahead log comes and goes. */
async function sizesOf(file: string): Promise<Samples> {
  const sizes = await Promise.all([file, `${file}-wal`].map((each) => stat(each).catch(() => null)));
  return [
    [{ file: 'database' }, sizes[0]?.size ?? 0],
    [{ file: 'log' }, sizes[1]?.size ?? 0],
  ];
}

function opened(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (message: Message) => {
      worker.off('error', reject);
      if (message.kind === 'refused') reject(toError(message.failure));
      else resolve();
    });
  });
}

/** How long an operator waits for listeners to have acted, in milliseconds: they may have very many connections to judge. */
const actsWithin = 10_000;

class SqliteStore<D, W extends Writes> implements Store<D, W> {
  /** A file is there as long as the process is. */
  readonly standing = { reachable: true } as const;
  readonly instance: string;
  readonly read: Kysely<D>;
  readonly changes = new Changes();
  readonly counted = { writes: 0, commits: 0 };
  readonly #worker: Worker;
  readonly #held: AsyncDisposableStack;
  readonly #clock: () => number;
  readonly #onFailure: (error: Error) => void;
  readonly #metrics: Metrics;
  /** What the thread has not answered yet, in the order in which it was asked. */
  readonly #pending: (PromiseWithResolvers<unknown> & { began: number; waits: boolean })[] = [];
  /** Those of `pending` that the thread has not been told of: what one turn of the event loop asks for goes out together. */
  #asked: Request[] = [];
  #state: 'open' | 'closing' | 'failed' = 'open';
  #closed: Promise<void> | null = null;

  /** `held` is all that was opened for it, `worker` included. */
  constructor(
    read: Kysely<D>,
    worker: Worker,
    held: AsyncDisposableStack,
    {
      clock,
      onFailure,
      metrics,
      instance,
    }: Required<Pick<StoreOptions, 'clock' | 'onFailure' | 'metrics' | 'instance'>>,
  ) {
    this.instance = instance;
    this.#metrics = metrics;
    metrics.registryWaiting.from(() => [[{}, this.#pending.length]]);
    this.read = read;
    this.#worker = worker;
    this.#held = held;
    this.#clock = clock;
    this.#onFailure = onFailure;
    worker.on('message', (message: Message) => message.kind === 'committed' && this.#answered(message));
    worker.on('error', (error) => this.#fail(error as Error));
    worker.on('exit', (code) => {
      if (this.#state !== 'open' && this.#pending.length === 0) return;
      this.#fail(new Error(`The thread that writes ended by itself, with code ${code}.`));
    });
  }

  write<N extends NameIn<W>>(name: N, args: ArgumentsIn<W, N>): Promise<ResultIn<W, N>> {
    return this.#ask(name, args, false);
  }

  rehearse<N extends NameIn<W>>(name: N, args: ArgumentsIn<W, N>): Promise<ResultIn<W, N>> {
    return this.#ask(name, args, true);
  }

  /** No other process has the directory. */
  async alone(): Promise<AsyncDisposable> {
    return new AsyncDisposableStack();
  }

  #ask<N extends NameIn<W>>(name: N, args: ArgumentsIn<W, N>, rehearsal: boolean): Promise<ResultIn<W, N>> {
    if (this.#state !== 'open') return Promise.reject(unavailable());
    const by = presentActor();
    const pending = { ...Promise.withResolvers<unknown>(), began: performance.now(), waits: waitsForOthers(by) };
    try {
      const instance = presentInstance() ?? this.instance;
      this.#asked.push({ name, args: copied(args), now: this.#clock(), by, instance, rehearsal });
      this.#pending.push(pending);
      if (this.#asked.length === 1) setImmediate(() => this.#send());
    } catch (error) {
      pending.reject(error);
    }
    return pending.promise as Promise<ResultIn<W, N>>;
  }

  /** Waking the thread for each write would cost as much as the write, and a transaction for each one several times that. */
  #send(): void {
    this.#worker.postMessage(this.#asked satisfies Request[]);
    this.#asked = [];
  }

  /** Finishes what was accepted, then leaves one file, and the directory to whoever comes next. */
  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    if (this.#state === 'open') this.#state = 'closing';
    await Promise.allSettled(this.#pending.map(({ promise }) => promise));
    await this.#held.disposeAsync();
  }

  #answered({ outcomes, changes, events, took }: Extract<Message, { kind: 'committed' }>): void {
    this.counted.commits += 1;
    this.counted.writes += outcomes.length;
    this.#metrics.registryCommits.observe(took / 1_000);
    this.#metrics.registryCommitSizes.observe(outcomes.length);
    const answered = this.#pending.splice(0, outcomes.length);
    const acting: Promise<unknown>[] = [];
    try {
      for (const change of changes) acting.push(this.changes.tell(change));
      if (events) this.changes.tellOfEvents();
    } catch (error) {
      this.#fail(error as Error);
    }
    const acted = Promise.allSettled(acting);
    for (const [index, { resolve, reject, began, waits }] of answered.entries()) {
      const outcome = outcomes[index]!;
      const done = 'value' in outcome;
      this.#metrics.registryWrites.observe({ outcome: done ? 'written' : 'refused' }, secondsSince(began));
      if (!done) reject(toError(outcome));
      else if (!waits || acting.length === 0) resolve(outcome.value);
      else void Promise.race([acted, pause(actsWithin, undefined, { ref: false })]).then(() => resolve(outcome.value));
    }
  }

  #fail(error: Error): void {
    if (this.#state === 'failed') return;
    this.#state = 'failed';
    for (const { reject } of this.#pending.splice(0)) reject(unavailable());
    this.#onFailure(error);
  }
}

function unavailable(): Problem {
  return new Problem('unavailable', 'Nothing more is written: the program is ending.');
}

function toError(failure: Failure): unknown {
  if ('error' in failure) return failure.error;
  const { code, message, hint, members } = failure.problem;
  return new Problem(code, message, hint, { members });
}

/**
 * The same plain value as it is now, whatever becomes of it before it is sent, its bytes each in memory of their own: a
 * Buffer is mostly a window on a pool, and the whole pool would be copied to the other thread. Throws TypeError for what is
 * no plain data, a Secret above all.
 */
export function copied(value: unknown): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') throw notPlain(typeof value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map(copied);
  if (Object.getPrototypeOf(value) !== Object.prototype) {
    throw notPlain(value.constructor?.name ?? 'object without a prototype');
  }
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) copy[key] = copied(member);
  return copy;
}

function notPlain(what: string): TypeError {
  return new TypeError(`A write takes plain data, no ${what}.`);
}
