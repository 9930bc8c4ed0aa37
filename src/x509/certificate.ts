// X.509 certificates (RFC 5280 §4.1): reading one, reading the files that people keep them in, checking a signature.

import { hash } from 'node:crypto';

import {
  children,
  contextTag,
  DerError,
  elements,
  expectTag,
  inner,
  readBitStringOctets,
  readElement,
  readInteger,
  readSmallInteger,
  readTime,
  tags,
  type Element,
} from './der.ts';
import { noExtensions, readExtensions, type Extensions } from './extensions.ts';
import { parsePublicKey, type PublicKey } from './key.ts';
import { parseName, type Name } from './name.ts';
import { encodePem, isDerFile, pemBlocks, textOfFile, type PemBlock } from './pem.ts';
import { readSignatureAlgorithm, verifyWithKey, type SignatureAlgorithm } from './signature.ts';

/** The bytes are no certificate. The message is one sentence for whoever sent them. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
  /** Whether a private key was among them, which then has left its home and should be told so. */
  readonly privateKeyFound: boolean;

  constructor(message: string, options?: ErrorOptions & { privateKeyFound?: boolean }) {
    super(message, options);
    this.privateKeyFound = options?.privateKeyFound ?? false;
  }
}

/** A certificate, read but not trusted. Times are ms since 1970. */
export interface Certificate {
  readonly der: Buffer;
  /** TBSCertificate, what is signed. */
  readonly tbs: Buffer;
  readonly version: 1 | 2 | 3;
  /** Hex of the number without leading zero octets; `-` before it where it is negative. */
  readonly serial: string;
  /** Dotted object identifier. */
  readonly signatureAlgorithm: string;
  /** The same with its parameters. */
  readonly signatureScheme: SignatureAlgorithm;
  readonly signature: Buffer;
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: PublicKey;
  readonly extensions: Extensions;
  /** SHA-256 of the whole, hex: names these bytes, not the certificate (an ECDSA signature has two forms). */
  readonly sha256: string;
  /** SHA-256 of the TBSCertificate, hex: names the certificate. */
  readonly tbsSha256: string;
}

/** The largest certificate that is read, in octets. */
const certificateLimit = 64 * 1024;
/** The longest serial number that is read, in octets; RFC 5280 §4.1.2.2 allows 20. */
const serialLimit = 64;
/** The largest file of certificates that is read, in octets. */
const fileLimit = 1024 * 1024;

/**
 * Reads one certificate, DER, which is not copied. Let pass, because devices have them: serial numbers that are
 * negative, zero or up to 64 octets long (RFC 5280 §4.1.2.2), defaults written out. Throws CertificateError.
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.byteLength > certificateLimit) throw new CertificateError('The certificate is larger than 64 KiB.');
  try {
    return readCertificate(Buffer.from(der.buffer, der.byteOffset, der.byteLength));
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new CertificateError(`The certificate is malformed. ${error.message}`, { cause: error });
  }
}

/**
 * The SHA-256 of the TBSCertificate, hex, as in `parseCertificate`, with nothing inside it read: for whoever asks first
 * whether the certificate is a known one. Null where there is none.
 */
export function tbsSha256Of(der: Uint8Array): string | null {
  if (der.byteLength > certificateLimit) return null;
  try {
    const whole = readElement(Buffer.from(der.buffer, der.byteOffset, der.byteLength));
    const [tbs] = children(whole, tags.sequence, 'certificate');
    return tbs ? hash('sha256', tbs.raw, 'hex') : null;
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return null;
  }
}

function readCertificate(der: Buffer): Certificate {
  const [tbs, algorithm, signature, extra] = children(readElement(der), tags.sequence, 'certificate');
  if (extra !== undefined) throw new DerError('The certificate has more parts than three.');
  const fields = children(tbs, tags.sequence, 'TBSCertificate');
  const version = fields[0]?.tag === contextTag(0, true) ? readSmallInteger(inner(fields.shift()!), 'version') + 1 : 1;
  if (version !== 1 && version !== 2 && version !== 3) throw new DerError(`There is no X.509 version ${version}.`);
  const serial = readInteger(fields.shift(), 'serial number');
  if (serial.length > serialLimit) throw new DerError(`The serial number is longer than ${serialLimit} octets.`);
  const signedAlgorithm = expectTag(fields.shift(), tags.sequence, 'signature algorithm');
  const signatureScheme = readSignatureAlgorithm(algorithm);
  // RFC 5280 §4.1.1.2: what is not under the signature must not decide how it is checked.
  if (!signedAlgorithm.raw.equals(algorithm!.raw)) throw new DerError('Its two signature algorithms differ.');
  const issuer = parseName(fields.shift(), 'issuer');
  const validity = children(fields.shift(), tags.sequence, 'validity');
  if (validity.length !== 2) throw new DerError('The validity is not two times.');
  const subject = parseName(fields.shift(), 'subject');
  const publicKey = parsePublicKey(expectTag(fields.shift(), tags.sequence, 'public key').raw);
  // issuerUniqueID and subjectUniqueID, which nobody uses (RFC 5280 §4.1.2.8).
  for (const n of [1, 2]) if (version > 1 && fields[0]?.tag === contextTag(n, false)) fields.shift();
  const extensions =
    version === 3 && fields[0]?.tag === contextTag(3, true) ? readExtensions(inner(fields.shift()!)) : noExtensions;
  if (fields.length > 0) throw new DerError(`It has parts that a certificate of version ${version} cannot have.`);
  return new ReadCertificate({
    der,
    tbs: tbs!.raw,
    version,
    serial: serialText(serial),
    signatureAlgorithm: signatureScheme.oid,
    signatureScheme,
    signature: readBitStringOctets(signature, 'signature'),
    issuer,
    subject,
    notBefore: readTime(validity[0], 'notBefore'),
    notAfter: readTime(validity[1], 'notAfter'),
    publicKey,
    extensions,
  });
}

