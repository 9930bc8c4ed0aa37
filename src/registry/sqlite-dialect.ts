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
export class SqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #took: Took | null;
  readonly #kept = new Map<string, Kept>();

  constructor(database: DatabaseSync, took: Took | null) {
    this.#database = database;
    this.#took = took;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    return this.#timed(() => {
      const { statement, columns } = this.#statement(sql);
      if (columns.length > 0) return { rows: rowsOf<R>(statement, columns, parameters as SQLInputValue[]) };
      return { rows: [], numAffectedRows: BigInt(statement.run(...(parameters as SQLInputValue[])).changes) };
    });
  }

  /** The rows of a query, without what Kysely does around it: for those that every request makes. */
  rows<R>(sql: string, parameters: readonly unknown[]): R[] {
    return this.#timed(() => {
      const { statement, columns } = this.#statement(sql);
      return rowsOf<R>(statement, columns, parameters as SQLInputValue[]);
    });
  }

  #timed<Result>(query: () => Result): Result {
    if (this.#took === null) return query();
    const began = performance.now();
    try {
      return query();
    } finally {
      this.#took(performance.now() - began);
    }
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

function rowsOf<R>(statement: StatementSync, columns: string[], parameters: SQLInputValue[]): R[] {
  return readAll(statement, parameters).map((values) => toObject(columns, values) as R);
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

  constructor(database: DatabaseSync, connection: SqliteConnection) {
    this.#database = database;
    this.#connection = connection;
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
  readonly connection: SqliteConnection;
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync, took: Took | null = null) {
    this.connection = new SqliteConnection(database, took);
    this.#database = database;
  }

  createDriver(): Driver {
    return new SqliteDriver(this.#database, this.connection);
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
  history: (db, { name }, columns) =>
    columns(db.schema.createTable(name).addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement()))
      .modifyEnd(sql`strict`)
      .execute(),
  tableEnd: sql`strict`,
  trigger: (trigger) => [sql.raw(`${triggerHead(trigger)} begin ${trigger.does.join('; ')}; end`)],
};
