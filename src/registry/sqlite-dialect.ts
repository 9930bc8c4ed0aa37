// Kysely over node:sqlite: one connection, synchronous underneath, with its prepared statements kept.

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely';
import { type ColumnTypes, triggerHead } from './column-types.ts';

/** Statements kept at most. The registry has fewer; lists of changing length (`in (?, ?)`) could make more. */
const keptStatements = 500;

/** Is told how long each query took, in milliseconds. */
export type Took = (milliseconds: number) => void;

interface Kept {
  statement: StatementSync;
  /** Names of the columns that it gives; none for a statement that only changes rows. */
  columns: string[];
}

/** The one connection. Every query is done when its function returns; the promise is Kysely's form, not a wait. */
class SqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #took: Took;
  readonly #kept = new Map<string, Kept>();

  constructor(database: DatabaseSync, took: Took) {
    this.#database = database;
    this.#took = took;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const began = performance.now();
    try {
      return this.#execute(query);
    } finally {
      this.#took(performance.now() - began);
    }
  }

  #execute<R>(query: CompiledQuery): QueryResult<R> {
    const { statement, columns } = this.#statement(query.sql);
    const parameters = query.parameters as SQLInputValue[];
    if (columns.length === 0) return { rows: [], numAffectedRows: BigInt(statement.run(...parameters).changes) };
    return { rows: readAll(statement, parameters).map((values) => toObject(columns, values) as R) };
  }

  streamQuery(): never {
    throw new Error('The registry reads rows whole or page by page: an open cursor would hold the WAL back.');
  }

  #statement(sql: string): Kept {
    const known = this.#kept.get(sql);
    if (known) return known;
    if (this.#kept.size >= keptStatements) this.#kept.clear();
    const statement = this.#database.prepare(sql);
    // Arrays, because node:sqlite's own objects have no prototype and, made as dictionaries, are slow to read.
    statement.setReturnArrays(true);
    const kept = { statement, columns: statement.columns().map(({ name }) => name) };
    this.#kept.set(sql, kept);
    return kept;
  }
}

/**
 * All rows. An integer that no number tells exactly is none that we write: whoever writes it is to spoil no more than his
 * row, so that it is read as the nearest.
 */
function readAll(statement: StatementSync, parameters: SQLInputValue[]): unknown[][] {
  try {
    return statement.all(...parameters) as unknown as unknown[][];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_OUT_OF_RANGE') throw error;
  }
  statement.setReadBigInts(true);
  try {
    const rows = statement.all(...parameters) as unknown as unknown[][];
    return rows.map((values) => values.map((value) => (typeof value === 'bigint' ? Number(value) : value)));
  } finally {
    statement.setReadBigInts(false);
  }
}

function toObject(columns: string[], values: unknown[]): Record<string, unknown> {
  const row: Record<string, unknown> = {};
  for (let i = 0; i < columns.length; i++) row[columns[i]!] = values[i];
  return row;
}

/** No pool and no mutex: the main thread only reads, and the writer thread does one thing after the other. */
class SqliteDriver implements Driver {
  readonly #database: DatabaseSync;
  readonly #connection: SqliteConnection;

  constructor(database: DatabaseSync, took: Took) {
    this.#database = database;
    this.#connection = new SqliteConnection(database, took);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }

  async beginTransaction(): Promise<void> {
    this.#database.exec('BEGIN IMMEDIATE');
  }

  async commitTransaction(): Promise<void> {
    this.#database.exec('COMMIT');
  }

  async rollbackTransaction(): Promise<void> {
    this.#database.exec('ROLLBACK');
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {}
}

/** Works on an open database, which whoever opened it closes: Kysely does not end what it was not asked to query. */
export class SqliteDialect implements Dialect {
  readonly #database: DatabaseSync;
  readonly #took: Took;

  constructor(database: DatabaseSync, took: Took = () => {}) {
    this.#database = database;
    this.#took = took;
  }

  createDriver(): Driver {
    return new SqliteDriver(this.#database, this.#took);
  }

  createQueryCompiler(): SqliteQueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): SqliteAdapter {
    return new SqliteAdapter();
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new SqliteIntrospector(db);
  }
}

/** The migrations' words for SQLite. STRICT tables refuse a value of another type instead of keeping it. */
export const sqliteTypes: ColumnTypes = {
  bytes: 'blob',
  instant: 'integer',
  counter: { type: 'integer', build: (column) => column.primaryKey().autoIncrement() },
  tableEnd: sql`strict`,
  trigger: (trigger) => [sql.raw(`${triggerHead(trigger)} begin ${trigger.does.join('; ')}; end`)],
};
