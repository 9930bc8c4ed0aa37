// Whether the record of a mandate still is what the Fleet Root signed: whoever runs the line can edit its database.

import { parseCertificate } from '../../x509/certificate.ts';
import { type Mandate, readMandate } from '../../manifest/mandate.ts';
import { Problem } from '../../problem.ts';
import { mandatesOf, theLine } from './lines.ts';
import type { FactoryDb, MandateRow } from './tables.ts';

/** A mandate as it was signed, and how much of it was used when that was last found right. */
interface Verified {
  readonly signed: Mandate;
  used: number;
}

/** What was verified of a database since it was opened, by the mandate as it was signed: a signature is checked once. */
const verified = new WeakMap<FactoryDb, Map<string, Verified>>();

/**
 * Gives the sentence that says how a mandate's record differs from what was signed, or from the certificates that are
 * charged to it, or null. The signature is verified the first time that a mandate is asked about.
 */
export async function faultOfMandate(db: FactoryDb, row: MandateRow): Promise<string | null> {
  try {
    const signed = verified.get(db)?.get(row.jws)?.signed ?? (await verify(db, row));
    return differs(row, signed) ?? (await miscounted(db, row, signed));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return `The record of the mandate ${row.id} does not count: ${error.message}`;
  }
}

/**
 * The same before a charge, of which there are many: its certificates are counted again where less of it is used than it
 * was after the last charge, as after one that was taken back.
 */
export async function faultBeforeCharge(db: FactoryDb, row: MandateRow): Promise<string | null> {
  const known = verified.get(db)?.get(row.jws);
  return known && row.used >= known.used ? differs(row, known.signed) : faultOfMandate(db, row);
}

/** Remembers how much of a mandate is used after a charge. */
export function noteCharge(db: FactoryDb, { jws, used }: Pick<MandateRow, 'jws' | 'used'>): void {
  const known = verified.get(db)?.get(jws);
  if (known) known.used = used;
}

/** What is wrong with a mandate's record. */
export interface MandateFault {
  readonly id: string;
  readonly fault: string;
}

/** Those of all mandates. */
export async function faultsOfMandates(db: FactoryDb): Promise<MandateFault[]> {
  const faults: MandateFault[] = [];
  for (const row of await mandatesOf(db)) {
    const fault = await faultOfMandate(db, row);
    if (fault !== null) faults.push({ id: row.id, fault });
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
  if (charged > signed.quota) {
    return `The record of the mandate ${id} was changed: ${charged} certificates are charged to it, and ${signed.quota} were signed.`;
  }
  const mandates = verified.get(db) ?? new Map<string, Verified>();
  verified.set(db, mandates.set(jws, { signed, used }));
  return null;
}
