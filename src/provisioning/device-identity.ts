// Who the shown certificates are of: the path to given trust anchors, the leaf's purpose, and the device ID. Pure.

import { Problem } from '../problem.ts';
import { type Certificate, CertificateError, parseCertificates } from '../x509/certificate.ts';
import { firstCommonName } from '../x509/name.ts';
import { type Anchor, findPaths, type Path } from '../x509/path.ts';
import { faultOfDeviceId } from './device-id.ts';
import { refuse, type Refusal } from './refusal.ts';

/** How far the clocks of devices' and factories' CAs may be off, in milliseconds. */
export const clockTolerance = 10 * 60 * 1000;

/** How many certificates a device may show. */
export const mostCertificates = 10;

/** What is said of more. */
export const tooManyCertificates = refuse(
  'certificate_invalid',
  `More than ${mostCertificates} certificates were sent.`,
  'Let the device send its own certificate and its intermediates, and nothing else.',
);

const clientAuth = '1.3.6.1.5.5.7.3.2';
const anyExtendedKeyUsage = '2.5.29.37.0';

/** What a certificate is checked against. */
export interface Trust {
  readonly anchors: readonly Anchor[];
  /** Registered ones, beside those that the device sends. */
  readonly intermediates: readonly Certificate[];
  /** SHA-256 of the public keys that no path may contain. */
  readonly excluded: ReadonlySet<string>;
}

export type Identity =
  | {
      readonly kind: 'identified';
      /** One valid path to each trust anchor that was reached; at least one. */
      readonly paths: readonly [Path, ...Path[]];
    }
  | {
      readonly kind: 'unidentified';
      readonly refusal: Refusal;
      /** The public key (SHA-256) that stands on every path and may stand on none. */
      readonly excludedKey: string | null;
    };

const unidentified = (refusal: Refusal, excludedKey: string | null = null): Identity => ({
  kind: 'unidentified',
  refusal,
  excludedKey,
});

/**
 * Finds the valid certification paths of what was shown, the leaf first, at the instant `now` (RFC 5280 §6), and
 * checks the leaf's purpose: its extended key usage decides, that of a CA does not.
 */
export function identify(shown: readonly Certificate[], trust: Trust, now: number): Identity {
  const [leaf, ...sent] = shown;
  if (!leaf) return unidentified(refuse('certificate_required'));
  if (shown.length > mostCertificates) return unidentified(tooManyCertificates);
  const { paths, failure } = findPaths({
    leaf,
    others: [...sent, ...trust.intermediates],
    anchors: trust.anchors,
    now,
    tolerance: clockTolerance,
    excluded: trust.excluded,
  });
  const [first, ...rest] = paths;
  if (!first) {
    if (!failure) return unidentified(refuse('certificate_untrusted'));
    if (failure.code === 'excluded') {
      return unidentified(refuse('certificate_untrusted', failure.rule), failure.publicKey ?? null);
    }
    return unidentified(refuse(failure.code, failure.rule));
  }
  const fault = faultOfPurpose(leaf);
  if (fault) return unidentified(refuse('certificate_invalid', fault));
  return { kind: 'identified', paths: [first, ...rest] };
}

/** RFC 5280 §4.2.1.3 and §4.2.1.12: a leaf that names its uses must name these. */
function faultOfPurpose({ extensions }: Certificate): string | null {
  if (extensions.keyUsage && !extensions.keyUsage.has('digitalSignature')) {
    return "The certificate's keyUsage does not contain digitalSignature, which TLS client authentication needs.";
  }
  const purposes = extensions.extendedKeyUsage;
  if (purposes && !purposes.includes(clientAuth) && !purposes.includes(anyExtendedKeyUsage)) {
    return "The certificate's extendedKeyUsage does not contain clientAuth.";
  }
  return null;
}

/** The device ID: the subject's first common name in encoding order. Returns a refusal where that is none. */
export function deviceIdOf(
  leaf: Pick<Certificate, 'subject'>,
  what = 'certificate',
): { deviceId: string } | { refusal: Refusal } {
  let name: string | null;
  try {
    name = firstCommonName(leaf.subject);
  } catch (error) {
    return { refusal: refuse('device_id_invalid', `The common name cannot be read: ${(error as Error).message}`) };
  }
  if (name === null) return { refusal: refuse('device_id_invalid', `The ${what}'s subject has no common name.`) };
  const fault = faultOfDeviceId(name);
  return fault ? { refusal: refuse('device_id_invalid', fault) } : { deviceId: name };
}

/** The device ID that a certificate claims, for the record of a refusal: null where there is none. */
export function claimedDeviceId(leaf: Certificate | undefined): string | null {
  if (!leaf) return null;
  const claimed = deviceIdOf(leaf);
  return 'deviceId' in claimed ? claimed.deviceId : null;
}

/** Whether some certificates would get in, as whom, or why not. */
export interface Explanation {
  admitted: boolean;
  device_id: string | null;
  fleet_root_ca: string | null;
  code: string | null;
  rule: string | null;
  remedy: string | null;
}

/** An explanation that says no. */
export function explainRefusal(refusal: Refusal, leaf: Certificate | undefined): Explanation {
  return { admitted: false, device_id: claimedDeviceId(leaf), fleet_root_ca: null, ...refusal };
}

/**
 * Reads the certificates of a file, leaf first. Throws Problem `invalid_request` with the sentence that says where
 * the file is wrong.
 */
export function readCertificates(file: Uint8Array, what: string): Certificate[] {
  try {
    return parseCertificates(file);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw new Problem('invalid_request', `${what}: ${error.message}`, 'Give PEM or DER certificates, the leaf first.');
  }
}

/**
 * The part of admission that needs no server, for the end of a factory line: whether a chain leads to one of `roots`
 * (files with Fleet Root CA certificates; the first of each file is the anchor, the others its intermediates).
 * Throws Problem `invalid_request` for a file that cannot be read.
 */
export function explainOffline(roots: readonly Uint8Array[], chain: Uint8Array, now: number): Explanation {
  const anchors: Anchor[] = [];
  const intermediates: Certificate[] = [];
  for (const [index, file] of roots.entries()) {
    const [anchor, ...others] = readCertificates(file, `Fleet Root CA file ${index + 1}`);
    if (anchor) anchors.push({ id: anchor.sha256, certificate: anchor });
    intermediates.push(...others);
  }
  const shown = readCertificates(chain, 'The chain');
  const identity = identify(shown, { anchors, intermediates, excluded: new Set() }, now);
  if (identity.kind === 'unidentified') return explainRefusal(identity.refusal, shown[0]);
  const named = deviceIdOf(identity.paths[0].certificates[0] as Certificate);
  if ('refusal' in named) return explainRefusal(named.refusal, shown[0]);
  const fleet_root_ca = identity.paths[0].anchor.id;
  return { admitted: true, device_id: named.deviceId, fleet_root_ca, code: null, rule: null, remedy: null };
}
