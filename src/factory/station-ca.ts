// The factory's own Station CA: it certifies stations, and what the service shows them. Nothing of it leads to the Fleet Root.

import { randomUUID } from 'node:crypto';
import type { SigningCa, SigningKey } from '../issuing/signing-ca.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { type Factory, ownerNamed } from './factory.ts';
import { keyFor } from './records/keys.ts';
import { theLine } from './records/lines.ts';
import { stationCaCertificate } from './records/stations.ts';

export type StationCa = SigningCa<SigningKey>;

/** One at a time makes it. */
const making = new WeakMap<Factory, Promise<StationCa>>();

/**
 * The Station CA, made where there is none. Its key lies sealed in the factory's records whatever holds the line's: the
 * HSM's sessions are for devices, and whoever could use this key makes no device of it. Throws CustodyProblem.
 */
export async function stationCa(factory: Factory): Promise<StationCa> {
  const present = await recordedStationCa(factory);
  if (present !== null) return present;
  const running = making.get(factory) ?? makeStationCa(factory).finally(() => making.delete(factory));
  making.set(factory, running);
  return running;
}

/** The Station CA, or null before it was made. */
export async function recordedStationCa({ records }: Pick<Factory, 'records'>): Promise<StationCa | null> {
  const certificate = await stationCaCertificate(records.read);
  const key = await keyFor(records.read, 'station-ca');
  return certificate && key ? { certificate: parseCertificate(certificate), key } : null;
}

async function makeStationCa(factory: Factory): Promise<StationCa> {
  const { keys, maker, records } = factory;
  // One that was recorded when the program was killed serves: its certificate is what was missing.
  const key = (await keyFor(records.read, 'station-ca')) ?? (await makeKey(factory));
  await keys.check(key);
  const account = ownerNamed(await organizationOf(factory));
  const der = await maker.issue(maker.prepare({ profile: 'station_ca', account, key, id: randomUUID() }));
  const certificate = parseCertificate(der);
  const { sha256, notAfter: not_after } = certificate;
  await records.write('recordStationCa', { certificate: new Uint8Array(der), sha256, not_after });
  return { certificate, key };
}

async function makeKey({ keys, records }: Factory): Promise<SigningKey> {
  const key = await keys.create('station-ca', 'p256', 'software');
  return records.write('recordKey', { key });
}

/** What stands as the organization in certificates of this CA: the line's name, once it has one. */
export async function organizationOf({ records }: Pick<Factory, 'records'>): Promise<string> {
  return (await theLine(records.read))?.name ?? 'Factory';
}
