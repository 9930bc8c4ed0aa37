// Accounts and their hosts: who is served here, by which policy, and under which names.

import type { UpdateObject } from 'kysely';
import { Problem } from '../problem.ts';
import { confirmationRequired } from './confirmation.ts';
import { accountMembers, difference, policyMembers } from './audit-notes.ts';
import { type Db, prepared, type Tx } from './database.ts';
import type { Account, AccountHost, Tables } from './tables.ts';

/** The policy of an account: what `account set` may change. */
export type Policy = Pick<
  Account,
  'admission' | 'rekey' | 'key_type' | 'validity_seconds' | 'device_id_pattern' | 'namespace'
>;

/** Records an account that is being made, with its generated host. Throws `name_taken` or `host_taken`. */
export async function insertAccount(
  tx: Tx,
  { account, host }: { account: Omit<Account, 'created_at' | 'ready_at'>; host: string },
): Promise<Account> {
  const inserted = await tx.db
    .insertInto('accounts')
    .values({ ...account, created_at: tx.now, ready_at: null })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!inserted) throw new Problem('name_taken', `There is an account with the name ${account.name} already.`);
  await insertHost(tx, { host, account_id: inserted.id, kind: 'generated', added_at: tx.now });
  return inserted;
}

/** Opens an account to the world, its CAs being made. Throws `not_found`. */
export async function readyAccount(tx: Tx, { account_id }: { account_id: string }): Promise<Account> {
  const before = await requireAccount(tx.db, account_id);
  const account = await changeAccount(tx, account_id, { ready_at: tx.now });
  if (before.ready_at === null) {
    const hosts = (await hostsOf(tx.db, account_id)).map(({ host }) => host);
    tx.audit({ action: 'account.create', ...itself(account), after: { ...accountMembers(account), hosts } });
  }
  return account;
}

/** Changes the members of the policy that are given; what else an account has stays as made. Throws `not_found`. */
export async function setPolicy(
  tx: Tx,
  given: { account_id: string } & { [Member in keyof Policy]?: Policy[Member] | undefined },
): Promise<Account> {
  const { account_id, admission, rekey, key_type, validity_seconds, device_id_pattern, namespace } = given;
  const policy = { admission, rekey, key_type, validity_seconds, device_id_pattern, namespace };
  const before = await requireAccount(tx.db, account_id);
  if (Object.values(policy).every((member) => member === undefined)) return before;
  const account = await changeAccount(tx, account_id, policy);
  const changes = difference(policyMembers(before), policyMembers(account));
  if (changes) tx.audit({ action: 'account.set', ...itself(account), ...changes });
  return account;
}

/** An account as the object of an entry. */
function itself({ id, name }: Account) {
  return { account_id: id, object: { kind: 'account', id, name } };
}

async function changeAccount(tx: Tx, account_id: string, set: UpdateObject<Tables, 'accounts'>): Promise<Account> {
  const account = await tx.db
    .updateTable('accounts')
    .set(set)
    .where('id', '=', account_id)
    .returningAll()
    .executeTakeFirst();
  if (!account) throw noAccount(account_id);
  tx.changed({ kind: 'account', account_id });
  return account;
}

/**
 * What an account owns, in the order in which it can go: nothing is deleted before what refers to it.
 * `keys` is not among them: that a key was held here is remembered for ever (`key_held_by_server`).
 */
const owned = [
  'idempotency_keys',
  'events',
  'event_prunings',
  'webhook_deliveries',
  'webhook_secrets',
  'webhooks',
  'refusal_tallies',
  'expiry_marks',
  'operator_roles',
  'tokens',
  'refusals',
  'manifest_strangers',
  'manifest_certificates',
  'manifest_orders',
  'manifest_mandates',
  'manifest_ranges',
  'manifest_lines',
  'upstreams',
  'account_files',
  'staged_allow_list',
  'allow_list_imports',
  'allow_list',
  'reports',
  'device_labels',
  'chain_certificates',
  'certificates',
  'devices',
  'provisioning_keys',
  'narrowings',
  'trust_sets',
  'distrusted_keys',
  'fleet_root_certificates',
  'fleet_root_cas',
  'provisioning_cas',
  'gateway_certificates',
  'gateway_cas',
  'account_hosts',
] as const satisfies (keyof Tables)[];

/**
 * Removes an account with every row of it. Of its keys stays that they were held here, and what their custodians need to
 * destroy them. Throws `not_found`, or `confirmation_required` where it has more devices than was known to be lost.
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
  // A self-reference that would otherwise forbid some order of rows within one statement.
  await tx.db.updateTable('fleet_root_cas').set({ successor_id: null }).where('account_id', '=', account_id).execute();
  for (const table of owned) await tx.db.deleteFrom(table).where('account_id', '=', account_id).execute();
  await tx.db.deleteFrom('accounts').where('id', '=', account_id).execute();
  // One that was never ready was never there: what is told of it is its keys, made and destroyed.
  if (account.ready_at !== null) {
    tx.audit({ action: 'account.delete', ...itself(account), before: accountMembers(account) });
  }
  tx.purge();
  tx.changed({ kind: 'account', account_id });
  return account;
}

/** Counted where it is decided: a device that joined meanwhile is not deleted unasked. */
async function requireNoMore(db: Db, account_id: string, most: number): Promise<void> {
  const { devices } = await db
    .selectFrom('devices')
    .select((select) => select.fn.countAll<number | string>().as('devices'))
    .where('account_id', '=', account_id)
    .executeTakeFirstOrThrow();
  if (Number(devices) > most) throw confirmationRequired({ needed: Number(devices), devices: Number(devices) });
}

