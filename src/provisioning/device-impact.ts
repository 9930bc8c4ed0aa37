// What breaks by what is done to one device, one certificate, one provisioning key.

import { presentCertificateOf } from '../registry/device-standings.ts';
import { deviceByRef } from '../registry/devices.ts';
import { requireProvisioningKey } from '../registry/provisioning-keys.ts';
import type { Account } from '../registry/tables.ts';
import { loadReadableTrust } from './account-trust.ts';
import { devicesOfKey, impactOfDevice } from './fleet-impact.ts';
import { type Impact, noDevices, otherFacts } from './impact.ts';
import type { Provisioning } from './provisioning.ts';
import { refuse, type Refusal } from './refusal.ts';

/** What may be done to a device that shuts it out, or changes where it may come: the write, and what it is told then. */
const actions: Record<DestructiveDeviceAction, Refusal | null> = {
  suspendDevice: refuse('device_suspended', 'The device is suspended.'),
  revokeDevice: refuse('device_revoked', 'The device is revoked.'),
  deleteDevice: refuse('certificate_revoked', 'The device is deleted, and its certificates are revoked.'),
  // What is turned away waits: it does not get in at present, and a known device goes on with the key it has.
  rejectDevice: null,
};

export type DestructiveDeviceAction = 'suspendDevice' | 'revokeDevice' | 'deleteDevice' | 'rejectDevice';

/** Of what is done to a device. Throws what doing it throws. */
export async function impactOfDeviceAction(
  p: Provisioning,
  account: Account,
  ref: string,
  action: DestructiveDeviceAction,
): Promise<Impact> {
  const device = await deviceByRef(p.registry.read, account.id, ref);
  await p.registry.rehearse(action, { account_id: account.id, device: ref });
  const trust = await loadReadableTrust(p, account);
  const impact = await impactOfDevice(p.registry.read, trust, device, actions[action], p.clock());
  if (action !== 'deleteDevice') return impact;
  return { ...impact, newcomers: 'Whoever comes with another certificate under its device ID is a newcomer.' };
}

/** Of letting a device come back under another Fleet Root CA: it goes on where it is until then. */
export async function impactOfMove(
  p: Provisioning,
  account: Account,
  { device: ref, fleet_root_ca_id }: { device: string; fleet_root_ca_id: string },
): Promise<Impact> {
  const device = await deviceByRef(p.registry.read, account.id, ref);
  const moved = await p.registry.rehearse('moveRoot', { account_id: account.id, device: ref, fleet_root_ca_id });
  const trust = await loadReadableTrust(p, account);
  const impact = await impactOfDevice(p.registry.read, trust, device, null, p.clock());
  const lost = device.allowed_root_id;
  if (lost === null || lost === moved.allowed_root_id) return impact;
  const name = trust.roots.get(lost)?.name ?? lost;
  return { ...impact, other: otherFacts({ moves_no_longer_allowed: [name] }) };
}

/** Of revoking one certificate. Throws `not_found`. */
export async function impactOfRevokedCertificate(p: Provisioning, account: Account, sha256: string): Promise<Impact> {
  const db = p.registry.read;
  const certificate = await p.registry.rehearse('revokeCertificate', { account_id: account.id, sha256 });
  if (certificate.device_uuid === null) return noDevices();
  const device = await deviceByRef(db, account.id, `uuid:${certificate.device_uuid}`);
  const present = await presentCertificateOf(db, account.id, device.uuid);
  const shutOut = present?.tbs_sha256 === certificate.tbs_sha256;
  const refusal = shutOut
    ? refuse('certificate_revoked', 'The certificate that the device has at present is revoked.')
    : null;
  return impactOfDevice(db, await loadReadableTrust(p, account), device, refusal, p.clock());
}

/** Of disabling a provisioning key: the devices that it has made go on. Throws `not_found`. */
export async function impactOfDisabledKey(p: Provisioning, account: Account, id: string): Promise<Impact> {
  const key = await requireProvisioningKey(p.registry.read, account.id, id);
  const impact = await devicesOfKey(p.registry.read, account.id, id, p.clock());
  return {
    ...impact,
    newcomers:
      key.disabled_at === null
        ? 'Whoever provisions with this key is refused with provisioning_key_disabled; the devices that it has made go on.'
        : 'It is disabled already.',
    other: [{ what: 'provisioning_keys', count: 1, sample: [key.description ?? key.id] }],
  };
}
