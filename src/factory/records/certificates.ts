// The record of what the line certifies: who gets a certificate is decided in the transaction that records it.

import type { CertificateNote, Evidence } from '../../manifest/manifest.ts';
import { Problem } from '../../problem.ts';
import { matchesPattern } from '../../provisioning/device-id.ts';
import type { Intention } from '../../registry/certificates.ts';
import { formatInstant } from '../../time.ts';
import { mandatesOf } from './lines.ts';
import type { FactoryDb, FactoryTx, FactoryWindow, MadeCertificate, MandateRow, Station } from './tables.ts';
import { orderByName } from './windows.ts';

/** The certificate of a public key, whatever became of it. */
export async function certificateOfKey(db: FactoryDb, public_key_sha256: string): Promise<MadeCertificate | undefined> {
  return db
    .selectFrom('certificates')
    .selectAll()
    .where('public_key_sha256', '=', public_key_sha256)
    .executeTakeFirst();
}

/** The certificate that a device ID has, or is about to get; undefined where it has none, or one that was withdrawn. */
export async function certificateOfDevice(db: FactoryDb, device_id: string): Promise<MadeCertificate | undefined> {
  return db
    .selectFrom('certificates')
    .selectAll()
    .where('device_id', '=', device_id)
    .where('state', '!=', 'withdrawn')
    .executeTakeFirst();
}

/** What a certificate is intended for. */
export interface Intended {
  readonly intention: Readonly<Intention>;
  readonly window_id: string;
  readonly station: Pick<Station, 'id' | 'name'>;
  readonly evidence: Evidence;
  /** The certificate (SHA-256 of its TBSCertificate) of the same device that this one takes the place of; or null. */
  readonly replaces: string | null;
}

/**
 * Records that a certificate is about to be signed, and charges its key to its window and to the mandate that covers it
 * and ends soonest. Throws Problem: `key_in_use`, `device_already_registered`, `window_closed`, `quota_exhausted`,
 * `mandate_missing`; then nothing is recorded or charged.
 */
export async function intendCertificate(
  tx: FactoryTx,
  { intention, window_id, station, evidence, replaces }: Intended,
): Promise<void> {
  const { subject_name: device_id, public_key_sha256 } = intention;
  await refuseKnownKey(tx.db, device_id, public_key_sha256);
  const other = await certificateOfDevice(tx.db, device_id);
  if (other && other.tbs_sha256 !== replaces) throw alreadyMade(device_id);
  const window = await chargeWindow(tx, window_id, station.id);
  const mandate = await chargeMandate(tx, device_id, window.order_name);
  await tx.db
    .insertInto('certificates')
    .values({
      tbs_sha256: intention.tbs_sha256,
      state: 'intended',
      device_id,
      public_key_sha256,
      serial: intention.serial,
      not_before: intention.not_before,
      not_after: intention.not_after,
      order_name: window.order_name,
      window_id,
      mandate_id: mandate.id,
      station_id: station.id,
      evidence: JSON.stringify(evidence),
      der: intention.der,
      created_at: tx.now,
      withdrawn_at: null,
    })
    .execute();
}

async function refuseKnownKey(db: FactoryDb, device_id: string, public_key_sha256: string): Promise<void> {
  const known = await certificateOfKey(db, public_key_sha256);
  if (!known) return;
  if (known.state === 'withdrawn') {
    throw new Problem(
      'key_in_use',
      `The key was certified for "${known.device_id}", and that certificate has been withdrawn.`,
      'Make a new key in the device.',
    );
  }
  throw new Problem(
    'key_in_use',
    known.device_id === device_id
      ? `A certificate of this key is being made for "${device_id}".`
      : `The key is that of the device "${known.device_id}".`,
    known.device_id === device_id ? 'Ask again.' : 'Every device needs a key of its own: make a new one in it.',
  );
}

function alreadyMade(device_id: string): Problem {
  return new Problem(
    'device_already_registered',
    `The device ID "${device_id}" has a certificate, of another key.`,
    `Where the device was made anew, a supervisor says so: \`factory rework ${device_id}\`.`,
  );
}

async function chargeWindow(tx: FactoryTx, id: string, station_id: string): Promise<FactoryWindow> {
  const window = await tx.db.selectFrom('windows').selectAll().where('id', '=', id).executeTakeFirst();
  const open = window && window.closed_at === null && window.closes_at > tx.now;
  if (!open || (window.station_id !== null && window.station_id !== station_id)) {
    throw new Problem('window_closed', 'The window has been closed.');
  }
  if (window.used >= window.quota) {
    throw new Problem(
      'quota_exhausted',
      `The window for the order "${window.order_name}" was opened for ${window.quota} device(s), and so many are made.`,
      'Open another one: `factory window open`.',
    );
  }
  await tx.db
    .updateTable('windows')
    .set({ used: window.used + 1 })
    .where('id', '=', id)
    .execute();
  return window;
}

/** Whether a mandate covers a device of an order at this instant, whatever is left of its quota. */
export function covers(mandate: MandateRow, device_id: string, order_name: string, now: number): boolean {
  return (
    mandate.not_after > now &&
    (mandate.order_name === null || mandate.order_name === order_name) &&
    matchesPattern(mandate.device_id_pattern, device_id)
  );
}

