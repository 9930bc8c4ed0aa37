// Accounts and their hosts: who is served here, by which policy, and under which names.

import type { UpdateObject } from 'kysely';
import { Problem } from '../problem.ts';
import { accountMembers, difference, policyMembers } from './audit-notes.ts';
import { type Db, prepared, type Tx } from './database.ts';
import { noteGateway } from './gateway-standing.ts';
import type { Account, AccountHost, Tables } from './tables.ts';

/** The policy of an account: what `account set` may change. */
export type Policy = Pick<
  Account,
  'admission' | 'rekey' | 'key_type' | 'validity_seconds' | 'device_id_pattern' | 'namespace'
>;

/** What is recorded of an account that is being made. */
export type NewAccountRow = Pick<Account, 'id' | 'name' | 'kind' | 'owner_key' | keyof Policy>;

/** Records an account that is being made, with its generated host. Throws `name_taken` or `host_taken`. */
export async function insertAccount(
  tx: Tx,
  { account, host }: { account: NewAccountRow; host: string },
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

/** Gives an account one more host (lower-case name or canonical address). Throws `host_taken` or `not_found`. */
export async function addHost(
  tx: Tx,
  { account_id, host }: { account_id: string; host: string },
): Promise<AccountHost> {
  await requireAccount(tx.db, account_id);
  const added = await insertHost(tx, { host, account_id, kind: 'added', added_at: tx.now });
  await noteGateway(tx.db, account_id);
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
  await noteGateway(tx.db, account_id);
  tx.audit({ action: 'host.remove', account_id, object: { kind: 'host', id: host, name: host } });
  tx.changed({ kind: 'account', account_id });
  return found;
}

const byId = prepared((db, given: { account_id: string }) =>
  db.selectFrom('accounts').selectAll().where('id', '=', given.account_id).where('deleted_at', 'is', null),
);

/** The account of this UUID, also while it is being made; none whose end has begun. */
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

/** Accounts that are read at once where nothing else is said: the devices get their turn in between. */
export const accountsAtOnce = 500;

/** The accounts that are ready, by their names: `limit` of those after a name. */
export async function listAccounts(
  db: Db,
  { after = '', limit = accountsAtOnce }: { after?: string; limit?: number } = {},
): Promise<Account[]> {
  return db
    .selectFrom('accounts')
    .selectAll()
    .where('ready_at', 'is not', null)
    .where('name', '>', after)
    .orderBy('name')
    .limit(limit)
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
