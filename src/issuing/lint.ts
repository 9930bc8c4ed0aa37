// What every certificate must pass before it is signed: it is read back from its bytes and held against its plan.

import { isIP } from 'node:net';

import ipaddr from 'ipaddr.js';

import type { Certificate } from '../x509/certificate.ts';
import { elements, readElement, tags } from '../x509/der.ts';
import { extensionOids } from '../x509/extensions.ts';
import type { GeneralName } from '../x509/general-name.ts';
import type { PublicKeyKind } from '../x509/key.ts';
import { commonName } from '../x509/name.ts';
import { longestCommonName, type Plan } from './request.ts';

/** One rule. `holds` is a function of the certificate as a stranger would read it, and of what it was to be. */
export interface LintRule {
  readonly name: string;
  /** Where it comes from. */
  readonly section: string;
  /** What has to be so, as a sentence. */
  readonly says: string;
  readonly holds: (certificate: Certificate, plan: Plan) => boolean;
}

/** A certificate was about to be signed that breaks a rule: our fault, whoever asked for it. */
export class LintError extends Error {
  override readonly name = 'LintError';
  readonly broken: readonly LintRule[];

  constructor(broken: readonly LintRule[]) {
    super(`Not signed: ${broken.map(({ says, section }) => `${says} (${section})`).join(' ')}`);
    this.broken = broken;
  }
}

/** Holds a certificate, its signature still missing, against the rules. Throws LintError with every one it breaks. */
export function lint(certificate: Certificate, plan: Plan): void {
  const broken = lintRules.filter(({ holds }) => !holds(certificate, plan));
  if (broken.length > 0) throw new LintError(broken);
}

/** The rules, in the order of a certificate's fields. docs/issuance.md lists them. */
export const lintRules: readonly LintRule[] = [
  {
    name: 'version',
    section: 'RFC 5280 §4.1.2.1',
    says: 'The version is 3.',
    holds: ({ version }) => version === 3,
  },
  {
    name: 'serial_number',
    section: 'RFC 5280 §4.1.2.2',
    says: 'The serial number is positive and has 8 to 20 octets.',
    // Its hex has no sign octet: one of 20 octets that begins with a bit that is one takes 21.
    holds: ({ serial }) => /^[0-9a-f]{16,40}$/.test(serial) && (serial.length < 40 || serial < '8'),
  },
  {
    name: 'signature_algorithm',
    section: 'RFC 5280 §4.1.1.2, RFC 5758 §3.2, RFC 4055 §5',
    says: "The signature algorithm is the one for the issuer's key, with the parameters that belong to it.",
    holds: (certificate, { issuer }) => {
      const { signatureAlgorithm, signatureScheme } = certificate;
      const { kind } = (issuer?.certificate ?? certificate).publicKey;
      const parameters = signatureScheme.parameters?.tag ?? null;
      return signatureAlgorithm === signatureOids[kind] && parameters === (kind === 'rsa' ? tags.null : null);
    },
  },
  {
    name: 'issuer_name',
    section: 'RFC 5280 §4.1.2.4, §6.1.3 (a) (4)',
    says: "The issuer is, octet for octet, the issuing CA's subject.",
    holds: ({ issuer, subject }, plan) => issuer.der.equals(plan.issuer?.certificate.subject.der ?? subject.der),
  },
  {
    name: 'validity_form',
    section: 'RFC 5280 §4.1.2.5',
    says: 'The times are UTCTime until 2049 and GeneralizedTime from 2050.',
    holds: ({ tbs, notBefore, notAfter }) => {
      const validity = elements(readElement(tbs).content)[4]!;
      return elements(validity.content).every(({ tag }, index) => tag === timeTag(index === 0 ? notBefore : notAfter));
    },
  },
  {
    name: 'validity',
    section: 'RFC 5280 §4.1.2.5, profile',
    says: 'It is valid now, from and until the times of its plan.',
    holds: ({ notBefore, notAfter }, plan) =>
      notBefore === plan.notBefore && notAfter === plan.notAfter && notBefore <= plan.now && plan.now < notAfter,
  },
  {
    name: 'validity_within_issuer',
    section: 'house rule',
    says: 'It is valid only while its issuer is.',
    holds: ({ notBefore, notAfter }, { issuer }) =>
      issuer === null || (notBefore >= issuer.certificate.notBefore && notAfter <= issuer.certificate.notAfter),
  },
  {
    name: 'lifetime',
    section: 'profile',
    says: 'It ends within the lifetime of its profile.',
    holds: ({ notAfter }, { profile, now }) => profile.lifetime === null || notAfter <= now + profile.lifetime,
  },
  {
    name: 'subject_name',
    section: 'RFC 5280 §4.1.2.6',
    says: 'The subject is that of its plan: not empty, every value a UTF8String, one attribute an RDN.',
    holds: ({ subject }, plan) =>
      subject.der.equals(plan.subject) &&
      subject.attributes.length > 0 &&
      subject.attributes.every(({ tag, rdn }, index) => tag === tags.utf8String && rdn === index),
  },
  {
    name: 'name_lengths',
    section: 'RFC 5280 appendix A.1 (ub-common-name, ub-organization-name)',
    says: 'Common name and organisation have 1 to 64 characters, and there is one common name at most.',
    holds: ({ subject }, plan) =>
      subject.attributes.every(({ value }) => isBetween(value, longestCommonName)) &&
      (subject.attributes.find(({ type }) => type === commonName)?.value ?? null) === plan.commonName &&
      subject.attributes.filter(({ type }) => type === commonName).length <= 1,
  },
  {
    name: 'names_differ',
    section: 'RFC 5280 §3.2',
    says: 'A leaf does not have the name of its issuer, as only what is self-issued does.',
    holds: ({ subject, issuer }, { profile }) => profile.ca || !subject.der.equals(issuer.der),
  },
  {
    name: 'public_key',
    section: 'RFC 5280 §4.1.2.7, RFC 5480 §2, RFC 8017 appendix A.1',
    says: 'The public key is the one of its plan: P-256, P-384 or RSA of 2,048 bits and more.',
    holds: ({ publicKey }, plan) =>
      publicKey.spki.equals(plan.publicKey) &&
      (publicKey.kind === 'p256' || publicKey.kind === 'p384' || (publicKey.kind === 'rsa' && publicKey.bits >= 2048)),
  },
  {
    name: 'keys_differ',
    section: 'house rule',
    says: "A leaf does not have its issuer's key.",
    holds: ({ publicKey }, { issuer }) => issuer === null || !publicKey.spki.equals(issuer.certificate.publicKey.spki),
  },
  {
    name: 'extensions',
    section: 'RFC 5280 §4.2, profile',
    says: 'The extensions are those of its profile, each once, critical where it has to be.',
    holds: ({ extensions }, plan) =>
      extensions.all.map(({ oid, critical }) => `${oid}${critical ? '!' : ''}`).join() === expectedExtensions(plan),
  },
  {
    name: 'basic_constraints',
    section: 'RFC 5280 §4.2.1.9',
    says: 'A CA has cA TRUE and the pathLen of its profile, a leaf no basicConstraints.',
    holds: ({ extensions: { basicConstraints } }, { profile }) =>
      profile.ca
        ? basicConstraints?.ca === true && basicConstraints.pathLength === profile.pathLength
        : basicConstraints === null,
  },
  {
    name: 'key_usage',
    section: 'RFC 5280 §4.2.1.3, profile',
    says: 'The key usages are exactly those of its profile.',
    holds: ({ extensions: { keyUsage } }, { profile }) =>
      keyUsage?.size === profile.keyUsage.length && profile.keyUsage.every((usage) => keyUsage.has(usage)),
  },
  {
    name: 'extended_key_usage',
    section: 'RFC 5280 §4.2.1.12, profile',
    says: 'The purposes are exactly those of its profile.',
    holds: ({ extensions: { extendedKeyUsage } }, { profile }) =>
      (extendedKeyUsage?.join() ?? null) === profile.extendedKeyUsage,
  },
  {
    name: 'subject_key_identifier',
    section: 'RFC 5280 §4.2.1.2',
    says: "The subject key identifier is the first 160 bits of the public key's SHA-256.",
    holds: ({ extensions, publicKey }) => extensions.subjectKeyIdentifier === publicKey.sha256.slice(0, 40),
  },
  {
    name: 'authority_key_identifier',
    section: 'RFC 5280 §4.2.1.1',
    says: "The authority key identifier is the issuer's subject key identifier; a CA that signs itself has none.",
    holds: ({ extensions }, { issuer }) =>
      extensions.authorityKeyIdentifier === (issuer?.certificate.extensions.subjectKeyIdentifier ?? null),
  },
  {
    name: 'subject_alternative_names',
    section: 'RFC 5280 §4.2.1.6, RFC 1034 §3.5',
    says: 'The alternative names are the hosts of its plan, without wildcards, the common name among them.',
    holds: ({ extensions: { subjectAlternativeNames } }, { hosts, ...plan }) =>
      (subjectAlternativeNames ?? []).map(hostOf).join() === hosts.map(canonicalHost).join() &&
      hosts.every((host) => isIP(host) !== 0 || isHostName(host)) &&
      (hosts.length === 0 || plan.commonName === null || hosts.includes(plan.commonName)),
  },
];

