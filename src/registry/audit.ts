// The audit log as it is kept: entries are chained in order of their commits, checkpoints recorded, both read back.

import type { Expression, SqlBool } from 'kysely';
import { type ChainedEntry, type Head, hashBeforeFirst, hashOfEntry, signedCheckpoint } from './audit-chain.ts';
import type { Actor } from './acting.ts';
import type { AuditCheckpoint, AuditEntry } from './audit-tables.ts';
import { type Db, prepared, type Tx } from './database.ts';
import type { AuditNote } from './notes.ts';
import { rememberServerValue, serverValue } from './server-values.ts';

/** The server value that holds the log's ID. */
const logKey = 'audit_log';
/** Entries that one read looks at, at most: a filter that few of them pass must not hold up the server. */
const window = 2_000;
/** How far the clock may have been set back between two entries, in milliseconds, for `since` to end a search. */
const clockSlack = 24 * 60 * 60 * 1000;

/** The log's ID; null until the first entry is chained. */
export async function auditLogId(db: Db): Promise<string | null> {
  const value = await serverValue(db, logKey);
  return value === undefined ? null : Buffer.from(value).toString('utf8');
}

const byNumberDown = prepared((db, _given: Record<never, never>) =>
  db.selectFrom('audit_entries').select(['number', 'hash']).where('number', '>', 0).orderBy('number', 'desc').limit(1),
);

/** The last entry that is chained; null where none is. */
export async function auditHead(db: Db): Promise<Head | null> {
  const [last] = await byNumberDown(db, {});
  return last === undefined ? null : { number: last.number!, hash: last.hash! };
}

const firstUnchained = prepared((db, _given: Record<never, never>) =>
  db.selectFrom('audit_entries').select('sequence').where('number', 'is', null).limit(1),
);

/** Whether entries wait for their numbers. */
export async function hasUnchained(db: Db): Promise<boolean> {
  return (await firstUnchained(db, {})).length > 0;
}

const giveNumber = prepared((db, given: { sequence: number; number: number; hash: string }) =>
  db
    .updateTable('audit_entries')
    .set({ number: given.number, hash: given.hash })
    .where('sequence', '=', given.sequence)
    .where('number', 'is', null),
);

/**
 * Gives the entries that wait their numbers and hashes, at most `limit` of them, in the order in which they are found
 * committed. Where the log has no ID yet, it becomes `log`. The write itself is the lock: there is one at a time, and
 * where two nodes tried, the number would be taken. Gives the head, and how many were chained.
 */
export async function chainAuditEntries(
  tx: Tx,
  { log, limit }: { log: string; limit: number },
): Promise<{ head: Head | null; chained: number }> {
  const waiting = await tx.db
    .selectFrom('audit_entries')
    .select(['sequence', 'body'])
    .where('number', 'is', null)
    .orderBy('sequence')
    .limit(limit)
    .execute();
  let head = await auditHead(tx.db);
  if (waiting.length === 0) return { head, chained: 0 };
  let id = await auditLogId(tx.db);
  if (id === null) await rememberServerValue(tx, { key: logKey, value: new TextEncoder().encode((id = log)) });
  for (const { sequence, body } of waiting) {
    const number: number = (head?.number ?? 0) + 1;
    const hash: string = hashOfEntry(head?.hash ?? hashBeforeFirst(id), number, body);
    await giveNumber(tx.db, { sequence, number, hash });
    head = { number, hash };
  }
  return { head, chained: waiting.length };
}

/** The chained entries after a number, in order, as they are exported; `limit` of them. */
export async function chainedEntries(db: Db, after: number, limit: number): Promise<ChainedEntry[]> {
  const rows = await db
    .selectFrom('audit_entries')
    .select(['number', 'hash', 'body'])
    .where('number', '>=', after)
    .where('number', '>', 0)
    .orderBy('number')
    .limit(limit + 1)
    .execute();
  const id = after === 0 ? await auditLogId(db) : null;
  const before = after === 0 ? { hash: id === null ? '' : hashBeforeFirst(id) } : rows.shift();
  let previous_hash = before?.hash ?? '';
  return rows.slice(0, limit).map(({ number, hash, body }) => {
    const entry = { number: number!, hash: hash!, previous_hash, body };
    previous_hash = entry.hash;
    return entry;
  });
}