/** A certificate whose digests are made when they are first asked for. */
class ReadCertificate implements Certificate {
  readonly der: Buffer;
  readonly tbs: Buffer;
  readonly version: Certificate['version'];
  readonly serial: string;
  readonly signatureAlgorithm: string;
  readonly signatureScheme: SignatureAlgorithm;
  readonly signature: Buffer;
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: PublicKey;
  readonly extensions: Extensions;
  #sha256: string | undefined;
  #tbsSha256: string | undefined;

  constructor(read: Omit<Certificate, 'sha256' | 'tbsSha256'>) {
    this.der = read.der;
    this.tbs = read.tbs;
    this.version = read.version;
    this.serial = read.serial;
    this.signatureAlgorithm = read.signatureAlgorithm;
    this.signatureScheme = read.signatureScheme;
    this.signature = read.signature;
    this.issuer = read.issuer;
    this.subject = read.subject;
    this.notBefore = read.notBefore;
    this.notAfter = read.notAfter;
    this.publicKey = read.publicKey;
    this.extensions = read.extensions;
  }

  get sha256(): string {
    return (this.#sha256 ??= hash('sha256', this.der, 'hex'));
  }

  get tbsSha256(): string {
    return (this.#tbsSha256 ??= hash('sha256', this.tbs, 'hex'));
  }
}

/**
 * Reads a file of certificates as people have it: PEM with any number of them, text and other blocks around them, a
 * byte order mark, any white space; or DER, one or several end to end. At least one. Throws CertificateError that says
 * which of them is wrong, with `privateKeyFound` where a private key is in the file.
 */
export function parseCertificates(bytes: Uint8Array): Certificate[] {
  if (bytes.byteLength > fileLimit) throw new CertificateError('The file is larger than 1 MiB.');
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isDerFile(buffer)) return parseDerFile(buffer);
  const text = textOfFile(buffer);
  // A private key as DER behind the certificate: no text, and nothing that a parser of PEM would see.
  if (text.includes('\0')) throw new CertificateError('There is something beside the PEM blocks that is no text.');
  const blocks = pemBlocks(text);
  if (blocks.some(({ label }) => label.endsWith('PRIVATE KEY'))) {
    throw new CertificateError('There is a private key in the file.', { privateKeyFound: true });
  }
  const certificates = blocks.filter(({ label }) => label === 'CERTIFICATE' || label === 'X509 CERTIFICATE');
  if (certificates.length === 0) {
    const others =
      blocks.length === 0 ? '' : `, only ${[...new Set(blocks.map(({ label }) => label))].slice(0, 3).join(', ')}`;
    throw new CertificateError(`There is no certificate in the file${others}.`);
  }
  return certificates.map((block, index) => parseBlock(block, index, certificates.length));
}

function parseBlock({ bytes }: PemBlock, index: number, count: number): Certificate {
  try {
    if (bytes === null) throw new CertificateError('The block is not base64 between BEGIN and END.');
    return parseCertificate(bytes);
  } catch (error) {
    if (!(error instanceof CertificateError) || count === 1) throw error;
    throw new CertificateError(`Certificate ${index + 1} of ${count}: ${error.message}`, { cause: error });
  }
}

/** One or several certificates as DER. A private key and a PKCS#12 begin with a number, a certificate never does. */
function parseDerFile(buffer: Buffer): Certificate[] {
  let parts: Element[];
  let first: Element | undefined;
  try {
    parts = elements(buffer);
    first = elements(parts[0]!.content)[0];
  } catch (cause) {
    throw new CertificateError('The file is neither PEM nor whole DER.', { cause });
  }
  if (first?.tag === tags.integer) {
    throw new CertificateError('The file is a private key or a PKCS#12.', { privateKeyFound: true });
  }
  return parts.map(({ raw }, index) => parseBlock({ label: 'CERTIFICATE', bytes: raw }, index, parts.length));
}

/** The number for people, as `openssl x509 -serial` has it. */
function serialText(content: Buffer): string {
  const hex = content.toString('hex');
  if (content[0]! < 0x80) return content.length > 1 && content[0] === 0 ? hex.slice(2) : hex;
  const magnitude = (1n << BigInt(content.length * 8)) - BigInt(`0x${hex}`);
  const digits = magnitude.toString(16);
  return `-${digits.length % 2 === 0 ? digits : `0${digits}`}`;
}

/** The certificate as PEM, with a newline at its end. */
export function certificateToPem(der: Uint8Array): string {
  return encodePem('CERTIFICATE', der);
}

/** Whether `issuerKey` made the certificate's signature; false for SHA-1, MD5, DSA and whatever else is not accepted. */
export function verifySignature(certificate: Certificate, issuerKey: PublicKey): boolean {
  const { signatureScheme, tbs, signature } = certificate;
  return verifyWithKey(signatureScheme, tbs, signature, issuerKey);
}