async function chargeMandate(tx: FactoryTx, device_id: string, order_name: string): Promise<MandateRow> {
  const covering = (await mandatesOf(tx.db)).filter((mandate) => covers(mandate, device_id, order_name, tx.now));
  if (covering.length === 0) {
    throw new Problem(
      'mandate_missing',
      `No mandate of the Fleet Root covers the device "${device_id}" of the order "${order_name}" now.`,
      '`factory mandate list` shows them; whoever has the Fleet Root signs another with `factory root sign-line`.',
    );
  }
  const mandate = covering.find(({ used, quota }) => used < quota);
  if (!mandate) {
    throw new Problem(
      'quota_exhausted',
      `The mandates that cover the device "${device_id}" are used up.`,
      'Whoever has the Fleet Root signs another with `factory root sign-line`.',
    );
  }
  await tx.db
    .updateTable('mandates')
    .set({ used: mandate.used + 1 })
    .where('id', '=', mandate.id)
    .execute();
  return mandate;
}

/** How much of its quotas a certificate has left. */
export interface Charged {
  readonly window: Pick<FactoryWindow, 'used' | 'quota'>;
  readonly mandate: Pick<MandateRow, 'used' | 'quota'>;
}

/** Records the certificate that was signed; the one that it takes the place of is withdrawn. */
export async function completeCertificate(
  tx: FactoryTx,
  {
    tbs_sha256,
    der,
    station,
    replaces,
  }: { tbs_sha256: string; der: Uint8Array; station: string; replaces: string | null },
): Promise<Charged> {
  if (replaces !== null) await withdraw(tx, await requireCertificate(tx.db, replaces));
  const row = await tx.db
    .updateTable('certificates')
    .set({ state: 'made', der })
    .where('tbs_sha256', '=', tbs_sha256)
    .where('state', '=', 'intended')
    .returningAll()
    .executeTakeFirstOrThrow();
  await noteCertificate(tx, 'certificate.make', row, station);
  const counts = ['used', 'quota'] as const;
  return {
    window: await tx.db.selectFrom('windows').select(counts).where('id', '=', row.window_id).executeTakeFirstOrThrow(),
    mandate: await tx.db
      .selectFrom('mandates')
      .select(counts)
      .where('id', '=', row.mandate_id)
      .executeTakeFirstOrThrow(),
  };
}

/** Takes back what will not be signed, and what it was charged. Does nothing for one that has been completed. */
export async function abandonCertificate(tx: FactoryTx, { tbs_sha256 }: { tbs_sha256: string }): Promise<void> {
  const row = await tx.db
    .deleteFrom('certificates')
    .where('tbs_sha256', '=', tbs_sha256)
    .where('state', '=', 'intended')
    .returningAll()
    .executeTakeFirst();
  if (!row) return;
  for (const [table, id] of [
    ['windows', row.window_id],
    ['mandates', row.mandate_id],
  ] as const) {
    await tx.db
      .updateTable(table)
      .set((set) => ({ used: set('used', '-', 1) }))
      .where('id', '=', id)
      .execute();
  }
  const object = { kind: 'certificate', id: tbs_sha256, name: row.device_id };
  tx.audit({ action: 'certificate.abandon', account_id: null, object, after: { serial: row.serial } });
}

/** Takes back, at the start, what a program that was killed had intended: nobody was answered. Gives how many those were. */
export async function settleInterrupted(tx: FactoryTx, _: object): Promise<number> {
  const rows = await tx.db.selectFrom('certificates').select('tbs_sha256').where('state', '=', 'intended').execute();
  for (const row of rows) await abandonCertificate(tx, row);
  return rows.length;
}

/** Withdraws the certificate of a device, so that another key of it may be certified. Throws Problem('not_found'). */
export async function reworkDevice(tx: FactoryTx, { device_id }: { device_id: string }): Promise<MadeCertificate> {
  const row = await certificateOfDevice(tx.db, device_id);
  if (row?.state !== 'made') throw new Problem('not_found', `The device ID "${device_id}" has no certificate here.`);
  return withdraw(tx, row);
}

async function withdraw(tx: FactoryTx, row: MadeCertificate): Promise<MadeCertificate> {
  const withdrawn = { state: 'withdrawn', withdrawn_at: tx.now } as const;
  await tx.db.updateTable('certificates').set(withdrawn).where('tbs_sha256', '=', row.tbs_sha256).execute();
  const station = await tx.db
    .selectFrom('stations')
    .select('name')
    .where('id', '=', row.station_id)
    .executeTakeFirstOrThrow();
  await noteCertificate(tx, 'certificate.withdraw', row, station.name);
  return { ...row, ...withdrawn };
}

async function requireCertificate(db: FactoryDb, tbs_sha256: string): Promise<MadeCertificate> {
  return db.selectFrom('certificates').selectAll().where('tbs_sha256', '=', tbs_sha256).executeTakeFirstOrThrow();
}

async function noteCertificate(
  tx: FactoryTx,
  action: 'certificate.make' | 'certificate.withdraw',
  row: MadeCertificate,
  station: string,
): Promise<void> {
  const { tbs_sha256, device_id, public_key_sha256, serial } = row;
  const after = {
    device_id,
    tbs_sha256,
    public_key_sha256,
    serial,
    not_after: formatInstant(row.not_after),
    order: row.order_name,
    batch: (await orderByName(tx.db, row.order_name))?.batch ?? null,
    station,
    evidence: JSON.parse(row.evidence) as Evidence,
    mandate: row.mandate_id,
  } satisfies CertificateNote;
  tx.audit({ action, account_id: null, object: { kind: 'certificate', id: tbs_sha256, name: device_id }, after });
}
