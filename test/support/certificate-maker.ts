// Makes certificates of any shape, legal or not, that openssl would refuse to make.

import { constants, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts';
import {
  bitString,
  boolean,
  element,
  explicit,
  implicit,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  time,
} from '../../src/x509/der-write.ts';
import { extensionOids } from '../../src/x509/extensions.ts';
import { commonName, encodeName } from '../../src/x509/name.ts';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly spki: Buffer;
}

type KeyKind = 'P-256' | 'P-384' | 'P-521' | 'secp256k1' | 'ed25519' | 'rsa1024' | 'rsa2048' | 'rsa-pss2048';

/** A new key pair. */
export function newKey(kind: KeyKind = 'P-256'): KeyPair {
  const { publicKey, privateKey } = generate(kind);
  return { privateKey, spki: publicKey.export({ type: 'spki', format: 'der' }) };
}

function generate(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519');
  if (kind === 'rsa-pss2048') return generateKeyPairSync('rsa-pss', { modulusLength: 2048 });
  if (kind.startsWith('rsa')) return generateKeyPairSync('rsa', { modulusLength: Number(kind.slice(3)) });
  return generateKeyPairSync('ec', { namedCurve: kind });
}

const sha256 = '2.16.840.1.101.3.4.2.1';

/** RSASSA-PSS parameters: both hashes, the length of the salt. */
export function pssParameters(hash: string, mgfHash: string, saltLength: number): Buffer {
  return sequence(
    explicit(0, sequence(oid(hash), nullValue())),
    explicit(1, sequence(oid('1.2.840.113549.1.1.8'), sequence(oid(mgfHash), nullValue()))),
    explicit(2, integer(saltLength)),
  );
}

/** The algorithms that certificates are signed by here: their identifier, and what node:crypto calls the hash. */
export const algorithms = {
  'ecdsa-sha256': { identifier: sequence(oid('1.2.840.10045.4.3.2')), hash: 'sha256' },
  'ecdsa-sha384': { identifier: sequence(oid('1.2.840.10045.4.3.3')), hash: 'sha384' },
  'ecdsa-sha512': { identifier: sequence(oid('1.2.840.10045.4.3.4')), hash: 'sha512' },
  'ecdsa-sha1': { identifier: sequence(oid('1.2.840.10045.4.1')), hash: 'sha1' },
  'rsa-sha256': { identifier: sequence(oid('1.2.840.113549.1.1.11'), nullValue()), hash: 'sha256' },
  'rsa-sha384': { identifier: sequence(oid('1.2.840.113549.1.1.12'), nullValue()), hash: 'sha384' },
  'rsa-sha512': { identifier: sequence(oid('1.2.840.113549.1.1.13'), nullValue()), hash: 'sha512' },
  'rsa-sha1': { identifier: sequence(oid('1.2.840.113549.1.1.5'), nullValue()), hash: 'sha1' },
  'rsa-md5': { identifier: sequence(oid('1.2.840.113549.1.1.4'), nullValue()), hash: 'md5' },
  'rsa-pss-sha256': {
    identifier: sequence(oid('1.2.840.113549.1.1.10'), pssParameters(sha256, sha256, 32)),
    hash: 'sha256',
  },
  ed25519: { identifier: sequence(oid('1.3.101.112')), hash: null },
} as const;

/** What a certificate shall be; what is left out is ordinary. */
export interface Shape {
  /** A CN, or a whole encoded name. */
  readonly subject?: string | Buffer;
  readonly key?: KeyPair;
  /** The SubjectPublicKeyInfo, where it is not that of `key`. */
  readonly spki?: Buffer;
  /** Who signs: its subject is the issuer. Nobody: self-signed. */
  readonly by?: Made;
  /** The issuer, where it is not the subject of `by`. */
  readonly issuer?: string | Buffer;
  /** The version as a number; null leaves it out (version 1). */
  readonly version?: number | null;
  /** Content octets of the serial number. */
  readonly serial?: Buffer;
  readonly notBefore?: number | Buffer;
  readonly notAfter?: number | Buffer;
  /** Null leaves the list out. */
  readonly extensions?: readonly Buffer[] | null;
  readonly algorithm?: keyof typeof algorithms;
  /** The AlgorithmIdentifier, where it is not that of `algorithm`. */
  readonly identifier?: Buffer;
  /** The AlgorithmIdentifier outside of what is signed, where it is another. */
  readonly outerIdentifier?: Buffer;
}

/** A certificate and its key. */
export interface Made {
  readonly certificate: Certificate;
  readonly key: KeyPair;
}

/** Noon of the day that the tests take place on. */
export const now = Date.UTC(2026, 5, 15, 12);
export const day = 86_400_000;

function nameOf(name: string | Buffer): Buffer {
  return typeof name === 'string' ? encodeName([{ type: commonName, value: name }]) : name;
}

