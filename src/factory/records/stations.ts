// The record of the stations that may ask.

import { Problem } from '../../problem.ts';
import type { FactoryDb, FactoryTx, Station } from './tables.ts';

/** Records a station. Throws Problem('name_taken'), also for the name of one that was removed: records tell of it. */
export async function addStation(tx: FactoryTx, station: Omit<Station, 'created_at' | 'removed_at'>): Promise<Station> {
  const { id, name, tbs_sha256, networks } = station;
  if (await stationByName(tx.db, name)) throw new Problem('name_taken', `There is, or was, a station "${name}".`);
  const row = { ...station, created_at: tx.now, removed_at: null };
  await tx.db.insertInto('stations').values(row).execute();
  const after = { certificate: tbs_sha256, networks: JSON.parse(networks) as string[] };
  tx.audit({ action: 'station.add', account_id: null, object: { kind: 'station', id, name }, after });
  return row;
}

/** Removes a station: from now on it may not ask. Throws Problem('not_found'). */
export async function removeStation(tx: FactoryTx, { name }: { name: string }): Promise<Station> {
  const station = await stationByName(tx.db, name);
  if (!station || station.removed_at !== null) throw new Problem('not_found', `There is no station "${name}".`);
  await tx.db.updateTable('stations').set({ removed_at: tx.now }).where('id', '=', station.id).execute();
  tx.audit({ action: 'station.remove', account_id: null, object: { kind: 'station', id: station.id, name } });
  return { ...station, removed_at: tx.now };
}

/** All there are and were, by name. */
export async function stationsOf(db: FactoryDb): Promise<Station[]> {
  return db.selectFrom('stations').selectAll().orderBy('name').execute();
}

/** The station of this name, also one that was removed. */
export async function stationByName(db: FactoryDb, name: string): Promise<Station | undefined> {
  return db.selectFrom('stations').selectAll().where('name', '=', name).executeTakeFirst();
}

/** The station that has this certificate, by the SHA-256 of its TBSCertificate, also one that was removed. */
export async function stationByCertificate(db: FactoryDb, tbs_sha256: string): Promise<Station | undefined> {
  return db.selectFrom('stations').selectAll().where('tbs_sha256', '=', tbs_sha256).executeTakeFirst();
}
