// The one thread that writes to a database: takes all that waits, runs it in one transaction, and answers when that is on the disk.

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Problem, type ProblemCode } from '../problem.ts';
import type { Actor } from './acting.ts';
import type { Change } from './changes.ts';
import {
  asProblem,
  type Db,
  isStorageFailure,
  openForWriting,
  overSqlite,
  type Tx,
  writerPatience,
} from './database.ts';
import { migrate, type Migration } from './migrate.ts';
import type { AuditNote, NewEvent } from './notes.ts';
import { sqliteTypes } from './sqlite-dialect.ts';

/** A write as it is asked for. */
export interface Request {
  name: string;
  args: unknown;
  now: number;
  by: Actor;
  /** The run of the process that asks. */
  instance: string;
  /** Done and undone: only what it would give is wanted. */
  rehearsal: boolean;
}

/** A Problem loses its class between threads, so its parts travel. */
export interface ProblemParts {
  code: ProblemCode;
  message: string;
  hint: string | null;
  members: Problem['members'];
}

/** What became of one request. What is no Problem is our bug, and travels as the error it is. */
export type Failure = { problem: ProblemParts } | { error: unknown };
export type Outcome = { value: unknown } | Failure;

/** What the thread says (`took` is the transaction's time, in milliseconds): once that it is open or why not, then one answer a transaction, requests in their order. */
export type Message =
  | { kind: 'open' }
  | { kind: 'refused'; failure: Failure }
  | { kind: 'committed'; outcomes: Outcome[]; changes: Change[]; events: boolean; took: number };

/** What the thread is started with. */
export interface Start {
  file: string;
  now: number;
}

/** What a thread writes, and how what the writes noted is kept: each database has its own. */
export interface Writing {
  /** By their names; each takes its part of a transaction and plain arguments. */
  readonly writes: Readonly<Record<string, (tx: never, args: never) => Promise<unknown>>>;
  readonly migrations: readonly Migration[];
  /** Keeps, in the transaction of a write, what it noted. */
  readonly keep: (tx: Tx, audited: readonly AuditNote[], events: readonly NewEvent[]) => Promise<void>;
}

/** Requests in one transaction at most, so that under a flood the first of them do not wait for the last. */
const batchLimit = 1_000;

/** Batches whose requests run each within its savepoint, after one that had to be run twice. */
const batchesApart = 16;

/** How long a purge waits for readers, and after how long it is tried again, longer each time, in milliseconds. */
const purgePatience = 100;
const purgePauses = { first: 1_000, last: 60_000 } as const;

/** What a transaction has come to. */
type Done = Omit<Extract<Message, { kind: 'committed' }>, 'kind' | 'took'>;

/** Holds the one connection that writes. */
class CommitThread {
  readonly #writing: Writing;
  readonly #port: MessagePort;
  readonly #database: DatabaseSync;
  readonly #db: Db;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #save: StatementSync;
  readonly #undo: StatementSync;
  readonly #release: StatementSync;
  /** Taken out of the port, several with one message or by its event while a write waited for something: they come before what is in it. */
  readonly #arrived: (Request | 'close')[] = [];
  #closing = false;
  #purging = false;
  #purgePause: number = purgePauses.first;
  #purgeAgain: NodeJS.Timeout | undefined;
  /** How many of the next batches run their requests apart: where one was refused, another soon will be. */
  #apart = 0;

  constructor(writing: Writing, port: MessagePort, database: DatabaseSync) {
    this.#writing = writing;
    this.#port = port;
    this.#database = database;
    this.#db = overSqlite(database);
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.#save = database.prepare('SAVEPOINT request');
    this.#undo = database.prepare('ROLLBACK TO request');
    this.#release = database.prepare('RELEASE request');
  }

  /** Brings the schema up to date, then takes requests until 'close' comes. */
  async open(now: number): Promise<void> {
    await migrate(this.#db, sqliteTypes, this.#writing.migrations, now);
    let turn = Promise.resolve();
    this.#port.on('message', (asked: readonly Request[] | 'close') => {
      this.#take(asked);
      turn = turn.then(() => this.#work());
    });
    this.#say({ kind: 'open' });
  }

  /** Answers all that has arrived by then, transaction after transaction, until nothing waits. */
  async #work(): Promise<void> {
    for (let batch = this.#waiting(); batch.length > 0; batch = this.#waiting()) {
      const began = performance.now();
      const done = await this.#transact(batch);
      this.#say({ kind: 'committed', ...done, took: performance.now() - began });
    }
    if (this.#closing && this.#database.isOpen) this.#close();
  }

