// Operators who come by an identity provider: known by its name for them, with the roles that it tells.

import { randomUUID } from 'node:crypto';
import { Problem } from '../problem.ts';
import type { Tx } from './database.ts';
import type { OperatorRole, OperatorRow } from './operator-tables.ts';

/** Who an identity provider says it is, and what they may do here until their next login. */
export interface Arrival {
  readonly issuer: string;
  readonly subject: string;
  /** What they may be called here, the first that is free: a name stays as it was given at the first login. */
  readonly names: readonly string[];
  readonly administrator: boolean;
  readonly roles: readonly { readonly account: string; readonly role: OperatorRole }[];
}

/**
 * Records that an identity provider has let somebody in: makes them an operator at the first login, and replaces their
 * roles by those that are told, where such accounts (by name or UUID) are there. Gives null where that leaves none: who
 * was here before then has neither roles nor sessions any more. Throws `name_taken` where every name is another's.
 */
export async function recordArrival(tx: Tx, arrival: Arrival): Promise<OperatorRow | null> {
  const { issuer, subject, administrator } = arrival;
  const roles = await rolesHere(tx, arrival);
  const welcome = administrator || roles.size > 0;
  const known = await tx.db
    .selectFrom('operators')
    .innerJoin('operator_identities', 'operator_identities.operator_id', 'operators.id')
    .selectAll('operators')
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst();
  if (!known && !welcome) return null;
  const operator = known ?? (await newOperator(tx, arrival));
  const row = await tx.db
    .updateTable('operators')
    .set({ administrator: administrator ? 1 : 0 })
    .where('id', '=', operator.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  const before = await replaceRoles(tx, operator.id, roles);
  const after = shown(administrator, roles);
  const was = shown(operator.administrator === 1, before);
  if (!known || JSON.stringify(was) !== JSON.stringify(after)) {
    const object = { kind: 'operator', id: row.id, name: row.name };
    tx.audit({ action: 'operator.roles_told', account_id: null, object, before: known ? was : null, after });
    // Each account is told of its own: what is above is the server's.
    for (const account_id of new Set([...before.keys(), ...roles.keys()])) {
      const [one, other] = [before.get(account_id) ?? null, roles.get(account_id) ?? null];
      if (one === other) continue;
      const change = { before: one && { role: one }, after: { role: other } };
      tx.audit({ action: 'operator.roles_told', account_id, object, ...change });
    }
  }
  if (!welcome) await tx.db.deleteFrom('sessions').where('operator_id', '=', operator.id).execute();
  return welcome ? row : null;
}

/** The roles in accounts that are there, by their UUIDs, in their order; of two in one account the first. */
async function rolesHere({ db }: Tx, { roles }: Arrival): Promise<Map<string, OperatorRole>> {
  const here = new Map<string, OperatorRole>();
  for (const { account, role } of roles) {
    const row = await db
      .selectFrom('accounts')
      .select('id')
      .where((where) => where.or([where('id', '=', account), where('name', '=', account)]))
      .where('ready_at', 'is not', null)
      .executeTakeFirst();
    if (row && !here.has(row.id)) here.set(row.id, role);
  }
  return inOrder(here);
}

async function newOperator(tx: Tx, { issuer, subject, names }: Arrival): Promise<OperatorRow> {
  for (const name of names) {
    const row = await tx.db
      .insertInto('operators')
      .values({
        id: randomUUID(),
        name,
        administrator: 0,
        password: null,
        disabled_at: null,
        created_at: tx.now,
        last_sign_in_at: null,
        made_for: null,
      })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .returningAll()
      .executeTakeFirst();
    if (!row) continue;
    await tx.db.insertInto('operator_identities').values({ operator_id: row.id, issuer, subject }).execute();
    return row;
  }
  throw new Problem(
    'name_taken',
    `Whatever the identity provider calls you belongs to another operator here: ${names.join(', ')}.`,
    'An administrator renames or deletes that operator.',
  );
}

/** Gives the roles that there were. */
async function replaceRoles(
  { db }: Tx,
  operator_id: string,
  roles: ReadonlyMap<string, OperatorRole>,
): Promise<Map<string, OperatorRole>> {
  const before = await db.deleteFrom('operator_roles').where('operator_id', '=', operator_id).returningAll().execute();
  const rows = [...roles].map(([account_id, role]) => ({ operator_id, account_id, role }));
  if (rows.length > 0) await db.insertInto('operator_roles').values(rows).execute();
  return inOrder(before.map(({ account_id, role }) => [account_id, role]));
}

/** By account, so that the same roles are told the same way. */
function inOrder(roles: Iterable<readonly [account_id: string, role: OperatorRole]>): Map<string, OperatorRole> {
  return new Map([...roles].toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

function shown(administrator: boolean, roles: ReadonlyMap<string, OperatorRole>) {
  return { administrator, roles: [...roles].map(([account, role]) => ({ account, role })) };
}
