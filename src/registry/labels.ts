// Labels of devices: names with values, such as a VIN or a batch, by which people find them.

import { type Db, prepared, type Tx } from './database.ts';
import { type DeviceView, deviceByRef } from './devices.ts';
import { mostLabels, readLabels, withLabels } from './label-values.ts';
import { Problem } from '../problem.ts';
import type { Device } from './tables.ts';

/** Sets labels of a device, and takes away those that are null. Throws `not_found`, or `conflict` for too many. */
export async function setLabels(
  tx: Tx,
  {
    account_id,
    device,
    labels,
  }: { account_id: string; device: string; labels: Readonly<Record<string, string | null>> },
): Promise<DeviceView> {
  const found = await deviceByRef(tx.db, account_id, device);
  const changed = withLabels(readLabels(found.labels), labels);
  if (changed === found.labels) return found;
  if (Object.keys(readLabels(changed)).length > mostLabels) {
    throw new Problem(
      'conflict',
      `The device ${JSON.stringify(found.device_id)} may have ${mostLabels} labels at most.`,
    );
  }
  await storeLabels(tx.db, found, changed);
  tx.audit({
    action: 'device.label',
    account_id,
    object: { kind: 'device', id: found.uuid, name: found.device_id },
    before: { labels: readLabels(found.labels) },
    after: { labels: readLabels(changed) },
  });
  return { ...found, labels: changed };
}

/** Writes the labels of a device, for showing and for finding it. */
export async function storeLabels(
  db: Db,
  { account_id, uuid }: Pick<Device, 'account_id' | 'uuid'>,
  labels: string | null,
): Promise<void> {
  await db
    .updateTable('devices')
    .set({ labels })
    .where('account_id', '=', account_id)
    .where('uuid', '=', uuid)
    .execute();
  await db.deleteFrom('device_labels').where('account_id', '=', account_id).where('device_uuid', '=', uuid).execute();
  const rows = Object.entries(readLabels(labels)).map(([name, value]) => ({
    account_id,
    device_uuid: uuid,
    name,
    value,
  }));
  if (rows.length > 0) await db.insertInto('device_labels').values(rows).execute();
}

const labelsOfEntry = prepared((db, given: { account_id: string; device_id: string }) =>
  db
    .selectFrom('allow_list')
    .select('labels')
    .where('account_id', '=', given.account_id)
    .where('device_id', '=', given.device_id),
);

/** Gives a device that has just joined the labels that the allow-list has for it. */
export async function labelNewcomer(db: Db, device: Pick<Device, 'account_id' | 'uuid' | 'device_id'>): Promise<void> {
  const { account_id, device_id } = device;
  const [entry] = await labelsOfEntry(db, { account_id, device_id });
  if (entry?.labels) await storeLabels(db, device, entry.labels);
}

/** Names of labels that are listed at most. */
const mostNames = 100;

/** The names of labels that devices of an account have, in their order. */
export async function labelNamesOf(db: Db, account_id: string): Promise<string[]> {
  const names: string[] = [];
  // From one name to the next in the index: each device has the same few.
  for (let last = ''; names.length < mostNames;) {
    const next = await db
      .selectFrom('device_labels')
      .select('name')
      .where('account_id', '=', account_id)
      .where('name', '>', last)
      .orderBy('name')
      .limit(1)
      .executeTakeFirst();
    if (!next) break;
    names.push((last = next.name));
  }
  return names;
}
