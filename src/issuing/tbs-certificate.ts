// The TBSCertificate of a plan (RFC 5280 §4.1), put together from templates: what a profile or a CA fixes is encoded once.

import { hash } from 'node:crypto';
import { isIP } from 'node:net';

import ipaddr from 'ipaddr.js';

import type { SigningAlgorithm } from '../custody/custodian.ts';
import type { Certificate } from '../x509/certificate.ts';
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  time,
} from '../x509/der-write.ts';
import { extensionOids, type KeyUsage } from '../x509/extensions.ts';
import { type Profile, type ProfileName, profiles } from './profile.ts';
import type { Plan } from './request.ts';

/** AlgorithmIdentifiers: without parameters for ECDSA (RFC 5758 §3.2), with NULL for RSA (RFC 4055 §5). */
const algorithmIdentifiers: Readonly<Record<SigningAlgorithm, Buffer>> = {
  'ecdsa-sha256': sequence(oid('1.2.840.10045.4.3.2')),
  'ecdsa-sha384': sequence(oid('1.2.840.10045.4.3.3')),
  'rsa-sha256': sequence(oid('1.2.840.113549.1.1.11'), nullValue()),
  'rsa-sha384': sequence(oid('1.2.840.113549.1.1.12'), nullValue()),
};

const version3 = explicit(0, integer(2));

/** Bits of the key usages that our profiles have (RFC 5280 §4.2.1.3). */
const keyUsageBits: Partial<Record<KeyUsage, number>> = { digitalSignature: 0, keyCertSign: 5, cRLSign: 6 };

/** The extensions that a profile fixes, encoded. */
const fixedExtensions = Object.fromEntries(
  Object.values(profiles).map((profile) => [profile.name, encodeFixedExtensions(profile)]),
) as Record<ProfileName, Buffer>;

/** The TBSCertificate. `serial` is 16 to 20 octets of which the first has a value from 1 to 127. */
export function encodeTbsCertificate(plan: Plan, serial: Buffer): Buffer {
  const { profile, issuer, subject, publicKey, hosts } = plan;
  const extensions = [fixedExtensions[profile.name], subjectKeyIdentifier(publicKey)];
  if (issuer !== null) extensions.push(authorityKeyIdentifier(issuer.certificate));
  if (hosts.length > 0) extensions.push(subjectAlternativeName(hosts));
  return sequence(
    version3,
    integer(serial),
    algorithmIdentifiers[plan.algorithm],
    issuer === null ? subject : issuer.certificate.subject.der,
    validity(plan),
    subject,
    publicKey,
    explicit(3, sequence(...extensions)),
  );
}

/** The Certificate: what was to be signed, and the signature. */
export function encodeCertificate(tbs: Buffer, algorithm: SigningAlgorithm, signature: Buffer): Buffer {
  return sequence(tbs, algorithmIdentifiers[algorithm], bitString(signature));
}

let lastValidity: { notBefore: number; notAfter: number; der: Buffer } | undefined;

/** What is issued in bulk is issued many times in a second, which is as fine as certificates tell the time. */
function validity({ notBefore, notAfter }: Plan): Buffer {
  if (lastValidity?.notBefore !== notBefore || lastValidity.notAfter !== notAfter) {
    lastValidity = { notBefore, notAfter, der: sequence(time(notBefore), time(notAfter)) };
  }
  return lastValidity.der;
}

const keyIdentifierSize = 20;
const subjectKeyIdentifierTemplate = extension(
  extensionOids.subjectKeyIdentifier,
  false,
  octetString(Buffer.alloc(keyIdentifierSize)),
);

/**
 * The leftmost 160 bits of the SHA-256 of the SubjectPublicKeyInfo: a method of the user's own in the sense of
 * RFC 5280 §4.2.1.2, near to RFC 7093 §2; people find it at the beginning of the key's hash everywhere else.
 */
function subjectKeyIdentifier(publicKey: Uint8Array): Buffer {
  const encoded = Buffer.from(subjectKeyIdentifierTemplate);
  hash('sha256', publicKey, 'buffer').copy(encoded, encoded.length - keyIdentifierSize, 0, keyIdentifierSize);
  return encoded;
}

const authorityKeyIdentifiers = new WeakMap<Certificate, Buffer>();

/** RFC 5280 §4.2.1.1: the issuer's subject key identifier, as it stands in its certificate. */
function authorityKeyIdentifier(issuer: Certificate): Buffer {
  let encoded = authorityKeyIdentifiers.get(issuer);
  if (encoded === undefined) {
    const identifier = Buffer.from(issuer.extensions.subjectKeyIdentifier!, 'hex');
    const value = sequence(implicit(0, identifier, false));
    encoded = extension(extensionOids.authorityKeyIdentifier, false, value);
    authorityKeyIdentifiers.set(issuer, encoded);
  }
  return encoded;
}

/** RFC 5280 §4.2.1.6: dNSName `[2]`, iPAddress `[7]`. */
function subjectAlternativeName(hosts: readonly string[]): Buffer {
  const names = hosts.map((host) =>
    isIP(host)
      ? implicit(7, Buffer.from(ipaddr.parse(host).toByteArray()), false)
      : implicit(2, Buffer.from(host, 'latin1'), false),
  );
  return extension(extensionOids.subjectAlternativeName, false, sequence(...names));
}

function encodeFixedExtensions({ ca, pathLength, keyUsage, extendedKeyUsage }: Profile): Buffer {
  const extensions = [extension(extensionOids.keyUsage, true, encodeKeyUsage(keyUsage))];
  // cA TRUE and pathLenConstraint (RFC 5280 §4.2.1.9).
  if (ca) {
    const value = sequence(boolean(true), integer(pathLength));
    extensions.unshift(extension(extensionOids.basicConstraints, true, value));
  }
  if (extendedKeyUsage !== null) {
    extensions.push(extension(extensionOids.extendedKeyUsage, false, sequence(oid(extendedKeyUsage))));
  }
  return Buffer.concat(extensions);
}

/** A named bit list: DER ends it with its last bit that is one (X.690 §11.2.2). All of ours fit one octet. */
function encodeKeyUsage(usages: readonly KeyUsage[]): Buffer {
  const octet = usages.reduce((bits, usage) => bits | (0x80 >> keyUsageBits[usage]!), 0);
  return bitString(Buffer.of(octet), 31 - Math.clz32(octet & -octet));
}

/** `critical` is absent where it is FALSE, its DEFAULT. */
function extension(type: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(type), ...(critical ? [boolean(true)] : []), octetString(value));
}
