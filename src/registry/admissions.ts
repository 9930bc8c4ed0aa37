// What the gateway writes when a device comes in: a newcomer, a new certificate, a move to another Fleet Root CA.

import { randomUUIDv7 } from 'node:crypto';
import { accountById } from './accounts.ts';
import { isAllowed } from './allow-list.ts';
import { certificateMembers, deviceMembers, difference } from './audit-notes.ts';
import { certificateByTbs } from './certificates.ts';
import { type Intermediate, recordChain } from './chains.ts';
import type { Db, Tx } from './database.ts';
import { certificateChanged, deviceAdded, deviceKeyChanged, devicePending, deviceStateChanged } from './event-notes.ts';
import { deviceById } from './devices.ts';
import { labelNewcomer } from './labels.ts';
import { noteSeen } from './manifest-certificates.ts';
import type { MadeCertificate } from './manifest-held.ts';
import { madeCertificate, recordSightings } from './manifest-sightings.ts';
import type { Account, CertificateRecord, CertificateState, Device, FleetRootCa } from './tables.ts';

/** Everything in the registry that a decision about a device rests on. */
export interface Standing {
  device: Device | null;
  /** The certificate it shows, as remembered; null where it was never seen. */
  certificate: CertificateRecord | null;
  /** Whether the key of that certificate is one that the device has had in use before. */
  knownKey: boolean;
  /** Whether the device ID is on the account's allow-list. */
  allowed: boolean;
  /** Of the CA that issued the certificate, SHA-256. */
  issuer_key: string;
  /** What a manifest of its line holds of the certificate; null for nothing, or where manifests have no say. */
  made: MadeCertificate | null;
}

/** Reads what a decision about the device ID and the certificate rests on; of manifests only where they have a say. */
export async function standingOf(
  db: Db,
  account_id: string,
  shown: {
    device_id: string;
    tbs_sha256: string;
    public_key_sha256: string;
    issuer_key: string;
    asks_manifests: boolean;
  },
): Promise<Standing> {
  const certificate = await certificateByTbs(db, account_id, shown.tbs_sha256);
  const device = await deviceById(db, account_id, shown.device_id);
  const unseen = device !== undefined && certificate === undefined;
  return {
    device: device ?? null,
    certificate: certificate ?? null,
    knownKey: unseen && (await hasHadKey(db, device, shown.public_key_sha256)),
    allowed: await isAllowed(db, account_id, shown.device_id),
    issuer_key: shown.issuer_key,
    made: shown.asks_manifests ? await madeCertificate(db, account_id, shown) : null,
  };
}

async function hasHadKey(db: Db, device: Device, public_key_sha256: string): Promise<boolean> {
  const found = await db
    .selectFrom('certificates')
    .select('tbs_sha256')
    .where('account_id', '=', device.account_id)
    .where('device_uuid', '=', device.uuid)
    .where('public_key_sha256', '=', public_key_sha256)
    .where('state', 'in', ['current', 'superseded'])
    .executeTakeFirst();
  return found !== undefined;
}

/** A certificate as a device showed it, validated by the gateway. */
export type ShownCertificate = Pick<
  CertificateRecord,
  'tbs_sha256' | 'sha256' | 'serial' | 'public_key_sha256' | 'not_before' | 'not_after' | 'subject_name' | 'der'
>;

/** What the decision wants written, and what it rested on. */
export interface Admittance {
  account_id: string;
  shown: ShownCertificate;
  /** The state the device shall have. */
  state: 'pending' | 'active';
  /** `current`, or `pending` for a new key that waits for the operator. */
  certificate_state: Extract<CertificateState, 'current' | 'pending'>;
  fleet_root_ca_id: string;
  /** On the paths that were found, the issuer of the certificate first. */
  intermediates: readonly Intermediate[];
  /** The line under whose CA it was issued, where no manifest of that line holds it. */
  strange_to: string | null;
  basis: { standing: Standing; account: Account; root: FleetRootCa };
}

/**
 * Writes an admittance, if what it rested on still holds: false where something changed meanwhile and the decision
 * must be taken anew, so that of two devices racing for one ID, or a device racing an operator, one decides.
 */
