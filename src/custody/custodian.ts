// The contract of whatever holds private keys: it makes them, signs with them, destroys them, and never gives one out.

/** The kinds of key that a custodian makes. */
export type KeyType = 'p256' | 'p384' | 'rsa2048' | 'rsa3072' | 'rsa4096';

/** The signatures that a custodian makes; an `ecdsa-…` one by an EC key, an `rsa-…` one (PKCS #1 v1.5) by an RSA key. */
export type SigningAlgorithm = 'ecdsa-sha256' | 'ecdsa-sha384' | 'rsa-sha256' | 'rsa-sha384';

/**
 * A key's record, as the registry keeps it. The custodian keeps no table of its own: what it needs to find its key
 * again (the sealed key, a token's object, a path in a vault) is in `remembered`, which it asked to have kept.
 */
export interface CustodyKey {
  id: string;
  keyType: KeyType;
  /** SubjectPublicKeyInfo, DER. */
  publicKey: Uint8Array;
  remembered: Uint8Array;
}

/**
 * What holds private keys. Every backend passes one suite, test/contracts/custodian.test.ts.
 * Each method rejects with Problem('custody_unavailable') where the key cannot be reached, found or opened,
 * and with a TypeError where the caller asks for what the contract does not offer.
 */
export interface Custodian {
  /** What the registry's key rows call it; it stays the same over restarts. */
  readonly name: string;

  /**
   * Makes a key pair. `id` is the caller's and is never used twice.
   * The key counts as made only once the caller has recorded both answers.
   */
  create(request: { id: string; keyType: KeyType }): Promise<{ publicKey: Buffer; remembered: Buffer }>;

  /** Signs `data` itself, not a digest of it. An ECDSA signature is the DER of RFC 3279 §2.2.3, an RSA one the bare octets. */
  sign(key: CustodyKey, algorithm: SigningAlgorithm, data: Uint8Array): Promise<Buffer>;

  /** Destroys the key; the caller forgets `remembered` afterwards. Destroying it again is no error. */
  destroy(key: CustodyKey): Promise<void>;
}

/** Whether a key of this type makes signatures of this algorithm. */
export function fits(keyType: KeyType, algorithm: SigningAlgorithm): boolean {
  return keyType.startsWith('rsa') === algorithm.startsWith('rsa-');
}
