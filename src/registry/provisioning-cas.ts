// The provisioning CA of an account, which signs the certificates of its provisioning keys and nothing else.

import { formatInstant } from '../time.ts';
import { requireTestAccount } from './accounts.ts';
import type { Db, Tx } from './database.ts';
import type { ProvisioningCa } from './tables.ts';

/** Records the provisioning CA of a test account. Throws `provisioning_not_offered` for another. */
export async function recordProvisioningCa(tx: Tx, ca: Omit<ProvisioningCa, 'created_at'>): Promise<ProvisioningCa> {
  await requireTestAccount(tx.db, ca.account_id);
  const recorded = await tx.db
    .insertInto('provisioning_cas')
    .values({ ...ca, created_at: tx.now })
    .returningAll()
    .executeTakeFirstOrThrow();
  const { account_id, id, key_id: key, not_after } = recorded;
  tx.audit({
    action: 'provisioning_ca.add',
    account_id,
    object: { kind: 'provisioning_ca', id, name: null },
    after: { key, not_after: formatInstant(not_after) },
  });
  tx.changed({ kind: 'trust', account_id });
  return recorded;
}

/** The provisioning CA of an account; a production account has none. */
export async function provisioningCaOf(db: Db, account_id: string): Promise<ProvisioningCa | undefined> {
  return db.selectFrom('provisioning_cas').selectAll().where('account_id', '=', account_id).executeTakeFirst();
}
