// The device IDs that may join an account whose admission policy is `allow-list`.

import { type Db, prepared, type Tx } from './database.ts';

/** Rows in one statement: far below what SQLite (32,766) and PostgreSQL (65,535) take as parameters. */
const rowsAtOnce = 500;

/**
 * Adds device IDs; those already there stay as they are. The writer does nothing else meanwhile: who has very many
 * brings them by the 10,000.
 */
export async function importAllowList(
  tx: Tx,
  { account_id, device_ids }: { account_id: string; device_ids: readonly string[] },
): Promise<{ added: number; already: number }> {
  let added = 0;
  for (const some of inParts(device_ids)) {
    const inserted = await tx.db
      .insertInto('allow_list')
      .values(some.map((device_id) => ({ account_id, device_id, added_at: tx.now })))
      .onConflict((conflict) => conflict.columns(['account_id', 'device_id']).doNothing())
      .executeTakeFirst();
    added += Number(inserted.numInsertedOrUpdatedRows);
  }
  return { added, already: device_ids.length - added };
}

/** Takes device IDs off the list; devices that have joined stay. Those that were not on it are not counted. */
export async function removeFromAllowList(
  tx: Tx,
  { account_id, device_ids }: { account_id: string; device_ids: readonly string[] },
): Promise<{ removed: number }> {
  let removed = 0;
  for (const some of inParts(device_ids)) {
    const deleted = await tx.db
      .deleteFrom('allow_list')
      .where('account_id', '=', account_id)
      .where('device_id', 'in', some)
      .executeTakeFirst();
    removed += Number(deleted.numDeletedRows);
  }
  return { removed };
}

const entry = prepared((db, given: { account_id: string; device_id: string }) =>
  db
    .selectFrom('allow_list')
    .select('device_id')
    .where('account_id', '=', given.account_id)
    .where('device_id', '=', given.device_id),
);

/** Whether this exact device ID is on the account's list. */
export async function isAllowed(db: Db, account_id: string, device_id: string): Promise<boolean> {
  return (await entry(db, { account_id, device_id })).length > 0;
}

/** The device IDs on the list in their order, `limit` of them after the device ID `after`. */
export async function allowListOf(
  db: Db,
  account_id: string,
  { limit = 1_000, after = '' }: { limit?: number; after?: string } = {},
): Promise<string[]> {
  const rows = await db
    .selectFrom('allow_list')
    .select('device_id')
    .where('account_id', '=', account_id)
    .where('device_id', '>', after)
    .orderBy('device_id')
    .limit(limit)
    .execute();
  return rows.map((row) => row.device_id);
}

function* inParts(device_ids: readonly string[]): Generator<readonly string[]> {
  for (let at = 0; at < device_ids.length; at += rowsAtOnce) yield device_ids.slice(at, at + rowsAtOnce);
}
