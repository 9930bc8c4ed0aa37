// How many devices there are, as the database counts them by itself: no count reads the devices.

import type { Db } from './database.ts';
import type { DeviceTalliesTable } from './fleet-tables.ts';

/** How many devices of an account are alike. */
export type DeviceTally = Omit<DeviceTalliesTable, 'account_id'>;

/** The devices of an account, by what they have in common: a row for all that are alike, as many as there are kinds. */
export async function deviceTalliesOf(db: Db, account_id: string): Promise<DeviceTally[]> {
  return db
    .selectFrom('device_tallies')
    .select(['state', 'method', 'fleet_root_ca_id', 'provisioning_key_id', 'devices'])
    .where('account_id', '=', account_id)
    .where('devices', '>', 0)
    .execute();
}

/** How many devices an account has. */
export async function countDevicesOf(db: Db, account_id: string): Promise<number> {
  return (await deviceTalliesOf(db, account_id)).reduce((sum, { devices }) => sum + devices, 0);
}

/** How many devices hang on each Fleet Root CA of an account, by its ID. */
export async function countDevicesByRoot(db: Db, account_id: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { fleet_root_ca_id, devices } of await deviceTalliesOf(db, account_id)) {
    counts.set(fleet_root_ca_id, (counts.get(fleet_root_ca_id) ?? 0) + devices);
  }
  return counts;
}
