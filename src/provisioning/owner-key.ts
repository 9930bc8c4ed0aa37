// The owner's key of a production account: its public half read from a file, and what was signed with the private one.

import { Problem } from '../problem.ts';
import { CertificateError, parseCertificates } from '../x509/certificate.ts';
import { DerError } from '../x509/der.ts';
import { type PublicKey, parsePublicKey } from '../x509/key.ts';
import { pemBlocks } from '../x509/pem.ts';
import { verifyWithKey } from '../x509/signature.ts';

/**
 * By the kind of the key, the one algorithm of its signatures: ECDSA in DER with the hash as strong as the curve
 * (RFC 5758 §3.2), Ed25519 (RFC 8410 §3).
 */
const algorithms = {
  p256: '1.2.840.10045.4.3.2',
  p384: '1.2.840.10045.4.3.3',
  ed25519: '1.3.101.112',
} as const;

/** The kinds of key that an owner may have. */
export type OwnerKeyKind = keyof typeof algorithms;

/** The owner's public key. */
export type OwnerKey = PublicKey & { readonly kind: OwnerKeyKind };

const fileLimit = 64 * 1024;
const hint = 'Give the public key alone: `openssl pkey -in owner.key -pubout`, or a certificate of it.';

/**
 * Reads the public key of the file that an operator gives: PEM or DER, a SubjectPublicKeyInfo or one certificate.
 * Throws `invalid_request`, also for a private key, nothing of which is told or kept.
 */
export function readOwnerKey(file: Uint8Array): OwnerKey {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.length > fileLimit) throw unfit('The file of the owner key is larger than 64 KiB.');
  const blocks = pemBlocks(bytes.toString('latin1'));
  if (blocks.some(({ label }) => label.endsWith('PRIVATE KEY'))) throw privateKeyFound();
  const publicKeys = blocks.filter(({ label }) => label === 'PUBLIC KEY');
  if (blocks.length > 1) throw unfit('There is more than one block in the file of the owner key.');
  const spki = blocks.length === 0 ? bytes : (publicKeys[0]?.bytes ?? null);
  return accept((spki && tryPublicKey(spki)) ?? keyOfCertificate(bytes));
}

/** Reads the owner key that was kept (SubjectPublicKeyInfo, DER). Throws `invalid_request` for what is none. */
export function parseOwnerKey(spki: Uint8Array): OwnerKey {
  const key = tryPublicKey(spki);
  if (key === null) throw unfit('The owner key is no public key.');
  return accept(key);
}

/** Whether the owner has signed these bytes: a DER signature of an EC key, the 64 octets of an Ed25519 one. */
export function isSignedBy(key: OwnerKey, document: Uint8Array, signature: Uint8Array): boolean {
  const algorithm = { oid: algorithms[key.kind], parameters: null };
  return verifyWithKey(algorithm, Buffer.from(document), Buffer.from(signature), key);
}

function tryPublicKey(spki: Uint8Array): PublicKey | null {
  try {
    return parsePublicKey(spki);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return null;
  }
}

function keyOfCertificate(file: Buffer): PublicKey {
  try {
    const [certificate, another] = parseCertificates(file);
    if (another !== undefined) throw unfit('There is more than one certificate in the file of the owner key.');
    return certificate!.publicKey;
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    if (error.privateKeyFound) throw privateKeyFound();
    throw unfit('The file of the owner key holds neither a public key nor a certificate, as PEM or DER.');
  }
}

function accept(key: PublicKey): OwnerKey {
  if (!Object.hasOwn(algorithms, key.kind)) {
    throw unfit('The owner key is of a kind that is not accepted.', 'P-256, P-384 and Ed25519 keys are.');
  }
  return key as OwnerKey;
}

function privateKeyFound(): Problem {
  return unfit('There is a private key in the file of the owner key, which never comes to this server.');
}

function unfit(message: string, what = hint): Problem {
  return new Problem('invalid_request', message, what);
}
