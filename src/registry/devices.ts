// Devices: who is in the fleet, in which state, under which Fleet Root CA, and what an operator may do about it.

import { deviceMembers, difference, type Members } from './audit-notes.ts';
import { type Db, prepared, type Tx } from './database.ts';
import { deviceDeleted, deviceKeyChanged, deviceStateChanged } from './event-notes.ts';
import { Problem } from '../problem.ts';
import type { Device } from './tables.ts';

const reprovisionWindow = 24 * 60 * 60 * 1000;
const uuidPrefix = 'uuid:';

/** A device as people see it: with the names of what it refers to. */
export type DeviceView = Device & { fleet_root_ca_name: string };

const selectViews = (db: Db, account_id: string) =>
  db
    .selectFrom('devices')
    .innerJoin('fleet_root_cas', 'fleet_root_cas.id', 'devices.fleet_root_ca_id')
    .selectAll('devices')
    .select('fleet_root_cas.name as fleet_root_ca_name')
    .where('devices.account_id', '=', account_id);

/** The device that an operator named by its exact device ID or as `uuid:…`. Throws `not_found`. */
export async function deviceByRef(db: Db, account_id: string, device: string): Promise<DeviceView> {
  const byUuid = device.startsWith(uuidPrefix);
  const found = await selectViews(db, account_id)
    .where(
      byUuid ? 'devices.uuid' : 'devices.device_id',
      '=',
      byUuid ? device.slice(uuidPrefix.length).toLowerCase() : device,
    )
    .executeTakeFirst();
  if (!found) {
    throw new Problem(
      'not_found',
      `This account has no device ${JSON.stringify(device)}.`,
      '`device list ACCOUNT` shows its devices, `refusal list ACCOUNT` those that were turned away.',
    );
  }
  return found;
}

const byDeviceId = prepared((db, given: { account_id: string; device_id: string }) =>
  db
    .selectFrom('devices')
    .selectAll()
    .where('account_id', '=', given.account_id)
    .where('device_id', '=', given.device_id),
);

/** The device with this exact device ID. */
export async function deviceById(db: Db, account_id: string, device_id: string): Promise<Device | undefined> {
  const [found] = await byDeviceId(db, { account_id, device_id });
  return found;
}

type Named = { account_id: string; device: string };

/** `action` is what the audit log calls it, `more` what else has changed with it: where nothing has, there is no entry. */
async function change(
  tx: Tx,
  action: string,
  device: Device,
  set: Partial<Pick<Device, 'state' | 'allowed_root_id' | 'reprovision_until' | 'certificate_not_after'>>,
  more: Members = {},
): Promise<DeviceView> {
  await tx.db
    .updateTable('devices')
    .set(set)
    .where('account_id', '=', device.account_id)
    .where('uuid', '=', device.uuid)
    .execute();
  tx.changed({ kind: 'device', account_id: device.account_id, device_uuid: device.uuid });
  const changed = await deviceByRef(tx.db, device.account_id, uuidPrefix + device.uuid);
  const changes = difference(deviceMembers(device), { ...deviceMembers(changed), ...more });
  if (changes) tx.audit({ action, ...itself(device), ...changes });
  if (changed.state !== device.state) tx.event(deviceStateChanged(device, device.state, changed.state));
  return changed;
}

/** A device as the object of an entry. */
function itself({ account_id, uuid, device_id }: Device) {
  return { account_id, object: { kind: 'device', id: uuid, name: device_id } };
}

/** The keys (SHA-256) under a device's ID that wait for approval. */
async function waitingKeys(tx: Tx, device: Device): Promise<Set<string>> {
  const waiting = await tx.db
    .selectFrom('certificates')
    .select('public_key_sha256')
    .where('account_id', '=', device.account_id)
    .where('device_uuid', '=', device.uuid)
    .where('state', '=', 'pending')
    .execute();
  return new Set(waiting.map((certificate) => certificate.public_key_sha256));
}

/** Sets the state of a device's certificates that wait for approval of their new key. */
async function decideRekey(tx: Tx, device: Device, state: 'superseded' | 'revoked'): Promise<void> {
  await tx.db
    .updateTable('certificates')
    .set({ state })
    .where('account_id', '=', device.account_id)
    .where('device_uuid', '=', device.uuid)
    .where('state', '=', 'pending')
    .execute();
}

const nothingWaits = (device: Device): Problem =>
  new Problem(
    'conflict',
    `The device ${JSON.stringify(device.device_id)} is ${device.state}: neither it nor a new key of it waits for approval.`,
  );

/**
 * Lets a pending device in, or a new key of a known one: one at a time, so that two devices with one ID never become one
 * unnoticed. Throws `conflict` where nothing waits, or more than one key does.
 */
export async function approveDevice(tx: Tx, { account_id, device }: Named): Promise<DeviceView> {
  const found = await deviceByRef(tx.db, account_id, device);
  if (found.state === 'pending') return change(tx, 'device.approve', found, { state: 'active' });
  const waiting = await waitingKeys(tx, found);
  if (waiting.size === 0) throw nothingWaits(found);
  if (waiting.size > 1) {
    throw new Problem(
      'conflict',
      `${waiting.size} new keys wait under the device ID ${JSON.stringify(found.device_id)}: several devices may be using it.`,
      'See `certificate list`; `certificate revoke` turns away what is not of this device, then approve what is left.',
    );
  }
  await decideRekey(tx, found, 'superseded');
  const [approved_key] = [...waiting] as [string];
  tx.event(deviceKeyChanged(found, approved_key));
  return change(tx, 'device.approve', found, { state: found.state }, { approved_key });
}

