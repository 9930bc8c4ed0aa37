// A CA of ours with the key that signs for it.

import type { KeyType, SigningAlgorithm } from '../custody/custodian.ts';
import type { KeyPurpose, KeyRow } from '../registry/tables.ts';
import type { Certificate } from '../x509/certificate.ts';

/** What keys of ours sign for: a server's, or a factory's. */
export type SigningPurpose = KeyPurpose | 'factory-root' | 'line' | 'station-ca';

/** The record of a key that signs, wherever it is kept. */
export interface SigningKey extends Pick<
  KeyRow,
  'id' | 'account_id' | 'custodian' | 'key_type' | 'public_key' | 'remembered' | 'exportable' | 'destroyed_at'
> {
  readonly purpose: SigningPurpose;
}

/** A CA that we hold the key of. */
export interface SigningCa<Key extends SigningKey = KeyRow> {
  readonly certificate: Certificate;
  readonly key: Key;
}

/** The algorithm of a signature follows the key that makes it: a hash as strong as the key, SHA-256 for every RSA key. */
export function algorithmOf(key: Pick<SigningKey, 'key_type'>): SigningAlgorithm {
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
