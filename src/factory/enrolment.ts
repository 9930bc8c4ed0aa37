// How a request becomes a certificate, whoever brings it: the station over HTTPS, or a batch across the gap.

import type { Prepared, Recording } from '../issuing/issuer.ts';
import type { Evidence } from '../manifest/manifest.ts';
import { Problem } from '../problem.ts';
import { type Actor, actAs, presentActor, theServer } from '../registry/acting.ts';
import { deviceIdOf } from '../provisioning/device-identity.ts';
import type { Certificate } from '../x509/certificate.ts';
import { type CertificationRequest, faultOfRequestSignature } from '../x509/certification-request.ts';
import { weaknessOf } from '../x509/key-weakness.ts';
import { type Factory, ownerNamed, type ReadyLine, readyLine } from './factory.ts';
import {
  certificateOfKey,
  type Charged,
  type Intended,
  keyInUse,
  serves,
  windowClosed,
} from './records/certificates.ts';
import { holderOf } from './records/keys.ts';
import { isListed, orderByName } from './records/orders.ts';
import type { FactoryWindow, MadeCertificate, Order, Station } from './records/tables.ts';
import { openWindows } from './records/windows.ts';

/** Who asks for what. */
export interface Asked {
  readonly request: CertificationRequest;
  /** The station that asks, which has been authenticated. */
  readonly station: Pick<Station, 'id' | 'name'>;
  /** The order that it is for; null where the one open window says it. */
  readonly order: string | null;
  readonly evidence: Evidence;
  /** What the device itself has shown (RFC 7030 §4.2.2); null where a station asks for it. */
  readonly shown: ShownByDevice | null;
}

/** The certificate that a device has shown. */
export interface ShownByDevice {
  readonly certificate: Certificate;
  /** No station has sent credentials of its own beside it. */
  readonly alone: boolean;
}

/** What is answered. */
export interface Enrolled {
  /** `same`: it was made before, for this ID and this key. */
  readonly outcome: 'issued' | 'same';
  readonly deviceId: string;
  readonly order: string;
  readonly certificate: Buffer;
  readonly line: ReadyLine;
  /** What is left of its quotas; null where nothing was charged. */
  readonly charged: Charged | null;
}

/** What a factory has at work. */
interface UnderWay {
  /** Certificates that are being made, by the SHA-256 of their keys: a repeat waits for the first. */
  readonly keys: Map<string, Promise<unknown>>;
  /** Intentions (SHA-256 of the TBSCertificate) that came to nothing and could not be taken back: the disk was full. */
  readonly unsettled: Set<string>;
}

const underWay = new WeakMap<Factory, UnderWay>();

function underWayAt(factory: Factory): UnderWay {
  const known = underWay.get(factory) ?? { keys: new Map(), unsettled: new Set() };
  underWay.set(factory, known);
  return known;
}

/**
 * Makes the certificate of a request, or gives the one that was made of the same ID and key. Everything in it comes from
 * policy; of the request count its first common name and its key alone. Resolves once it is on the disk.
 * Throws Problem: `invalid_request`, `device_id_invalid`, `device_id_not_allowed`, `key_not_accepted`, `key_in_use`,
 * `device_already_registered`, `window_closed`, `quota_exhausted`, `mandate_missing`, `tpm_proof_required`,
 * `station_unknown`, `custody_unavailable`, `unavailable`.
 */
export async function enroll(factory: Factory, asked: Asked): Promise<Enrolled> {
  const deviceId = checkRequest(asked.request);
  const key = asked.request.publicKey.sha256;
  const { keys } = underWayAt(factory);
  for (let other = keys.get(key); other !== undefined; other = keys.get(key)) await other.catch(() => {});
  const made = actAs(actorOf(asked.station), () => make(factory, asked, deviceId));
  keys.set(key, made);
  try {
    return await made;
  } finally {
    keys.delete(key);
  }
}

/** Whoever brings a batch has said who that is; else it is the station. */
function actorOf({ id, name }: Asked['station']): Actor {
  const present = presentActor();
  return present === theServer ? { kind: 'station', id, name, address: null, request: null } : present;
}

/** Takes back what could not be taken back when it came to nothing. Throws Problem('unavailable') while that is so. */
async function settle({ records }: Factory, { unsettled }: UnderWay): Promise<void> {
  for (const tbs_sha256 of unsettled) {
    await records.write('abandonCertificate', { tbs_sha256 });
    unsettled.delete(tbs_sha256);
  }
}

/** Gives the device ID. Throws Problem for a request that nothing can be made of, whoever asks. */
export function checkRequest(request: CertificationRequest): string {
  // The key first: one that is of no accepted kind verifies nothing, and a signature by it costs the most.
  const weakness = weaknessOf(request.publicKey);
  if (weakness !== null) throw new Problem('key_not_accepted', weakness, 'Make a P-256 key in the device.');
  const fault = faultOfRequestSignature(request);
  if (fault !== null) {
    const hint = 'Make the request anew with the private key that belongs to it, signed with SHA-256 or better.';
    throw new Problem('invalid_request', fault, hint);
  }
  const named = deviceIdOf(request, 'request');
  if ('refusal' in named) throw new Problem(named.refusal.code, named.refusal.rule, named.refusal.remedy);
  return named.deviceId;
}

