// Changes of many devices at once: a few hundred in one write, so that the others that wait for the writer get their turn.

import type { Tx } from './database.ts';
import { deviceStateChanged } from './event-notes.ts';
import type { Device, DeviceState } from './tables.ts';

/** What can be done to many devices. */
export const fleetActions = ['suspend', 'resume', 'revoke'] as const;
export type FleetAction = (typeof fleetActions)[number];

/** The states that an action changes, and the one that it leads to. Devices in others are left as they are. */
export const fleetActionStates: Readonly<Record<FleetAction, { from: readonly DeviceState[]; to: DeviceState }>> = {
  suspend: { from: ['active'], to: 'suspended' },
  resume: { from: ['suspended'], to: 'active' },
  revoke: { from: ['pending', 'active', 'suspended'], to: 'revoked' },
};

/** Devices in one write at most. */
export const devicesAtOnce = 500;

/**
 * Does one thing to up to `devicesAtOnce` devices, those of them that are in a fit state by now; each has an entry in the
 * audit log and is told of. Gives how many were changed.
 */
export async function changeDevices(
  tx: Tx,
  { account_id, action, uuids }: { account_id: string; action: FleetAction; uuids: readonly string[] },
): Promise<{ changed: number }> {
  const { from, to } = fleetActionStates[action];
  const found = await tx.db
    .selectFrom('devices')
    .select(['uuid', 'device_id', 'state'])
    .where('account_id', '=', account_id)
    .where('uuid', 'in', uuids)
    .where('state', 'in', from)
    .orderBy('device_id')
    .execute();
  const those = found.map(({ uuid }) => uuid);
  if (those.length === 0) return { changed: 0 };
  const ended = { allowed_root_id: null, reprovision_until: null, certificate_not_after: null };
  await tx.db
    .updateTable('devices')
    .set({ state: to, ...(action === 'revoke' && ended) })
    .where('account_id', '=', account_id)
    .where('uuid', 'in', those)
    .execute();
  const certificates = action === 'revoke' ? await revokeCertificates(tx, account_id, those) : null;
  for (const device of found) tell(tx, account_id, action, device, certificates?.get(device.uuid) ?? 0);
  return { changed: found.length };
}

/** Gives how many each device had that were not revoked yet. */
async function revokeCertificates(
  tx: Tx,
  account_id: string,
  uuids: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const revoked = await tx.db
    .updateTable('certificates')
    .set({ state: 'revoked' })
    .where('account_id', '=', account_id)
    .where('device_uuid', 'in', uuids)
    .where('state', 'not in', ['intended', 'revoked'])
    .returning('device_uuid')
    .execute();
  const counts = new Map<string, number>();
  for (const { device_uuid } of revoked) counts.set(device_uuid!, (counts.get(device_uuid!) ?? 0) + 1);
  return counts;
}

function tell(
  tx: Tx,
  account_id: string,
  action: FleetAction,
  { uuid, device_id, state }: Pick<Device, 'uuid' | 'device_id' | 'state'>,
  certificates: number,
): void {
  const { to } = fleetActionStates[action];
  tx.changed({ kind: 'device', account_id, device_uuid: uuid });
  tx.audit({
    action: `device.${action}`,
    account_id,
    object: { kind: 'device', id: uuid, name: device_id },
    before: { state },
    after: { state: to, ...(certificates > 0 && { certificates_revoked: certificates }) },
  });
  tx.event(deviceStateChanged({ account_id, uuid, device_id }, state, to));
}
