// The record of the keys that a factory's custodians hold.

import type { OwnKey } from '../../issuing/own-keys.ts';
import type { SigningPurpose } from '../../issuing/signing-ca.ts';
import type { FactoryDb, FactoryKey, FactoryTx } from './tables.ts';

/** Records a key that was made. */
export async function recordKey(tx: FactoryTx, { key }: { key: OwnKey }): Promise<FactoryKey> {
  const { id, purpose, custodian, key_type, public_key_sha256 } = key;
  const row = { ...key, public_key: new Uint8Array(key.public_key), remembered: key.remembered!, created_at: tx.now };
  await tx.db.insertInto('keys').values(row).execute();
  const after = { purpose, custodian, key_type, public_key_sha256 };
  tx.audit({ action: 'key.create', account_id: null, object: { kind: 'key', id, name: purpose }, after });
  return row;
}

/** The key that is in use for a purpose; undefined where there is none. */
export async function keyFor(db: FactoryDb, purpose: SigningPurpose): Promise<FactoryKey | undefined> {
  return db
    .selectFrom('keys')
    .selectAll()
    .where('purpose', '=', purpose)
    .where('destroyed_at', 'is', null)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** What a key of this hash is here, as a sentence's end: `the line's own CA`, `a TPM maker`; null for one that is none of ours. */
export async function holderOf(db: FactoryDb, public_key_sha256: string): Promise<string | null> {
  const key = await db
    .selectFrom('keys')
    .select('purpose')
    .where('public_key_sha256', '=', public_key_sha256)
    .executeTakeFirst();
  if (key) return key.purpose === 'line' ? "the line's own CA" : `a CA of this factory (${key.purpose})`;
  const station = await db
    .selectFrom('stations')
    .select('name')
    .where('public_key_sha256', '=', public_key_sha256)
    .executeTakeFirst();
  if (station) return `the station "${station.name}"`;
  const maker = await db
    .selectFrom('tpm_roots')
    .select('sha256')
    .where('public_key_sha256', '=', public_key_sha256)
    .executeTakeFirst();
  return maker ? 'a TPM maker' : null;
}
