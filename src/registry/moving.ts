// A registry carried over from its file into an empty PostgreSQL: row by row, to be gone on with after a kill, verified whole.

import { createHash } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import type pg from 'pg';
import { Problem } from '../problem.ts';
import { auditLogId } from './audit.ts';
import { auditVerdict } from './audit-verdict.ts';
import { asProblem, type Db } from './database.ts';
import { movingKey } from './half-moved.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations.ts';
import { isBroken, overClient, postgresTypes } from './postgres.ts';
import { away, Connections, type PostgresSettings } from './postgres-connections.ts';
import { lockKey } from './postgres-commit.ts';
import { PostgresDays } from './postgres-days.ts';
import { masterKeyRow } from './sealed-values.ts';
import { serverValue } from './server-values.ts';
import type { Tables } from './tables.ts';

/** Rows that are carried over in one transaction, and that are read at once. */
const rowsAtOnce = 500;
/** Events of longer ago, in milliseconds, are about to be taken away whatever `events.kept` says. */
const mostDays = 366 * 24 * 60 * 60 * 1000;
/** What belongs to the processes on a database, and to its own making. */
const notCarried = new Set(['migrations', 'nodes', 'lanes', 'changes', 'sqlite_sequence']);

/** How far a move has come. */
interface Progress {
  /** What is being moved, so that nothing else is mixed with it. */
  readonly source: string;
  /** By table: the last row that is there, by its number in the file. */
  readonly last: Record<string, number>;
}

/** A table as it was carried over. */
export interface MovedTable {
  readonly name: string;
  readonly rows: number;
}

export interface MoveOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Told of each table that is carried over whole. */
  readonly heard: (table: string) => void;
  /** Called when all is verified, before the database counts as whole. */
  readonly beforeWhole: () => Promise<void>;
}

/**
 * Carries all of `source`, an open registry in a file that nobody else writes to, over to the PostgreSQL of `settings`,
 * which is empty, or has what an earlier call came to. Throws Problem `conflict` where it has something else, or where what
 * is there in the end is not what was in the file; `unavailable` where it does not answer.
 */
