// How far a certification path has come, from the anchor down, and the rules that each certificate on it must keep.

import type { Certificate } from './certificate.ts';
import type { NameConstraints } from './extensions.ts';
import type { PublicKey } from './key.ts';
import { faultOfNames, type ComparisonBudget } from './name-constraints.ts';
import { sameName } from './name.ts';
import { invalid, title, type PathFailure } from './path-failure.ts';

/** What certificates are held against. */
export interface Conditions {
  /** ms since 1970. */
  readonly now: number;
  /** How far clocks may differ, in ms. */
  readonly tolerance: number;
  /** SHA-256 of public keys that may stand nowhere on a path, the leaf's and the anchor's included. */
  readonly excluded: ReadonlySet<string>;
}

/** A path under way: the state of RFC 5280 §6.1.2 after its lowest certificate. */
export interface PathState {
  readonly certificate: Certificate;
  readonly above: PathState | null;
  /** How many CAs that are not self-issued may still follow (max_path_length). */
  readonly pathLength: number;
  /** The constraints of the CAs down to here; a name must satisfy each, which is the intersection of §6.1.4 (g). */
  readonly constraints: readonly { readonly ca: Certificate; readonly constraints: NameConstraints }[];
  /** The first rule that the path breaks. It is followed further down all the same, to know whether it is the leaf's. */
  readonly flaw: PathFailure | null;
}

/** RSA keys below it are refused, in bits. */
const rsaMinimum = 2_048;

/** The state below an anchor, whose own limits apply (RFC 5937 §3); it may lack basicConstraints, not deny being a CA. */
export function belowAnchor(conditions: Conditions, certificate: Certificate): PathState {
  const { basicConstraints } = certificate.extensions;
  const flaw =
    flawOfCertificate(conditions, certificate) ??
    (basicConstraints?.ca === false ? invalid(certificate, 'is no CA by its basicConstraints') : null) ??
    flawOfKeyUsage(certificate);
  return {
    certificate,
    above: null,
    pathLength: basicConstraints?.pathLength ?? Infinity,
    constraints: constraintsBelow([], certificate),
    flaw,
  };
}

/** The state below an intermediate that the certificate above has signed (RFC 5280 §6.1.3, §6.1.4). */
export function belowIntermediate(
  conditions: Conditions,
  above: PathState,
  certificate: Certificate,
  budget: ComparisonBudget,
): PathState {
  const { basicConstraints } = certificate.extensions;
  // §6.1.4 (l): a CA that renews its own key is not counted.
  const left = above.pathLength - (isSelfIssued(certificate) ? 0 : 1);
  const flaw =
    above.flaw ??
    flawOfCertificate(conditions, certificate) ??
    // §6.1.3 (b), (c): nor is it held against the name constraints.
    (isSelfIssued(certificate) ? null : flawOfNames(above, certificate, budget)) ??
    (basicConstraints?.ca === true ? null : invalid(certificate, notCa(certificate))) ??
    flawOfKeyUsage(certificate) ??
    (left >= 0 ? null : invalid(certificate, 'is one CA more than the path length above it allows'));
  return {
    certificate,
    above,
    pathLength: Math.min(left, basicConstraints?.pathLength ?? Infinity),
    constraints: constraintsBelow(above.constraints, certificate),
    flaw,
  };
}

/** The state at the leaf, which is held against all name constraints, self-issued or not (RFC 5280 §6.1.3). */
export function atLeaf(
  conditions: Conditions,
  above: PathState,
  certificate: Certificate,
  budget: ComparisonBudget,
): PathState {
  const flaw = above.flaw ?? flawOfCertificate(conditions, certificate) ?? flawOfNames(above, certificate, budget);
  return { ...above, certificate, above, flaw };
}

/** Whether subject and issuer are the same name. */
export function isSelfIssued({ issuer, subject }: Certificate): boolean {
  return sameName(issuer, subject);
}

/** What every certificate on a path must keep, the anchor's included. */
function flawOfCertificate({ excluded, now, tolerance }: Conditions, certificate: Certificate): PathFailure | null {
  const { publicKey, notBefore, notAfter, extensions } = certificate;
  if (excluded.has(publicKey.sha256)) {
    const rule = `The path leads through the key of ${title(certificate)}, which is excluded.`;
    return { code: 'excluded', rule, publicKey: publicKey.sha256 };
  }
  // RFC 5280 §4.1.2.5: both ends belong to it.
  if (now > notAfter + tolerance) {
    return { code: 'certificate_expired', rule: `${title(certificate)} expired at ${instants(notAfter, now)}` };
  }
  if (now < notBefore - tolerance) {
    return {
      code: 'certificate_not_yet_valid',
      rule: `${title(certificate)} is valid from ${instants(notBefore, now)}`,
    };
  }
  const weakness = weaknessOf(publicKey);
  if (weakness !== null) return invalid(certificate, weakness);
  const [unknown] = extensions.unknownCritical;
  return unknown === undefined ? null : invalid(certificate, `has the critical extension ${unknown}, which is unknown`);
}

/** Both clocks in a sentence, since either may be the wrong one. */
function instants(theirs: number, ours: number): string {
  return `${new Date(theirs).toISOString()}, and it is ${new Date(ours).toISOString()} here.`;
}

function weaknessOf({ kind, bits }: PublicKey): string | null {
  if (kind === 'other') return 'has a public key that is not P-256, P-384, P-521, Ed25519 or RSA';
  return kind === 'rsa' && bits < rsaMinimum ? `has an RSA key of ${bits} bits, and ${rsaMinimum} are needed` : null;
}

function flawOfNames(above: PathState, certificate: Certificate, budget: ComparisonBudget): PathFailure | null {
  for (const { ca, constraints } of above.constraints) {
    const fault = faultOfNames(certificate, constraints, budget);
    if (fault !== null) return invalid(certificate, `${fault} by the name constraints of ${title(ca)}`);
  }
  return null;
}

/** RFC 5280 §6.1.4 (n): only a keyUsage that is there is asked. */
function flawOfKeyUsage(certificate: Certificate): PathFailure | null {
  const { keyUsage } = certificate.extensions;
  return keyUsage === null || keyUsage.has('keyCertSign')
    ? null
    : invalid(certificate, 'signed another, but its keyUsage has no keyCertSign');
}

/** RFC 5280 §6.1.4 (k). */
function notCa({ version, extensions }: Certificate): string {
  if (version !== 3) return `signed another, but is of X.509 version ${version}, which no CA below an anchor may be`;
  return extensions.basicConstraints === null
    ? 'signed another, but has no basicConstraints that make it a CA'
    : 'signed another, but is no CA by its basicConstraints';
}

/** RFC 5280 §6.1.4 (g). */
function constraintsBelow(above: PathState['constraints'], ca: Certificate): PathState['constraints'] {
  const constraints = ca.extensions.nameConstraints;
  return constraints === null ? above : [...above, { ca, constraints }];
}
