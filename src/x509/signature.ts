// Signatures over certificates and the like: which algorithms are accepted, and checking one.

import { constants, verify } from 'node:crypto';

import { children, contextTag, DerError, inner, readOid, readSmallInteger, tags, type Element } from './der.ts';
import type { PublicKey } from './key.ts';

/** An AlgorithmIdentifier: the dotted object identifier, and the whole of it. */
export interface SignatureAlgorithm {
  readonly oid: string;
  readonly parameters: Element | null;
}

type HashName = 'sha256' | 'sha384' | 'sha512';

/** How an accepted algorithm is checked. */
type Scheme =
  | { readonly family: 'ec' | 'rsa'; readonly hash: HashName }
  | { readonly family: 'rsa-pss'; readonly hash: HashName; readonly saltLength: number }
  | { readonly family: 'ed25519' };

const rsassaPss = '1.2.840.113549.1.1.10';
const mgf1 = '1.2.840.113549.1.1.8';

/** RFC 5758 §3.2, RFC 4055 §5, RFC 8410 §3. */
const schemes = new Map<string, Scheme>([
  ['1.2.840.10045.4.3.2', { family: 'ec', hash: 'sha256' }],
  ['1.2.840.10045.4.3.3', { family: 'ec', hash: 'sha384' }],
  ['1.2.840.10045.4.3.4', { family: 'ec', hash: 'sha512' }],
  ['1.2.840.113549.1.1.11', { family: 'rsa', hash: 'sha256' }],
  ['1.2.840.113549.1.1.12', { family: 'rsa', hash: 'sha384' }],
  ['1.2.840.113549.1.1.13', { family: 'rsa', hash: 'sha512' }],
  ['1.3.101.112', { family: 'ed25519' }],
]);

const hashes = new Map<string, HashName>([
  ['2.16.840.1.101.3.4.2.1', 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
]);

/** Names for people of algorithms that are refused. */
const refused: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.2': 'RSA with MD2',
  '1.2.840.113549.1.1.4': 'RSA with MD5',
  '1.2.840.113549.1.1.5': 'RSA with SHA-1',
  '1.2.840.113549.1.1.14': 'RSA with SHA-224',
  '1.3.14.3.2.29': 'RSA with SHA-1',
  '1.2.840.10045.4.1': 'ECDSA with SHA-1',
  '1.2.840.10045.4.3.1': 'ECDSA with SHA-224',
  '1.2.840.10040.4.3': 'DSA with SHA-1',
  '2.16.840.1.101.3.4.3.2': 'DSA with SHA-256',
  '1.3.101.113': 'Ed448',
  [rsassaPss]: 'RSASSA-PSS with these parameters',
};

/** Reads an AlgorithmIdentifier (RFC 5280 §4.1.1.2). Throws DerError. */
export function readSignatureAlgorithm(element: Element | undefined): SignatureAlgorithm {
  const [type, parameters, extra] = children(element, tags.sequence, 'signature algorithm');
  if (extra !== undefined) throw new DerError('The signature algorithm has more parts than two.');
  return { oid: readOid(type, 'signature algorithm'), parameters: parameters ?? null };
}

/** Whether signatures by this algorithm are accepted at all: SHA-2 of 256 bits and more, no DSA. */
export function isAcceptedAlgorithm(algorithm: SignatureAlgorithm): boolean {
  return schemeOf(algorithm) !== null;
}

/** A name for people of an algorithm that is not accepted. */
export function nameOfRefusedAlgorithm(algorithm: SignatureAlgorithm): string {
  return refused[algorithm.oid] ?? `the algorithm ${algorithm.oid}`;
}

/** Whether `signature` over `data` was made by this key; false for every algorithm and key that is not accepted. */
export function verifyWithKey(algorithm: SignatureAlgorithm, data: Buffer, signature: Buffer, key: PublicKey): boolean {
  const scheme = schemeOf(algorithm);
  if (scheme === null || familyOf(key) !== scheme.family.replace('-pss', '')) return false;
  try {
    const keyObject = key.toKeyObject();
    switch (scheme.family) {
      case 'ec':
        return verify(scheme.hash, data, { key: keyObject, dsaEncoding: 'der' }, signature);
      case 'rsa':
        return verify(scheme.hash, data, { key: keyObject, padding: constants.RSA_PKCS1_PADDING }, signature);
      case 'rsa-pss': {
        const padding = constants.RSA_PKCS1_PSS_PADDING;
        return verify(scheme.hash, data, { key: keyObject, padding, saltLength: scheme.saltLength }, signature);
      }
      case 'ed25519':
        return verify(null, data, keyObject, signature);
    }
  } catch {
    // OpenSSL throws at some malformed keys and signatures instead of finding them wrong.
    return false;
  }
}

/** The kind of algorithm that a key can have made a signature by. */
function familyOf(key: PublicKey): string {
  return key.kind === 'p256' || key.kind === 'p384' || key.kind === 'p521' ? 'ec' : key.kind;
}

function schemeOf({ oid, parameters }: SignatureAlgorithm): Scheme | null {
  if (oid === rsassaPss) return parameters === null ? null : pssScheme(parameters);
  const scheme = schemes.get(oid);
  if (scheme === undefined) return null;
  // NULL belongs to RSA; ECDSA has it in some old certificates, Ed25519 never.
  const plain = parameters === null || (scheme.family !== 'ed25519' && parameters.tag === tags.null);
  return plain ? scheme : null;
}

/** RSASSA-PSS-params (RFC 4055 §3.1); the defaults are SHA-1 and so refused. One hash for both, as §3.1 wants it. */
function pssScheme(parameters: Element): Scheme | null {
  try {
    const parts = children(parameters, tags.sequence, 'RSASSA-PSS parameters');
    const part = (n: number): Element | undefined => parts.find(({ tag }) => tag === contextTag(n, true));
    const [hashPart, mgfPart, saltPart, trailerPart] = [part(0), part(1), part(2), part(3)];
    if (hashPart === undefined || mgfPart === undefined) return null;
    const hash = hashes.get(readOid(children(inner(hashPart), tags.sequence, 'hash')[0]));
    const [mgf, mgfHash] = children(inner(mgfPart), tags.sequence, 'mask generation');
    const same = readOid(mgf) === mgf1 && hashes.get(readOid(children(mgfHash, tags.sequence, 'hash')[0])) === hash;
    const trailer = trailerPart === undefined ? 1 : readSmallInteger(inner(trailerPart));
    if (hash === undefined || !same || trailer !== 1) return null;
    return { family: 'rsa-pss', hash, saltLength: saltPart === undefined ? 20 : readSmallInteger(inner(saltPart)) };
  } catch (error) {
    if (error instanceof DerError) return null;
    throw error;
  }
}
