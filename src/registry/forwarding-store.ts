// A database in a process that does not write to it: reads straight from the file, writes done by the process that may.

import type { Kysely } from 'kysely';
import { Metrics } from '../metrics.ts';
import { Problem } from '../problem.ts';
import { type Actor, presentActor } from './acting.ts';
import { type Change, Changes } from './changes.ts';
import type { Failure, Outcome, Writing } from './commit-thread.ts';
import { openForReading, overSqlite } from './database.ts';
import { type ArgumentsIn, copied, type NameIn, type ResultIn, type Store } from './store.ts';

type Writes = Writing['writes'];

/** A write as it crosses to the process that does it. */
export interface ForwardedWrite {
  readonly name: string;
  readonly args: unknown;
  readonly by: Actor;
  readonly rehearsal: boolean;
}

export interface ForwardingOptions {
  /** The SQLite file, which the process that writes has made or upgraded. */
  file: string;
  /** Has a write done where that may be; resolves with what became of it, also where it was refused. Rejects where nobody knows. */
  forward: (write: ForwardedWrite) => Promise<Outcome>;
  /** This run of this process, as what it is making names it. */
  instance: string;
  metrics?: Metrics;
}

/** The store, and what the process that writes tells it. */
export interface ForwardingStore<D, W extends Writes> extends Store<D, W> {
  /**
   * Has the listeners of `changes` told what has changed; resolves when they have acted on it. Throws as they do, having
   * told all of them.
   */
  hear(changes: readonly Change[]): Promise<unknown>;
}

/**
 * Opens the file for reading. Who forwards sees to it that the changes of a write are heard here (`hear`) before that write
 * is answered, as they are where the database is written.
 */
export function openForwardingStore<D, W extends Writes>({
  file,
  forward,
  instance,
  metrics = new Metrics(),
}: ForwardingOptions): ForwardingStore<D, W> {
  const reader = openForReading(file);
  const read = overSqlite<D>(reader, (milliseconds) => metrics.registryReads.observe(milliseconds / 1_000));
  return new Forwarding<D, W>(read, { forward, instance, close: () => reader.close() });
}

class Forwarding<D, W extends Writes> implements ForwardingStore<D, W> {
  readonly standing = { reachable: true } as const;
  readonly instance: string;
  readonly read: Kysely<D>;
  readonly changes = new Changes();
  readonly counted = { writes: 0, commits: 0 };
  readonly #forward: ForwardingOptions['forward'];
  readonly #close: () => void;
  /** What has not been answered yet. */
  readonly #pending = new Set<Promise<unknown>>();
  #closed: Promise<void> | null = null;

  constructor(
    read: Kysely<D>,
    { forward, instance, close }: Pick<ForwardingOptions, 'forward' | 'instance'> & { close: () => void },
  ) {
    this.read = read;
    this.instance = instance;
    this.#forward = forward;
    this.#close = close;
  }

  write<N extends NameIn<W>>(name: N, args: ArgumentsIn<W, N>): Promise<ResultIn<W, N>> {
    return this.#ask(name, args, false);
  }

  rehearse<N extends NameIn<W>>(name: N, args: ArgumentsIn<W, N>): Promise<ResultIn<W, N>> {
    return this.#ask(name, args, true);
  }

  /** The process that writes does what is to be done once. */
  async alone(): Promise<AsyncDisposable> {
    return new AsyncDisposableStack();
  }

  hear(changes: readonly Change[]): Promise<unknown> {
    const errors: unknown[] = [];
    const acting: Promise<unknown>[] = [];
    for (const change of changes) {
      try {
        acting.push(this.changes.tell(change));
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'A listener failed at a change.');
    return Promise.all(acting);
  }

  #ask<N extends NameIn<W>>(name: N, args: ArgumentsIn<W, N>, rehearsal: boolean): Promise<ResultIn<W, N>> {
    if (this.#closed) return Promise.reject(unavailable());
    const asked = this.#answerTo(name, args, rehearsal);
    this.#pending.add(asked);
    const done = () => void this.#pending.delete(asked);
    asked.then(done, done);
    return asked as Promise<ResultIn<W, N>>;
  }

  async #answerTo(name: string, args: unknown, rehearsal: boolean): Promise<unknown> {
    const outcome = await this.#forward({ name, args: copied(args), by: presentActor(), rehearsal });
    this.counted.writes += 1;
    if ('value' in outcome) return outcome.value;
    throw errorOf(outcome);
  }

  /** Finishes what was asked for, then closes the file. */
  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closed ??= Promise.allSettled(this.#pending).then(() => this.#close()));
  }
}

function unavailable(): Problem {
  return new Problem('unavailable', 'Nothing more is written: the program is ending.');
}

/** What became of a write that was refused, as it crosses between processes: a Problem by its parts, our bugs as they are. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof Problem)) return { error };
  const { code, message, hint, members } = error;
  return { problem: { code, message, hint, members } };
}

/** What a failure was before it crossed. */
export function errorOf(failure: Failure): unknown {
  if ('error' in failure) return failure.error;
  const { code, message, hint, members } = failure.problem;
  return new Problem(code, message, hint, { members });
}