/** What a list of entries is narrowed down to. */
export interface AuditFilter {
  readonly account_id?: string;
  /** Who acted: an ID, a name, or a kind such as `server`. */
  readonly actor?: string;
  readonly action?: string;
  /** The ID of what it was done to, or the name that people know that by. */
  readonly object?: string;
  readonly result?: string;
  /** Milliseconds since 1970: from this instant on, and before that one. */
  readonly since?: number;
  readonly until?: number;
}

/** Some entries, the latest first, and where the next page begins; null where nothing more can come. */
export interface AuditPage {
  readonly entries: AuditEntry[];
  readonly next: number | null;
}

/**
 * Entries, chained or not, the latest first: `limit` at most, of those before the sequence `before`. A page may be short
 * of that, even empty, and have a next one all the same: it ends after so many entries that were looked at.
 */
export async function listAuditEntries(
  db: Db,
  { account_id, actor, action, object, result, since, until }: AuditFilter,
  { limit, before = Number.MAX_SAFE_INTEGER }: { limit: number; before?: number },
): Promise<AuditPage> {
  const looked = await db
    .selectFrom('audit_entries')
    .selectAll()
    .where('sequence', '<', before)
    .$if(account_id !== undefined, (entries) => entries.where('account_id', '=', account_id!))
    .$if(object !== undefined, (entries) =>
      entries.where((where): Expression<SqlBool> =>
        where.or([where('object_id', '=', object!), where('object_name', '=', object!)]),
      ),
    )
    .orderBy('sequence', 'desc')
    .limit(window)
    .execute();
  const fits = (entry: AuditEntry): boolean =>
    (actor === undefined || isBy(entry, actor)) &&
    (action === undefined || entry.action === action) &&
    (result === undefined || entry.result === result) &&
    (since === undefined || entry.at >= since) &&
    (until === undefined || entry.at < until);
  const entries = looked.filter(fits).slice(0, limit);
  const last = looked.at(-1);
  const early = since !== undefined && last !== undefined && last.at < since - clockSlack;
  if (entries.length === limit) return { entries, next: entries.at(-1)!.sequence };
  return { entries, next: looked.length < window || early ? null : last!.sequence };
}

/** Whether an entry is by whoever has this ID or name, or is of this kind. */
function isBy({ actor_id, actor_kind, body }: AuditEntry, actor: string): boolean {
  if (actor_id === actor || actor_kind === actor) return true;
  return body.includes(JSON.stringify(actor)) && (JSON.parse(body) as { by: Actor }).by.name === actor;
}

/** Keeps a checkpoint; one over the same entry stays as it is. Whoever follows events is told. */
export async function recordCheckpoint(tx: Tx, checkpoint: AuditCheckpoint): Promise<void> {
  const kept = await tx.db
    .insertInto('audit_checkpoints')
    .values(checkpoint)
    .onConflict((conflict) => conflict.column('number').doNothing())
    .returning('number')
    .executeTakeFirst();
  if (!kept) return;
  const log = (await auditLogId(tx.db)) ?? '';
  // What the server does by itself every hour would else be the only thing that is new in the next.
  if (tx.by.kind !== 'server') {
    const object = { kind: 'audit_checkpoint', id: String(checkpoint.number), name: null };
    tx.audit({ action: 'audit.checkpoint', account_id: null, object });
  }
  tx.event({ type: 'audit.checkpoint', account_id: null, data: { ...signedCheckpoint(log, checkpoint) } });
}

/** Checkpoints, the latest first, `limit` of those over entries before `before`. */
export async function auditCheckpoints(
  db: Db,
  { limit, before = Number.MAX_SAFE_INTEGER }: { limit: number; before?: number },
): Promise<AuditCheckpoint[]> {
  return db
    .selectFrom('audit_checkpoints')
    .selectAll()
    .where('number', '<', before)
    .orderBy('number', 'desc')
    .limit(limit)
    .execute();
}

/** Records attempts of operators that were refused: each is an entry, whose `result` is the problem's code. */
export async function recordRefusedAttempts(tx: Tx, { attempts }: { attempts: readonly AuditNote[] }): Promise<void> {
  for (const attempt of attempts) tx.audit(attempt);
}
