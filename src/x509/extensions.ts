// The extensions of a certificate (RFC 5280 §4.2): those we understand decoded, all of them listed.

import {
  children,
  contextTag,
  DerError,
  elements,
  integerOf,
  readBitString,
  readBoolean,
  readElement,
  readOctetString,
  readOid,
  readSmallInteger,
  smallIntegerOf,
  tags,
  type Element,
} from './der.ts';
import { readGeneralName, type GeneralName } from './general-name.ts';

/** What a key may be used for, by the names of RFC 5280 §4.2.1.3, in the order of their bits. */
const keyUsages = [
  'digitalSignature',
  'contentCommitment',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;

/** One use of a key. */
export type KeyUsage = (typeof keyUsages)[number];

/** Subtrees that names must (permitted) and must not (excluded) stand in; of each form its own. */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

/** One extension as it stands. */
export interface Extension {
  /** Dotted object identifier. */
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

/** What a certificate says beside its names, times and key. Null means that the extension is not there. */
export interface Extensions {
  readonly basicConstraints: { readonly ca: boolean; readonly pathLength: number | null } | null;
  readonly keyUsage: ReadonlySet<KeyUsage> | null;
  /** Dotted object identifiers. */
  readonly extendedKeyUsage: readonly string[] | null;
  /** Hex. */
  readonly subjectKeyIdentifier: string | null;
  /** Hex; null also where the issuer is identified by its name and serial number alone. */
  readonly authorityKeyIdentifier: string | null;
  readonly subjectAlternativeNames: readonly GeneralName[] | null;
  readonly nameConstraints: NameConstraints | null;
  readonly all: readonly Extension[];
  /** Dotted object identifiers of critical extensions that we do not process. */
  readonly unknownCritical: readonly string[];
}

/** Object identifiers of the extensions that are decoded. */
export const extensionOids = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;

/**
 * Known, with nothing to decide: issuerAltName and subjectDirectoryAttributes say nothing about a path, and the four of
 * policies cannot fail one where any policy will do (RFC 5280 §6.1.1 (c), (e) to (g)). A critical
 * cRLDistributionPoints is not here: whoever made it so wants no use of the certificate without those CRLs.
 */
const knownWithoutEffect: ReadonlySet<string> = new Set([
  '2.5.29.9', // subjectDirectoryAttributes
  '2.5.29.18', // issuerAltName
  '2.5.29.32', // certificatePolicies
  '2.5.29.33', // policyMappings
  '2.5.29.36', // policyConstraints
  '2.5.29.54', // inhibitAnyPolicy
]);

/** The extensions of a certificate that has none. */
export const noExtensions: Extensions = {
  basicConstraints: null,
  keyUsage: null,
  extendedKeyUsage: null,
  subjectKeyIdentifier: null,
  authorityKeyIdentifier: null,
  subjectAlternativeNames: null,
  nameConstraints: null,
  all: [],
  unknownCritical: [],
};

/**
 * Reads Extensions (RFC 5280 §4.2), decoding every one that is understood, critical or not. Two of one kind are refused
 * (§4.2). Defaults written out, which DER does not allow, are let pass: devices have them. Throws DerError.
 */
export function readExtensions(element: Element): Extensions {
  const all = children(element, tags.sequence, 'list of extensions').map(readExtension);
  const found: { -readonly [K in keyof Extensions]: Extensions[K] } = { ...noExtensions, all };
  const seen = new Set<string>();
  const unknownCritical: string[] = [];
  for (const { oid, critical, value } of all) {
    if (seen.has(oid)) throw new DerError(`The extension ${oid} is there twice.`);
    seen.add(oid);
    switch (oid) {
      case extensionOids.basicConstraints:
        found.basicConstraints = readBasicConstraints(readElement(value));
        break;
      case extensionOids.keyUsage:
        found.keyUsage = readKeyUsage(readElement(value));
        break;
      case extensionOids.extendedKeyUsage:
        found.extendedKeyUsage = readExtendedKeyUsage(readElement(value));
        break;
      case extensionOids.subjectKeyIdentifier:
        found.subjectKeyIdentifier = readOctetString(readElement(value), 'subject key identifier').toString('hex');
        break;
      case extensionOids.authorityKeyIdentifier:
        found.authorityKeyIdentifier = readAuthorityKeyIdentifier(readElement(value));
        break;
      case extensionOids.subjectAlternativeName:
        found.subjectAlternativeNames = readGeneralNames(readElement(value));
        break;
      case extensionOids.nameConstraints:
        found.nameConstraints = readNameConstraints(readElement(value));
        break;
      default:
        if (critical && !knownWithoutEffect.has(oid)) unknownCritical.push(oid);
    }
  }
  found.unknownCritical = unknownCritical;
  return found;
}

function readExtension(element: Element): Extension {
  const parts = children(element, tags.sequence, 'extension');
  const oid = readOid(parts.shift(), 'extension identifier');
  const critical = parts[0]?.tag === tags.boolean && readBoolean(parts.shift());
  const value = readOctetString(parts.shift(), 'extension value');
  if (parts.length > 0) throw new DerError(`The extension ${oid} has more parts than three.`);
  return { oid, critical, value };
}

/** RFC 5280 §4.2.1.9. */
function readBasicConstraints(element: Element): { ca: boolean; pathLength: number | null } {
  const parts = children(element, tags.sequence, 'basicConstraints');
  const ca = parts[0]?.tag === tags.boolean && readBoolean(parts.shift());
  const pathLength = parts.length > 0 ? readSmallInteger(parts.shift(), 'path length') : null;
  if (parts.length > 0) throw new DerError('The basicConstraints have more parts than two.');
  return { ca, pathLength };
}

/** RFC 5280 §4.2.1.3; bits beyond the ninth mean nothing. */
function readKeyUsage(element: Element): ReadonlySet<KeyUsage> {
  const { bytes } = readBitString(element, 'keyUsage');
  return new Set(keyUsages.filter((_, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0));
}

/** RFC 5280 §4.2.1.12. */
function readExtendedKeyUsage(element: Element): string[] {
  const purposes = children(element, tags.sequence, 'extendedKeyUsage').map((purpose) => readOid(purpose));
  if (purposes.length === 0) throw new DerError('The extendedKeyUsage is empty.');
  return purposes;
}

/** RFC 5280 §4.2.1.1: the key identifier, `[0]`, of three optional parts. */
function readAuthorityKeyIdentifier(element: Element): string | null {
  const parts = children(element, tags.sequence, 'authority key identifier');
  const key = parts.find(({ tag }) => tag === contextTag(0, false));
  return key === undefined ? null : key.content.toString('hex');
}

/** RFC 5280 §4.2.1.6. */
function readGeneralNames(element: Element): GeneralName[] {
  const names = children(element, tags.sequence, 'subjectAltName').map(readGeneralName);
  if (names.length === 0) throw new DerError('The subjectAltName is empty.');
  return names;
}

/** RFC 5280 §4.2.1.10. */
function readNameConstraints(element: Element): NameConstraints {
  const constraints: { permitted: GeneralName[]; excluded: GeneralName[] } = { permitted: [], excluded: [] };
  const parts = children(element, tags.sequence, 'nameConstraints');
  if (parts.length === 0) throw new DerError('The nameConstraints are empty.');
  let next = 0;
  for (const { tag, content } of parts) {
    const which = tag === contextTag(0, true) ? 0 : tag === contextTag(1, true) ? 1 : -1;
    if (which < next) throw new DerError('The nameConstraints have a part that is unknown, doubled or out of order.');
    next = which + 1;
    const subtrees = elements(content);
    if (subtrees.length === 0) throw new DerError('The nameConstraints have an empty list.');
    constraints[which === 0 ? 'permitted' : 'excluded'] = subtrees.map(readSubtree);
  }
  return constraints;
}

/** A GeneralSubtree, whose minimum is 0 and whose maximum is absent (RFC 5280 §4.2.1.10), or it is refused. */
function readSubtree(element: Element): GeneralName {
  const [base, minimum, extra] = children(element, tags.sequence, 'name constraint');
  if (base === undefined) throw new DerError('A name constraint is empty.');
  const zero = minimum?.tag === contextTag(0, false) && smallIntegerOf(integerOf(minimum.content)) === 0;
  if ((minimum !== undefined && !zero) || extra !== undefined) {
    throw new DerError('A name constraint has a minimum or maximum, which RFC 5280 does not allow.');
  }
  return readGeneralName(base);
}