export async function admitDevice(tx: Tx, admittance: Admittance): Promise<boolean> {
  const { account_id, shown, basis } = admittance;
  if (!(await stillHolds(tx, admittance))) return false;
  const uuid = basis.standing.device?.uuid ?? randomUUIDv7();
  const chain_id = await recordChain(tx.db, account_id, admittance.intermediates);
  if (basis.standing.device) await updateDevice(tx, admittance, basis.standing.device, chain_id);
  else await insertDevice(tx, admittance, uuid, chain_id);

  if (admittance.certificate_state === 'current') {
    await tx.db
      .updateTable('certificates')
      .set({ state: 'superseded' })
      .where('account_id', '=', account_id)
      .where('device_uuid', '=', uuid)
      .where('state', '=', 'current')
      .where('tbs_sha256', '!=', shown.tbs_sha256)
      .execute();
  }
  const used = admittance.certificate_state === 'current' ? tx.now : null;
  await tx.db
    .insertInto('certificates')
    .values({
      ...shown,
      account_id,
      profile: 'device',
      state: admittance.certificate_state,
      device_uuid: uuid,
      fleet_root_ca_id: admittance.fleet_root_ca_id,
      provisioning_key_id: null,
      created_at: tx.now,
      first_used_at: used,
      reply: null,
      counted_use: 0,
    })
    .onConflict((conflict) =>
      conflict.columns(['account_id', 'tbs_sha256']).doUpdateSet((set) => ({
        state: admittance.certificate_state,
        fleet_root_ca_id: admittance.fleet_root_ca_id,
        first_used_at: set.fn.coalesce('certificates.first_used_at', set.val(used)),
      })),
    )
    .execute();
  if (used !== null && basis.standing.made)
    await noteSeen(tx.db, { account_id, tbs_sha256: shown.tbs_sha256, seen_at: used });
  await noteAdmittance(tx, admittance);
  await noteStranger(tx, admittance);
  tx.changed({ kind: 'device', account_id, device_uuid: uuid });
  return true;
}

/** Here and not with what the gateway gathers: who was let in is known, however many come at once. */
async function noteStranger(tx: Tx, admittance: Admittance): Promise<void> {
  const { account_id, shown, strange_to: line_id, state, certificate_state } = admittance;
  if (line_id === null) return;
  const { tbs_sha256, public_key_sha256, subject_name: device_id } = shown;
  const admitted = state === 'active' && certificate_state === 'current' ? 1 : 0;
  const stranger = { account_id, tbs_sha256, line_id, device_id, public_key_sha256, admitted } as const;
  const how = { kind: 'stranger', certain: false, first_seen: tx.now, last_seen: tx.now } as const;
  await recordSightings(tx, { seen: [{ ...stranger, ...how }], limit: null });
}

/** A newcomer is told of as a device, whatever else comes as a certificate; both name the certificate and its key. */
async function noteAdmittance(tx: Tx, { account_id, shown, certificate_state, basis }: Admittance): Promise<void> {
  const { device: before, certificate: known, knownKey } = basis.standing;
  const device = await deviceById(tx.db, account_id, shown.subject_name);
  if (!device) return;
  tellOfAdmittance(tx, device, { account_id, shown, certificate_state, basis });
  const certificate = { ...certificateMembers(shown), state: certificate_state };
  if (before === null) {
    const object = { kind: 'device', id: device.uuid, name: device.device_id };
    tx.audit({ action: 'device.add', account_id, object, after: { ...deviceMembers(device), certificate } });
    return;
  }
  const changes = difference(deviceMembers(before), deviceMembers(device));
  tx.audit({
    action: 'certificate.admit',
    account_id,
    object: { kind: 'certificate', id: shown.tbs_sha256, name: device.device_id },
    before: { ...changes?.before, certificate_state: known?.state ?? null },
    after: { device: device.uuid, ...changes?.after, ...certificate, new_key: known === null && !knownKey },
  });
}

function tellOfAdmittance(
  tx: Tx,
  device: Device,
  {
    account_id,
    shown,
    certificate_state,
    basis,
  }: Pick<Admittance, 'account_id' | 'shown' | 'certificate_state' | 'basis'>,
): void {
  const { device: before, certificate: known, knownKey } = basis.standing;
  if (before === null) tx.event(deviceAdded(device, shown));
  else if (before.state !== device.state) tx.event(deviceStateChanged(device, before.state, device.state));
  if (device.state === 'pending' && before === null) tx.event(devicePending(device, 'device', shown));
  if (before === null || known?.state === certificate_state) return;
  if (certificate_state === 'pending') {
    tx.event(devicePending(device, 'key', shown));
    return;
  }
  // A key that an operator approved was told of then.
  if (known === null && !knownKey) tx.event(deviceKeyChanged(device, shown.public_key_sha256));
  tx.event(certificateChanged(account_id, device, shown, 'current'));
}

