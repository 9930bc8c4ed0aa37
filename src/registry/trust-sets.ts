// What the owner of an account has signed, set after set, and what operators have narrowed since.

import { digestOf } from './audit-notes.ts';
import type { Db, Tx } from './database.ts';
import { fleetRootChanged } from './event-notes.ts';
import type { Narrowing, TrustSetRow } from './tables.ts';

/**
 * Records a set that the owner has signed. One of the same number, and whatever claims to come after it, is replaced:
 * it was not accepted. The narrowings `settled` (their IDs) are in it. Throws `not_found` without the account.
 */
export async function recordTrustSet(
  tx: Tx,
  { settled, ...set }: Omit<TrustSetRow, 'accepted_at'> & { settled: readonly string[] },
): Promise<TrustSetRow> {
  if (settled.length > 0) {
    await tx.db.deleteFrom('narrowings').where('account_id', '=', set.account_id).where('id', 'in', settled).execute();
  }
  await tx.db
    .deleteFrom('trust_sets')
    .where('account_id', '=', set.account_id)
    .where('number', '>=', set.number)
    .execute();
  const recorded = await tx.db
    .insertInto('trust_sets')
    .values({ ...set, accepted_at: tx.now })
    .returningAll()
    .executeTakeFirstOrThrow();
  const { account_id, number, document } = recorded;
  tx.audit({
    action: 'trust_set.accept',
    account_id,
    object: { kind: 'trust_set', id: String(number), name: null },
    after: { number, sha256: digestOf(document), narrowings_settled: settled.length },
  });
  tx.event(fleetRootChanged(account_id, null, 'owner_signed'));
  tx.changed({ kind: 'trust', account_id });
  return recorded;
}

/** The sets of an account from this number on, the latest first. */
export async function trustSetsFrom(db: Db, account_id: string, number: number): Promise<TrustSetRow[]> {
  return db
    .selectFrom('trust_sets')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('number', '>=', number)
    .orderBy('number', 'desc')
    .execute();
}

/** What was narrowed in an account and no set has settled, the oldest first, as many as `limit` at most. */
export async function narrowingsOf(db: Db, account_id: string, limit: number): Promise<Narrowing[]> {
  return db
    .selectFrom('narrowings')
    .selectAll()
    .where('account_id', '=', account_id)
    .orderBy('at')
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** Records what was narrowed, within the write that narrows, in the place of the same that was narrowed before. */
export async function recordNarrowing(tx: Tx, narrowing: Narrowing): Promise<void> {
  await tx.db
    .deleteFrom('narrowings')
    .where('account_id', '=', narrowing.account_id)
    .where('kind', '=', narrowing.kind)
    .where('fleet_root_ca_id', 'is not distinct from', narrowing.fleet_root_ca_id)
    .where('public_key_sha256', '=', narrowing.public_key_sha256)
    .where('set_number', '<=', narrowing.set_number)
    .execute();
  await tx.db.insertInto('narrowings').values(narrowing).execute();
  const { account_id, id, kind, fleet_root_ca_id: fleet_root_ca, public_key_sha256, set_number } = narrowing;
  tx.audit({
    action: 'trust_set.narrow',
    account_id,
    object: { kind: 'narrowing', id, name: null },
    after: { kind, fleet_root_ca, public_key_sha256, set_number },
  });
  tx.changed({ kind: 'trust', account_id: narrowing.account_id });
}
