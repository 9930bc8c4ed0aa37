// What devices report of themselves: the latest of each kind, without the secrets that it came with.

import { Problem } from '../problem.ts';
import type { Db, Tx } from './database.ts';
import type { Report } from './tables.ts';

/** Keeps a report in place of the one before. Throws `not_found` when the device is gone. */
export async function storeReport(tx: Tx, report: Omit<Report, 'received_at'>): Promise<void> {
  const { account_id, device_uuid, content_type, body } = report;
  const device = await tx.db
    .selectFrom('devices')
    .select('uuid')
    .where('account_id', '=', account_id)
    .where('uuid', '=', device_uuid)
    .executeTakeFirst();
  if (!device) throw new Problem('not_found', 'The device that reports has been deleted.');
  await tx.db
    .insertInto('reports')
    .values({ ...report, received_at: tx.now })
    .onConflict((conflict) =>
      conflict.columns(['account_id', 'device_uuid', 'kind']).doUpdateSet({ content_type, body, received_at: tx.now }),
    )
    .execute();
}

/** Takes reports from before an instant away, the oldest first, `limit` at most. Gives how many there were. */
export async function pruneReports(tx: Tx, { before, limit }: { before: number; limit: number }): Promise<number> {
  const old = await tx.db
    .selectFrom('reports')
    .select(['account_id', 'device_uuid', 'kind'])
    .where('received_at', '<', before)
    .orderBy('received_at')
    .limit(limit)
    .execute();
  for (const { account_id, device_uuid, kind } of old) {
    await tx.db
      .deleteFrom('reports')
      .where('account_id', '=', account_id)
      .where('device_uuid', '=', device_uuid)
      .where('kind', '=', kind)
      // Another one may have come meanwhile, by another node.
      .where('received_at', '<', before)
      .execute();
  }
  return old.length;
}

/** The latest report of each kind of a device. */
export async function reportsOf(db: Db, account_id: string, device_uuid: string): Promise<Report[]> {
  return db
    .selectFrom('reports')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('device_uuid', '=', device_uuid)
    .orderBy('kind')
    .execute();
}
