// Roles: what operators are in an account, given and taken away.

import { Problem } from '../problem.ts';
import type { Db, Tx } from './database.ts';
import type { OperatorRole, OperatorRow } from './operator-tables.ts';
import { requireVouched } from './operators.ts';

/** An operator of an account, as the account's people see them: nothing of what they are elsewhere. */
export interface Member {
  readonly id: string;
  readonly name: string;
  readonly role: OperatorRole;
  readonly disabled_at: number | null;
  /** Whether the role comes from an identity provider. */
  readonly single_sign_on: boolean;
}

/** A page of the operators of an account, by their names. */
export async function membersOf(
  db: Db,
  account_id: string,
  { limit = 1_000, after = '' }: { limit?: number; after?: string } = {},
): Promise<Member[]> {
  const rows = await members(db, account_id).where('name', '>', after).orderBy('name').limit(limit).execute();
  return rows.map(memberOf);
}

/** The operator of an account who has this ID or name. Throws `not_found`, the same whether they are elsewhere or nowhere. */
export async function requireMember(db: Db, account_id: string, ref: string): Promise<Member> {
  const row = await members(db, account_id)
    .where((where) => where.or([where('operators.id', '=', ref), where('name', '=', ref.toLowerCase())]))
    .executeTakeFirst();
  if (row) return memberOf(row);
  throw new Problem(
    'not_found',
    `This account has no operator ${JSON.stringify(ref)}.`,
    '`account operators ACCOUNT` shows them.',
  );
}

function members(db: Db, account_id: string) {
  return db
    .selectFrom('operator_roles')
    .innerJoin('operators', 'operators.id', 'operator_roles.operator_id')
    .leftJoin('operator_identities', 'operator_identities.operator_id', 'operators.id')
    .select(['operators.id', 'operators.name', 'operators.disabled_at', 'operator_roles.role'])
    .select('operator_identities.subject')
    .where('account_id', '=', account_id);
}

function memberOf({ subject, ...row }: Omit<Member, 'single_sign_on'> & { subject: string | null }): Member {
  return { ...row, single_sign_on: subject !== null };
}

/**
 * Gives an operator a role in an account, in place of the one that they have there. Throws `not_found`, or `conflict` for
 * one whose roles come from an identity provider, and one whom the owner of another account has made.
 */
export async function grantRole(
  tx: Tx,
  { account_id, operator_id, role }: { account_id: string; operator_id: string; role: OperatorRole },
): Promise<Member> {
  const operator = await tx.db.selectFrom('operators').selectAll().where('id', '=', operator_id).executeTakeFirst();
  if (!operator) throw new Problem('not_found', `There is no operator ${operator_id}.`);
  await requireOurs(tx.db, operator);
  await requireVouched(tx.db, { id: operator_id, account_id });
  const before = await memberById(tx.db, account_id, operator_id);
  await tx.db
    .insertInto('operator_roles')
    .values({ account_id, operator_id, role })
    .onConflict((conflict) => conflict.columns(['operator_id', 'account_id']).doUpdateSet({ role }))
    .execute();
  tx.audit({
    action: 'operator.grant',
    account_id,
    object: objectOf(operator),
    before: before ? { role: before.role } : null,
    after: { role },
  });
  return (await memberById(tx.db, account_id, operator_id))!;
}

/** Takes an operator's role in an account away. Throws `not_found`, or `conflict` as `grantRole` does. */
export async function withdrawRole(
  tx: Tx,
  { account_id, operator_id }: { account_id: string; operator_id: string },
): Promise<Member> {
  const before = await memberById(tx.db, account_id, operator_id);
  if (!before) throw new Problem('not_found', `This account has no operator ${operator_id}.`);
  await requireOurs(tx.db, before);
  await tx.db
    .deleteFrom('operator_roles')
    .where('account_id', '=', account_id)
    .where('operator_id', '=', operator_id)
    .execute();
  tx.audit({
    action: 'operator.withdraw',
    account_id,
    object: objectOf(before),
    before: { role: before.role },
    after: { role: null },
  });
  return before;
}

async function memberById(db: Db, account_id: string, operator_id: string): Promise<Member | null> {
  const row = await members(db, account_id).where('operators.id', '=', operator_id).executeTakeFirst();
  return row ? memberOf(row) : null;
}

async function requireOurs(db: Db, { id, name }: Pick<OperatorRow, 'id' | 'name'>): Promise<void> {
  const identity = await db
    .selectFrom('operator_identities')
    .select('issuer')
    .where('operator_id', '=', id)
    .executeTakeFirst();
  if (!identity) return;
  throw new Problem(
    'conflict',
    `The roles of ${name} come from the identity provider ${identity.issuer}.`,
    'Change the groups there; they count from the next login on.',
  );
}

const objectOf = ({ id, name }: Pick<OperatorRow, 'id' | 'name'>) => ({ kind: 'operator', id, name });
