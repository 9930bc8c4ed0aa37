// The public area of a key in a TPM (TPM 2.0 Library, Part 2 §12.2): what it is, its Name, and whether it lives there.

import { hash } from 'node:crypto';

import { curves } from '../../x509/curve.ts';
import { DerError } from '../../x509/der.ts';
import { bitString, integer, nullValue, oid, sequence } from '../../x509/der-write.ts';
import { parsePublicKey, type PublicKey } from '../../x509/key.ts';

/** The bytes are no public area of a key that can be proved here. The message is one sentence. */
export class PublicAreaError extends Error {
  override readonly name = 'PublicAreaError';
}

/** objectAttributes that decide here (Part 2 §8.3), by their bits. */
const attributes = {
  fixedTPM: 1 << 1,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  restricted: 1 << 16,
  signs: 1 << 18,
} as const;

/** The public area of a key, read and not believed. */
export interface PublicArea {
  /** The Name (Part 1 §16): the nameAlg's identifier and the hash of the whole area, 34 octets. */
  readonly name: Buffer;
  readonly objectAttributes: number;
  readonly publicKey: PublicKey;
}

/** Identifiers of algorithms and curves (Part 2 §6.3, §6.4). */
const algorithms = { rsa: 0x0001, sha256: 0x000b, null: 0x0010, ecc: 0x0023 } as const;
/** Schemes that name a hash after them: RSASSA, RSAPSS, OAEP; ECDSA, ECDH. */
const rsaSchemes: readonly number[] = [0x0014, 0x0016, 0x0017];
const eccSchemes: readonly number[] = [0x0018, 0x0019];
const curveOids: ReadonlyMap<number, string> = new Map([
  [0x0003, '1.2.840.10045.3.1.7'],
  [0x0004, '1.3.132.0.34'],
]);

/** No public area that is read here is longer: an RSA key of 4,096 bits takes less than 640 octets. */
const areaLimit = 1_024;
const rsaBits = { least: 2_048, most: 4_096 };

/**
 * Reads the public area of an RSA key (2,048 to 4,096 bits) or of one on P-256 or P-384, whose nameAlg is SHA-256: a
 * TPM2B_PUBLIC, as `tpm2_create -u` and `tpm2_readpublic -o` write it, or the TPMT_PUBLIC in it. Throws PublicAreaError.
 */
export function readPublicArea(bytes: Buffer): PublicArea {
  if (bytes.length > areaLimit) throw new PublicAreaError(`The public area is longer than ${areaLimit} octets.`);
  const area = withoutLength(bytes);
  const fields = fieldsOf(area);
  const type = fields.number(2);
  if (!isKeyType(type)) {
    throw new PublicAreaError(`The public area is of no RSA or ECC key: its type is ${hex(type)}.`);
  }
  const nameAlg = fields.number(2);
  if (nameAlg !== algorithms.sha256) {
    throw new PublicAreaError(`The nameAlg of the public area is ${hex(nameAlg)}, and only SHA-256 (0x000b) is taken.`);
  }
  const objectAttributes = fields.number(4);
  const policy = fields.sized();
  if (policy.length !== 0 && policy.length !== 32) {
    throw new PublicAreaError(`The authPolicy of the public area has ${policy.length} octets, not 0 or 32.`);
  }
  const spki = type === algorithms.rsa ? readRsa(fields) : readEcc(fields);
  if (fields.left() > 0) throw new PublicAreaError('There are octets after the end of the public area.');
  const name = Buffer.concat([Buffer.of(0x00, algorithms.sha256), hash('sha256', area, 'buffer')]);
  return { name, objectAttributes, publicKey: keyOf(spki) };
}

/** The TPMT_PUBLIC: it begins with its type, which is less than any area is long, where a TPM2B_PUBLIC has its length. */
function withoutLength(bytes: Buffer): Buffer {
  const first = bytes.length < 2 ? 0 : bytes.readUInt16BE(0);
  if (isKeyType(first)) return bytes;
  const area = bytes.subarray(2);
  if (first === area.length) return area;
  throw new PublicAreaError(`The public area says that it has ${first} octets, and has ${area.length}.`);
}

function isKeyType(type: number): boolean {
  return type === algorithms.rsa || type === algorithms.ecc;
}

/**
 * Why a key is none that was made inside a TPM, never leaves it, and can sign TLS handshakes: one sentence; null where it
 * is one. An imported key differs from one that was made there in these attributes alone (Part 1 §23.3, §27.5).
 */
