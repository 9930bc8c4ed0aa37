// Operators: who may sign in, what they are called, and whether they administer the server.

import { Problem } from '../problem.ts';
import { type Db, prepared, type Tx } from './database.ts';
import type { OperatorRoleRow, OperatorRow } from './operator-tables.ts';
import { revokeTokensOfOperator } from './tokens.ts';

/** Operators whom the owners of an account may make, until an administrator has reset or deleted some. */
const mostMadeFor = 100;

/** The hash of an invitation's secret, and until when it counts. */
export interface NewInvitation {
  readonly secret_sha256: string;
  readonly expires_at: number;
}

/** An operator's role in an account, with the account's name. */
export type NamedRole = OperatorRoleRow & { readonly account_name: string };

const byId = prepared((db, given: { id: string }) => db.selectFrom('operators').selectAll().where('id', '=', given.id));

/** The operator with this ID. */
export async function operatorById(db: Db, id: string): Promise<OperatorRow | undefined> {
  const [row] = await byId(db, { id });
  return row;
}

const byName = prepared((db, given: { name: string }) =>
  db.selectFrom('operators').selectAll().where('name', '=', given.name),
);

/** The operator who signs in by this name (in lower case). */
export async function operatorByName(db: Db, name: string): Promise<OperatorRow | undefined> {
  const [row] = await byName(db, { name });
  return row;
}

/** Operators by name, at most `limit` of them, those after `after` alone. */
export async function listOperators(
  db: Db,
  { limit, after = '' }: { limit: number; after?: string },
): Promise<OperatorRow[]> {
  return db.selectFrom('operators').selectAll().where('name', '>', after).orderBy('name').limit(limit).execute();
}

const roles = prepared((db, given: { operator_id: string }) =>
  db
    .selectFrom('operator_roles')
    .innerJoin('accounts', 'accounts.id', 'operator_roles.account_id')
    .selectAll('operator_roles')
    .select('accounts.name as account_name')
    .where('operator_id', '=', given.operator_id)
    .orderBy('account_name'),
);

/** What an operator is in which accounts, by the accounts' names. */
export async function rolesOf(db: Db, operator_id: string): Promise<NamedRole[]> {
  return roles(db, { operator_id });
}

/** Whether anybody with a login administers the server. */
export async function administratorExists(db: Db): Promise<boolean> {
  const row = await db.selectFrom('operators').select('id').where('administrator', '=', 1).limit(1).executeTakeFirst();
  return row !== undefined;
}

/**
 * Records a new operator, with a password (as a hash), an invitation, or neither; for an account, where an owner of it
 * makes them and no administrator. Throws `name_taken`, and `conflict` for more than may be made for an account.
 */
export async function createOperator(
  tx: Tx,
  given: {
    id: string;
    name: string;
    administrator: boolean;
    password: string | null;
    invitation: NewInvitation | null;
    made_for?: string | null;
  },
): Promise<OperatorRow> {
  const { id, name, administrator, password, invitation, made_for = null } = given;
  if (made_for !== null) await requireRoomFor(tx.db, made_for);
  const row = await tx.db
    .insertInto('operators')
    .values({
      id,
      name,
      administrator: administrator ? 1 : 0,
      password,
      disabled_at: null,
      created_at: tx.now,
      last_sign_in_at: null,
      made_for,
    })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row) throw nameTaken(name);
  if (invitation)
    await tx.db
      .insertInto('invitations')
      .values({ ...invitation, operator_id: id })
      .execute();
  tx.audit({
    action: 'operator.create',
    account_id: null,
    object: objectOf(row),
    after: { name, administrator, invited: invitation !== null },
  });
  return row;
}

/**
 * Renames, promotes, demotes, disables or enables an operator; who is disabled has no session any more. Throws
 * `not_found`, `name_taken`, and `conflict` for the last administrator who could still sign in, and for promoting whom an
 * owner has made.
 */
