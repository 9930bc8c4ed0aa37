// The factory's log: every entry is chained in the transaction of what it tells, so that none is ever without a number.

import { randomUUID } from 'node:crypto';
import { acceptAction, clockTolerance } from '../../manifest/line-clock.ts';
import type { AuditNote } from '../../registry/notes.ts';
import { hashBeforeFirst, hashOfEntry, type Head } from '../../registry/audit-chain.ts';
import { formatInstant } from '../../time.ts';
import { fact, rememberFact } from './facts.ts';
import type { FactoryDb, FactoryTx, LogEntry } from './tables.ts';

const logIdKey = 'log';

/** The log's ID, a UUID, given when the directory was made; null before that. */
export async function logId(db: FactoryDb): Promise<string | null> {
  const value = await fact(db, logIdKey);
  return value === null ? null : Buffer.from(value).toString('utf8');
}

/** Gives the log its ID, once. */
export async function beginLog(tx: FactoryTx, _: object): Promise<string> {
  const known = await logId(tx.db);
  if (known !== null) return known;
  const id = randomUUID();
  await rememberFact(tx, { key: logIdKey, value: Buffer.from(id) });
  return id;
}

/** The last entry, with the latest time that the log has seen (ms since 1970). */
export interface LogHead extends Head {
  readonly latest: number;
}

/** The last entry; before the first one what the chain begins with, under the number 0. */
export async function logHead(db: FactoryDb): Promise<LogHead> {
  const last = await db
    .selectFrom('log')
    .select(['number', 'hash', 'latest'])
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  return last ?? { number: 0, hash: hashBeforeFirst((await logId(db)) ?? ''), latest: 0 };
}

/**
 * What is wrong with a clock that went back behind the log, or null: certificates of a wrong time cannot be told from
 * right ones afterwards, and mandates and windows that have ended would be open again.
 */
export function faultOfClock(now: number, latest: number): { sentence: string; hint: string } | null {
  if (now >= latest - clockTolerance) return null;
  return {
    sentence: `The clock says ${formatInstant(now)}, and the log has an entry of ${formatInstant(latest)}: it went back.`,
    hint: 'Set the clock of this machine. Where the log was written by a clock ahead of time: `factory clock accept`.',
  };
}

/** Takes the clock as it is, though the log has seen a later time. Gives that time. */
export async function acceptClock(tx: FactoryTx, _: object): Promise<number> {
  const { latest } = await logHead(tx.db);
  const id = (await logId(tx.db)) ?? '';
  const after = { latest: formatInstant(latest) };
  tx.audit({ action: acceptAction, account_id: null, object: { kind: 'log', id, name: null }, after });
  return latest;
}

/** Entries in the order of their numbers, from `first` on. */
export async function logEntries(
  db: FactoryDb,
  { first, limit }: { first: number; limit: number },
): Promise<LogEntry[]> {
  return db.selectFrom('log').selectAll().where('number', '>=', first).orderBy('number').limit(limit).execute();
}

/** The latest entries first, of one action or of all. */
export async function latestEntries(
  db: FactoryDb,
  { action, limit }: { action: string | null; limit: number },
): Promise<LogEntry[]> {
  return db
    .selectFrom('log')
    .selectAll()
    .$if(action !== null, (query) => query.where('action', '=', action!))
    .orderBy('number', 'desc')
    .limit(limit)
    .execute();
}

/** Entries about one of these objects, the latest first. */
export async function entriesAbout(
  db: FactoryDb,
  { objects, action, limit }: { objects: readonly string[]; action: string | null; limit: number },
): Promise<LogEntry[]> {
  return db
    .selectFrom('log')
    .selectAll()
    .where('object_id', 'in', objects)
    .$if(action !== null, (query) => query.where('action', '=', action))
    .orderBy('number', 'desc')
    .limit(limit)
    .execute();
}

/** Adds what a write noted, in its transaction. */
export async function appendToLog(tx: FactoryTx, notes: readonly AuditNote[]): Promise<void> {
  if (notes.length === 0) return;
  let { number, hash, latest } = await logHead(tx.db);
  for (const { action, object, before = null, after = null, result = 'done' } of notes) {
    const { kind, name, address } = tx.by;
    const by = { kind, name, address };
    const body = JSON.stringify({ at: formatInstant(tx.now), action, by, object, before, after, result });
    number += 1;
    latest = action === acceptAction ? tx.now : Math.max(latest, tx.now);
    const previous_hash = hash;
    hash = hashOfEntry(previous_hash, number, body);
    await tx.db
      .insertInto('log')
      .values({
        number,
        at: tx.now,
        action,
        object_kind: object.kind,
        object_id: object.id,
        body,
        previous_hash,
        hash,
        latest,
      })
      .execute();
  }
}

/** Notes that the log is about to be exported after an entry: what stands before this note is complete up to it. */
export async function noteExport(tx: FactoryTx, { since }: { since: number }): Promise<void> {
  const log = (await logId(tx.db)) ?? '';
  tx.audit({
    action: 'manifest.export',
    account_id: null,
    object: { kind: 'log', id: log, name: null },
    after: { since },
  });
}
