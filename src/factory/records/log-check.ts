// Whether the records of certificates and windows agree with the log, in queries that each see one instant.

import { sql } from 'kysely';
import type { FactoryDb, MadeCertificate } from './tables.ts';

/** A record that no entry tells of: the first of them. */
export async function unloggedCertificate(db: FactoryDb): Promise<MadeCertificate | undefined> {
  return db
    .selectFrom('certificates')
    .selectAll()
    .where(({ or, and, eb, not, exists, selectFrom }) => {
      const told = (action: string) =>
        exists(
          selectFrom('log')
            .select('number')
            .whereRef('object_id', '=', 'certificates.tbs_sha256')
            .where('action', '=', action),
        );
      return or([
        and([eb('state', 'in', ['made', 'withdrawn']), not(told('certificate.make'))]),
        and([eb('state', '=', 'withdrawn'), not(told('certificate.withdraw'))]),
        and([eb('state', '=', 'made'), told('certificate.withdraw')]),
      ]);
    })
    .limit(1)
    .executeTakeFirst();
}

/** A counter that is not what is charged to it. */
export interface Miscount {
  readonly id: string;
  readonly used: number;
  readonly charged: number;
}

/** Windows whose counters are wrong. */
export async function miscountsOfWindows(db: FactoryDb): Promise<Miscount[]> {
  const charged = sql`(select count(*) from certificates where certificates.window_id = windows.id)`;
  const { rows } = await sql<Miscount>`
    select windows.id, windows.used, ${charged} as charged
    from windows
    where windows.used <> ${charged}`.execute(db);
  return rows;
}
