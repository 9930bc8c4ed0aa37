// A CA of ours with the key that signs for it.

import type { KeyType, SigningAlgorithm } from '../custody/custodian.ts';
import type { Db } from '../registry/database.ts';
import { keyById } from '../registry/keys.ts';
import type { KeyRow } from '../registry/tables.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';

/** A CA that we hold the key of. */
export interface SigningCa {
  readonly certificate: Certificate;
  readonly key: KeyRow;
}

/** Reads a CA back from what was recorded of it. */
export async function readSigningCa(db: Db, ca: { certificate: Uint8Array; key_id: string }): Promise<SigningCa> {
  const key = await keyById(db, ca.key_id);
  if (key === undefined) throw new Error(`key ${ca.key_id} of a CA is not recorded`);
  return { certificate: parseCertificate(ca.certificate), key };
}

/** The algorithm of a signature follows the key that makes it: a hash as strong as the key, SHA-256 for every RSA key. */
export function algorithmOf(key: KeyRow): SigningAlgorithm {
  const keyType = key.key_type as KeyType;
  switch (keyType) {
    case 'p256':
      return 'ecdsa-sha256';
    case 'p384':
      return 'ecdsa-sha384';
    case 'rsa2048':
    case 'rsa3072':
    case 'rsa4096':
      return 'rsa-sha256';
  }
}