async function insertDevice(
  tx: Tx,
  { account_id, shown, state, certificate_state, fleet_root_ca_id }: Admittance,
  uuid: string,
  chain_id: string | null,
) {
  await tx.db
    .insertInto('devices')
    .values({
      uuid,
      account_id,
      device_id: shown.subject_name,
      state,
      method: 'device',
      fleet_root_ca_id,
      provisioning_key_id: null,
      allowed_root_id: null,
      reprovision_until: null,
      first_seen: tx.now,
      last_seen: null,
      certificate_not_after: certificate_state === 'current' ? shown.not_after : null,
      chain_id,
    })
    .execute();
  await labelNewcomer(tx.db, { account_id, uuid, device_id: shown.subject_name });
}

async function updateDevice(
  tx: Tx,
  { shown, state, certificate_state, fleet_root_ca_id }: Admittance,
  device: Device,
  chain_id: string | null,
) {
  // A key that waits for approval moves nobody: the device goes on where it is.
  const moved = certificate_state === 'current' && device.fleet_root_ca_id !== fleet_root_ca_id;
  await tx.db
    .updateTable('devices')
    .set({
      state,
      ...(certificate_state === 'current' && { certificate_not_after: shown.not_after, chain_id }),
      ...(moved ? { fleet_root_ca_id, allowed_root_id: null, method: 'device' as const } : {}),
    })
    .where('account_id', '=', device.account_id)
    .where('uuid', '=', device.uuid)
    .execute();
}

async function stillHolds(tx: Tx, { account_id, shown, basis }: Admittance): Promise<boolean> {
  const now = await standingOf(tx.db, account_id, {
    device_id: shown.subject_name,
    tbs_sha256: shown.tbs_sha256,
    public_key_sha256: shown.public_key_sha256,
    issuer_key: basis.standing.issuer_key,
    asks_manifests: true,
  });
  const account = await accountById(tx.db, account_id);
  const root = await tx.db
    .selectFrom('fleet_root_cas')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('id', '=', basis.root.id)
    .executeTakeFirst();
  const was = basis.standing;
  return (
    same(now.device, was.device, ['uuid', 'state', 'fleet_root_ca_id', 'allowed_root_id']) &&
    same(now.certificate, was.certificate, ['state', 'device_uuid']) &&
    now.knownKey === was.knownKey &&
    now.allowed === was.allowed &&
    same(now.made, was.made, ['line_id', 'device_id', 'public_key_sha256', 'withdrawn_at', 'beyond']) &&
    same(account ?? null, basis.account, ['admission', 'rekey', 'device_id_pattern']) &&
    same(root ?? null, basis.root, ['state', 'admit'])
  );
}

function same<T extends object>(one: T | null, other: T | null, members: readonly (keyof T)[]): boolean {
  if (one === null || other === null) return one === other;
  return members.every((member) => one[member] === other[member]);
}

/** Records that a certificate of a device has been used: from now on a lost reply is no reason to make another. */
export async function recordFirstUse(
  tx: Tx,
  { account_id, tbs_sha256 }: { account_id: string; tbs_sha256: string },
): Promise<boolean> {
  const used = await tx.db
    .updateTable('certificates')
    .set({ first_used_at: tx.now })
    .where('account_id', '=', account_id)
    .where('tbs_sha256', '=', tbs_sha256)
    .where('state', 'in', ['current', 'superseded'])
    .where('first_used_at', 'is', null)
    .returning(['device_uuid', 'subject_name', 'public_key_sha256'])
    .executeTakeFirst();
  if (used) {
    const { device_uuid: device, public_key_sha256 } = used;
    const object = { kind: 'certificate', id: tbs_sha256, name: used.subject_name };
    tx.audit({ action: 'certificate.first_use', account_id, object, after: { device, public_key_sha256 } });
    await noteSeen(tx.db, { account_id, tbs_sha256, seen_at: tx.now });
  }
  if (used?.device_uuid) tx.changed({ kind: 'device', account_id, device_uuid: used.device_uuid });
  return used !== undefined;
}
