// What the record of certificates is asked by people: those of a device or an order, and how many there are.

import type { FactoryDb, MadeCertificate } from './tables.ts';

/** All certificates of a device ID, the latest first. */
export async function certificatesOfDevice(db: FactoryDb, device_id: string): Promise<MadeCertificate[]> {
  return db
    .selectFrom('certificates')
    .selectAll()
    .where('device_id', '=', device_id)
    .orderBy('created_at', 'desc')
    .execute();
}

/** Certificates of an order, or of all, the latest first. */
export async function certificatesListed(
  db: FactoryDb,
  { order, state, limit }: { order: string | null; state: MadeCertificate['state']; limit: number },
): Promise<MadeCertificate[]> {
  return db
    .selectFrom('certificates')
    .selectAll()
    .$if(order !== null, (query) => query.where('order_name', '=', order!))
    .where('state', '=', state)
    .orderBy('created_at', 'desc')
    .limit(limit)
    .execute();
}

/** How many certificates count, and how many of them were made at an instant or later. */
export async function countMade(db: FactoryDb, since: number): Promise<{ made: number; madeSince: number }> {
  const { made, madeSince } = await db
    .selectFrom('certificates')
    .where('state', '=', 'made')
    .select(({ fn }) => [
      fn.countAll<number>().as('made'),
      fn.countAll<number>().filterWhere('created_at', '>=', since).as('madeSince'),
    ])
    .executeTakeFirstOrThrow();
  return { made, madeSince };
}

/** Certificates by the SHA-256 of their TBSCertificates. */
export async function certificatesOf(
  db: FactoryDb,
  tbs_sha256: readonly string[],
): Promise<ReadonlyMap<string, MadeCertificate>> {
  if (tbs_sha256.length === 0) return new Map();
  const rows = await db.selectFrom('certificates').selectAll().where('tbs_sha256', 'in', tbs_sha256).execute();
  return new Map(rows.map((row) => [row.tbs_sha256, row]));
}
