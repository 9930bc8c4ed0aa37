// The certificates of an account's devices in the order in which they end, never more than a few thousand rows in one go.

import { setImmediate } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Db } from './database.ts';
import type { Span } from './fleet-filter.ts';
import type { CertificateRecord } from './tables.ts';

/** States that operators see. */
export const certificateStates = ['current', 'superseded', 'pending', 'revoked'] as const;

/** Each member that is there narrows it. */
export interface CertificateFilter {
  readonly states?: readonly (typeof certificateStates)[number][] | undefined;
  readonly ends?: Span | undefined;
  readonly fleet_root_ca_id?: string | undefined;
  /** SHA-256 (hex) of the certificate or of its TBSCertificate. */
  readonly sha256?: string | undefined;
}

/** Where a page ended. */
export interface CertificatePlace {
  readonly not_after: number;
  readonly tbs_sha256: string;
}

const rowsAtOnce = 4_000;

/** Certificates of devices, deleted ones too, `limit` of them after a place. */
export async function listDeviceCertificates(
  db: Db,
  account_id: string,
  {
    filter = {},
    limit = 1_000,
    after,
  }: { filter?: CertificateFilter; limit?: number; after?: CertificatePlace | undefined } = {},
): Promise<CertificateRecord[]> {
  const { states, ends, fleet_root_ca_id, sha256 } = filter;
  // Written so that no index but that of the order is taken.
  const conditions = sql.join(
    [
      sql`(state || '') != 'intended'`,
      ...(states ? [states.length === 0 ? sql`1 = 0` : sql`(state || '') in (${sql.join([...states])})`] : []),
      ...(fleet_root_ca_id === undefined ? [] : [sql`(fleet_root_ca_id || '') = ${fleet_root_ca_id}`]),
    ],
    sql` and `,
  );
  const within = sql`not_after >= ${ends?.from ?? 0} and not_after < ${ends?.before ?? Number.MAX_SAFE_INTEGER}`;
  if (sha256 !== undefined) {
    const digest = sha256.toLowerCase().replaceAll(':', '');
    const { rows } = await sql<CertificateRecord>`
      select * from certificates
      where account_id = ${account_id} and profile = 'device' and (sha256 = ${digest} or tbs_sha256 = ${digest})
        and ${conditions} and ${within}
        and ${after ? sql`(not_after, tbs_sha256) > (${after.not_after}, ${after.tbs_sha256})` : sql`1 = 1`}
      order by not_after, tbs_sha256 limit ${limit}`.execute(db);
    return rows;
  }
  const page: CertificateRecord[] = [];
  // Of each bound of a range SQLite takes one condition for its index, so that there is to be one.
  const from = (place: CertificatePlace | undefined) =>
    place
      ? sql`(not_after, tbs_sha256) > (${place.not_after}, ${place.tbs_sha256})`
      : sql`not_after >= ${ends?.from ?? 0}`;
  const upTo = (end: CertificatePlace | undefined) =>
    end
      ? sql`(not_after, tbs_sha256) <= (${end.not_after}, ${end.tbs_sha256})`
      : sql`not_after < ${ends?.before ?? Number.MAX_SAFE_INTEGER}`;
  for (let place = after; ;) {
    const begin = sql`account_id = ${account_id} and profile = 'device' and ${from(place)}`;
    const ahead = await sql<CertificatePlace>`
      select not_after, tbs_sha256 from certificates where ${begin} and ${upTo(undefined)}
      order by not_after, tbs_sha256 limit 1 offset ${rowsAtOnce - 1}`.execute(db);
    const end = ahead.rows[0];
    const { rows } = await sql<CertificateRecord>`
      select * from certificates where ${begin} and ${upTo(end)} and ${conditions}
      order by not_after, tbs_sha256 limit ${limit - page.length}`.execute(db);
    for (const row of rows) page.push(row);
    if (page.length >= limit || !end) return page;
    place = end;
    await setImmediate();
  }
}
