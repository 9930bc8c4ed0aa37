// Who may ask: stations as people add and remove them, and what tells whoever has a connection of one open.

import { hash, randomBytes, randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Problem } from '../problem.ts';
import { formatInstant } from '../time.ts';
import { certificateToPem, parseCertificate } from '../x509/certificate.ts';
import { CertificationRequestError, faultOfRequestSignature, readRequestFile } from '../x509/certification-request.ts';
import { weaknessOf } from '../x509/key-weakness.ts';
import { parsePublicKey, type PublicKey } from '../x509/key.ts';
import { type Factory, ownerNamed } from './factory.ts';
import { requireFreeKey, stationsOf } from './records/stations.ts';
import type { Station } from './records/tables.ts';
import { organizationOf, stationCa } from './station-ca.ts';

/** How a station shows who it is. */
type Proof =
  /** SubjectPublicKeyInfo (DER, base64) of a key that whoever asks has made for it. */
  | { readonly kind: 'key'; readonly public_key: string }
  /** A certification request of its own, as a file has it, in base64. */
  | { readonly kind: 'request'; readonly request: string }
  | { readonly kind: 'password' };

/** A station as people and `--json` are told of it. */
export interface StationJson {
  readonly id: string;
  readonly name: string;
  readonly state: 'active' | 'expired' | 'removed';
  /** By what it shows who it is. */
  readonly proof: 'certificate' | 'password';
  /** Where it may ask from; empty for everywhere. */
  readonly networks: readonly string[];
  /** The one address of the service that it may ask at, or null. */
  readonly address: string | null;
  /** When its certificate ends; null for a password, which does not. */
  readonly not_after: string | null;
  readonly created_at: string;
  readonly removed_at: string | null;
}

/** What is told of a station that was added. What is null it has none of. */
export interface AddedStation {
  readonly station: StationJson;
  /** PEM. */
  readonly certificate: string | null;
  /** PEM; what it trusts the service by. */
  readonly ca: string;
  /** Told here and never again: of it only the SHA-256 is kept. */
  readonly password: string | null;
}

/** Also a user name of Basic, which has no colon (RFC 7617 §2). */
const stationName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const passwordOctets = 32;

/** Adds a station. Throws Problem: `invalid_request`, `key_not_accepted`, `key_in_use`, `name_taken`, and CustodyProblem. */
async function addStation(
  factory: Factory,
  { name, networks, address, proof }: { name: string; networks: string[]; address: string | null; proof: Proof },
): Promise<AddedStation> {
  if (!stationName.test(name)) {
    throw new Problem(
      'invalid_request',
      `${JSON.stringify(name)} is no name for a station.`,
      'A name has 1 to 64 letters, digits, dots, hyphens and underscores, and begins with a letter or a digit.',
    );
  }
  const from = { networks: JSON.stringify(networks.map(checkNetwork)), address: address && checkAddress(address) };
  const ca = await stationCa(factory);
  const caPem = certificateToPem(ca.certificate.der);
  const named = { id: randomUUID(), name, ...from };
  if (proof.kind === 'password') {
    const password = randomBytes(passwordOctets).toString('base64url');
    const station = await factory.records.write('addStation', {
      ...named,
      tbs_sha256: null,
      public_key_sha256: null,
      password_sha256: hash('sha256', password, 'hex'),
      not_after: null,
    });
    return { station: stationJson(station, factory.clock()), certificate: null, ca: caPem, password };
  }
  const publicKey =
    proof.kind === 'key' ? parsePublicKey(Buffer.from(proof.public_key, 'base64')) : keyOf(proof.request);
  await requireFreeKey(factory.records.read, publicKey.sha256);
  const account = ownerNamed(await organizationOf(factory));
  const { maker } = factory;
  const request = { profile: 'station', account, ca, publicKey: publicKey.canonicalSpki, name } as const;
  const certificate = parseCertificate(await maker.issue(maker.prepare(request)));
  const station = await factory.records.write('addStation', {
    ...named,
    tbs_sha256: certificate.tbsSha256,
    public_key_sha256: publicKey.sha256,
    public_key: publicKey.canonicalSpki.toString('base64'),
    password_sha256: null,
    not_after: certificate.notAfter,
  });
  const told = stationJson(station, factory.clock());
  return { station: told, certificate: certificateToPem(certificate.der), ca: caPem, password: null };
}

function stationJson(station: Station, now: number): StationJson {
  const { id, name, networks, address, not_after, created_at, removed_at } = station;
  const expired = not_after !== null && not_after <= now;
  return {
    id,
    name,
    state: removed_at !== null ? 'removed' : expired ? 'expired' : 'active',
    proof: station.password_sha256 === null ? 'certificate' : 'password',
    networks: JSON.parse(networks) as string[],
    address,
    not_after: formatInstant(not_after),
    created_at: formatInstant(created_at),
    removed_at: formatInstant(removed_at),
  };
}

/** The key of a station's own request, which has shown that it has it. */
function keyOf(request: string): PublicKey {
  try {
    const read = readRequestFile(Buffer.from(request, 'base64'));
    const weakness = weaknessOf(read.publicKey);
    if (weakness !== null) throw new Problem('key_not_accepted', weakness, 'Make a P-256 key for the station.');
    const fault = faultOfRequestSignature(read);
    if (fault !== null) throw new Problem('invalid_request', fault);
    return read.publicKey;
  } catch (error) {
    if (!(error instanceof CertificationRequestError)) throw error;
    throw new Problem('invalid_request', error.message, 'Give a PKCS#10 request: `openssl req -new` makes one.');
  }
}

function checkNetwork(network: string): string {
  if (ipaddr.isValidCIDR(network)) return network;
  if (isIP(network) !== 0) return `${network}/${isIP(network) === 4 ? 32 : 128}`;
  throw new Problem('invalid_request', `"${network}" is no network such as 10.1.0.0/16 or 2001:db8::/32.`);
}

function checkAddress(address: string): string {
  if (isIP(address) !== 0) return ipaddr.process(address).toString();
  throw new Problem('invalid_request', `"${address}" is no IP address.`);
}

/** All stations, also those that were removed. */
async function listStations({ records, clock }: Factory, _: object): Promise<StationJson[]> {
  return (await stationsOf(records.read)).map((station) => stationJson(station, clock()));
}

/** Removes a station; its connections end before this resolves. Throws Problem('not_found'). */
async function removeStation(factory: Factory, { name }: { name: string }): Promise<StationJson> {
  const removed = await factory.records.write('removeStation', { name });
  for (const hear of listeners.get(factory) ?? []) hear(removed);
  return stationJson(removed, factory.clock());
}

/** What people ask of a factory about its stations (actions.ts). */
export const stationActions = { addStation, listStations, removeStation };

const listeners = new WeakMap<Factory, Set<(removed: Station) => void>>();

/** Has `hear` called for each station that is removed, until what it gives is disposed of. */
export function onStationRemoved(factory: Factory, hear: (removed: Station) => void): Disposable {
  const all = listeners.get(factory) ?? new Set();
  listeners.set(factory, all.add(hear));
  return { [Symbol.dispose]: () => void all.delete(hear) };
}