/** At the start: removes what a killed server was making. Gives the accounts removed. */
export async function removeUnreadyAccounts(tx: Tx, _args: Record<string, never>): Promise<Account[]> {
  const unready = await tx.db.selectFrom('accounts').selectAll().where('ready_at', 'is', null).execute();
  for (const { id } of unready) await removeAccount(tx, { account_id: id });
  return unready;
}

/** Gives an account one more host (lower-case name or canonical address). Throws `host_taken` or `not_found`. */
export async function addHost(
  tx: Tx,
  { account_id, host }: { account_id: string; host: string },
): Promise<AccountHost> {
  await requireAccount(tx.db, account_id);
  const added = await insertHost(tx, { host, account_id, kind: 'added', added_at: tx.now });
  tx.audit({ action: 'host.add', account_id, object: { kind: 'host', id: host, name: host } });
  tx.changed({ kind: 'account', account_id });
  return added;
}

async function insertHost(tx: Tx, row: AccountHost): Promise<AccountHost> {
  const inserted = await tx.db
    .insertInto('account_hosts')
    .values(row)
    .onConflict((conflict) => conflict.column('host').doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!inserted) throw new Problem('host_taken', `The host ${row.host} belongs to an account of this server already.`);
  return inserted;
}

/** Takes a host from an account. Throws `not_found`, or `conflict` for the generated one. */
export async function removeHost(
  tx: Tx,
  { account_id, host }: { account_id: string; host: string },
): Promise<AccountHost> {
  const found = await tx.db
    .selectFrom('account_hosts')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('host', '=', host)
    .executeTakeFirst();
  if (!found) throw new Problem('not_found', `This account has no host ${host}.`);
  if (found.kind === 'generated') {
    throw new Problem('conflict', `The host ${host} was given to the account when it was made, and stays.`);
  }
  await tx.db.deleteFrom('account_hosts').where('account_id', '=', account_id).where('host', '=', host).execute();
  tx.audit({ action: 'host.remove', account_id, object: { kind: 'host', id: host, name: host } });
  tx.changed({ kind: 'account', account_id });
  return found;
}

const byId = prepared((db, given: { account_id: string }) =>
  db.selectFrom('accounts').selectAll().where('id', '=', given.account_id),
);

/** The account of this UUID, also while it is being made. */
export async function accountById(db: Db, account_id: string): Promise<Account | undefined> {
  const [account] = await byId(db, { account_id });
  return account;
}

/** The account of this UUID, also while it is being made. Throws `not_found`. */
export async function requireAccount(db: Db, account_id: string): Promise<Account> {
  const account = await accountById(db, account_id);
  if (!account) throw noAccount(account_id);
  return account;
}

/**
 * For what could make a device: refuses to record it of an account that is no test account, whatever the caller has
 * taken it for. Throws `provisioning_not_offered`, `not_found`.
 */
export async function requireTestAccount(db: Db, account_id: string): Promise<void> {
  const { kind } = await requireAccount(db, account_id);
  if (kind !== 'test') throw new Problem('provisioning_not_offered');
}

/** The account that an operator named by its name or UUID; a name is never shaped like a UUID. */
export async function accountByRef(db: Db, ref: string): Promise<Account | undefined> {
  return db
    .selectFrom('accounts')
    .selectAll()
    .where((where) => where.or([where('id', '=', ref.toLowerCase()), where('name', '=', ref)]))
    .where('ready_at', 'is not', null)
    .executeTakeFirst();
}

/** The accounts that are ready, by their names; those after a name where they come page by page. */
export async function listAccounts(db: Db, { after = '' }: { after?: string } = {}): Promise<Account[]> {
  return db
    .selectFrom('accounts')
    .selectAll()
    .where('ready_at', 'is not', null)
    .where('name', '>', after)
    .orderBy('name')
    .execute();
}

/** All accounts that have an owner key. */
export async function accountsWithOwner(db: Db): Promise<Account[]> {
  return db.selectFrom('accounts').selectAll().where('owner_key', 'is not', null).orderBy('id').execute();
}

/** The hosts of an account in the order in which they were added, the generated one first. */
export async function hostsOf(db: Db, account_id: string): Promise<AccountHost[]> {
  return db
    .selectFrom('account_hosts')
    .selectAll()
    .where('account_id', '=', account_id)
    .orderBy('added_at')
    .orderBy('kind', 'desc')
    .orderBy('host')
    .execute();
}

const byHost = prepared((db, given: { host: string }) =>
  db
    .selectFrom('account_hosts')
    .innerJoin('accounts', 'accounts.id', 'account_hosts.account_id')
    .selectAll('accounts')
    .where('account_hosts.host', '=', given.host)
    .where('accounts.ready_at', 'is not', null),
);

/** The ready account that has this host (lower-case name or canonical address). */
export async function accountOfHost(db: Db, host: string): Promise<Account | undefined> {
  const [account] = await byHost(db, { host });
  return account;
}

function noAccount(account_id: string): Problem {
  return new Problem('not_found', `There is no account ${account_id}.`, '`account list` shows the accounts.');
}
