// A copy of a whole SQLite registry as it is at one moment, made beside the writer, and what there is to be told of one.

import { backup, DatabaseSync } from 'node:sqlite';
import { Problem } from '../problem.ts';
import { auditHead, auditLogId } from './audit.ts';
import { createPrivately, type Db, openForReading, overSqlite } from './database.ts';
import type { Head } from './audit-chain.ts';
import { migrations } from './migrations.ts';

/** All pages in one step, and so in one read transaction: with several, each commit in between would begin the copy anew. */
const everyPage = 2 ** 31 - 1;

/**
 * Copies the SQLite database `file`, which others have open and write to, to the new file `copy`: as it is at one moment,
 * page by page, in bounded memory, on a thread of the pool. The copy is one file without a log beside it, on the disk when
 * this resolves. Throws Problem `unavailable` where the copy is damaged, which the database then is too.
 */
export async function copyDatabase(file: string, copy: string): Promise<void> {
  createPrivately(copy);
  using source = openForReading(file);
  await backup(source, copy, { rate: everyPage });
  using copied = new DatabaseSync(copy);
  copied.exec('PRAGMA synchronous = FULL; PRAGMA journal_mode = DELETE');
  // What opens recorded sessions is forgotten within hours, and lies in no back-up for years.
  copied.exec('PRAGMA secure_delete = ON; DELETE FROM ticket_keys');
  requireSound(copied, 'quick_check');
}

/** Opens a copy that nobody writes to, and holds it against all that SQLite can tell of its form; who opens it closes it. */
export function openCopy(copy: string): { readonly db: Db } & Disposable {
  const database = openForReading(copy);
  return { db: overSqlite(database), [Symbol.dispose]: () => database.close() };
}

/**
 * Has SQLite look through a whole database: its pages, its indexes, and its references. Throws Problem `unavailable` that
 * says what is wrong first.
 */
export function checkDatabase(file: string): void {
  using database = openForReading(file);
  requireSound(database, 'integrity_check');
  const [stray] = database.prepare('PRAGMA foreign_key_check').all() as { table: string; parent: string }[];
  if (stray) throw damaged(`a row of ${stray.table} belongs to one of ${stray.parent} that is not there`);
}

function requireSound(database: DatabaseSync, check: 'quick_check' | 'integrity_check'): void {
  try {
    const found = database
      .prepare(`PRAGMA ${check}(1)`)
      .all()
      .map((row) => String(row[check]));
    if (found.join() !== 'ok') throw damaged(found[0] ?? 'nothing was found in it');
  } catch (error) {
    throw error instanceof Problem ? error : damaged((error as Error).message);
  }
}

function damaged(what: string): Problem {
  return new Problem('unavailable', `The database is damaged: ${what}.`, 'Restore a back-up from before it was.');
}

/** How much there is in a registry, and where its audit log ends. */
export interface RegistryFacts {
  /** How many migrations it has had. */
  readonly schema: number;
  readonly accounts: number;
  readonly devices: number;
  readonly certificates: number;
  /** Keys that lie in each custodian, by its name. */
  readonly keys: Readonly<Record<string, number>>;
  /** The audit log's ID and last chained entry; null where nothing was ever done. */
  readonly audit: ({ readonly log: string } & Head) | null;
}

/** Counts what is in a registry, which reads whole tables: not for a thread on which others wait. */
export async function registryFacts(db: Db): Promise<RegistryFacts> {
  const [log, head] = [await auditLogId(db), await auditHead(db)];
  const keys = await db
    .selectFrom('keys')
    .select(['custodian', ({ fn }) => fn.countAll<number>().as('count')])
    .where('remembered', 'is not', null)
    .where('destroyed_at', 'is', null)
    .groupBy('custodian')
    .orderBy('custodian')
    .execute();
  return {
    schema: await schemaOf(db),
    accounts: await countOf(db, 'accounts'),
    devices: await countOf(db, 'devices'),
    certificates: await countOf(db, 'certificates'),
    keys: Object.fromEntries(keys.map(({ custodian, count }) => [custodian, count])),
    audit: log === null || head === null ? null : { log, ...head },
  };
}

async function countOf(db: Db, table: 'accounts' | 'devices' | 'certificates'): Promise<number> {
  const { count } = await db
    .selectFrom(table)
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

async function schemaOf(db: Db): Promise<number> {
  const last = await db.selectFrom('migrations').select('number').orderBy('number', 'desc').limit(1).executeTakeFirst();
  return last?.number ?? 0;
}

/** How many provisioning keys may be used a number of times, and may be now: at `now`, in milliseconds since 1970. */
export async function countLimitedKeys(db: Db, now: number): Promise<number> {
  const { count } = await db
    .selectFrom('provisioning_keys')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('max_uses', 'is not', null)
    .where('disabled_at', 'is', null)
    .where('not_after', '>', now)
    .executeTakeFirstOrThrow();
  return count;
}

/** How many migrations this program knows: what has had more was opened by a newer one. */
export const knownSchema: number = migrations.length;
