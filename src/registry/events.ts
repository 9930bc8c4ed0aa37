// Events as they were kept: read in their order from any place on, and taken away when they are old.

import type { EventRecord } from './event-tables.ts';
import { type Db, prepared, type Tx } from './database.ts';
import type { NewEvent } from './notes.ts';

/** Under it stands what has been taken away of any account. */
const ofAny = '';

const ofAccount = prepared((db, given: { account_id: string; after: number; upTo: number; limit: number }) =>
  db
    .selectFrom('events')
    .selectAll()
    .where('account_id', '=', given.account_id)
    .where('id', '>', given.after)
    .where('id', '<=', given.upTo)
    .orderBy('id')
    .limit(given.limit),
);

const ofAll = prepared((db, given: { after: number; upTo: number; limit: number }) =>
  db
    .selectFrom('events')
    .selectAll()
    .where('id', '>', given.after)
    .where('id', '<=', given.upTo)
    .orderBy('id')
    .limit(given.limit),
);

/**
 * The events of an account, or those of the whole server where it is null, that come after the number `after` and not
 * after `upTo`, at most `limit` of them.
 */
export async function eventsAfter(
  db: Db,
  account_id: string | null,
  place: { after: number; upTo: number; limit: number },
): Promise<EventRecord[]> {
  return account_id === null ? ofAll(db, place) : ofAccount(db, { account_id, ...place });
}

/** The events of an account, or of the whole server where it is null, before a number, the latest first. */
export async function latestEvents(
  db: Db,
  account_id: string | null,
  { before, limit }: { before: number; limit: number },
): Promise<EventRecord[]> {
  let query = db.selectFrom('events').selectAll().where('id', '<', before).orderBy('id', 'desc').limit(limit);
  if (account_id !== null) query = query.where('account_id', '=', account_id);
  return query.execute();
}

const newest = prepared((db, _given: object) =>
  db.selectFrom('events').select((select) => select.fn.max('id').as('id')),
);

/** The number of the newest event that there is or was, of any account: whoever has read up to it has read everything. */
export async function newestEventId(db: Db): Promise<number> {
  const [row] = await newest(db, {});
  return row?.id ?? prunedEventId(db, null);
}

const pruned = prepared((db, given: { account_id: string }) =>
  db.selectFrom('event_prunings').select('last_id').where('account_id', '=', given.account_id),
);

/**
 * The number of the last event of an account, or of any where it is null, that has been taken away: who comes back with a
 * smaller one has missed some.
 */
export async function prunedEventId(db: Db, account_id: string | null): Promise<number> {
  const [row] = await pruned(db, { account_id: account_id ?? ofAny });
  return row?.last_id ?? 0;
}

/** Keeps events that no other write tells of: of custody, of renewals. */
export async function recordEvents(tx: Tx, { events }: { events: readonly NewEvent[] }): Promise<void> {
  for (const event of events) tx.event(event);
}

/** How far ahead the days of events are made, in milliseconds. */
const daysAhead = 7 * 24 * 60 * 60 * 1000;

/**
 * Where the database divides events by days: makes those to come, and takes the oldest one away whose events are all from
 * before an instant. Gives whether there was one. Throws `unavailable` where the database is read for too long meanwhile.
 */
export async function turnEventDays(tx: Tx, { before }: { before: number }): Promise<boolean> {
  if (tx.days === null) return false;
  await tx.days.make('events', { from: tx.now, to: tx.now + daysAhead });
  return tx.days.dropOldest('events', before);
}

/**
 * Takes events from before an instant away, the oldest first, `limit` of them at most; none of a day that goes whole
 * (`turnEventDays`). Gives how many there were.
 */
export async function pruneEvents(tx: Tx, { before, limit }: { before: number; limit: number }): Promise<number> {
  const table = (tx.days?.rest('events') ?? 'events') as 'events';
  const old = await tx.db
    .selectFrom(table)
    .select(['id', 'account_id'])
    .where('at', '<', before)
    .orderBy('at')
    .limit(limit)
    .execute();
  const last = new Map<string, number>();
  for (const { id, account_id } of old) {
    for (const whose of [ofAny, account_id ?? ofAny]) last.set(whose, Math.max(last.get(whose) ?? 0, id));
  }
  for (const [account_id, last_id] of last) {
    await tx.db
      .insertInto('event_prunings')
      .values({ account_id, last_id })
      .onConflict((conflict) =>
        conflict.column('account_id').doUpdateSet({ last_id }).where('event_prunings.last_id', '<', last_id),
      )
      .execute();
  }
  for (const { id } of old) await tx.db.deleteFrom(table).where('id', '=', id).execute();
  return old.length;
}