async function make(factory: Factory, asked: Asked, deviceId: string): Promise<Enrolled> {
  const { records, clock } = factory;
  const { publicKey } = asked.request;
  const line = await readyLine(factory);
  const known = await certificateOfKey(records.read, publicKey.sha256);
  const isSame = known?.state === 'made' && known.device_id === deviceId;
  const shown = asked.shown && (await certificateShown(factory, asked, deviceId, isSame));
  if (isSame) return same(known, line);
  if (shown) refuseLesserEvidence(shown, asked.evidence);
  await settle(factory, underWayAt(factory));
  if (known && known.state !== 'intended') throw keyInUse(known, deviceId);
  const holder =
    publicKey.sha256 === line.root.publicKey.sha256 ? 'the Fleet Root' : await holderOf(records.read, publicKey.sha256);
  if (holder !== null) throw new Problem('key_not_accepted', `The key is that of ${holder}, and no device's.`);
  const order = shown?.order_name ?? asked.order;
  const { order_name } = await windowFor(factory, { station: asked.station, order }, clock());
  await checkOrder(factory, (await orderByName(records.read, order_name))!, deviceId, asked.evidence);
  const replaces = shown && { tbs_sha256: shown.tbs_sha256, alone: asked.shown.alone };
  let charged: Charged | null = null;
  const prepared = factory.maker.prepare({
    profile: 'line_device',
    account: ownerNamed(line.line.name),
    ca: line.ca,
    publicKey: publicKey.canonicalSpki,
    deviceId,
    notAfter: clock() + factory.config.factory.validity,
  });
  const certificate = await factory.maker.issue(
    prepared,
    recordingOf(factory, prepared, { ...asked, order_name, replaces }, (left) => (charged = left)),
  );
  return { outcome: 'issued', deviceId, order: order_name, certificate, line, charged };
}

function same(known: MadeCertificate, line: ReadyLine): Enrolled {
  const certificate = Buffer.from(known.der);
  return { outcome: 'same', deviceId: known.device_id, order: known.order_name, certificate, line, charged: null };
}

/**
 * An open window that a request falls into, which says its order; which of several is charged is decided when that is
 * recorded. Throws Problem('window_closed').
 */
export async function windowFor(
  { records }: Factory,
  { station, order }: Pick<Asked, 'station' | 'order'>,
  now: number,
): Promise<FactoryWindow> {
  const open = (await openWindows(records.read, now)).filter((window) =>
    serves(window, order ?? window.order_name, station.id),
  );
  const [window] = open;
  if (!window) throw windowClosed(order, station);
  const orders = new Set(open.map(({ order_name }) => order_name));
  if (orders.size === 1) return window;
  throw new Problem(
    'window_closed',
    `Windows are open for ${orders.size} orders: ${[...orders].join(', ')}.`,
    'Name the order, as an EST label or with ?order=.',
  );
}

async function checkOrder({ records }: Factory, order: Order, deviceId: string, evidence: Evidence): Promise<void> {
  if (order.listed === 1 && !(await isListed(records.read, order.name, deviceId))) {
    throw new Problem('device_id_not_allowed', `The device ID "${deviceId}" is not on the list of "${order.name}".`);
  }
  if (order.proof === 'tpm' && evidence.kind !== 'tpm') {
    throw new Problem(
      'tpm_proof_required',
      `The order "${order.name}" takes only keys that a TPM has proved to hold, by POST /tpm/challenge and POST /tpm/enroll.`,
      'Make the two calls in the place of this one.',
    );
  }
}

/**
 * The record of the certificate that a device shows: the one that exactly this ID has, which may get another of a new key
 * (RFC 7030 §4.2.2), or where the key asked for has one already, one that this took the place of. Throws Problem.
 */
async function certificateShown(
  { records }: Factory,
  { shown, order }: Asked,
  deviceId: string,
  isSame: boolean,
): Promise<MadeCertificate> {
  const { certificate } = shown!;
  const row = await certificateOfKey(records.read, certificate.publicKey.sha256);
  if (row?.tbs_sha256 !== certificate.tbsSha256 || row.device_id !== deviceId) {
    throw new Problem('device_id_not_allowed', `The certificate shown is not that of the device "${deviceId}".`);
  }
  if (row.state !== 'made' && !isSame) {
    const sentence = `The certificate shown, of "${deviceId}", has been withdrawn.`;
    throw new Problem('device_already_registered', sentence, 'Show the certificate that the device has now.');
  }
  if (order === null || order === row.order_name) return row;
  throw new Problem(
    'invalid_request',
    `The certificate shown was made for the order "${row.order_name}", and not for "${order}".`,
    'A device asks again under the order that it was made for.',
  );
}

/** What a TPM has proved is not lost to a key that nothing is known of. */
function refuseLesserEvidence({ device_id, evidence }: MadeCertificate, offered: Evidence): void {
  if ((JSON.parse(evidence) as Evidence).kind !== 'tpm' || offered.kind === 'tpm') return;
  throw new Problem(
    'tpm_proof_required',
    `A TPM has proved the key of "${device_id}", and a new one is proved by POST /tpm/challenge and POST /tpm/enroll.`,
    `A supervisor says that it may: \`factory rework ${device_id}\`; then its station makes the two calls.`,
  );
}

function recordingOf(
  factory: Factory,
  { intention }: Prepared,
  { station, evidence, order_name, replaces }: Asked & Pick<Intended, 'order_name' | 'replaces'>,
  charged: (left: Charged) => void,
): Recording {
  const { records } = factory;
  const { id, name } = station;
  return {
    intend: () =>
      records.write('intendCertificate', { intention, order_name, station: { id, name }, evidence, replaces }),
    complete: async ({ tbs_sha256, der }) => {
      const replaced = replaces?.tbs_sha256 ?? null;
      charged(await records.write('completeCertificate', { tbs_sha256, der, station: name, replaces: replaced }));
    },
    abandon: async ({ tbs_sha256 }) => {
      const { unsettled } = underWayAt(factory);
      unsettled.add(tbs_sha256);
      await records.write('abandonCertificate', { tbs_sha256 });
      unsettled.delete(tbs_sha256);
    },
  };
}
