// How a request becomes a certificate, whoever brings it: the station over HTTPS, or a batch across the gap.

import type { Prepared, Recording } from '../issuing/issuer.ts';
import type { Evidence } from '../manifest/manifest.ts';
import { Problem } from '../problem.ts';
import { faultOfDeviceId } from '../provisioning/device-id.ts';
import type { Certificate } from '../x509/certificate.ts';
import { type CertificationRequest, verifyRequestSignature } from '../x509/certification-request.ts';
import { weaknessOf } from '../x509/key-weakness.ts';
import { firstCommonName } from '../x509/name.ts';
import { type Factory, ownerNamed, type ReadyLine, readyLine } from './factory.ts';
import { certificateOfDevice, certificateOfKey, type Charged } from './records/certificates.ts';
import { holderOf } from './records/keys.ts';
import type { FactoryWindow, MadeCertificate, Order, Station } from './records/tables.ts';
import { isListed, openWindows, orderByName } from './records/windows.ts';

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

/** Certificates that are being made, by the SHA-256 of their keys: a repeat waits for the first. */
const underWay = new WeakMap<Factory, Map<string, Promise<unknown>>>();

/**
 * Makes the certificate of a request, or gives the one that was made of the same ID and key. Everything in it comes from
 * policy; of the request count its first common name and its key alone. Resolves once it is on the disk.
 * Throws Problem: `invalid_request`, `device_id_invalid`, `device_id_not_allowed`, `key_not_accepted`, `key_in_use`,
 * `device_already_registered`, `window_closed`, `quota_exhausted`, `mandate_missing`, `tpm_proof_required`,
 * `custody_unavailable`, `unavailable`.
 */
export async function enroll(factory: Factory, asked: Asked): Promise<Enrolled> {
  const deviceId = checkRequest(asked.request);
  const key = asked.request.publicKey.sha256;
  const running = underWay.get(factory) ?? new Map<string, Promise<unknown>>();
  underWay.set(factory, running);
  for (let other = running.get(key); other !== undefined; other = running.get(key)) await other.catch(() => {});
  const made = make(factory, asked, deviceId);
  running.set(key, made);
  try {
    return await made;
  } finally {
    running.delete(key);
  }
}

/** Gives the device ID. Throws Problem for a request that nothing can be made of, whoever asks. */
function checkRequest(request: CertificationRequest): string {
  if (!verifyRequestSignature(request)) {
    throw new Problem(
      'invalid_request',
      "The request's signature is not that of the key in it, so nothing shows that the device has that key.",
      'Make the request anew with the private key that belongs to it, signed with SHA-256 or better.',
    );
  }
  const weakness = weaknessOf(request.publicKey);
  if (weakness !== null) throw new Problem('key_not_accepted', weakness, 'Make a P-256 key in the device.');
  const deviceId = firstCommonName(request.subject);
  const fault = deviceId === null ? "The request's subject has no common name." : faultOfDeviceId(deviceId);
  if (deviceId === null || fault !== null) throw new Problem('device_id_invalid', fault ?? undefined);
  return deviceId;
}

async function make(factory: Factory, asked: Asked, deviceId: string): Promise<Enrolled> {
  const { records, clock } = factory;
  const { publicKey } = asked.request;
  const line = await readyLine(factory);
  const known = await certificateOfKey(records.read, publicKey.sha256);
  if (known?.state === 'made' && known.device_id === deviceId) return same(known, line);
  const holder = await holderOf(records.read, publicKey.sha256);
  if (holder !== null || publicKey.sha256 === line.root.publicKey.sha256) {
    throw new Problem('key_not_accepted', `The key is that of ${holder ?? 'the Fleet Root'}, and no device's.`);
  }
  const window = await windowFor(factory, asked, clock());
  const order = (await orderByName(records.read, window.order_name))!;
  await checkOrder(factory, order, deviceId, asked.evidence);
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
    recordingOf(factory, prepared, { ...asked, window_id: window.id, replaces }, (left) => (charged = left)),
  );
  return { outcome: 'issued', deviceId, order: order.name, certificate, line, charged };
}

function same(known: MadeCertificate, line: ReadyLine): Enrolled {
  const certificate = Buffer.from(known.der);
  return { outcome: 'same', deviceId: known.device_id, order: known.order_name, certificate, line, charged: null };
}

/** The window that a request falls into. Throws Problem('window_closed'). */
async function windowFor({ records }: Factory, { station, order }: Asked, now: number): Promise<FactoryWindow> {
  const open = (await openWindows(records.read, now)).filter(
    (window) =>
      (window.station_id === null || window.station_id === station.id) &&
      (order === null || window.order_name === order),
  );
  const orders = new Set(open.map((window) => window.order_name));
  if (orders.size > 1) {
    throw new Problem(
      'window_closed',
      `Windows are open for ${orders.size} orders: ${[...orders].join(', ')}.`,
      'Name the order, as an EST label or with ?order=.',
    );
  }
  const window = open.find(({ used, quota }) => used < quota) ?? open[0];
  if (window) return window;
  throw new Problem(
    'window_closed',
    order === null
      ? `No window is open for the station "${station.name}".`
      : `No window is open for the order "${order}" and the station "${station.name}".`,
    'A person opens one: `factory window open --order ORDER --quota N --for 8h`.',
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
  { records }: Factory,
  { intention }: Prepared,
  { station, evidence, window_id, replaces }: Asked & { window_id: string; replaces: string | null },
  charged: (left: Charged) => void,
): Recording {
  const { id, name } = station;
  return {
    intend: () =>
      records.write('intendCertificate', { intention, window_id, station: { id, name }, evidence, replaces }),
    complete: async ({ tbs_sha256, der }) => {
      charged(await records.write('completeCertificate', { tbs_sha256, der, station: name, replaces }));
    },
    abandon: ({ tbs_sha256 }) => records.write('abandonCertificate', { tbs_sha256 }),
  };
}