const signatureOids: Partial<Record<PublicKeyKind, string>> = {
  p256: '1.2.840.10045.4.3.2',
  p384: '1.2.840.10045.4.3.3',
  rsa: '1.2.840.113549.1.1.11',
};

function timeTag(ms: number): number {
  return new Date(ms).getUTCFullYear() < 2050 ? tags.utcTime : tags.generalizedTime;
}

/** Whether there is a text of 1 to `longest` characters (code points). */
function isBetween(text: string | null, longest: number): boolean {
  return text !== null && text !== '' && (text.length <= longest || [...text].length <= longest);
}

/** The extensions in our order, the critical ones with a mark. */
function expectedExtensions({ profile, issuer, hosts }: Plan): string {
  return [
    ...(profile.ca ? [`${extensionOids.basicConstraints}!`] : []),
    `${extensionOids.keyUsage}!`,
    ...(profile.extendedKeyUsage === null ? [] : [extensionOids.extendedKeyUsage]),
    extensionOids.subjectKeyIdentifier,
    ...(issuer === null ? [] : [extensionOids.authorityKeyIdentifier]),
    // Not critical, for there is always a subject (RFC 5280 §4.2.1.6).
    ...(hosts.length === 0 ? [] : [extensionOids.subjectAlternativeName]),
  ].join();
}

function hostOf(name: GeneralName): string {
  if (name.form === 'dNSName') return name.value;
  if (name.form === 'iPAddress') return ipaddr.fromByteArray([...name.value]).toString();
  return `a ${name.form}`;
}

function canonicalHost(host: string): string {
  return isIP(host) === 0 ? host : ipaddr.parse(host).toString();
}

/** Labels of letters, digits and inner hyphens, 63 octets each and 253 in all. */
function isHostName(host: string): boolean {
  return host.length <= 253 && /^(?!.*\.\d+$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.(?!$)|$))+$/.test(host);
}
