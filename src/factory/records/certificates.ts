// The record of what the line certifies: who gets a certificate is decided in the transaction that records it.

import type { CertificateNote, Evidence } from '../../manifest/manifest.ts';
import { Problem } from '../../problem.ts';
import { matchesPattern } from '../../provisioning/device-id.ts';
import type { Intention } from '../../registry/certificates.ts';
import { formatInstant } from '../../time.ts';
import { holderOf } from './keys.ts';
import { mandatesOf } from './lines.ts';
import { faultBeforeCharge, noteCharge } from './mandate-check.ts';
import type { FactoryDb, FactoryTx, FactoryWindow, MadeCertificate, MandateRow, Station } from './tables.ts';
import { openWindows } from './windows.ts';
import { faultOfClock, logHead } from './log.ts';
import { orderByName } from './orders.ts';

/** The certificate of a public key, whatever became of it. */
export async function certificateOfKey(db: FactoryDb, public_key_sha256: string): Promise<MadeCertificate | undefined> {
  return db
    .selectFrom('certificates')
    .selectAll()
    .where('public_key_sha256', '=', public_key_sha256)
    .executeTakeFirst();
}

/** The certificate that a device ID has; undefined where it has none, or one that was withdrawn. */
async function certificateOfDevice(db: FactoryDb, device_id: string): Promise<MadeCertificate | undefined> {
  return inState(db, device_id, 'made');
}

async function inState(
  db: FactoryDb,
  device_id: string,
  state: MadeCertificate['state'],
): Promise<MadeCertificate | undefined> {
  return db
    .selectFrom('certificates')
    .selectAll()
    .where('device_id', '=', device_id)
    .where('state', '=', state)
    .executeTakeFirst();
}

/** What a certificate is intended for. */
export interface Intended {
  readonly intention: Readonly<Intention>;
  readonly order_name: string;
  readonly station: Pick<Station, 'id' | 'name'>;
  readonly evidence: Evidence;
  /** The certificate of the same device that this one takes the place of; `alone`: no station vouches for that. */
  readonly replaces: { readonly tbs_sha256: string; readonly alone: boolean } | null;
}

/**
 * Records that a certificate is about to be signed, and charges its key to a window of its order and to a mandate that
 * covers it, of several to the one that ends soonest. Throws Problem: `key_in_use`, `key_not_accepted`,
 * `device_already_registered`, `window_closed`, `quota_exhausted`, `mandate_missing`, `station_unknown`, and `unavailable` where the clock went back or
 * a mandate's record was changed; then nothing is recorded or charged.
 */
export async function intendCertificate(
  tx: FactoryTx,
  { intention, order_name, station, evidence, replaces }: Intended,
): Promise<void> {
  const { subject_name: device_id, public_key_sha256 } = intention;
  const clock = faultOfClock(tx.now, (await logHead(tx.db)).latest);
  if (clock !== null) throw new Problem('unavailable', clock.sentence, clock.hint);
  const known = await certificateOfKey(tx.db, public_key_sha256);
  if (known) throw keyInUse(known, device_id);
  const holder = await holderOf(tx.db, public_key_sha256);
  if (holder !== null) throw new Problem('key_not_accepted', `The key is that of ${holder}, and no device's.`);
  await refuseKnownDevice(tx.db, device_id, replaces?.tbs_sha256 ?? null);
  const window = await chargeWindow(tx, order_name, station);
  if (replaces?.alone) await refuseAnotherOf(tx.db, device_id, window);
  const mandate = await chargeMandate(tx, device_id, order_name);
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
      order_name,
      window_id: window.id,
      mandate_id: mandate.id,
      station_id: station.id,
      evidence: JSON.stringify(evidence),
      der: intention.der,
      created_at: tx.now,
      withdrawn_at: null,
    })
    .execute();
}

/** What to say to whoever brings a key that was certified before, or is being, where it is not for the same again. */
export function keyInUse(known: MadeCertificate, device_id: string): Problem {
  const another = 'Every device needs a key of its own, and a new one when it is made anew: make one in it.';
  if (known.state === 'withdrawn') {
    const sentence = `The key was certified for "${known.device_id}", and that certificate has been withdrawn.`;
    return new Problem('key_in_use', sentence, another);
  }
  if (known.device_id !== device_id) {
    return new Problem('key_in_use', `The key is that of the device "${known.device_id}".`, another);
  }
  return new Problem('key_in_use', `A certificate of this key is being made for "${device_id}".`, 'Ask again.');
}

async function refuseKnownDevice(db: FactoryDb, device_id: string, replaces: string | null): Promise<void> {
  if (await inState(db, device_id, 'intended')) {
    throw new Problem(
      'device_already_registered',
      `A certificate of another key is being made for "${device_id}".`,
      'Two devices ask by one ID, or one asks twice: see which key it has.',
    );
  }
  const made = await certificateOfDevice(db, device_id);
  if ((made?.tbs_sha256 ?? null) === replaces) return;
  if (!made) throw new Problem('conflict', `The certificate of "${device_id}" has been withdrawn meanwhile.`);
  throw new Problem(
    'device_already_registered',
    `The device ID "${device_id}" has a certificate, of another key.`,
    `Where the device was made anew, a supervisor says so: \`factory rework ${device_id}\`.`,
  );
}

