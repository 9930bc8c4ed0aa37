// Provisioning keys: shared credentials, their limits, and how often each was used.

import { requireTestAccount } from './accounts.ts';
import { type Db, prepared, type Tx } from './database.ts';
import { Problem } from '../problem.ts';
import type { Device, ProvisioningKey } from './tables.ts';

/**
 * Records a new provisioning key of a test account (its certificate; the private key is remembered nowhere). Throws
 * `provisioning_not_offered` for another account.
 */
export async function recordProvisioningKey(
  tx: Tx,
  { key }: { key: Omit<ProvisioningKey, 'uses' | 'disabled_at' | 'created_at'> },
): Promise<ProvisioningKey> {
  await requireTestAccount(tx.db, key.account_id);
  return tx.db
    .insertInto('provisioning_keys')
    .values({ ...key, uses: 0, disabled_at: null, created_at: tx.now })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Disables a provisioning key for good; disabling it again changes nothing. Throws `not_found`. */
export async function disableProvisioningKey(
  tx: Tx,
  { account_id, id }: { account_id: string; id: string },
): Promise<ProvisioningKey> {
  const key = await requireProvisioningKey(tx.db, account_id, id);
  if (key.disabled_at !== null) return key;
  tx.changed({ kind: 'provisioning_key', account_id, provisioning_key_id: id });
  return tx.db
    .updateTable('provisioning_keys')
    .set({ disabled_at: tx.now })
    .where('account_id', '=', account_id)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** All provisioning keys of an account, newest first. */
export async function listProvisioningKeys(db: Db, account_id: string): Promise<ProvisioningKey[]> {
  return db
    .selectFrom('provisioning_keys')
    .selectAll()
    .where('account_id', '=', account_id)
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .execute();
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

/** The devices that a provisioning key has made, first made first. */
export async function devicesOfProvisioningKey(db: Db, account_id: string, id: string): Promise<Device[]> {
  return db
    .selectFrom('devices')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('provisioning_key_id', '=', id)
    .orderBy('first_seen')
    .orderBy('uuid')
    .execute();
}
