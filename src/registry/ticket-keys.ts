// The keys of TLS tickets: each counts from an instant on, until the next one does; those before it are forgotten.

import type { Db, Tx } from './database.ts';
import { requireLivingMasterKey } from './sealed-values.ts';
import type { TicketKey } from './ticket-tables.ts';

/** Fewer than a handful: the one in use, the next, and for a while the one before. */
export async function ticketKeys(db: Db): Promise<TicketKey[]> {
  return db.selectFrom('ticket_keys').selectAll().orderBy('starts_at').execute();
}

/**
 * Records the key that comes after the newest there is, `after` (its ID; null where there is none), and forgets those
 * that had been succeeded by `forgotten` (milliseconds since 1970): what was recorded of the traffic under them opens to
 * nobody any more. Gives false, and does nothing, where another process was quicker.
 */
export async function recordTicketKey(
  tx: Tx,
  { key, after, forgotten }: { key: Omit<TicketKey, 'created_at'>; after: string | null; forgotten: number },
): Promise<boolean> {
  await requireLivingMasterKey(tx.db, key.sealed_key);
  const keys = await ticketKeys(tx.db);
  if ((keys.at(-1)?.id ?? null) !== after) return false;
  await tx.db
    .insertInto('ticket_keys')
    .values({ ...key, created_at: tx.now })
    .execute();
  const gone = keys.filter((_, index) => (keys[index + 1]?.starts_at ?? Infinity) <= forgotten);
  if (gone.length > 0) {
    tx.purge();
    await tx.db
      .deleteFrom('ticket_keys')
      .where(
        'id',
        'in',
        gone.map(({ id }) => id),
      )
      .execute();
  }
  tx.audit({
    action: 'ticket_key.create',
    account_id: null,
    object: { kind: 'ticket_key', id: key.id, name: null },
    after: { starts_at: new Date(key.starts_at).toISOString(), forgotten: gone.map(({ id }) => id) },
  });
  return true;
}
