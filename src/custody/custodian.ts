// The contract of whatever holds private keys: it makes them or takes them in, signs with them, destroys them, and gives
// one out only where it was made to be given out.

import { Problem } from '../problem.ts';
import type { Secret } from '../secret.ts';

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
  /** Fixed when the key is made or taken in; the custodian itself holds to it, whatever a record says later. */
  exportable: boolean;
  /** SubjectPublicKeyInfo, DER. */
  publicKey: Uint8Array;
  remembered: Uint8Array;
}

/** What is asked for of a new key. `id` is the caller's and is never used twice. */
export type KeyRequest = Pick<CustodyKey, 'id' | 'keyType' | 'exportable'>;

/** What a custodian gives of a new key, to be recorded: without both the key is lost. */
export interface NewKey {
  publicKey: Buffer;
  remembered: Buffer;
}

/**
 * What holds private keys. Every backend passes one suite, test/contracts/custodian.test.ts.
 * Each method rejects with a CustodyProblem, and with a TypeError where the caller asks for what the contract does not
 * offer. None takes longer than the time-out that its custodian was opened with.
 */
export interface Custodian extends AsyncDisposable {
  /** What the registry's key rows call it; it stays the same over restarts. */
  readonly name: string;

  /**
   * Makes a key pair. It counts as made only once the caller has recorded the answer.
   * Faults besides the general ones: `not_exportable` where this custodian never gives a key out.
   */
  create(request: KeyRequest): Promise<NewKey>;

  /**
   * Takes in a private key (PKCS#8, DER) that was made elsewhere, and is of the type named; wiping it is the caller's. It
   * takes the place of the same key where a move that was interrupted has left that here under the same ID.
   */
  import(request: KeyRequest, privateKey: Secret): Promise<NewKey>;

  /** The public key (SubjectPublicKeyInfo, DER) of the key that is really there. */
  publicKey(key: CustodyKey): Promise<Buffer>;

  /** Signs `data` itself, not a digest of it. An ECDSA signature is the DER of RFC 3279 §2.2.3, an RSA one the bare octets. */
  sign(key: CustodyKey, algorithm: SigningAlgorithm, data: Uint8Array): Promise<Buffer>;

  /** Gives the private key out, PKCS#8 in DER; the caller wipes it. Fault `not_exportable` where it was not made for that. */
  export(key: CustodyKey): Promise<Secret>;

  /** Destroys the key; the caller forgets `remembered` afterwards. Destroying it again is no error. */
  destroy(key: CustodyKey): Promise<void>;

  /** Resolves where the custodian is there, open, and lets us use it. Cheap enough to be asked every second. */
  check(): Promise<void>;
}

/** What is known of a custodian that somebody watches. */
export interface Watched {
  /** Set while it does nothing: then whatever it is asked fails at once with this problem. */
  readonly trouble: Trouble | null;
}

/** Why, and since when (ms since 1970), a custodian does nothing. */
export interface Trouble {
  readonly problem: CustodyProblem;
  readonly since: number;
}

/**
 * Why a custodian did not do what it was asked; the whole list.
 * - `unavailable`: it cannot be reached, did not answer in time, or failed.
 * - `sealed`: it is there and locked until its own people open it: a sealed vault, a token whose PIN is locked.
 * - `denied`: it is there and does not let us: a login or PIN that is wrong or has ended, a policy.
 * - `no_such_key`: it does not have the key any more.
 * - `not_exportable`: the key, or any key of this custodian, is never given out.
 * - `corrupted`: the record, or the key, is damaged, or they do not belong together.
 */
export type CustodyFault = 'unavailable' | 'sealed' | 'denied' | 'no_such_key' | 'not_exportable' | 'corrupted';

/** What a custodian throws. To a device or an operator it is a Problem like any other. */
export class CustodyProblem extends Problem {
  readonly fault: CustodyFault;

  constructor(fault: CustodyFault, message: string, hint: string | null = null, options?: ErrorOptions) {
    super(fault === 'not_exportable' ? 'key_not_exportable' : 'custody_unavailable', message, hint, options);
    this.fault = fault;
  }
}

/** Whether a key of this type makes signatures of this algorithm. */
export function fits(keyType: KeyType, algorithm: SigningAlgorithm): boolean {
  return keyType.startsWith('rsa') === algorithm.startsWith('rsa-');
}
