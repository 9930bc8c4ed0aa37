// How a request becomes a certificate, whoever brings it: the station over HTTPS, or a batch across the gap.

import type { Prepared, Recording } from '../issuing/issuer.ts';
import type { Evidence } from '../manifest/manifest.ts';
import { Problem } from '../problem.ts';
import { type Actor, actAs, presentActor, theServer } from '../registry/acting.ts';
import { deviceIdOf } from '../provisioning/device-identity.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { type CertificationRequest, faultOfRequestSignature } from '../x509/certification-request.ts';
import { weaknessOf } from '../x509/key-weakness.ts';
import { type Factory, ownerNamed, type ReadyLine, readyLine } from './factory.ts';
import {
  certificateOfDevice,
  certificateOfKey,
  type Charged,
  keyInUse,
  serves,
  windowClosed,
} from './records/certificates.ts';
import { holderOf } from './records/keys.ts';
import { isListed, orderByName } from './records/orders.ts';
import type { FactoryWindow, MadeCertificate, Order, Station } from './records/tables.ts';
import { tpmRootsOf } from './records/tpm-roots.ts';
import { openWindows } from './records/windows.ts';

/** Who asks for what. */
export interface Asked {
  readonly request: CertificationRequest;
  /** The station that asks, which has been authenticated. */
  readonly station: Pick<Station, 'id' | 'name'>;
  /** The order that it is for; null where the one open window says it. */
  readonly order: string | null;
  readonly evidence: Evidence;
  /** The certificate that the device itself has shown (RFC 7030 §4.2.2); null where a station asks for it. */
  readonly shown: Certificate | null;
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
  if (known?.state === 'made' && known.device_id === deviceId) return same(known, line);
  await settle(factory, underWayAt(factory));
  if (known && known.state !== 'intended') throw keyInUse(known, deviceId);
  const holder =
    publicKey.sha256 === line.root.publicKey.sha256
      ? 'the Fleet Root'
      : ((await holderOf(records.read, publicKey.sha256)) ?? (await tpmRootHolding(factory, publicKey.sha256)));
  if (holder !== null) throw new Problem('key_not_accepted', `The key is that of ${holder}, and no device's.`);
  const { order_name } = await windowFor(factory, asked, clock());
  await checkOrder(factory, (await orderByName(records.read, order_name))!, deviceId, asked.evidence);
  const replaces = await replacedBy(factory, asked, deviceId);
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

/** Roots of TPM makers by the keys in them, for each list of roots that was read. */
const keysOfTpmRoots = new Map<string, string>();

/** Which root of a TPM maker has this key, as a sentence's end; null for none. */
async function tpmRootHolding({ records }: Factory, public_key_sha256: string): Promise<string | null> {
  for (const { sha256, certificate } of await tpmRootsOf(records.read)) {
    const key = keysOfTpmRoots.get(sha256) ?? parseCertificate(certificate).publicKey.sha256;
    keysOfTpmRoots.set(sha256, key);
    if (key === public_key_sha256) return 'a TPM maker';
  }
  return null;
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
      `The order "${order.name}" takes only keys that a TPM has proved to hold.`,
      'Ask with POST /tpm/challenge, then POST /tpm/enroll.',
    );
  }
}

/** A device that shows the certificate that it has may have another of a new key (RFC 7030 §4.2.2). */
async function replacedBy({ records }: Factory, { shown }: Asked, deviceId: string): Promise<string | null> {
  if (shown === null) return null;
  const present = await certificateOfDevice(records.read, deviceId);
  return present?.tbs_sha256 === shown.tbsSha256 ? shown.tbsSha256 : null;
}

function recordingOf(
  factory: Factory,
  { intention }: Prepared,
  { station, evidence, order_name, replaces }: Asked & { order_name: string; replaces: string | null },
  charged: (left: Charged) => void,
): Recording {
  const { records } = factory;
  const { id, name } = station;
  return {
    intend: () =>
      records.write('intendCertificate', { intention, order_name, station: { id, name }, evidence, replaces }),
    complete: async ({ tbs_sha256, der }) => {
      charged(await records.write('completeCertificate', { tbs_sha256, der, station: name, replaces }));
    },
    abandon: async ({ tbs_sha256 }) => {
      const { unsettled } = underWayAt(factory);
      unsettled.add(tbs_sha256);
      await records.write('abandonCertificate', { tbs_sha256 });
      unsettled.delete(tbs_sha256);
    },
  };
}