/** Turns a pending device away for good (revoked), or the new keys of a known one. Throws `conflict` where nothing waits. */
export async function rejectDevice(tx: Tx, { account_id, device }: Named): Promise<DeviceView> {
  const found = await deviceByRef(tx.db, account_id, device);
  const waiting = await waitingKeys(tx, found);
  if (found.state !== 'pending' && waiting.size === 0) throw nothingWaits(found);
  await decideRekey(tx, found, 'revoked');
  const state = found.state === 'pending' ? 'revoked' : found.state;
  return change(tx, 'device.reject', found, { state }, { rejected_keys: [...waiting] });
}

/** Keeps a device out until it is resumed. Throws `conflict` for one that is not active. */
export async function suspendDevice(tx: Tx, { account_id, device }: Named): Promise<DeviceView> {
  const found = await deviceByRef(tx.db, account_id, device);
  if (found.state === 'suspended') return found;
  if (found.state !== 'active') throw unfitState(found, 'Only an active device can be suspended.');
  return change(tx, 'device.suspend', found, { state: 'suspended' });
}

/** Lets a suspended device in again. Throws `conflict` for one that is not suspended. */
export async function resumeDevice(tx: Tx, { account_id, device }: Named): Promise<DeviceView> {
  const found = await deviceByRef(tx.db, account_id, device);
  if (found.state === 'active') return found;
  if (found.state !== 'suspended') throw unfitState(found, 'Only a suspended device can be resumed.');
  return change(tx, 'device.resume', found, { state: 'active' });
}

/** Turns a device away for good, with every certificate it has or will come with. */
export async function revokeDevice(tx: Tx, { account_id, device }: Named): Promise<DeviceView> {
  const found = await deviceByRef(tx.db, account_id, device);
  const revoked = await revokeCertificates(tx, found);
  const gone = { allowed_root_id: null, reprovision_until: null, certificate_not_after: null };
  const set = { state: 'revoked', ...gone } as const;
  return change(tx, 'device.revoke', found, set, revoked > 0 ? { certificates_revoked: revoked } : {});
}

/** Removes a device; its certificates stay refused, a later one under the same ID is a newcomer. */
export async function deleteDevice(tx: Tx, { account_id, device }: Named): Promise<DeviceView> {
  const found = await deviceByRef(tx.db, account_id, device);
  await revokeCertificates(tx, found);
  await tx.db
    .updateTable('certificates')
    .set({ device_uuid: null })
    .where('account_id', '=', account_id)
    .where('device_uuid', '=', found.uuid)
    .execute();
  await tx.db
    .deleteFrom('reports')
    .where('account_id', '=', account_id)
    .where('device_uuid', '=', found.uuid)
    .execute();
  await tx.db.deleteFrom('devices').where('account_id', '=', account_id).where('uuid', '=', found.uuid).execute();
  tx.audit({ action: 'device.delete', ...itself(found), before: deviceMembers(found) });
  tx.event(deviceDeleted(found));
  tx.changed({ kind: 'device', account_id, device_uuid: found.uuid });
  return found;
}

/** Lets a wiped device with a fixed ID be given a certificate once more, within 24 hours. */
export async function reprovisionDevice(tx: Tx, { account_id, device }: Named): Promise<DeviceView> {
  const found = await deviceByRef(tx.db, account_id, device);
  const account = await tx.db
    .selectFrom('accounts')
    .select('kind')
    .where('id', '=', account_id)
    .executeTakeFirstOrThrow();
  if (account.kind === 'production') throw new Problem('provisioning_not_offered');
  if (found.state === 'revoked') {
    throw unfitState(found, 'A revoked device is not provisioned again: `device delete` frees its ID.');
  }
  return change(tx, 'device.reprovision', found, { reprovision_until: tx.now + reprovisionWindow });
}

/** Lets one device come back under another Fleet Root CA of the account. */
export async function moveRoot(
  tx: Tx,
  { account_id, device, fleet_root_ca_id }: Named & { fleet_root_ca_id: string },
): Promise<DeviceView> {
  const found = await deviceByRef(tx.db, account_id, device);
  const root = await tx.db
    .selectFrom('fleet_root_cas')
    .select('id')
    .where('account_id', '=', account_id)
    .where('id', '=', fleet_root_ca_id)
    .executeTakeFirst();
  if (!root) throw new Problem('not_found', `This account has no Fleet Root CA ${fleet_root_ca_id}.`);
  const allowed_root_id = root.id === found.fleet_root_ca_id ? null : root.id;
  return change(tx, 'device.move_root', found, { allowed_root_id });
}

const updateLastSeen = prepared((db, given: { account_id: string; device_uuid: string; at: number }) =>
  db
    .updateTable('devices')
    .set({ last_seen: given.at })
    .where('account_id', '=', given.account_id)
    .where('uuid', '=', given.device_uuid)
    .where((where) => where.or([where('last_seen', 'is', null), where('last_seen', '<', given.at)])),
);

/** Records when devices were last seen: gathered by the gateway, written about once a second. */
export async function recordLastSeen(
  tx: Tx,
  { seen }: { seen: readonly { account_id: string; device_uuid: string; at: number }[] },
): Promise<void> {
  for (const each of seen) await updateLastSeen(tx.db, each);
}

/** Gives how many were revoked that were not yet. */
async function revokeCertificates(tx: Tx, device: Device): Promise<number> {
  const { numUpdatedRows } = await tx.db
    .updateTable('certificates')
    .set({ state: 'revoked' })
    .where('account_id', '=', device.account_id)
    .where('device_uuid', '=', device.uuid)
    .where('state', 'not in', ['intended', 'revoked'])
    .executeTakeFirst();
  return Number(numUpdatedRows);
}

function unfitState(device: Device, sentence: string): Problem {
  return new Problem('conflict', `The device ${JSON.stringify(device.device_id)} is ${device.state}. ${sentence}`);
}
