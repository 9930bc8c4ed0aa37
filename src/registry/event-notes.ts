// Events of devices and their certificates, as writes note them: what docs/react-to-an-event.md says of each.

import type { ManifestLine, ManifestStranger } from './manifest-tables.ts';
import type { NewEvent } from './notes.ts';
import type { CertificateRecord, CertificateState, Device, DeviceState } from './tables.ts';

type Named = Pick<Device, 'account_id' | 'uuid' | 'device_id'>;
type Certified = Pick<CertificateRecord, 'sha256' | 'tbs_sha256' | 'public_key_sha256' | 'not_after'>;

function deviceOf({ uuid, device_id }: Named) {
  return { device_id, uuid };
}

function certificateOf({ sha256, tbs_sha256, public_key_sha256, not_after }: Certified) {
  return { sha256, tbs_sha256, public_key_sha256, not_after: new Date(not_after).toISOString() };
}

/** A device that was not there before. */
export function deviceAdded(
  device: Named & Pick<Device, 'state' | 'method' | 'fleet_root_ca_id' | 'provisioning_key_id'>,
  certificate: Certified,
): NewEvent {
  const { account_id, state, method, fleet_root_ca_id: fleet_root_ca, provisioning_key_id: provisioning_key } = device;
  const data = { ...deviceOf(device), state, method, fleet_root_ca, provisioning_key, ...certificateOf(certificate) };
  return { type: 'device.added', account_id, data };
}

/** A certificate that the server made for a device; `again` where it had one before. */
export function deviceProvisioned(
  device: Named,
  certificate: Certified & Pick<CertificateRecord, 'provisioning_key_id'>,
  again: boolean,
): NewEvent {
  const { account_id } = device;
  const { provisioning_key_id: provisioning_key } = certificate;
  const data = { ...deviceOf(device), provisioning_key, again, ...certificateOf(certificate) };
  return { type: 'device.provisioned', account_id, data };
}

/** A device, or a new key of one, that waits for an operator. */
export function devicePending(device: Named, waits: 'device' | 'key', certificate: Certified): NewEvent {
  const { account_id } = device;
  return { type: 'device.pending', account_id, data: { ...deviceOf(device), waits, ...certificateOf(certificate) } };
}

/** Another state of a device. */
export function deviceStateChanged(device: Named, from: DeviceState, to: DeviceState): NewEvent {
  return { type: 'device.state_changed', account_id: device.account_id, data: { ...deviceOf(device), from, to } };
}

/** Another key of a device, which from now on is its own. */
export function deviceKeyChanged(device: Named, public_key_sha256: string): NewEvent {
  return {
    type: 'device.key_changed',
    account_id: device.account_id,
    data: { ...deviceOf(device), public_key_sha256 },
  };
}

/** A device that is no more. */
export function deviceDeleted(device: Named): NewEvent {
  return { type: 'device.deleted', account_id: device.account_id, data: deviceOf(device) };
}

/** Another certificate of a device, or the end of one; null for a device that has been deleted. */
export function certificateChanged(
  account_id: string,
  device: { uuid: string | null; device_id: string },
  certificate: Certified,
  state: Extract<CertificateState, 'current' | 'revoked'>,
): NewEvent {
  const data = { device_id: device.device_id, uuid: device.uuid, state, ...certificateOf(certificate) };
  return { type: 'certificate.changed', account_id, data };
}

/** A certificate under the CA of a factory line that no manifest of the line holds: somebody else has the line's key. */
export function factoryStranger(
  stranger: Omit<ManifestStranger, 'told_at'>,
  { id: line, name: line_name, site }: Pick<ManifestLine, 'id' | 'name' | 'site'>,
): NewEvent {
  const { account_id, device_id, tbs_sha256, public_key_sha256, admitted } = stranger;
  const certificate = { device_id, tbs_sha256, public_key_sha256, admitted: admitted === 1 };
  return { type: 'factory.stranger', account_id, data: { line, line_name, site, ...certificate } };
}

type Line = Pick<ManifestLine, 'account_id' | 'id' | 'name' | 'site'>;

/** A manifest that has been taken in: the log entries that are new, and what they tell. */
export function manifestImported(
  { account_id, id: line, name: line_name, site }: Line,
  taken: { first: number; last: number; made: number; withdrawn: number; revoked: number; beyond: number },
): NewEvent {
  return { type: 'manifest.imported', account_id, data: { line, line_name, site, ...taken } };
}

/** A manifest that contradicts what its line has said before: its log was rolled back or written anew. */
export function manifestRefused(
  { account_id, id: line, name: line_name, site }: Line,
  refused: { first: number; last: number; rule: string },
): NewEvent {
  return { type: 'manifest.refused', account_id, data: { line, line_name, site, ...refused } };
}

/** What has changed about whom an account trusts. `fleet_root_ca` is null where it concerns a key, or a whole signed set. */
export function fleetRootChanged(
  account_id: string,
  ca: { id: string; name: string; state: string } | null,
  change:
    | 'added'
    | 'certificates_added'
    | 'state'
    | 'successor'
    | 'admit_chain'
    | 'admit_manifest'
    | 'key_distrusted'
    | 'key_trusted'
    | 'owner_signed',
  public_key_sha256: string | null = null,
): NewEvent {
  const data = {
    change,
    fleet_root_ca: ca?.id ?? null,
    name: ca?.name ?? null,
    state: ca?.state ?? null,
    public_key_sha256,
  };
  return { type: 'fleet_root_ca.changed', account_id, data };
}
