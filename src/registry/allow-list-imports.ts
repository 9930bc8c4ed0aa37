// Imports of an allow-list that are kept whole or not at all: staged row by row, committed in one write, then applied.

import { randomUUID } from 'node:crypto';
import { Problem } from '../problem.ts';
import { type AllowListEntry, type Imported, importAllowList } from './allow-list.ts';
import type { Db, Tx } from './database.ts';
import { readLabels, withLabels } from './label-values.ts';

/** Which import of which account. */
export interface ImportRef {
  readonly account_id: string;
  readonly import_id: string;
}

/** Rows in one statement. */
const rowsAtOnce = 500;

/** Begins an import: nothing of it is on the list until it is committed. */
export async function beginAllowListImport(tx: Tx, { account_id }: { account_id: string }): Promise<ImportRef> {
  const id = randomUUID();
  await tx.db
    .insertInto('allow_list_imports')
    .values({ account_id, id, state: 'staging', started_at: tx.now })
    .execute();
  return { account_id, import_id: id };
}

/** Puts entries aside; of a device ID that stands twice the last counts. */
export async function stageAllowList(
  tx: Tx,
  { account_id, import_id, entries }: ImportRef & { entries: readonly AllowListEntry[] },
): Promise<void> {
  const last = [...new Map(entries.map((each) => [each.device_id, each])).values()];
  for (let at = 0; at < last.length; at += rowsAtOnce) {
    const rows = last.slice(at, at + rowsAtOnce).map(({ device_id, labels }) => ({
      account_id,
      import_id,
      device_id,
      labels: withLabels({}, labels ?? {}),
    }));
    await tx.db
      .insertInto('staged_allow_list')
      .values(rows)
      .onConflict((conflict) =>
        conflict
          .columns(['account_id', 'import_id', 'device_id'])
          .doUpdateSet((set) => ({ labels: set.ref('excluded.labels') })),
      )
      .execute();
  }
}

/**
 * From here on all of it is kept, whatever happens: what is not applied yet is applied later. Throws `conflict` where it was
 * taken for one that a killed server had left behind.
 */
export async function commitAllowListImport(tx: Tx, { account_id, import_id }: ImportRef): Promise<void> {
  const { numUpdatedRows } = await tx.db
    .updateTable('allow_list_imports')
    .set({ state: 'committed' })
    .where('account_id', '=', account_id)
    .where('id', '=', import_id)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) {
    throw new Problem(
      'conflict',
      'The import took too long and was given up: nothing of it is on the list.',
      'Import it again.',
    );
  }
}

/**
 * Takes up to `limit` staged rows: onto the list where the import is committed, else away. `left` is whether there are
 * more; with the last the import is gone.
 */
export async function settleAllowListImport(
  tx: Tx,
  { account_id, import_id, limit }: ImportRef & { limit: number },
): Promise<Imported & { left: boolean }> {
  const found = await tx.db
    .selectFrom('allow_list_imports')
    .select('state')
    .where('account_id', '=', account_id)
    .where('id', '=', import_id)
    .executeTakeFirst();
  const staged = await tx.db
    .selectFrom('staged_allow_list')
    .select(['device_id', 'labels'])
    .where('account_id', '=', account_id)
    .where('import_id', '=', import_id)
    .orderBy('device_id')
    .limit(limit)
    .execute();
  const entries = staged.map(({ device_id, labels }) => ({
    device_id,
    labels: labels === null ? null : readLabels(labels),
  }));
  const { added, already, updated } =
    found?.state === 'committed'
      ? await importAllowList(tx, { account_id, entries })
      : { added: 0, already: 0, updated: 0 };
  const last = staged.at(-1);
  if (last) {
    await tx.db
      .deleteFrom('staged_allow_list')
      .where('account_id', '=', account_id)
      .where('import_id', '=', import_id)
      .where('device_id', '<=', last.device_id)
      .execute();
  }
  const left = staged.length === limit;
  if (!left) {
    await tx.db
      .deleteFrom('allow_list_imports')
      .where('account_id', '=', account_id)
      .where('id', '=', import_id)
      .execute();
  }
  return { added, already, updated, left };
}

/** Imports of every account that were begun before an instant: a killed server has left them behind. */
export async function unsettledAllowListImports(db: Db, { before }: { before: number }): Promise<ImportRef[]> {
  return db
    .selectFrom('allow_list_imports')
    .select(['account_id', 'id as import_id'])
    .where('account_id', '>', '')
    .where('started_at', '<', before)
    .execute();
}