/** Whoever has one device's key would use up the mandate with one new key after the other: of those a window has one. */
async function refuseAnotherOf(db: FactoryDb, device_id: string, window: FactoryWindow): Promise<void> {
  const replaced = await db
    .selectFrom('certificates')
    .select('tbs_sha256')
    .where('device_id', '=', device_id)
    .where('state', '=', 'withdrawn')
    .where('window_id', '=', window.id)
    .executeTakeFirst();
  if (!replaced) return;
  throw new Problem(
    'device_already_registered',
    `The device "${device_id}" has had a new key in this window already.`,
    `A station asks for it with its own password, or a supervisor says so: \`factory rework ${device_id}\`.`,
  );
}

async function chargeWindow(
  tx: FactoryTx,
  order_name: string,
  station: Pick<Station, 'id' | 'name'>,
): Promise<FactoryWindow> {
  const { removed_at } = await tx.db
    .selectFrom('stations')
    .select('removed_at')
    .where('id', '=', station.id)
    .executeTakeFirstOrThrow();
  if (removed_at !== null) throw new Problem('station_unknown', `The station "${station.name}" has been removed.`);
  const open = (await openWindows(tx.db, tx.now)).filter((window) => serves(window, order_name, station.id));
  const window = open.find(({ used, quota }) => used < quota);
  if (window) {
    await tx.db
      .updateTable('windows')
      .set({ used: window.used + 1 })
      .where('id', '=', window.id)
      .execute();
    return window;
  }
  if (open.length === 0) throw windowClosed(order_name, station);
  const quota = open.reduce((sum, each) => sum + each.quota, 0);
  throw new Problem(
    'quota_exhausted',
    `${open.length === 1 ? 'The window' : `The ${open.length} windows`} for the order "${order_name}" ${
      open.length === 1 ? 'was' : 'were'
    } opened for ${quota} device(s), and so many are made.`,
    'A person opens another one: `factory window open`.',
  );
}

/** Whether an open window is for an order and a station. */
export function serves(
  window: Pick<FactoryWindow, 'order_name' | 'station_id'>,
  order_name: string,
  station_id: string,
): boolean {
  return window.order_name === order_name && (window.station_id === null || window.station_id === station_id);
}

/** What to say where no window is open for a station, or none for it and an order. */
export function windowClosed(order_name: string | null, station: Pick<Station, 'name'>): Problem {
  return new Problem(
    'window_closed',
    order_name === null
      ? `No window is open for the station "${station.name}".`
      : `No window is open for the order "${order_name}" and the station "${station.name}".`,
    'A person opens one: `factory window open --order ORDER --quota N --for 8h`.',
  );
}

/** Whether a mandate covers a device of an order at this instant, whatever is left of its quota. */
function covers(mandate: MandateRow, device_id: string, order_name: string, now: number): boolean {
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
  const mandate = await firstGood(tx.db, covering);
  await tx.db
    .updateTable('mandates')
    .set({ used: mandate.used + 1 })
    .where('id', '=', mandate.id)
    .execute();
  noteCharge(tx.db, { jws: mandate.jws, used: mandate.used + 1 });
  return mandate;
}

/** The first that has quota left and is as it was signed. Throws Problem. */
async function firstGood(db: FactoryDb, covering: readonly MandateRow[]): Promise<MandateRow> {
  let changed: string | null = null;
  for (const mandate of covering) {
    const fault = await faultBeforeCharge(db, mandate);
    if (fault === null && mandate.used < mandate.quota) return mandate;
    changed ??= fault;
  }
  if (changed !== null) {
    throw new Problem('unavailable', changed, 'Put factory.db back from a backup, or have another mandate signed.');
  }
  throw new Problem(
    'quota_exhausted',
    'The mandates that cover this device are used up.',
    'Whoever has the Fleet Root signs another with `factory root sign-line`.',
  );
}

/** How much of its quotas a certificate has left. */
export interface Charged {
  readonly window: Pick<FactoryWindow, 'used' | 'quota'>;
  readonly mandate: Pick<MandateRow, 'used' | 'quota'>;
}

/**
 * Records the certificate that was signed; the one that it takes the place of is withdrawn. Throws Problem('conflict')
 * where somebody has withdrawn that meanwhile.
 */
export async function completeCertificate(
  tx: FactoryTx,
  {
    tbs_sha256,
    der,
    station,
    replaces,
  }: { tbs_sha256: string; der: Uint8Array; station: string; replaces: string | null },
): Promise<Charged> {
  if (replaces !== null) await takeTheirPlace(tx, replaces);
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
  if (!row) throw new Problem('not_found', `The device ID "${device_id}" has no certificate here.`);
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

async function takeTheirPlace(tx: FactoryTx, tbs_sha256: string): Promise<void> {
  const replaced = await tx.db
    .selectFrom('certificates')
    .selectAll()
    .where('tbs_sha256', '=', tbs_sha256)
    .executeTakeFirstOrThrow();
  if (replaced.state === 'made') return void (await withdraw(tx, replaced));
  throw new Problem('conflict', `The certificate of "${replaced.device_id}" has been withdrawn meanwhile.`);
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