/** The DER of a certificate of this shape, whether or not it can be read. */
export function makeDer(shape: Shape, key: KeyPair): Buffer {
  const signer = shape.by?.key ?? key;
  const algorithm = algorithms[shape.algorithm ?? usualAlgorithm(signer)];
  const identifier = shape.identifier ?? algorithm.identifier;
  const subject = nameOf(shape.subject ?? 'device-1');
  const issuer = shape.issuer === undefined ? (shape.by?.certificate.subject.der ?? subject) : nameOf(shape.issuer);
  const version = shape.version === undefined ? 3 : shape.version;
  const at = (when: number | Buffer): Buffer => (typeof when === 'number' ? time(when) : when);
  const tbs = sequence(
    ...(version === null ? [] : [explicit(0, integer(version - 1))]),
    element(0x02, shape.serial ?? Buffer.of(0x11)),
    identifier,
    issuer,
    sequence(at(shape.notBefore ?? now - day), at(shape.notAfter ?? now + day)),
    subject,
    shape.spki ?? key.spki,
    ...(shape.extensions ? [explicit(3, sequence(...shape.extensions))] : []),
  );
  const isPss = shape.algorithm === 'rsa-pss-sha256';
  const signing = isPss
    ? { key: signer.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    : { key: signer.privateKey };
  return sequence(tbs, shape.outerIdentifier ?? identifier, bitString(sign(algorithm.hash, tbs, signing)));
}

function usualAlgorithm({ privateKey }: KeyPair): keyof typeof algorithms {
  const type = privateKey.asymmetricKeyType;
  return type === 'ed25519'
    ? 'ed25519'
    : type === 'rsa'
      ? 'rsa-sha256'
      : type === 'rsa-pss'
        ? 'rsa-pss-sha256'
        : 'ecdsa-sha256';
}

/** A leaf (unless the shape says otherwise). */
export function make(shape: Shape = {}): Made {
  const key = shape.key ?? newKey();
  return { certificate: parseCertificate(makeDer(shape, key)), key };
}

/** A CA: as `make`, with basicConstraints and keyUsage before whatever else the shape has. */
export function makeCa(subject: string | Buffer, shape: Shape & { readonly pathLength?: number } = {}): Made {
  const ordinary = [basicConstraints(true, shape.pathLength), keyUsage('keyCertSign', 'cRLSign')];
  return make({ subject, ...shape, extensions: [...ordinary, ...(shape.extensions ?? [])] });
}

/** One extension. */
export function extension(type: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(type), ...(critical ? [boolean(true)] : []), octetString(value));
}

export function basicConstraints(ca: boolean, pathLength?: number): Buffer {
  const length = pathLength === undefined ? [] : [integer(pathLength)];
  return extension(extensionOids.basicConstraints, sequence(...(ca ? [boolean(true)] : []), ...length), true);
}

const bits = { digitalSignature: 0x80, keyEncipherment: 0x20, keyAgreement: 0x08, keyCertSign: 0x04, cRLSign: 0x02 };

export function keyUsage(...uses: (keyof typeof bits)[]): Buffer {
  const octet = uses.reduce((sum, use) => sum | bits[use], 0);
  const unused = octet === 0 ? 7 : 31 - Math.clz32(octet & -octet);
  return extension(extensionOids.keyUsage, bitString(Buffer.of(octet), unused), true);
}

export function extendedKeyUsage(critical: boolean, ...purposes: string[]): Buffer {
  return extension(extensionOids.extendedKeyUsage, sequence(...purposes.map((purpose) => oid(purpose))), critical);
}

/** General names by their form. */
export const general = {
  other: (type: string, value: Buffer) => implicit(0, Buffer.concat([oid(type), explicit(0, value)]), true),
  mail: (text: string) => implicit(1, Buffer.from(text, 'latin1'), false),
  dns: (text: string) => implicit(2, Buffer.from(text, 'latin1'), false),
  directory: (name: Buffer) => explicit(4, name),
  uri: (text: string) => implicit(6, Buffer.from(text, 'latin1'), false),
  ip: (...octets: number[]) => implicit(7, Buffer.from(octets), false),
  registered: (type: string) => implicit(8, oid(type).subarray(2), false),
};

export function subjectAltName(...names: Buffer[]): Buffer {
  return extension(extensionOids.subjectAlternativeName, sequence(...names));
}

export function nameConstraints({
  permitted = [],
  excluded = [],
}: {
  permitted?: Buffer[];
  excluded?: Buffer[];
}): Buffer {
  const list = (n: number, names: Buffer[]): Buffer[] =>
    names.length === 0 ? [] : [implicit(n, Buffer.concat(names.map((name) => sequence(name))), true)];
  return extension(extensionOids.nameConstraints, sequence(...list(0, permitted), ...list(1, excluded)), true);
}
