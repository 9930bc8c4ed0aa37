// PostgreSQL as the registry uses it: values as SQLite gives them, a Kysely over a connection or over many, what its errors mean.

import { createHash } from 'node:crypto';
import {
  type ColumnDefinitionNode,
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  DataTypeNode,
  type Dialect,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  RawNode,
  sql,
} from 'kysely';
import type pg from 'pg';
import { Problem } from '../problem.ts';
import { type ColumnTypes, triggerHead } from './column-types.ts';
import { asProblem } from './database.ts';
import { restOf } from './history-days.ts';
import { away, type Connections } from './postgres-connections.ts';

/** Statements that the server keeps prepared, by their text: those that are written the same way each time. */
const names = new Map<string, string>();
const mostNames = 1_000;

function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined) return known;
  if (names.size >= mostNames) return undefined;
  const name = createHash('sha256').update(text).digest('base64url').slice(0, 22);
  names.set(text, name);
  return name;
}

const changing = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE']);

/** Runs one query on a client. What text cannot hold in PostgreSQL (U+0000) is read as what cannot be read. */
async function queryOn<R>(
  client: pg.ClientBase,
  query: Pick<CompiledQuery, 'sql' | 'parameters'>,
): Promise<QueryResult<R>> {
  const name = nameOf(query.sql);
  const values = query.parameters.map((value) =>
    typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value,
  );
  const result = await client.query({ text: query.sql, values, ...(name !== undefined && { name }) });
  return {
    rows: result.rows as R[],
    ...(changing.has(result.command) && { numAffectedRows: BigInt(result.rowCount ?? 0) }),
  };
}

/** Gives text columns the order of their bytes, as in SQLite, whatever the database's own collation is. */
class QueryCompiler extends PostgresQueryCompiler {
  protected override visitColumnDefinition(node: ColumnDefinitionNode): void {
    const { dataType } = node;
    const isText = DataTypeNode.is(dataType) && dataType.dataType === 'text';
    super.visitColumnDefinition(isText ? { ...node, dataType: RawNode.createWithSql('text collate "C"') } : node);
  }
}

/** A Kysely's way to its connections. */
class PostgresDialect implements Dialect {
  readonly #driver: Driver;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  createDriver(): Driver {
    return this.#driver;
  }

  createQueryCompiler(): PostgresQueryCompiler {
    return new QueryCompiler();
  }

  createAdapter(): PostgresAdapter {
    return new PostgresAdapter();
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new PostgresIntrospector(db);
  }
}

const nothing = async (): Promise<void> => {};
const noStream = (): never => {
  throw new Error('The registry reads rows whole or page by page.');
};

/** The Kysely over one connection, which whoever took it gives back; transactions begin and end on it. */
export function overClient<D>(client: pg.ClientBase, heard: (query: CompiledQuery) => void = () => {}): Kysely<D> {
  const connection: DatabaseConnection = {
    executeQuery: (query) => {
      heard(query);
      return queryOn(client, query);
    },
    streamQuery: noStream,
  };
  const run = (text: string) => async () => void (await client.query(text));
  return new Kysely<D>({
    dialect: new PostgresDialect({
      init: nothing,
      destroy: nothing,
      acquireConnection: async () => connection,
      releaseConnection: nothing,
      beginTransaction: run('begin isolation level read committed read write'),
      commitTransaction: run('commit'),
      rollbackTransaction: run('rollback'),
    }),
  });
}

/**
 * The Kysely that reads, each query on whichever connection is free. Where that breaks, or the server is another one now,
 * the same is asked again on another within the patience.
 */
export function overConnections<D>(connections: Connections, took: (milliseconds: number) => void): Kysely<D> {
  const connection: DatabaseConnection = {
    async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      const began = performance.now();
      try {
        for (;;) {
          try {
            return await readOnce<R>(connections, query);
          } catch (error) {
            if (!isBroken(error)) throw asProblem(error);
            if (performance.now() >= began + connections.patience) throw away(error);
          }
        }
      } finally {
        took(performance.now() - began);
      }
    },
    streamQuery: noStream,
  };
  const never = async (): Promise<never> => {
    throw new Error('What reads begins no transaction.');
  };
  return new Kysely<D>({
    dialect: new PostgresDialect({
      init: nothing,
      destroy: nothing,
      acquireConnection: async () => connection,
      releaseConnection: nothing,
      beginTransaction: never,
      commitTransaction: never,
      rollbackTransaction: never,
    }),
  });
}

async function readOnce<R>(connections: Connections, query: CompiledQuery): Promise<QueryResult<R>> {
  const client = await connections.take();
  let broken = true;
  try {
    const result = await queryOn<R>(client, query);
    broken = false;
    return result;
  } catch (error) {
    broken = isBroken(error);
    throw error;
  } finally {
    client.release(broken);
  }
}

/**
 * Whether an error means that the connection, the server or its role is gone, so that the same may be asked elsewhere:
 * classes 08 and 57P, 25P (a transaction or its idleness took too long), a standby's 25006, and what never reached a
 * server (PostgreSQL, Appendix A). So does a prepared statement whose table has got columns since, which another version's
 * migration gave it: a new connection has prepared none.
 */
export function isBroken(error: unknown): boolean {
  if (error instanceof Problem) return false;
  const { code, routine } = (error ?? {}) as { code?: unknown; routine?: unknown };
  if (typeof code !== 'string') return error instanceof Error && /connection|timeout|terminated/i.test(error.message);
  if (code === '0A000') return routine === 'RevalidateCachedQuery';
  return /^(08...|57P0[1-5]|25P0[34]|25006|E[A-Z]+|EAI_[A-Z]+)$/.test(code);
}

/** Whether an error means that the same transaction may well succeed when it is tried again: serialisation, deadlock. */
export function isTransient(error: unknown): boolean {
  return /^40(001|P01)$/.test(String((error as { code?: unknown } | null)?.code));
}

/** The migrations' words for PostgreSQL. */
export const postgresTypes: ColumnTypes = {
  bytes: 'bytea',
  instant: 'bigint',
  counter: { type: 'bigserial', build: (column) => column.primaryKey() },
  // What divides a table is part of its key (PostgreSQL, "Limitations" of declarative partitioning).
  async history(db, { name, instant }, columns) {
    await columns(db.schema.createTable(name).addColumn('id', 'bigserial', (column) => column.notNull()))
      .addPrimaryKeyConstraint(`${name}_key`, ['id', instant])
      .modifyEnd(sql`partition by range (${sql.ref(instant)})`)
      .execute();
    await sql`create table ${sql.table(restOf(name))} partition of ${sql.table(name)} default`.execute(db);
  },
  tableEnd: sql``,
  trigger: (trigger) => [
    sql.raw(
      `create function ${trigger.name}() returns trigger language plpgsql as $$ begin ${trigger.does.join('; ')}; return null; end $$`,
    ),
    sql.raw(`${triggerHead(trigger)} execute function ${trigger.name}()`),
  ],
};