export async function moveRegistry(
  source: Db,
  settings: PostgresSettings,
  options: MoveOptions,
): Promise<MovedTable[]> {
  await using connections = new Connections(settings, 1, 'fleetroot move');
  const client = await connections.patient();
  try {
    return await move(source, client, options);
  } catch (error) {
    throw isBroken(error) ? away(error) : asProblem(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function move(source: Db, client: pg.Client, { now, heard, beforeWhole }: MoveOptions): Promise<MovedTable[]> {
  await requireAlone(client);
  const target = overClient<Tables>(client);
  await migrate(target, postgresTypes, migrations, now);
  const tables = await tablesOf(source);
  const progress = await begin(source, target, tables);
  await makeDays(source, client, now);
  await setTriggers(client, 'disable');
  for (const table of tables) {
    await carry(source, target, table, progress);
    heard(table.name);
  }
  await target.transaction().execute((transaction) => setCounters(source, transaction, tables));
  const moved: MovedTable[] = [];
  for (const table of tables) moved.push(await requireSame(source, client, table));
  const { misfit } = await auditVerdict(target);
  if (misfit !== null)
    throw new Problem('conflict', `The audit log is not whole in the new database. ${misfit.sentence}`);
  await setTriggers(client, 'enable');
  await beforeWhole();
  await target.deleteFrom('server').where('key', '=', movingKey).execute();
  return moved;
}

/** Until the connection ends: two moves at once would each take the other's rows for its own. */
async function requireAlone(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ mine: number }>(`select pg_try_advisory_lock(${lockKey('move')}) as mine`);
  if (rows[0]!.mine === 1) return;
  throw new Problem('conflict', 'Another registry is being moved into this database.', 'Wait for that one.');
}

/** What triggers keep, tallies, is carried over as it is. */
async function setTriggers(client: pg.Client, how: 'enable' | 'disable'): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select distinct relname as name from pg_trigger join pg_class on pg_class.oid = tgrelid
    where not tgisinternal and relnamespace = current_schema()::regnamespace`,
  );
  for (const { name } of rows) await client.query(`alter table "${name}" ${how} trigger user`);
}

/** The days in which the events of the file lie are there before them, as if they had been written here. */
async function makeDays(source: Db, client: pg.Client, now: number): Promise<void> {
  const { first } = await source
    .selectFrom('events')
    .select(({ fn }) => fn.min('at').as('first'))
    .where('at', '>', now - mostDays)
    .executeTakeFirstOrThrow();
  if (first === null) return;
  await client.query('begin');
  // Nobody else is at work here.
  await new PostgresDays(client, async () => {}).make('events', { from: first, to: now });
  await client.query('commit');
}

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  /** The columns of its primary key. */
  readonly key: readonly string[];
  /** A column that refers to the table itself, which may come to refer to what is not there yet; or null. */
  readonly own: string | null;
}

/** The tables of a file, each after those that it refers to. */
async function tablesOf(source: Db): Promise<Table[]> {
  const { rows: names } = await sql<{ name: string }>`select name from sqlite_master where type = 'table'`.execute(
    source,
  );
  const left = new Map<string, { table: Table; refers: Set<string> }>();
  for (const { name } of names) {
    // What Litestream keeps of itself in a file that it ships.
    if (notCarried.has(name) || name.startsWith('_litestream_')) continue;
    const { rows: columns } = await sql<{
      name: string;
      pk: number;
    }>`select name, pk from pragma_table_info(${name}) order by cid`.execute(source);
    const { rows: references } = await sql<{
      table: string;
      from: string;
    }>`select "table", "from" from pragma_foreign_key_list(${name})`.execute(source);
    // Of a reference by two columns one is the account, which every row has.
    const own = references.find((each) => each.table === name && each.from !== 'account_id')?.from ?? null;
    const key = columns.filter(({ pk }) => pk > 0).map((column) => column.name);
    const refers = new Set(references.map(({ table }) => table).filter((each) => each !== name));
    left.set(name, { table: { name, columns: columns.map((column) => column.name), key, own }, refers });
  }
  const ordered: Table[] = [];
  while (left.size > 0) {
    const free = [...left.values()].filter(({ refers }) => ![...refers].some((name) => left.has(name)));
    if (free.length === 0) throw new Error(`These tables refer to each other in a circle: ${[...left.keys()].join()}`);
    for (const { table } of free) {
      ordered.push(table);
      left.delete(table.name);
    }
  }
  return ordered;
}

/** Says in the target that it is not whole; or reads how far an earlier move came. */
async function begin(source: Db, target: Db, tables: readonly Table[]): Promise<Progress> {
  const what = await nameOf(source);
  const known = await serverValue(target, movingKey);
  if (known !== undefined) {
    const progress = JSON.parse(Buffer.from(known).toString('utf8')) as Progress;
    if (progress.source === what) return progress;
    throw new Problem('conflict', 'The database has a part of another registry.', 'Move into an empty database.');
  }
  for (const { name } of tables) {
    const { rows } = await sql`select 1 from ${sql.table(name)} limit 1`.execute(target);
    if (rows.length > 0) {
      throw new Problem('conflict', `The database is not empty: ${name} has rows.`, 'Move into an empty database.');
    }
  }
  const progress: Progress = { source: what, last: {} };
  await target
    .insertInto('server')
    .values({ key: movingKey, value: encoded(progress) })
    .execute();
  return progress;
}

/** By what a registry is told from any other: its audit log, and the proof of its master key. */
async function nameOf(source: Db): Promise<string> {
  const digest = createHash('sha256').update((await auditLogId(source)) ?? '');
  return digest.update((await masterKeyRow(source, 'present'))?.proof ?? '').digest('hex');
}

function encoded(progress: Progress): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(progress));
}

type Row = Record<string, unknown>;

/** Carries over what is not there yet, some rows at a time, each time with how far it came. */
async function carry(source: Db, target: Db, table: Table, { source: what, last }: Progress): Promise<void> {
  const { name, own } = table;
  for (;;) {
    const rows = await pageOf(source, table, last[name] ?? 0);
    if (rows.length === 0) break;
    last[name] = rows.at(-1)!.number;
    await target.transaction().execute(async (transaction) => {
      await insert(
        transaction,
        name,
        rows.map(({ row }) => (own === null ? row : { ...row, [own]: null })),
      );
      const value = encoded({ source: what, last });
      await transaction.updateTable('server').set({ value }).where('key', '=', movingKey).execute();
    });
  }
  if (own === null) return;
  for (let after = 0; ;) {
    const rows = await pageOf(source, table, after);
    if (rows.length === 0) return;
    after = rows.at(-1)!.number;
    for (const { row } of rows) {
      if (row[own] === null) continue;
      const its = sql.join(
        table.key.map((column) => sql`${sql.ref(column)} = ${row[column]}`),
        sql` and `,
      );
      await sql`update ${sql.table(name)} set ${sql.ref(own)} = ${row[own]} where ${its}`.execute(target);
    }
  }
}

async function pageOf(source: Db, { name, columns }: Table, after: number): Promise<{ number: number; row: Row }[]> {
  const { rows } = await sql<Row & { row_number: number }>`
    select rowid as row_number, ${sql.join(columns.map((column) => sql.ref(column)))} from ${sql.table(name)}
    where rowid > ${after} order by rowid limit ${rowsAtOnce}`.execute(source);
  return rows.map(({ row_number: number, ...row }) => ({ number, row }));
}

async function insert(target: Db, name: string, rows: readonly Row[]): Promise<void> {
  await (target as unknown as Kysely<Record<string, Row>>).insertInto(name).values(rows).execute();
}

/** Numbers that a row had which is gone are not given again, there neither. */
async function setCounters(source: Db, target: Db, tables: readonly Table[]): Promise<void> {
  const { rows } = await sql<{ name: string; seq: number }>`select name, seq from sqlite_sequence`.execute(source);
  for (const { name, seq } of rows) {
    const column = tables.find((table) => table.name === name)?.key[0];
    if (column === undefined || seq === 0) continue;
    await sql`select setval(pg_get_serial_sequence(${name}, ${column}), ${seq})`.execute(target);
  }
}

/** Throws `conflict` where the rows of a table are not those of the file. */
async function requireSame(source: Db, client: pg.Client, table: Table): Promise<MovedTable> {
  const { name } = table;
  const [there, here] = [new RowsDigest(table), new RowsDigest(table)];
  for (let after = 0; ;) {
    const rows = await pageOf(source, table, after);
    if (rows.length === 0) break;
    after = rows.at(-1)!.number;
    for (const { row } of rows) there.take(row);
  }
  const columns = table.columns.map((column) => `"${column}"`).join(', ');
  const which = name === 'server' ? ` where key != '${movingKey}'` : '';
  await client.query('begin isolation level repeatable read read only');
  await client.query(`declare every no scroll cursor for select ${columns} from "${name}"${which}`);
  for (;;) {
    const { rows } = await client.query<Row>(`fetch ${rowsAtOnce} from every`);
    if (rows.length === 0) break;
    for (const row of rows) here.take(row);
  }
  await client.query('commit');
  if (here.rows === there.rows && here.sum === there.sum) return { name, rows: here.rows };
  throw new Problem(
    'conflict',
    `${name} is not in the new database as it is in the file: ${here.rows} rows there, ${there.rows} here, or others.`,
    'The file was changed after the move began, or somebody wrote into the database: begin anew with an empty one.',
  );
}

const modulus = 2n ** 256n;

/** The sum of the hashes of rows: the same for the same rows, in whatever order they come. */
class RowsDigest {
  readonly #columns: readonly string[];
  rows = 0;
  sum = 0n;

  constructor({ columns }: Table) {
    this.#columns = columns;
  }

  take(row: Row): void {
    const values = this.#columns.map((column) => {
      const value = row[column];
      if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('base64') };
      // PostgreSQL's text cannot hold U+0000 (postgres.ts).
      return typeof value === 'string' ? value.replaceAll('\0', '\uFFFD') : value;
    });
    const hash = createHash('sha256').update(JSON.stringify(values)).digest('hex');
    this.rows += 1;
    this.sum = (this.sum + BigInt(`0x${hash}`)) % modulus;
  }
}
