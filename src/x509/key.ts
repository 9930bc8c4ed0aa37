// Public keys: what kind they are, how large, and the one hash that names them.

import { createPublicKey, ECDH, hash, type KeyObject } from 'node:crypto';

import { curves, isOnCurve } from './curve.ts';
import {
  children,
  DerError,
  readBitStringOctets,
  readElement,
  readInteger,
  readOid,
  tags,
  type Element,
} from './der.ts';
import { bitString, nullValue, oid, sequence } from './der-write.ts';

/** `other` is whatever may not stand on a path: DSA, other curves, explicit EC parameters, points that are none. */
export type PublicKeyKind = 'p256' | 'p384' | 'p521' | 'ed25519' | 'rsa' | 'other';

/** A public key. */
export interface PublicKey {
  /** SubjectPublicKeyInfo as it was given, DER. */
  readonly spki: Buffer;
  /** SHA-256 (hex) of the canonical SubjectPublicKeyInfo: one key has one hash, however it was written. */
  readonly sha256: string;
  /** The canonical SubjectPublicKeyInfo, DER, which certificates of our own carry; as given where the kind is `other`. */
  readonly canonicalSpki: Buffer;
  readonly kind: PublicKeyKind;
  /** Of the modulus or the field; 0 where the kind is `other`. */
  readonly bits: number;
  /** The key for `node:crypto`, made at the first call. Throws DerError where it is no key, such as a point off its curve. */
  toKeyObject(): KeyObject;
}

/** Object identifiers of the algorithms that keys are for (RFC 3279 §2.3, RFC 4055 §1.2, RFC 8410 §3). */
export const keyAlgorithms = {
  ecPublicKey: '1.2.840.10045.2.1',
  rsaEncryption: '1.2.840.113549.1.1.1',
  rsassaPss: '1.2.840.113549.1.1.10',
  ed25519: '1.3.101.112',
} as const;

/** The largest modulus, in bits, and public exponent, in octets: beyond them one verification takes a CPU for long. */
const rsaLimit = { modulusBits: 16_384, exponentOctets: 8 };

/** What an SPKI turned out to be; `canonical` is null where the SPKI is canonical as it stands. */
interface Reading {
  readonly kind: PublicKeyKind;
  readonly bits: number;
  readonly canonical: Buffer | null;
}

const unfit: Reading = { kind: 'other', bits: 0, canonical: null };

/**
 * Reads a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7). A key of a kind that is not accepted is no error but `other`.
 * Canonical are the uncompressed point (RFC 5480 §2.2; a compressed one is the same key) and `rsaEncryption` with NULL
 * (RFC 3279 §2.3.1; without it, and under `id-RSASSA-PSS`, it is the same key). Throws DerError.
 */
export function parsePublicKey(spki: Uint8Array): PublicKey {
  const bytes = Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength);
  const [algorithm, key, extra] = children(readElement(bytes), tags.sequence, 'public key');
  if (extra !== undefined) throw new DerError('The public key has more parts than two.');
  const [type, parameters, more] = children(algorithm, tags.sequence, 'public key algorithm');
  if (more !== undefined) throw new DerError('The public key algorithm has more parts than two.');
  const { kind, bits, canonical } = readKey(readOid(type), parameters, readBitStringOctets(key, 'public key bits'));
  return new ReadPublicKey(bytes, { kind, bits, canonical });
}

/** A key whose hash and object are made when they are first asked for. */
class ReadPublicKey implements PublicKey {
  readonly spki: Buffer;
  readonly canonicalSpki: Buffer;
  readonly kind: PublicKeyKind;
  readonly bits: number;
  #sha256: string | undefined;
  #keyObject: KeyObject | undefined;

  constructor(spki: Buffer, { kind, bits, canonical }: Reading) {
    this.spki = spki;
    this.canonicalSpki = canonical ?? spki;
    this.kind = kind;
    this.bits = bits;
  }

  get sha256(): string {
    return (this.#sha256 ??= hash('sha256', this.canonicalSpki, 'hex'));
  }

  toKeyObject(): KeyObject {
    return (this.#keyObject ??= makeKeyObject(this.spki));
  }
}

function readKey(type: string, parameters: Element | undefined, key: Buffer): Reading {
  switch (type) {
    case keyAlgorithms.ecPublicKey:
      return readEcKey(parameters, key);
    case keyAlgorithms.rsaEncryption:
      return readRsaKey(key, parameters === undefined || !isNull(parameters));
    case keyAlgorithms.rsassaPss:
      return readRsaKey(key, true);
    case keyAlgorithms.ed25519:
      // RFC 8410 §3: the parameters are absent; anything else would be a second way to write the key.
      return parameters === undefined && key.length === 32 ? { kind: 'ed25519', bits: 256, canonical: null } : unfit;
    default:
      return unfit;
  }
}

/** A point on a named curve; curves given by their parameters are where keys get forged (CVE-2020-0601). */
function readEcKey(parameters: Element | undefined, point: Buffer): Reading {
  const curve = parameters?.tag === tags.oid ? curves.get(readOid(parameters)) : undefined;
  if (curve === undefined) return unfit;
  const { kind, bits, octets, name } = curve;
  if (point[0] === 0x04 && point.length === 1 + 2 * octets) {
    const onCurve = isOnCurve(curve, point.subarray(1, 1 + octets), point.subarray(1 + octets));
    return onCurve ? { kind, bits, canonical: null } : unfit;
  }
  if ((point[0] !== 0x02 && point[0] !== 0x03) || point.length !== 1 + octets) return unfit;
  try {
    const whole = ECDH.convertKey(point, name, undefined, undefined, 'uncompressed') as Buffer;
    return {
      kind,
      bits,
      canonical: sequence(sequence(oid(keyAlgorithms.ecPublicKey), parameters!.raw), bitString(whole)),
    };
  } catch {
    return unfit;
  }
}

function readRsaKey(key: Buffer, rewrite: boolean): Reading {
  const [first, second, extra] = children(readElement(key), tags.sequence, 'RSA public key');
  const modulus = readInteger(first, 'RSA modulus');
  const exponent = readInteger(second, 'RSA public exponent');
  if (extra !== undefined) throw new DerError('The RSA public key has more parts than two.');
  const bits = bitLength(modulus);
  const odd = (modulus[modulus.length - 1]! & exponent[exponent.length - 1]! & 1) === 1;
  const positive = modulus[0]! < 0x80 && exponent[0]! < 0x80;
  // An exponent of 1 would make every signature valid.
  const one = exponent.length === 1 && exponent[0] === 1;
  const sane =
    odd && positive && !one && bits <= rsaLimit.modulusBits && bitLength(exponent) <= rsaLimit.exponentOctets * 8;
  if (!sane) return unfit;
  const canonical = rewrite ? sequence(sequence(oid(keyAlgorithms.rsaEncryption), nullValue()), bitString(key)) : null;
  return { kind: 'rsa', bits, canonical };
}

function isNull(element: Element): boolean {
  return element.tag === tags.null && element.content.length === 0;
}

/** The bits of a non-negative INTEGER's content octets. */
export function bitLength(integer: Buffer): number {
  const digits = integer[0] === 0 ? integer.subarray(1) : integer;
  return digits.length === 0 ? 0 : digits.length * 8 - Math.clz32(digits[0]!) + 24;
}

function makeKeyObject(spki: Buffer): KeyObject {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch (cause) {
    throw new DerError('The public key is none: OpenSSL does not take it.', { cause });
  }
}