export function faultOfDeviceKey({ objectAttributes }: PublicArea): string | null {
  const has = (bit: number): boolean => (objectAttributes & bit) !== 0;
  if (!has(attributes.fixedTPM))
    return 'The key has no fixedTPM: it can be taken to another TPM, or came from elsewhere.';
  if (!has(attributes.fixedParent)) return 'The key has no fixedParent: it can be taken out from under its parent.';
  if (!has(attributes.sensitiveDataOrigin)) {
    return 'The key has no sensitiveDataOrigin: its private half was not made by the TPM but given to it.';
  }
  if (has(attributes.restricted)) return 'The key is restricted: it cannot sign TLS handshakes.';
  return has(attributes.signs) ? null : 'The key has no sign attribute: it cannot sign TLS handshakes.';
}

/** The fields of a structure, one after the other; each throws PublicAreaError where the octets end before it does. */
interface Fields {
  /** A number of 2 or 4 octets, big-endian. */
  number(octets: 2 | 4): number;
  /** A TPM2B: a length of 2 octets, and so many octets. */
  sized(): Buffer;
  left(): number;
}

function fieldsOf(area: Buffer): Fields {
  let offset = 0;
  const take = (octets: number): Buffer => {
    if (octets > area.length - offset) throw new PublicAreaError('The public area ends before its fields do.');
    offset += octets;
    return area.subarray(offset - octets, offset);
  };
  const number = (octets: 2 | 4): number => take(octets).readUIntBE(0, octets);
  return { number, sized: () => take(number(2)), left: () => area.length - offset };
}

/** TPMS_RSA_PARMS and TPM2B_PUBLIC_KEY_RSA (Part 2 §12.2.3.5, §11.2.4.5). */
function readRsa(fields: Fields): Buffer {
  skipSymmetric(fields);
  skipScheme(fields, rsaSchemes);
  const bits = fields.number(2);
  // 0 is the default, 2^16 + 1.
  const exponent = fields.number(4) || 65_537;
  const modulus = fields.sized();
  if (bits < rsaBits.least || bits > rsaBits.most) {
    throw new PublicAreaError(`The key is RSA of ${bits} bits; ${rsaBits.least} to ${rsaBits.most} are taken.`);
  }
  if (modulus.length * 8 !== bits || modulus[0]! < 0x80) {
    throw new PublicAreaError(`The modulus of the key does not have the ${bits} bits that the public area claims.`);
  }
  const key = sequence(integer(modulus), integer(exponent));
  return sequence(sequence(oid('1.2.840.113549.1.1.1'), nullValue()), bitString(key));
}

/** TPMS_ECC_PARMS and TPMS_ECC_POINT (Part 2 §12.2.3.6, §11.2.5.2). */
function readEcc(fields: Fields): Buffer {
  skipSymmetric(fields);
  skipScheme(fields, eccSchemes);
  const id = fields.number(2);
  const curveOid = curveOids.get(id);
  const curve = curveOid === undefined ? undefined : curves.get(curveOid);
  if (curveOid === undefined || curve === undefined) {
    throw new PublicAreaError(`The key lies on the curve ${hex(id)}; P-256 (0x0003) and P-384 (0x0004) are taken.`);
  }
  if (fields.number(2) !== algorithms.null) fields.number(2);
  const point = Buffer.concat([Buffer.of(0x04), ...[0, 1].map(() => coordinateOf(fields.sized(), curve.octets))]);
  return sequence(sequence(oid('1.2.840.10045.2.1'), oid(curveOid)), bitString(point));
}

/** Older TPMs leave out leading zero octets (Part 1 §C.8). */
function coordinateOf(octets: Buffer, length: number): Buffer {
  if (octets.length > length) throw new PublicAreaError(`A coordinate of the point has more than ${length} octets.`);
  return Buffer.concat([Buffer.alloc(length - octets.length), octets]);
}

/** TPMT_SYM_DEF_OBJECT, which a key that only signs does not have. */
function skipSymmetric(fields: Fields): void {
  if (fields.number(2) !== algorithms.null) fields.number(4);
}

/** TPMT_RSA_SCHEME or TPMT_ECC_SCHEME: none, or one with its hash. */
function skipScheme(fields: Fields, schemes: readonly number[]): void {
  const scheme = fields.number(2);
  if (scheme === algorithms.null) return;
  if (!schemes.includes(scheme))
    throw new PublicAreaError(`The key has the scheme ${hex(scheme)}, which TLS does not use.`);
  fields.number(2);
}

function keyOf(spki: Buffer): PublicKey {
  try {
    const key = parsePublicKey(spki);
    if (key.kind !== 'other') return key;
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
  }
  throw new PublicAreaError('The public area has no public key: its point or modulus is none.');
}

function hex(number: number): string {
  return `0x${number.toString(16).padStart(4, '0')}`;
}
