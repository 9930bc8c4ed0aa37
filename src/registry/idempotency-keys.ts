// The idempotency keys of calls that create: reserved before the work, completed with the reply, kept for a day.

import { Problem } from '../problem.ts';
import type { IdempotencyKey } from './api-tables.ts';
import type { Tx } from './database.ts';

/** How long a key is remembered, in milliseconds. */
const kept = 24 * 60 * 60 * 1000;
/** How many keys one principal may have remembered at a time. */
const most = 10_000;

/**
 * Reserves a key for the call at hand and gives null; or gives what is remembered under it, and changes nothing.
 * `id` and `fingerprint` are digests, whoever makes them. Throws `too_many_requests` where the principal has too many.
 */
export async function reserveIdempotencyKey(
  tx: Tx,
  given: Pick<IdempotencyKey, 'id' | 'principal' | 'account_id' | 'fingerprint'>,
): Promise<IdempotencyKey | null> {
  await tx.db
    .deleteFrom('idempotency_keys')
    .where('created_at', '<', tx.now - kept)
    .execute();
  const known = await tx.db.selectFrom('idempotency_keys').selectAll().where('id', '=', given.id).executeTakeFirst();
  if (known) return known;
  const { count } = await tx.db
    .selectFrom('idempotency_keys')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('principal', '=', given.principal)
    .executeTakeFirstOrThrow();
  if (count >= most) {
    const hint = 'Each is remembered for a day. A call without the header takes none.';
    throw new Problem('too_many_requests', `Of one caller ${most} idempotency keys are remembered.`, hint);
  }
  await tx.db
    .insertInto('idempotency_keys')
    .values({ ...given, created_at: tx.now, answered_at: null, status: null, body: null })
    .execute();
  return null;
}

/** Remembers the reply of a call; a null body for one that is kept nowhere. */
export async function completeIdempotencyKey(
  tx: Tx,
  { id, status, body }: { id: string; status: number; body: Uint8Array | null },
): Promise<void> {
  await tx.db.updateTable('idempotency_keys').set({ answered_at: tx.now, status, body }).where('id', '=', id).execute();
}

/** Forgets a key whose call has done nothing, so that it may be tried again. */
export async function releaseIdempotencyKey(tx: Tx, { id }: { id: string }): Promise<void> {
  await tx.db.deleteFrom('idempotency_keys').where('id', '=', id).execute();
}
