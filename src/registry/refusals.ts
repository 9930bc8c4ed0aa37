// Who was turned away and why: counted where it is the same again, and bounded for each account.

import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Db, Tx } from './database.ts';
import { tallyRefusals } from './refusal-tallies.ts';
import type { RefusalRecord } from './tables.ts';

/** Stands in `account_id` for no account: a connection that belonged to none. */
export const unassigned = '';

/**
 * A refusal as the gateway saw it, at an account or `unassigned`. It may stand for several, of which `first_at` is the
 * first and `at` the last.
 */
export type Refused = Omit<RefusalRecord, 'id' | 'first_at' | 'count'> &
  Partial<Pick<RefusalRecord, 'first_at' | 'count'>>;

/**
 * Records refusals. One with the `sameness` of another adds to its count and takes its place in time, with its own
 * certificates and address. Of each account, and of those without one, the `limit` latest stay.
 */
export async function recordRefusals(
  tx: Tx,
  { refusals, limit }: { refusals: readonly Refused[]; limit: number },
): Promise<void> {
  const owners = await presentOwners(tx.db, refusals);
  for (const refused of refusals) if (owners.has(refused.account_id)) await record(tx, refused);
  for (const account_id of owners) await forgetOldest(tx, account_id, limit);
  await tallyRefusals(tx, { refusals: refusals.filter(({ account_id }) => owners.has(account_id)) });
}

/** Refusals of an account that has been deleted meanwhile concern nobody. */
async function presentOwners(db: Db, refusals: readonly Refused[]): Promise<Set<string>> {
  const named = new Set(refusals.map((refused) => refused.account_id));
  const present = await db
    .selectFrom('accounts')
    .select('id')
    .where('id', 'in', [...named, unassigned])
    .execute();
  return new Set([...present.map((account) => account.id), ...(named.has(unassigned) ? [unassigned] : [])]);
}

async function record(tx: Tx, refused: Refused): Promise<void> {
  const { first_at = refused.at, count = 1, ...row } = refused;
  const { account_id, sameness, ...latest } = row;
  await tx.db
    .insertInto('refusals')
    .values({ ...row, id: randomUUID(), first_at, count })
    .onConflict((conflict) =>
      conflict
        .columns(['account_id', 'sameness'])
        .doUpdateSet((set) => ({ ...latest, count: set('refusals.count', '+', count) })),
    )
    .execute();
}

async function forgetOldest(tx: Tx, account_id: string, limit: number): Promise<void> {
  const { kept } = await tx.db
    .selectFrom('refusals')
    .select((select) => select.fn.countAll<number | string>().as('kept'))
    .where('account_id', '=', account_id)
    .executeTakeFirstOrThrow();
  const excess = Number(kept) - limit;
  if (excess <= 0) return;
  await tx.db
    .deleteFrom('refusals')
    .where('id', 'in', (from) =>
      from
        .selectFrom('refusals')
        .select('id')
        .where('account_id', '=', account_id)
        .orderBy('at')
        .orderBy('id')
        .limit(excess),
    )
    .where('account_id', '=', account_id)
    .execute();
}

/** Takes refusals that were last the same before an instant away, the oldest first, `limit` at most. Gives how many there were. */
export async function pruneRefusals(tx: Tx, { before, limit }: { before: number; limit: number }): Promise<number> {
  const { numDeletedRows } = await tx.db
    .deleteFrom('refusals')
    .where('id', 'in', (from) =>
      from.selectFrom('refusals').select('id').where('at', '<', before).orderBy('at').limit(limit),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}

/** Each member that is there narrows it. Instants in milliseconds since 1970, of the last time. */
export interface RefusalFilter {
  readonly code?: string | undefined;
  readonly device_id?: string | undefined;
  readonly address?: string | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/** Where a page ended. */
export interface RefusalPlace {
  readonly at: number;
  readonly id: string;
}

/** The latest refusals of an account, or those `unassigned`, the latest first, `limit` of them after a place. */
export async function listRefusals(
  db: Db,
  account_id: string,
  {
    filter = {},
    limit = 1_000,
    after,
  }: { filter?: RefusalFilter; limit?: number; after?: RefusalPlace | undefined } = {},
): Promise<RefusalRecord[]> {
  const { code, device_id, address, since, until } = filter;
  let query = db.selectFrom('refusals').selectAll().where('account_id', '=', account_id);
  // Of each account so many stay as can be read in one go: none of these needs an index of its own.
  for (const [column, value] of Object.entries({ code, device_id, address })) {
    if (value !== undefined) query = query.where(column as 'code', '=', value);
  }
  if (since !== undefined) query = query.where('at', '>=', since);
  if (until !== undefined) query = query.where('at', '<', until);
  if (after) query = query.where(sql<boolean>`(at, id) < (${after.at}, ${after.id})`);
  return query.orderBy('at', 'desc').orderBy('id', 'desc').limit(limit).execute();
}
