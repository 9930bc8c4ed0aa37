// What the writer adds to a write, in its transaction: the audit log's entries and the events that it noted.

import type { Insertable } from 'kysely';
import type { Actor } from './acting.ts';
import type { AuditEntriesTable } from './audit-tables.ts';
import { prepared, type Tx } from './database.ts';
import type { EventsTable } from './event-tables.ts';
import type { AuditNote, NewEvent } from './notes.ts';

const insertEntry = prepared((db, given: Omit<Insertable<AuditEntriesTable>, 'sequence' | 'number' | 'hash'>) =>
  db.insertInto('audit_entries').values({
    account_id: given.account_id,
    at: given.at,
    action: given.action,
    actor_kind: given.actor_kind,
    actor_id: given.actor_id,
    object_kind: given.object_kind,
    object_id: given.object_id,
    object_name: given.object_name,
    result: given.result,
    body: given.body,
    number: null,
    hash: null,
  }),
);

/** Adds the entries of one write. They have no number yet: that is given in the order in which they are found committed. */
export async function insertAuditEntries(
  tx: Pick<Tx, 'db' | 'now'>,
  by: Actor,
  notes: readonly AuditNote[],
): Promise<void> {
  for (const { action, account_id, object, before = null, after = null, result = 'done' } of notes) {
    const body = { at: new Date(tx.now).toISOString(), action, account: account_id, by, object, before, after, result };
    await insertEntry(tx.db, {
      account_id,
      at: tx.now,
      action,
      actor_kind: by.kind,
      actor_id: by.id,
      object_kind: object.kind,
      object_id: object.id,
      object_name: object.name,
      result,
      body: JSON.stringify(body),
    });
  }
}

const insertEvent = prepared((db, given: Omit<Insertable<EventsTable>, 'id'>) =>
  db.insertInto('events').values({ type: given.type, account_id: given.account_id, at: given.at, data: given.data }),
);

/** Keeps the events of one write, in its transaction. */
export async function insertEvents(tx: Pick<Tx, 'db' | 'now'>, events: readonly NewEvent[]): Promise<void> {
  for (const { type, account_id, data } of events) {
    await insertEvent(tx.db, { type, account_id, at: tx.now, data: JSON.stringify(data) });
  }
}
