// Whether the record of a mandate still is what the Fleet Root signed: whoever runs the line can edit its database.

import { parseCertificate } from '../../x509/certificate.ts';
import { type Mandate, readMandate } from '../../manifest/mandate.ts';
import { Problem } from '../../problem.ts';
import { mandatesOf, theLine } from './lines.ts';
import type { FactoryDb, MandateRow } from './tables.ts';

/** What was verified of a database since it was opened, by the mandate as it was signed: a signature is checked once. */
const verified = new WeakMap<FactoryDb, Map<string, Mandate>>();

/**
 * Gives the sentence that says how a mandate's record differs from what was signed, or null. The first time that a mandate
 * is asked about, its signature is verified and the keys that are charged to it are counted; from then on the row is
 * compared, so that it can be asked before each charge.
 */
export async function faultOfMandate(db: FactoryDb, row: MandateRow): Promise<string | null> {
  const known = verified.get(db)?.get(row.jws);
  try {
    const signed = known ?? (await verify(db, row));
    return differs(row, signed) ?? (known ? null : await miscounted(db, row, signed));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return `The record of the mandate ${row.id} does not count: ${error.message}`;
  }
}

/** Those of all mandates. */
export async function faultsOfMandates(db: FactoryDb): Promise<string[]> {
  const faults: string[] = [];
  for (const row of await mandatesOf(db)) {
    const fault = await faultOfMandate(db, row);
    if (fault !== null) faults.push(fault);
  }
  return faults;
}

async function verify(db: FactoryDb, { jws }: MandateRow): Promise<Mandate> {
  const line = await theLine(db);
  if (!line?.root_certificate || !line.ca_certificate) throw new Problem('conflict', 'There is no line CA here.');
  const mandate = await readMandate(jws, parseCertificate(line.root_certificate).publicKey);
  if (mandate.line === parseCertificate(line.ca_certificate).publicKey.sha256) return mandate;
  throw new Problem('conflict', 'It is of another line.');
}

function differs(row: MandateRow, signed: Mandate): string | null {
  const pairs = [
    ['id', row.id, signed.id],
    ['quota', row.quota, signed.quota],
    ['not_after', row.not_after, signed.notAfter],
    ['device_id_pattern', row.device_id_pattern, signed.device_id_pattern],
    ['order_name', row.order_name, signed.order],
  ] as const;
  const changed = pairs.find(([, is, was]) => is !== was);
  if (changed === undefined) return null;
  const [name, is, was] = changed;
  return `The record of the mandate ${row.id} was changed: ${name} is ${String(is)} there, and ${String(was)} was signed.`;
}

/** Remembers the mandate as verified where its count is right too. One query, since others may be charging it. */
async function miscounted(db: FactoryDb, { id, jws }: MandateRow, signed: Mandate): Promise<string | null> {
  const { used, charged } = await db
    .selectFrom('mandates')
    .select(({ selectFrom }) => [
      'used',
      selectFrom('certificates')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('mandate_id', '=', id)
        .as('charged'),
    ])
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  if (used !== charged) {
    return `The record of the mandate ${id} was changed: ${used} of it are used there, and ${charged} certificates are charged to it.`;
  }
  const mandates = verified.get(db) ?? new Map<string, Mandate>();
  verified.set(db, mandates.set(jws, signed));
  return null;
}