export async function changeOperator(
  tx: Tx,
  given: {
    id: string;
    name?: string | undefined;
    administrator?: boolean | undefined;
    disabled?: boolean | undefined;
  },
): Promise<OperatorRow> {
  const before = await requireOperator(tx.db, given.id);
  const name = given.name ?? before.name;
  const administrator = given.administrator ?? before.administrator === 1;
  const disabled = given.disabled ?? before.disabled_at !== null;
  if (name !== before.name && (await operatorByName(tx.db, name))) throw nameTaken(name);
  if (!administrator || disabled) await requireAnotherAdministrator(tx.db, before);
  if (administrator) await requireVouched(tx.db, { id: given.id, account_id: null });
  const row = await tx.db
    .updateTable('operators')
    .set({
      name,
      administrator: administrator ? 1 : 0,
      disabled_at: disabled ? (before.disabled_at ?? tx.now) : null,
    })
    .where('id', '=', given.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (disabled) await tx.db.deleteFrom('sessions').where('operator_id', '=', given.id).execute();
  tx.audit({
    action: 'operator.update',
    account_id: null,
    object: objectOf(row),
    before: shownOf(before),
    after: shownOf(row),
  });
  return row;
}

/** Deletes an operator with all that is theirs, and tells what their tokens were called. Throws `not_found`, and `conflict` for the last administrator. */
export async function deleteOperator(tx: Tx, { id }: { id: string }): Promise<{ tokens: string[] }> {
  const row = await requireOperator(tx.db, id);
  await requireAnotherAdministrator(tx.db, row);
  const tokens = await revokeTokensOfOperator(tx, { operator_id: id });
  const ended = await rolesOf(tx.db, id);
  await tx.db.deleteFrom('operators').where('id', '=', id).execute();
  tx.audit({ action: 'operator.delete', account_id: null, object: objectOf(row), before: shownOf(row) });
  for (const { account_id, role } of ended) {
    const change = { before: { role }, after: { role: null } };
    tx.audit({ action: 'operator.withdraw', account_id, object: objectOf(row), ...change });
  }
  return { tokens: tokens.map(({ description }) => description) };
}

/**
 * Takes an operator's password, second factors, known browsers and sessions away; the invitation makes a new password.
 * Whoever an owner has made is the administrator's from then on, who hands that invitation to whom they mean.
 * Throws `not_found`, and `conflict` for who comes by an identity provider: a password would go past it.
 */
export async function resetOperator(
  tx: Tx,
  { id, invitation }: { id: string; invitation: NewInvitation },
): Promise<OperatorRow> {
  await requireOperator(tx.db, id);
  await requireNoIdentity(tx.db, id);
  const row = await tx.db
    .updateTable('operators')
    .set({ password: null, made_for: null })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
  for (const table of [
    'sessions',
    'invitations',
    'totp_secrets',
    'recovery_codes',
    'passkeys',
    'known_browsers',
  ] as const)
    await tx.db.deleteFrom(table).where('operator_id', '=', id).execute();
  await tx.db
    .insertInto('invitations')
    .values({ ...invitation, operator_id: id })
    .execute();
  tx.purge();
  tx.audit({ action: 'operator.reset', account_id: null, object: objectOf(row) });
  return row;
}

/**
 * Gives an operator another password (as a hash), where it is still `before`, and ends all their sessions but one.
 * Throws `not_found`, or `conflict` where the password was changed meanwhile.
 */
export async function changePassword(
  tx: Tx,
  given: { id: string; before: string; password: string; session: string | null },
): Promise<OperatorRow> {
  const { id, before, password, session } = given;
  const row = await tx.db
    .updateTable('operators')
    .set({ password })
    .where('id', '=', id)
    .where('password', '=', before)
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new Problem('conflict', 'The password has been changed meanwhile.');
  await tx.db
    .deleteFrom('sessions')
    .where('operator_id', '=', id)
    .where('id', '!=', session ?? '')
    .execute();
  tx.audit({ action: 'operator.change_password', account_id: null, object: objectOf(row) });
  return row;
}

/** The same password under newer parameters; nothing happens where it has been changed meanwhile. */
export async function rehashPassword(tx: Tx, given: { id: string; before: string; password: string }): Promise<void> {
  const { id, before, password } = given;
  await tx.db.updateTable('operators').set({ password }).where('id', '=', id).where('password', '=', before).execute();
}

/** Throws `not_found`. */
async function requireOperator(db: Db, id: string): Promise<OperatorRow> {
  const row = await operatorById(db, id);
  if (row) return row;
  throw new Problem('not_found', `There is no operator ${id}.`, '`operator list` shows them.');
}

/** Throws `conflict` where nobody would be left who administers the server by a login. */
async function requireAnotherAdministrator(db: Db, { id, administrator, disabled_at }: OperatorRow): Promise<void> {
  if (administrator === 0 || disabled_at !== null) return;
  const another = await db
    .selectFrom('operators')
    .select('id')
    .where('administrator', '=', 1)
    .where('disabled_at', 'is', null)
    .where('id', '!=', id)
    .limit(1)
    .executeTakeFirst();
  if (another) return;
  throw new Problem(
    'conflict',
    'This is the last administrator: nobody else could administer the server over HTTPS.',
    'Make another administrator first.',
  );
}

/**
 * Throws `conflict` for whom the owner of an account has made, unless it is about that account: under that name may be
 * anybody, the owner too, and whoever names them elsewhere means somebody else. Throws `not_found` too.
 */
export async function requireVouched(
  db: Db,
  { id, account_id }: { id: string; account_id: string | null },
): Promise<void> {
  const { name, made_for } = await requireOperator(db, id);
  if (made_for === null || made_for === account_id) return;
  throw new Problem(
    'conflict',
    `The operator ${name} was made by the owner of an account: nobody else has seen to it that it is whom you mean.`,
    'An administrator makes sure by `operator reset NAME`, and hands the new invitation to whom it is for.',
  );
}

async function requireRoomFor(db: Db, account_id: string): Promise<void> {
  const { made } = await db
    .selectFrom('operators')
    .select(({ fn }) => fn.countAll<number>().as('made'))
    .where('made_for', '=', account_id)
    .executeTakeFirstOrThrow();
  if (made < mostMadeFor) return;
  throw new Problem(
    'conflict',
    `The owners of this account have made ${mostMadeFor} operators, and every name is taken from the whole server.`,
    'An administrator makes more: `operator create NAME --invite`.',
  );
}

async function requireNoIdentity(db: Db, id: string): Promise<void> {
  const row = await db
    .selectFrom('operator_identities')
    .select('issuer')
    .where('operator_id', '=', id)
    .executeTakeFirst();
  if (!row) return;
  throw new Problem('conflict', `This operator signs in by ${row.issuer}, which keeps the password and its factors.`);
}

function nameTaken(name: string): Problem {
  return new Problem('name_taken', `There is an operator with the name ${name} already.`);
}

const objectOf = ({ id, name }: OperatorRow) => ({ kind: 'operator', id, name });

const shownOf = ({ name, administrator, disabled_at }: OperatorRow) => ({
  name,
  administrator: administrator === 1,
  disabled: disabled_at !== null,
});
