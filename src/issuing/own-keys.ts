// Keys of ours where a program has few of them: made, checked and used by the record that whoever made one keeps.

import { randomUUID } from 'node:crypto';

import { type Custodian, CustodyProblem, type KeyType, type SigningAlgorithm } from '../custody/custodian.ts';
import { parsePublicKey } from '../x509/key.ts';
import type { SigningKeys } from './issuer.ts';
import { proveKey } from './key-proof.ts';
import { custodyKey } from './key-record.ts';
import { algorithmOf, type SigningKey, type SigningPurpose } from './signing-ca.ts';

/** A key that was made, to be recorded before it counts. */
export interface OwnKey extends SigningKey {
  /** SHA-256 of `public_key`, hex. */
  readonly public_key_sha256: string;
}

/** The custodians of a program, and the keys that it shows them by its own records. */
export class OwnKeys implements SigningKeys {
  readonly #custodians: ReadonlyMap<string, Custodian>;

  constructor(custodians: ReadonlyMap<string, Custodian>) {
    this.#custodians = custodians;
  }

  /** Makes a key that is never given out. The caller records it; what it does not record is lost. Throws CustodyProblem. */
  async create(purpose: SigningPurpose, keyType: KeyType, custodian: string): Promise<OwnKey> {
    const request = { id: randomUUID(), keyType, exportable: false };
    const { publicKey, remembered } = await this.#custodianNamed(custodian).create(request);
    return {
      id: request.id,
      account_id: '',
      purpose,
      custodian,
      key_type: keyType,
      public_key: publicKey,
      public_key_sha256: parsePublicKey(publicKey).sha256,
      remembered,
      exportable: 0,
      destroyed_at: null,
    };
  }

  /** Destroys a key that came to nothing. Throws CustodyProblem. */
  async destroy(key: SigningKey): Promise<void> {
    await this.#custodianNamed(key.custodian).destroy(custodyKey(key));
  }

  /** Proves that a key is there and is the one recorded. Throws CustodyProblem. */
  async check(key: SigningKey): Promise<void> {
    await proveKey(this.#custodianNamed(key.custodian), custodyKey(key), algorithmOf(key));
  }

  ready(key: SigningKey): void {
    custodyKey(key);
    this.#custodianNamed(key.custodian);
  }

  async sign(key: SigningKey, algorithm: SigningAlgorithm, data: Uint8Array): Promise<Buffer> {
    return this.#custodianNamed(key.custodian).sign(custodyKey(key), algorithm, data);
  }

  #custodianNamed(name: string): Custodian {
    const custodian = this.#custodians.get(name);
    if (custodian !== undefined) return custodian;
    throw new CustodyProblem(
      'unavailable',
      `The custodian ${name} is not configured.`,
      'Configure the one that the key was made in; docs/set-up-a-line.md has the settings.',
    );
  }
}
