// The factory's log: every entry is chained in the transaction of what it tells, so that none is ever without a number.

import { randomUUID } from 'node:crypto';
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

/** The last entry; before the first one what the chain begins with, under the number 0. */
export async function logHead(db: FactoryDb): Promise<Head> {
  const last = await db
    .selectFrom('log')
    .select(['number', 'hash'])
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  return last ?? { number: 0, hash: hashBeforeFirst((await logId(db)) ?? '') };
}

/** Entries in the order of their numbers, from `first` on. */
export async function logEntries(
  db: FactoryDb,
  { first, limit }: { first: number; limit: number },
): Promise<LogEntry[]> {
  return db.selectFrom('log').selectAll().where('number', '>=', first).orderBy('number').limit(limit).execute();
}

/** Adds what a write noted, in its transaction. */
export async function appendToLog(tx: FactoryTx, notes: readonly AuditNote[]): Promise<void> {
  if (notes.length === 0) return;
  let { number, hash } = await logHead(tx.db);
  for (const { action, object, before = null, after = null, result = 'done' } of notes) {
    const { kind, name } = tx.by;
    const by = { kind, name };
    const body = JSON.stringify({ at: formatInstant(tx.now), action, by, object, before, after, result });
    number += 1;
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
      })
      .execute();
  }
}
