// The registry's database as the rest of it sees it: a Kysely, a transaction, and how the file below is opened.

import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type CompiledQuery, type DialectAdapter, Kysely } from 'kysely';
import { Problem } from '../problem.ts';
import type { Actor } from './acting.ts';
import type { Change } from './changes.ts';
import type { HistoryDays } from './history-days.ts';
import type { AuditNote, NewEvent } from './notes.ts';
import { type SqliteConnection, SqliteDialect, type Took } from './sqlite-dialect.ts';
import type { Tables } from './tables.ts';

/** What every read of the registry takes first. */
export type Db = Kysely<Tables>;

/** What every write of the registry takes first: its part of a transaction that others share. */
export interface Tx<D = Tables> {
  readonly db: Kysely<D>;
  /** When the write was asked for, in milliseconds since 1970, by the clock that the registry was opened with. */
  readonly now: number;
  /** Who asked for the write. */
  readonly by: Actor;
  /** The run of the process that writes. */
  readonly instance: string;
  /** To be told to the listeners after the commit, and never if this write fails. */
  changed(change: Change): void;
  /** Has an entry written into the audit log, in this transaction. */
  audit(note: AuditNote): void;
  /** Has an event kept and told to whoever follows, in this transaction. */
  event(event: NewEvent): void;
  /** Says that what this write takes away is a secret: when it is answered, no file of the database holds it any more. */
  purge(): void;
  /** How the database divides histories by days; null where it does not, and there are rows alone. */
  readonly days: HistoryDays | null;
}

/**
 * Pages of 4 KiB in the WAL before they are moved into the database: SQLite's 1,000 are a few commits under load, and a
 * page that many commits write to is moved once for all of them. What a crash leaves there is read at the next start.
 */
const checkpointPages = 4_000;

/** How long the writer waits for a lock, in milliseconds. */
export const writerPatience = 5_000;

/** Opens the file for the one thread that writes; makes it, readable by its owner alone, where it is missing. */
export function openForWriting(file: string): DatabaseSync {
  createPrivately(file);
  const database = new DatabaseSync(file, { timeout: writerPatience });
  // FULL: a commit is on the disk when it returns, also in WAL mode, where NORMAL would lose the last ones.
  // Secure deletion: what is deleted or replaced is overwritten with zeros, since sealed keys are among it.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768');
  database.exec('PRAGMA secure_delete = ON');
  // What it takes to undo one write alone would go to a file of its own, made anew for each transaction.
  database.exec('PRAGMA temp_store = MEMORY');
  database.exec(`PRAGMA wal_autocheckpoint = ${checkpointPages}`);
  return database;
}

/** Opens the file for reading, beside the writer: in WAL mode neither waits for the other. */
export function openForReading(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 1_000 });
  database.exec('PRAGMA cache_size = -32768');
  return database;
}

/** The Kysely over an open SQLite database, which whoever opened it closes. `took` is told how long each query took. */
export function overSqlite<D = Tables>(database: DatabaseSync, took?: Took): Kysely<D> {
  const dialect = new SqliteDialect(database, took);
  const db = new Kysely<D>({ dialect });
  connections.set(db, dialect.connection);
  return db;
}

/** Of a database that is a file: there is one, which does each query when it is asked to. */
const connections = new WeakMap<object, SqliteConnection>();

/**
 * Holds a data directory for this process, until disposed of or until the process ends, however it ends: the lock is the
 * operating system's, on a file whose content means nothing. Throws Problem `conflict` while another process has it.
 */
export function lockDirectory(directory: string): Disposable {
  const file = join(directory, 'lock.db');
  createPrivately(file);
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if ((resultCode(error) & 0xff) !== busy) throw error;
    throw new Problem(
      'conflict',
      `Another Fleetroot is running on ${directory}.`,
      'Stop that one first, or give this one a data directory of its own with --data DIR.',
    );
  }
  return { [Symbol.dispose]: () => database.close() };
}

/**
 * A query that is built and compiled once for each dialect and from then on only bound and run: for what every
 * connection or request looks up. Each parameter stands in the query as it is, never inside an expression of JavaScript.
 *
 *     const byHost = prepared((db, given: { host: string }) =>
 *       db.selectFrom('account_hosts').selectAll().where('host', '=', given.host));
 *     const [row] = await byHost(db, { host });
 */
export function prepared<Given extends object, Row>(
  build: (db: Db, given: Given) => { compile(): CompiledQuery<Row> },
): (db: Db, given: Given) => Promise<Row[]> {
  const compiled = new WeakMap<DialectAdapter, CompiledQuery<Row>>();
  const placeholders = new Proxy({} as Given, { get: (_, name) => new Placeholder(name) });
  return async (db, given) => {
    const { adapter } = db.getExecutor();
    let query = compiled.get(adapter);
    if (!query) compiled.set(adapter, (query = build(db, placeholders).compile()));
    const parameters = query.parameters.map((value) =>
      value instanceof Placeholder ? given[value.name as keyof Given] : value,
    );
    const connection = connections.get(db);
    if (connection) return connection.rows<Row>(query.sql, parameters);
    return (await db.executeQuery<Row>({ ...query, parameters })).rows;
  };
}

/** Stands where a prepared query's parameter will stand. */
class Placeholder {
  readonly name: string | symbol;

  constructor(name: string | symbol) {
    this.name = name;
  }

  [Symbol.toPrimitive](): never {
    throw new TypeError(`The parameter ${String(this.name)} of a prepared query was used in an expression.`);
  }
}

/** Sealed keys are in it: nobody else reads it. Never opens a file that is there: closing it would drop SQLite's locks. */
export function createPrivately(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** SQLite's primary result codes (https://sqlite.org/rescode.html) for a disk that is full, broken, or not ours. */
const storageFailures = new Set([5, 6, 7, 8, 10, 11, 13, 14, 26]);
const busy = 5;
/** SQLITE_CONSTRAINT_FOREIGNKEY: an extended code, its primary one in the lower 8 bits. */
const foreignKeyViolated = 787;

/** Whether an error means that nothing can be written at present, whatever it was. */
export function isStorageFailure(error: unknown): boolean {
  return storageFailures.has(resultCode(error) & 0xff);
}

/** What an error of the database means to whoever asked; every other error comes back as it is. */
export function asProblem(error: unknown): unknown {
  if (isStorageFailure(error)) {
    return new Problem(
      'unavailable',
      `The database cannot be written: ${(error as Error).message}.`,
      'See to the disk that holds the data directory: is it full, read-only or failing?',
      { cause: error },
    );
  }
  if (isUnavailability(error)) {
    return new Problem(
      'unavailable',
      `The database cannot be asked: ${(error as Error).message}.`,
      'See to PostgreSQL; what was asked for can be asked for again.',
      { cause: error },
    );
  }
  if (resultCode(error) === foreignKeyViolated || sqlState(error) === '23503') {
    return new Problem('not_found', 'What this belongs to is not there, or has been removed meanwhile.', null, {
      cause: error,
    });
  }
  return error;
}

/** What PostgreSQL says of itself rather than of the query (its documentation, Appendix A): resources, intervention, its own errors. */
function isUnavailability(error: unknown): boolean {
  return /^(08...|25006|25P0[34]|40...|53...|55P03|57...|58...|XX...|E[A-Z]{3,})$/.test(sqlState(error));
}

function sqlState(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return !(error instanceof Problem) && typeof code === 'string' ? code : '';
}

function resultCode(error: unknown): number {
  return (error as { errcode?: number } | null)?.errcode ?? 0;
}
