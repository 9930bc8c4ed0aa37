// PKCS#10 certification requests (RFC 2986 §4): reading one, in the forms that people send, and its proof of possession.

import {
  children,
  contextTag,
  DerError,
  elements,
  expectTag,
  readBitStringOctets,
  readElement,
  readOid,
  readSmallInteger,
  tags,
  type Element,
} from './der.ts';
import { parsePublicKey, type PublicKey } from './key.ts';
import { parseName, type Name } from './name.ts';
import { decodeBase64, isDerFile, pemBlocks, textOfFile } from './pem.ts';
import {
  isAcceptedAlgorithm,
  nameOfRefusedAlgorithm,
  readSignatureAlgorithm,
  verifyWithKey,
  type SignatureAlgorithm,
} from './signature.ts';

/** The bytes are no certification request. The message is one sentence for whoever sent them. */
export class CertificationRequestError extends Error {
  override readonly name = 'CertificationRequestError';
  /** Whether a private key was among them, which then has left its home and should be told so. */
  readonly privateKeyFound: boolean;

  constructor(message: string, options?: ErrorOptions & { privateKeyFound?: boolean }) {
    super(message, options);
    this.privateKeyFound = options?.privateKeyFound ?? false;
  }
}

/** A certification request, read but not believed: `faultOfRequestSignature` says whether its sender has the key. */
export interface CertificationRequest {
  readonly der: Buffer;
  /** CertificationRequestInfo, what is signed. */
  readonly info: Buffer;
  /** May be empty, and hold any character: `firstCommonName` finds what is asked for. */
  readonly subject: Name;
  readonly publicKey: PublicKey;
  readonly signatureScheme: SignatureAlgorithm;
  readonly signature: Buffer;
  readonly attributes: RequestedAttributes;
}

/** What a request asks for beside a name and a key: for the record, since policy alone decides what is certified. */
export interface RequestedAttributes {
  /** Whether there is a challengePassword (RFC 2985 §5.4.1), which may be a secret and so is not read. */
  readonly challengePassword: boolean;
  /** Dotted object identifiers of the requested extensions, each once, the first 32 of them. */
  readonly extensions: readonly string[];
}

/** The largest request that is read, in octets. */
const requestLimit = 64 * 1024;
/** The same with all that is around it: base64 or armour, and what `openssl req -text` prints. */
const fileLimit = 512 * 1024;
/** How many requested extensions are listed: nobody asks for more in earnest. */
const listedExtensions = 32;

const challengePassword = '1.2.840.113549.1.9.7';
/** RFC 2985 §5.4.2, and what Microsoft wrote before it. */
const extensionRequests: ReadonlySet<string> = new Set(['1.2.840.113549.1.9.14', '1.3.6.1.4.1.311.2.1.14']);

/**
 * Reads one request, DER, which is not copied. Let pass, because clients send it: attributes left out where there are
 * none, sets out of order, an empty list of extensions, extensions that are critical, unknown, doubled or malformed
 * inside. Throws CertificationRequestError.
 */
export function parseCertificationRequest(der: Uint8Array): CertificationRequest {
  if (der.byteLength > requestLimit) throw new CertificationRequestError('The request is larger than 64 KiB.');
  try {
    return readRequest(Buffer.from(der.buffer, der.byteOffset, der.byteLength));
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new CertificationRequestError(`The request is malformed. ${error.message}`, { cause: error });
  }
}

function readRequest(der: Buffer): CertificationRequest {
  const [info, algorithm, signature, extra] = children(readElement(der), tags.sequence, 'certification request');
  if (extra !== undefined) throw new DerError('The certification request has more parts than three.');
  const fields = children(info, tags.sequence, 'CertificationRequestInfo');
  const version = readSmallInteger(fields.shift(), 'version');
  // RFC 2986 §4.1: version 1 is written 0.
  if (version !== 0) throw new DerError(`There is no PKCS#10 version ${version + 1}.`);
  const subject = parseName(fields.shift(), 'subject');
  const publicKey = parsePublicKey(expectTag(fields.shift(), tags.sequence, 'public key').raw);
  const attributes = readAttributes(fields[0]?.tag === contextTag(0, true) ? fields.shift()! : null);
  if (fields.length > 0) throw new DerError('The CertificationRequestInfo has parts that it cannot have.');
  return {
    der,
    info: info!.raw,
    subject,
    publicKey,
    signatureScheme: readSignatureAlgorithm(algorithm),
    signature: readBitStringOctets(signature, 'signature'),
    attributes,
  };
}

/** RFC 2986 §4.1, RFC 2985 §5.4. */
function readAttributes(element: Element | null): RequestedAttributes {
  let password = false;
  const extensions = new Set<string>();
  for (const attribute of element === null ? [] : elements(element.content)) {
    const [type, values, extra] = children(attribute, tags.sequence, 'attribute');
    const oid = readOid(type, 'attribute type');
    const all = children(values, tags.set, 'set of attribute values');
    if (extra !== undefined) throw new DerError(`The attribute ${oid} has more parts than two.`);
    if (oid === challengePassword) password = true;
    if (!extensionRequests.has(oid)) continue;
    for (const list of all) {
      for (const extension of children(list, tags.sequence, 'list of extensions')) {
        const [name] = children(extension, tags.sequence, 'extension');
        extensions.add(readOid(name, 'extension identifier'));
      }
    }
  }
  return { challengePassword: password, extensions: [...extensions].slice(0, listedExtensions) };
}

