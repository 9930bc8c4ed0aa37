// Provisioning keys: shared credentials, their limits, and how often each was used.

import { sql } from 'kysely';
import { requireTestAccount } from './accounts.ts';
import { provisioningKeyMembers } from './audit-notes.ts';
import { type Db, prepared, type Tx } from './database.ts';
import { Problem } from '../problem.ts';
import { formatInstant } from '../time.ts';
import type { ProvisioningKey } from './tables.ts';

/**
 * Records a new provisioning key of a test account (its certificate; the private key is remembered nowhere). Throws
 * `provisioning_not_offered` for another account.
 */
export async function recordProvisioningKey(
  tx: Tx,
  { key }: { key: Omit<ProvisioningKey, 'uses' | 'disabled_at' | 'created_at'> },
): Promise<ProvisioningKey> {
  await requireTestAccount(tx.db, key.account_id);
  const recorded = await tx.db
    .insertInto('provisioning_keys')
    .values({ ...key, uses: 0, disabled_at: null, created_at: tx.now })
    .returningAll()
    .executeTakeFirstOrThrow();
  tx.audit({ action: 'provisioning_key.create', ...itself(recorded), after: provisioningKeyMembers(recorded) });
  return recorded;
}

/** A provisioning key as the object of an entry. */
function itself({ account_id, id, description }: ProvisioningKey) {
  return { account_id, object: { kind: 'provisioning_key', id, name: description } };
}

/** Disables a provisioning key for good; disabling it again changes nothing. Throws `not_found`. */
export async function disableProvisioningKey(
  tx: Tx,
  { account_id, id }: { account_id: string; id: string },
): Promise<ProvisioningKey> {
  const key = await requireProvisioningKey(tx.db, account_id, id);
  if (key.disabled_at !== null) return key;
  const disabled_at = formatInstant(tx.now);
  tx.audit({
    action: 'provisioning_key.disable',
    ...itself(key),
    before: { disabled_at: null },
    after: { disabled_at },
  });
  tx.changed({ kind: 'provisioning_key', account_id, provisioning_key_id: id });
  return tx.db
    .updateTable('provisioning_keys')
    .set({ disabled_at: tx.now })
    .where('account_id', '=', account_id)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** The provisioning keys of an account, newest first; `limit` of them after a place where they come page by page. */
export async function listProvisioningKeys(
  db: Db,
  account_id: string,
  { limit, after }: { limit?: number; after?: { created_at: number; id: string } | undefined } = {},
): Promise<ProvisioningKey[]> {
  let query = db.selectFrom('provisioning_keys').selectAll().where('account_id', '=', account_id);
  if (after) query = query.where(sql<boolean>`(created_at, id) < (${after.created_at}, ${after.id})`);
  if (limit !== undefined) query = query.limit(limit);
  return query.orderBy('created_at', 'desc').orderBy('id', 'desc').execute();
}

const byId = prepared((db, given: { account_id: string; id: string }) =>
  db.selectFrom('provisioning_keys').selectAll().where('account_id', '=', given.account_id).where('id', '=', given.id),
);

/** One provisioning key. Throws `not_found`. */
export async function requireProvisioningKey(db: Db, account_id: string, id: string): Promise<ProvisioningKey> {
  const [key] = await byId(db, { account_id, id });
  if (key) return key;
  throw new Problem(
    'not_found',
    `This account has no provisioning key ${id}.`,
    '`provisioning-key list ACCOUNT` shows them.',
  );
}

const byTbs = prepared((db, given: { account_id: string; tbs_sha256: string }) =>
  db
    .selectFrom('provisioning_keys')
    .selectAll()
    .where('account_id', '=', given.account_id)
    .where('tbs_sha256', '=', given.tbs_sha256),
);

/** The provisioning key whose certificate this is, by the SHA-256 of its TBSCertificate. */
export async function provisioningKeyByTbs(
  db: Db,
  account_id: string,
  tbs_sha256: string,
): Promise<ProvisioningKey | undefined> {
  const [key] = await byTbs(db, { account_id, tbs_sha256 });
  return key;
}

/** Devices that are named of a provisioning key at most: it may have made a whole fleet. */
export const mostDevicesNamed = 1_000;

/** How many devices a provisioning key has made that are still there, and the first `named` of them by their IDs. */
export async function devicesOfProvisioningKey(
  db: Db,
  account_id: string,
  id: string,
  named: number,
): Promise<{ count: number; devices: string[] }> {
  const made = db.selectFrom('devices').where('account_id', '=', account_id).where('provisioning_key_id', '=', id);
  const { count } = await made
    .select((select) => select.fn.countAll<number | string>().as('count'))
    .executeTakeFirstOrThrow();
  if (named === 0) return { count: Number(count), devices: [] };
  const first = await made.select('device_id').orderBy('first_seen').orderBy('uuid').limit(named).execute();
  return { count: Number(count), devices: first.map(({ device_id }) => device_id) };
}
