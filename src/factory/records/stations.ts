// The record of the stations that may ask, and of the CA whose certificates they and the service show each other.

import { Problem } from '../../problem.ts';
import { formatInstant } from '../../time.ts';
import { certificateOfKey } from './certificates.ts';
import { fact, rememberFact } from './facts.ts';
import { holderOf } from './keys.ts';
import type { FactoryDb, FactoryTx, Station } from './tables.ts';

const caFact = 'station_ca';

/** The Station CA's certificate, DER; null before it was made. Its key is the one in use for `station-ca`. */
export async function stationCaCertificate(db: FactoryDb): Promise<Uint8Array | null> {
  return fact(db, caFact);
}

/** Records the Station CA's certificate, once. Throws Problem('conflict'). */
export async function recordStationCa(
  tx: FactoryTx,
  { certificate, sha256, not_after }: { certificate: Uint8Array; sha256: string; not_after: number },
): Promise<void> {
  if ((await stationCaCertificate(tx.db)) !== null) throw new Problem('conflict', 'There is a Station CA already.');
  await rememberFact(tx, { key: caFact, value: certificate });
  const object = { kind: 'station-ca', id: sha256, name: null };
  tx.audit({ action: 'station-ca.create', account_id: null, object, after: { not_after: formatInstant(not_after) } });
}

/** Notes in the log the certificate that the service shows from now on. */
export async function noteServiceCertificate(
  tx: FactoryTx,
  { tbs_sha256, hosts, not_after }: { tbs_sha256: string; hosts: readonly string[]; not_after: number },
): Promise<void> {
  const object = { kind: 'service-certificate', id: tbs_sha256, name: null };
  const after = { hosts: [...hosts], not_after: formatInstant(not_after) };
  tx.audit({ action: 'service-certificate.make', account_id: null, object, after });
}

type NewStation = Omit<Station, 'created_at' | 'removed_at' | 'public_key'> & Partial<Pick<Station, 'public_key'>>;

/** Throws Problem('key_in_use') for the key of a CA, of another station, or of a device. */
export async function requireFreeKey(db: FactoryDb, public_key_sha256: string): Promise<void> {
  const device = await certificateOfKey(db, public_key_sha256);
  const whose = (await holderOf(db, public_key_sha256)) ?? (device && `the device "${device.device_id}"`);
  if (whose) throw new Problem('key_in_use', `The key is that of ${whose}.`, 'A station needs a key of its own.');
}

/**
 * Records a station. Throws Problem('name_taken'), also for the name of one that was removed: records tell of it; and as
 * `requireFreeKey` does.
 */
export async function addStation(tx: FactoryTx, station: NewStation): Promise<Station> {
  const { id, name, tbs_sha256, networks, address, not_after } = station;
  if (await stationByName(tx.db, name)) throw new Problem('name_taken', `There is, or was, a station "${name}".`);
  if (station.public_key_sha256 !== null) await requireFreeKey(tx.db, station.public_key_sha256);
  const row = { ...station, public_key: station.public_key ?? null, created_at: tx.now, removed_at: null };
  await tx.db.insertInto('stations').values(row).execute();
  const after = {
    certificate: tbs_sha256,
    not_after: formatInstant(not_after),
    networks: JSON.parse(networks) as string[],
    address,
  };
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

/** The station of this ID, also one that was removed. */
export async function stationById(db: FactoryDb, id: string): Promise<Station | undefined> {
  return db.selectFrom('stations').selectAll().where('id', '=', id).executeTakeFirst();
}

/** The station that has this certificate, by the SHA-256 of its TBSCertificate, also one that was removed. */
export async function stationByCertificate(db: FactoryDb, tbs_sha256: string): Promise<Station | undefined> {
  return db.selectFrom('stations').selectAll().where('tbs_sha256', '=', tbs_sha256).executeTakeFirst();
}