/**
 * Whether the key in a request made its signature, the proof that the sender has it (RFC 2986 §4.2); false for SHA-1,
 * MD5, DSA and whatever else is not accepted. RSA costs what the key's size and exponent want: ask `weaknessOf` first.
 */
export function verifyRequestSignature({ signatureScheme, info, signature, publicKey }: CertificationRequest): boolean {
  return verifyWithKey(signatureScheme, info, signature, publicKey);
}

/** The sentence that says what is wrong with a request's proof of possession, or null; costs as `verifyRequestSignature`. */
export function faultOfRequestSignature(request: CertificationRequest): string | null {
  const { signatureScheme } = request;
  if (!isAcceptedAlgorithm(signatureScheme)) {
    return `The request is signed by ${nameOfRefusedAlgorithm(signatureScheme)}, which is not accepted.`;
  }
  return verifyRequestSignature(request) ? null : "The request's signature was not made by the key that is in it.";
}

/**
 * Reads what people and EST clients send: DER; PEM under its new or its old label, with text and other blocks around it;
 * or bare base64 (RFC 8951 §3), with any white space. Exactly one request. Throws CertificationRequestError, with
 * `privateKeyFound` where a private key is in it.
 */
export function readRequestFile(bytes: Uint8Array): CertificationRequest {
  if (bytes.byteLength > fileLimit) {
    throw new CertificationRequestError('The request is larger than 512 KiB with what is around it.');
  }
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isDerFile(file)) return readDer(file);
  const text = textOfFile(file);
  if (text.trim() === '') throw new CertificationRequestError('There is no request: nothing was sent.');
  // A private key as DER behind the request: no text, and nothing that a parser of PEM would see.
  if (text.includes('\0')) {
    throw new CertificationRequestError('The request is not DER, and there is something in it that is no text.');
  }
  return text.includes('-----BEGIN ') ? readPem(text) : readBase64(text);
}

function readPem(text: string): CertificationRequest {
  const blocks = pemBlocks(text);
  if (blocks.some(({ label }) => label.endsWith('PRIVATE KEY'))) throw privateKeyFound();
  const requests = blocks.filter(({ label }) => label === 'CERTIFICATE REQUEST' || label === 'NEW CERTIFICATE REQUEST');
  const [request, second] = requests;
  if (request === undefined) {
    const others = [...new Set(blocks.map(({ label }) => label))].slice(0, 3).join(', ');
    throw new CertificationRequestError(`There is no CERTIFICATE REQUEST${others === '' ? '' : `, only ${others}`}.`);
  }
  if (second !== undefined) throw tooMany();
  if (request.bytes === null) {
    throw new CertificationRequestError('The request is not base64 between BEGIN and END.');
  }
  return readDer(request.bytes);
}

function readBase64(text: string): CertificationRequest {
  // What latin1 makes of a byte order mark in UTF-8.
  const base64 = text.replace(/^\u00ef\u00bb\u00bf/, '');
  const bytes = decodeBase64(base64);
  if (bytes !== null) return readDer(bytes);
  const digits = base64.replace(/\s+/g, '');
  if (/^[A-Za-z0-9+/=]+$/.test(digits)) {
    if (/=[A-Za-z0-9+/]/.test(digits)) throw tooMany();
    throw new CertificationRequestError('The base64 of the request is cut, or padded wrongly.');
  }
  throw new CertificationRequestError('The request is neither DER nor PEM nor base64.');
}

/** One request as DER, or what people send in its place. */
function readDer(bytes: Buffer): CertificationRequest {
  // Beyond the limit nothing is looked at, and of many parts the first few, lest a stranger's take long.
  const parts = (bytes.length > requestLimit ? [] : partsOf(bytes)).slice(0, 4).map(({ content }) => partsOf(content));
  if (parts.some(isPrivateKey)) throw privateKeyFound();
  if (parts.length > 1) throw tooMany();
  // A certificate of version 3 begins with its version in a tag of its own.
  const [body] = parts[0] ?? [];
  if (body !== undefined && partsOf(body.content)[0]?.tag === contextTag(0, true)) {
    throw new CertificationRequestError('There is a certificate where a certification request is expected.');
  }
  return parseCertificationRequest(bytes);
}

/** Those in the clear begin with a version, as a PKCS#12 does; an encrypted one is an algorithm and octets (RFC 5958 §3). */
function isPrivateKey([first, second, more]: readonly Element[]): boolean {
  const encrypted = first?.tag === tags.sequence && second?.tag === tags.octetString && more === undefined;
  return first?.tag === tags.integer || encrypted;
}

/** The elements of a content; none where it is not made of whole ones, which the parser then says better. */
function partsOf(content: Buffer): Element[] {
  try {
    return elements(content);
  } catch {
    return [];
  }
}

function privateKeyFound(): CertificationRequestError {
  const message = 'There is a private key in what was sent, which must never leave its device; send the request alone.';
  return new CertificationRequestError(message, { privateKeyFound: true });
}

function tooMany(): CertificationRequestError {
  return new CertificationRequestError('There is more than one request where exactly one is expected.');
}
