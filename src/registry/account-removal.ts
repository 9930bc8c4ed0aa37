// The end of an account: it is gone for everybody at once, and its rows a few hundred at a time.

import { requireAccount } from './accounts.ts';
import { accountMembers } from './audit-notes.ts';
import { confirmationRequired } from './confirmation.ts';
import type { Db, Tx } from './database.ts';
import { countDevicesOf } from './device-tallies.ts';
import type { Account, Tables } from './tables.ts';

/** Rows that one write takes away at most: the others that wait for the writer get their turn in between. */
const rowsAtOnce = 500;

/**
 * What goes with the account itself, since it opens something or is a secret: an account has few of each. Nothing is
 * deleted before what refers to it.
 */
const atOnce = [
  'webhook_secrets',
  'webhooks',
  'operator_roles',
  'tokens',
  'upstreams',
  'account_files',
  'gateway_certificates',
  'account_hosts',
] as const satisfies (keyof Tables)[];

/**
 * What else it owns, in the order in which it can go, and by which columns a row of the account is told.
 * `keys` is not among them: that a key was held here is remembered for ever (`key_held_by_server`).
 */
const owned = [
  ['idempotency_keys', 'id'],
  ['events', 'id'],
  ['event_prunings', 'account_id'],
  ['webhook_deliveries', 'id'],
  ['refusal_tallies', 'code'],
  ['expiry_marks', 'days'],
  ['refusals', 'id'],
  ['manifest_strangers', 'tbs_sha256'],
  ['manifest_certificates', 'line_id', 'tbs_sha256'],
  ['manifest_orders', 'line_id', 'order_name'],
  ['manifest_mandates', 'line_id', 'id'],
  ['manifest_ranges', 'line_id', 'last'],
  ['manifest_lines', 'id'],
  ['staged_allow_list', 'import_id', 'device_id'],
  ['allow_list_imports', 'id'],
  ['allow_list', 'device_id'],
  ['reports', 'device_uuid', 'kind'],
  ['device_labels', 'device_uuid', 'name'],
  ['chain_certificates', 'chain_id', 'sha256'],
  ['certificates', 'tbs_sha256'],
  ['devices', 'uuid'],
  ['device_tallies', 'state', 'method', 'fleet_root_ca_id', 'provisioning_key_id'],
  ['provisioning_keys', 'id'],
  ['narrowings', 'id'],
  ['trust_sets', 'number'],
  ['distrusted_keys', 'public_key_sha256'],
  ['fleet_root_certificates', 'fleet_root_ca_id', 'sha256'],
  ['fleet_root_cas', 'id'],
  ['provisioning_cas', 'id'],
  ['gateway_cas', 'id'],
] as const satisfies readonly (readonly [keyof Tables, ...string[]])[];

/**
 * Removes an account: nobody finds it any more, and what it owns is taken away, where that is much by calls of
 * `removeRowsOfAccount`. Of its keys stays that they were held here, and what their custodians need to destroy them.
 * Throws `not_found`, or `confirmation_required` where it has more devices than was known to be lost.
 */
export async function removeAccount(
  tx: Tx,
  { account_id, most_devices }: { account_id: string; most_devices?: number | undefined },
): Promise<Account> {
  const account = await requireAccount(tx.db, account_id);
  if (most_devices !== undefined) await requireNoMore(tx.db, account_id, most_devices);
  await tx.db
    .updateTable('keys')
    .set({ destroyed_at: tx.now })
    .where('account_id', '=', account_id)
    .where('destroyed_at', 'is', null)
    .execute();
  // A name is never shaped like a UUID: the account's own is free for another from now on.
  await tx.db
    .updateTable('accounts')
    .set({ deleted_at: tx.now, ready_at: null, name: account_id })
    .where('id', '=', account_id)
    .execute();
  await removeRows(tx, account_id);
  // One that was never ready was never there: what is told of it is its keys, made and destroyed.
  if (account.ready_at !== null) {
    const { id, name } = account;
    const object = { kind: 'account', id, name };
    tx.audit({ action: 'account.delete', account_id, object, before: accountMembers(account) });
  }
  tx.purge();
  tx.changed({ kind: 'account', account_id });
  return account;
}

/** Counted where it is decided: a device that joined meanwhile is not deleted unasked. */
async function requireNoMore(db: Db, account_id: string, most: number): Promise<void> {
  const devices = await countDevicesOf(db, account_id);
  if (devices > most) throw confirmationRequired({ needed: devices, devices });
}

/** Takes some rows of a removed account away, and with the last of them the account's own. Gives whether there are more. */
export async function removeRowsOfAccount(tx: Tx, { account_id }: { account_id: string }): Promise<{ left: boolean }> {
  const removed = await tx.db
    .selectFrom('accounts')
    .select('id')
    .where('id', '=', account_id)
    .where('deleted_at', 'is not', null)
    .executeTakeFirst();
  return { left: removed !== undefined && (await removeRows(tx, account_id)) };
}

/** Gives whether there are more. */
async function removeRows(tx: Tx, account_id: string): Promise<boolean> {
  // Whoever had found the account before may have written some of it since.
  for (const table of atOnce) await tx.db.deleteFrom(table).where('account_id', '=', account_id).execute();
  // A self-reference that would otherwise forbid some order of rows within one statement.
  await tx.db.updateTable('fleet_root_cas').set({ successor_id: null }).where('account_id', '=', account_id).execute();
  let most = rowsAtOnce;
  for (const [table, ...columns] of owned) {
    most -= await removeSome(tx.db, table, columns, account_id, most);
    if (most <= 0) return true;
  }
  await tx.db.deleteFrom('accounts').where('id', '=', account_id).execute();
  return false;
}

async function removeSome(
  db: Db,
  table: (typeof owned)[number][0],
  columns: readonly string[],
  account_id: string,
  most: number,
): Promise<number> {
  const key = columns as readonly 'id'[];
  // All tables have the account in common, and each its own columns beside it: one of them stands for all here.
  const deleted = await db
    .deleteFrom(table as 'refusals')
    .where('account_id', '=', account_id)
    .where(({ eb, refTuple, selectFrom }) =>
      eb(
        refTuple(...(key as ['id', 'id'])),
        'in',
        selectFrom(table as 'refusals')
          .select(key)
          .where('account_id', '=', account_id)
          .limit(most)
          .$asTuple('id', 'id' as never),
      ),
    )
    .executeTakeFirst();
  return Number(deleted.numDeletedRows);
}

/** At the start: removes what a killed server was making, having begun it before `before`. Gives the accounts removed. */
export async function removeUnreadyAccounts(tx: Tx, { before }: { before: number }): Promise<Account[]> {
  const unready = await tx.db
    .selectFrom('accounts')
    .selectAll()
    .where('ready_at', 'is', null)
    .where('deleted_at', 'is', null)
    .where('created_at', '<', before)
    .execute();
  for (const { id } of unready) await removeAccount(tx, { account_id: id });
  return unready;
}

/** The accounts that have been removed and whose rows are not all gone. */
export async function removedAccounts(db: Db): Promise<string[]> {
  const removed = await db
    .selectFrom('accounts')
    .select('id')
    .where('ready_at', 'is', null)
    .where('deleted_at', 'is not', null)
    .execute();
  return removed.map(({ id }) => id);
}
