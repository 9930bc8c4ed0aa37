// Who is asking: the station that a connection's certificate or password is of, and whether it may ask from there.

import { hash, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { FastifyRequest } from 'fastify';
import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';
import { Problem } from '../../problem.ts';
import { identify } from '../../provisioning/device-identity.ts';
import { type Certificate, CertificateError, parseCertificate } from '../../x509/certificate.ts';
import type { Factory } from '../factory.ts';
import { certificateOfKey } from '../records/certificates.ts';
import { stationByCertificate, stationByName, stationsOf } from '../records/stations.ts';
import type { MadeCertificate, Station } from '../records/tables.ts';
import { recordedStationCa } from '../station-ca.ts';

/** Wrong passwords from one address that are answered at once; then one more every so many milliseconds. */
const freeGuesses = 10;
const guessInterval = 6_000;
const mostGuessers = 10_000;

/** Counts wrong passwords by the address that they came from. */
export class Guesses {
  readonly #clock: () => number;
  readonly #spent = new LRUCache<string, { guesses: number; at: number }>({ max: mostGuessers });

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Counts one. Throws Problem('too_many_requests') where there were too many. */
  count(address: string): void {
    const now = this.#clock();
    const before = this.#spent.get(address) ?? { guesses: 0, at: now };
    const guesses = Math.max(0, before.guesses - Math.max(0, now - before.at) / guessInterval) + 1;
    this.#spent.set(address, { guesses: Math.min(guesses, freeGuesses), at: now });
    if (guesses > freeGuesses) {
      throw new Problem('too_many_requests', `Too many wrong passwords have come from ${address}.`);
    }
  }
}

/** What a certificate that was shown is of. */
export interface ShownDevice {
  readonly certificate: Certificate;
  readonly made: MadeCertificate;
}

/**
 * The station that asks, by the password of its request or else by the certificate of its connection. Throws Problem:
 * `station_unknown`, `certificate_expired`, `certificate_invalid`, `station_not_allowed`, `too_many_requests`.
 */
export async function callingStation(
  factory: Factory,
  guesses: Guesses,
  { raw: { socket }, headers: { authorization } }: FastifyRequest,
): Promise<Station> {
  const station =
    authorization === undefined
      ? await stationShown(factory, socket as TLSSocket)
      : await stationByPassword(factory, guesses, authorization, addressOf(socket));
  requirePlace(station, socket);
  return station;
}

async function stationShown(factory: Factory, socket: TLSSocket): Promise<Station> {
  const shown = readShown(socket);
  const [leaf] = shown;
  if (leaf === undefined) {
    throw new Problem(
      'station_unknown',
      'Neither the certificate nor the password of a station was sent.',
      '`factory station add` makes a station with either.',
    );
  }
  const { records, clock } = factory;
  const station = await stationByCertificate(records.read, leaf.tbsSha256);
  if (station === undefined) throw await notAStation(factory, leaf);
  const { certificate } = (await recordedStationCa(factory))!;
  const trust = { anchors: [{ id: 'station-ca', certificate }], intermediates: [], excluded: new Set<string>() };
  const identity = identify([leaf], trust, clock());
  if (identity.kind === 'unidentified') {
    const { code, rule } = identity.refusal;
    if (code !== 'certificate_expired') throw new Problem('certificate_invalid', rule);
  }
  requireCurrent(station, clock());
  return present(station);
}

function requireCurrent({ name, not_after }: Station, now: number): void {
  if (not_after !== null && not_after > now) return;
  throw new Problem(
    'certificate_expired',
    `The certificate of the station "${name}" has expired.`,
    '`factory station add` makes another station, under another name.',
  );
}

/** What to say of a certificate that is no station's. */
async function notAStation({ records }: Factory, leaf: Certificate): Promise<Problem> {
  const device = await certificateOfKey(records.read, leaf.publicKey.sha256);
  return device?.tbs_sha256 === leaf.tbsSha256
    ? new Problem(
        'station_unknown',
        `The certificate shown is that of the device "${device.device_id}", and only a station may ask for this.`,
        'A device that has a certificate asks for another by simplereenroll.',
      )
    : new Problem(
        'station_unknown',
        'The certificate shown is of no station of this factory.',
        '`factory station list` shows them, `factory station add` makes one.',
      );
}

async function stationByPassword(
  { records }: Factory,
  guesses: Guesses,
  authorization: string,
  address: string,
): Promise<Station> {
  const [, encoded] = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(authorization) ?? [];
  const [, name, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString('utf8')) ?? [];
  if (name === undefined || password === undefined) {
    throw new Problem('station_unknown', 'The Authorization header is not the name and password of a station.');
  }
  const station = await stationByName(records.read, name);
  // Of a random password of 256 bits its SHA-256 tells nothing, and no guess is ever right: a guess is counted for what it
  // costs, and the right password is let in however many wrong ones came from the same address.
  const given = Buffer.from(hash('sha256', password, 'hex'));
  const right = Buffer.from(station?.password_sha256 ?? hash('sha256', '', 'hex'));
  if (!timingSafeEqual(given, right) || station === undefined || station.password_sha256 === null) {
    guesses.count(address);
    throw new Problem('station_unknown', 'There is no station of that name with that password.');
  }
  return present(station);
}

/** Throws Problem('station_unknown') for a station that was removed. */
function present(station: Station): Station {
  if (station.removed_at === null) return station;
  throw new Problem('station_unknown', `The station "${station.name}" has been removed.`);
}

/** Whether a station may ask from where the connection comes, to where it went. Throws Problem('station_not_allowed'). */
export function requirePlace({ name, networks, address }: Station, socket: Socket): void {
  const from = addressOf(socket);
  if (!isWithin(from, JSON.parse(networks) as string[])) {
    throw new Problem(
      'station_not_allowed',
      `The station "${name}" may not ask from ${from}, which is in none of its networks.`,
    );
  }
  const to = canonicalAddress(socket.localAddress);
  if (address !== null && address !== to) {
    throw new Problem('station_not_allowed', `The station "${name}" may ask at ${address} alone, and not at ${to}.`);
  }
}

/** Whether somebody may know what everybody on the line may. Throws Problem('station_not_allowed'). */
export async function requireLineNetwork({ records }: Factory, socket: Socket): Promise<void> {
  const from = addressOf(socket);
  const stations = (await stationsOf(records.read)).filter(({ removed_at }) => removed_at === null);
  if (stations.some(({ networks }) => isWithin(from, JSON.parse(networks) as string[]))) return;
  throw new Problem('station_not_allowed', `No station may ask from ${from}.`);
}

/**
 * The device whose certificate, made here and current, a connection shows; also one that was withdrawn for the key that is
 * asked for (SHA-256): the answer of before may have been lost. Throws Problem: `station_unknown`, `certificate_expired`,
 * `certificate_invalid`.
 */
export async function shownDevice(
  factory: Factory,
  line: Certificate,
  socket: Socket,
  askedKey: string,
): Promise<ShownDevice> {
  const { records, clock } = factory;
  const [certificate] = readShown(socket as TLSSocket);
  if (certificate === undefined) {
    throw new Problem('station_unknown', 'The device has not shown the certificate that it has.');
  }
  const made = await certificateOfKey(records.read, certificate.publicKey.sha256);
  if (made?.tbs_sha256 !== certificate.tbsSha256 || made.state === 'intended') {
    throw new Problem('station_unknown', 'The certificate shown was not made by this line.');
  }
  if (made.state === 'withdrawn' && !(await tookItsPlace(factory, made, askedKey))) {
    throw new Problem('station_unknown', `The certificate shown, of "${made.device_id}", has been withdrawn.`);
  }
  const trust = { anchors: [{ id: 'line', certificate: line }], intermediates: [], excluded: new Set<string>() };
  const identity = identify([certificate], trust, clock());
  if (identity.kind === 'identified') return { certificate, made };
  const { code, rule } = identity.refusal;
  throw new Problem(code === 'certificate_expired' ? code : 'certificate_invalid', rule);
}

/** Whether a key is the one that the device has a certificate of now. */
async function tookItsPlace({ records }: Factory, { device_id }: MadeCertificate, key: string): Promise<boolean> {
  const next = await certificateOfKey(records.read, key);
  return next?.state === 'made' && next.device_id === device_id;
}

/** The certificates that the peer showed, its own first. Throws Problem('certificate_invalid'). */
function readShown(socket: TLSSocket): Certificate[] {
  const first = socket.getPeerX509Certificate();
  if (!first) return [];
  try {
    return [parseCertificate(first.raw)];
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw new Problem('certificate_invalid', error.message);
  }
}

/** An empty list allows every network. */
function isWithin(from: string, networks: readonly string[]): boolean {
  if (networks.length === 0) return true;
  if (!ipaddr.isValid(from)) return false;
  const address = ipaddr.process(from);
  return networks.some((network) => {
    const [base, bits] = ipaddr.parseCIDR(network);
    return address.kind() === base.kind() && address.match(base, bits);
  });
}

/** The peer's address; IPv4 as such, also through an IPv6 socket. */
export function addressOf(socket: Socket): string {
  return canonicalAddress(socket.remoteAddress);
}

function canonicalAddress(address = ''): string {
  const bare = address.replace(/%.*$/, '');
  return ipaddr.isValid(bare) ? ipaddr.process(bare).toString() : bare;
}