  #waiting(): Request[] {
    const batch: Request[] = [];
    for (
      let next = this.#receive();
      next !== undefined;
      next = batch.length < batchLimit ? this.#receive() : undefined
    ) {
      if (next === 'close') this.#closing = true;
      else batch.push(next);
    }
    return batch;
  }

  #receive(): Request | 'close' | undefined {
    if (this.#arrived.length === 0) {
      const next = receiveMessageOnPort(this.#port);
      if (next) this.#take(next.message);
    }
    return this.#arrived.shift();
  }

  #take(asked: readonly Request[] | 'close'): void {
    if (asked === 'close') this.#arrived.push(asked);
    else this.#arrived.push(...asked);
  }

  /** Runs the requests one after the other. Where the disk fails, none of them has happened and each is told so. */
  async #transact(requests: Request[]): Promise<Done> {
    try {
      if (this.#apart === 0 && !requests.some(({ rehearsal }) => rehearsal)) {
        const done = await this.#runTogether(requests);
        if (done) return done;
        this.#apart = batchesApart;
      }
      this.#apart = Math.max(0, this.#apart - 1);
      return await this.#runApart(requests);
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      return { outcomes: requests.map(() => failed(error)), changes: [], events: false };
    }
  }

  /**
   * All requests without a savepoint, for each of which SQLite would copy every page that a request writes to. Where one
   * of several throws, nothing is left of any, and there is no result. Throws when the whole transaction is lost.
   */
  async #runTogether(requests: readonly Request[]): Promise<Done | null> {
    const done: Done = { outcomes: [], changes: [], events: false };
    const purging = this.#purging;
    this.#begin.run();
    for (const request of requests) {
      try {
        done.outcomes.push(await this.#run(request, done));
      } catch (error) {
        if (isStorageFailure(error) || !this.#database.isTransaction) throw error;
        this.#database.exec('ROLLBACK');
        this.#purging = purging;
        return requests.length === 1 ? { outcomes: [failed(error)], changes: [], events: false } : null;
      }
    }
    return this.#committed(done);
  }

  /** Each request within its savepoint: one that throws undoes only its own. Throws when the whole transaction is lost. */
  async #runApart(requests: readonly Request[]): Promise<Done> {
    const done: Done = { outcomes: [], changes: [], events: false };
    this.#begin.run();
    for (const request of requests) {
      const before = { changes: done.changes.length, events: done.events };
      let outcome: Outcome;
      let keeps = !request.rehearsal;
      this.#save.run();
      try {
        outcome = await this.#run(request, done);
      } catch (error) {
        if (isStorageFailure(error) || !this.#database.isTransaction) throw error;
        outcome = failed(error);
        keeps = false;
      }
      if (!keeps) {
        this.#undo.run();
        done.changes.length = before.changes;
        done.events = before.events;
      }
      this.#release.run();
      done.outcomes.push(outcome);
    }
    return this.#committed(done);
  }

  #committed(done: Done): Done {
    this.#commit.run();
    if (this.#purging) this.#purge();
    return done;
  }

  async #run({ name, args, now, by, instance, rehearsal }: Request, done: Done): Promise<Outcome> {
    const notes: AuditNote[] = [];
    const events: NewEvent[] = [];
    const write = this.#writing.writes[name] as (tx: Tx, args: unknown) => Promise<unknown>;
    const tx: Tx = {
      db: this.#db,
      now,
      by,
      instance,
      changed: (change) => void done.changes.push(change),
      audit: (note) => void notes.push(note),
      event: (event) => void events.push(event),
      purge: () => void (this.#purging ||= !rehearsal),
      days: null,
    };
    const value = await write(tx, args);
    if (rehearsal) return { value };
    await this.#writing.keep(tx, notes, events);
    done.events ||= events.length > 0;
    return { value };
  }

  /**
   * The WAL has pages as they were before; emptied, it has none. A reader at work puts that off for a while, or until the
   * close: a back-up reads as long as it copies, and whoever writes meanwhile is not to wait for it.
   */
  #purge(): void {
    this.#purging = false;
    if (this.#purgeAgain !== undefined) return;
    this.#database.exec(`PRAGMA busy_timeout = ${purgePatience}`);
    const [result] = this.#database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all() as [{ busy: number }];
    this.#database.exec(`PRAGMA busy_timeout = ${writerPatience}`);
    const pause = this.#purgePause;
    this.#purgePause = result.busy === 0 ? purgePauses.first : Math.min(2 * pause, purgePauses.last);
    if (result.busy === 0) return;
    this.#purgeAgain = setTimeout(() => {
      this.#purgeAgain = undefined;
      if (!this.#database.isOpen) return;
      // Whoever writes next tries it, and is told where the disk fails.
      this.#purging = true;
      if (!this.#database.isTransaction) this.#purge();
    }, pause).unref();
  }

  /** Moves the WAL into the database, so that what lies in the directory afterwards is one file. */
  #close(): void {
    this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    this.#database.close();
    this.#port.close();
  }

  #say(message: Message): void {
    this.#port.postMessage(message);
  }
}

function failed(cause: unknown): Failure {
  const error = asProblem(cause);
  if (!(error instanceof Problem)) return { error };
  const { code, message, hint, members } = error;
  return { problem: { code, message, hint, members } };
}

/** Is the thread that it is called in, until that is closed. */
export async function runCommitThread(writing: Writing): Promise<void> {
  if (!parentPort) throw new Error('A thread that writes is started by store.ts.');
  const { file, now } = workerData as Start;
  try {
    await new CommitThread(writing, parentPort, openForWriting(file)).open(now);
  } catch (error) {
    parentPort.postMessage({ kind: 'refused', failure: failed(error) } satisfies Message);
    parentPort.close();
  }
}
