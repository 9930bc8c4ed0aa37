// The keys that are ours, whichever custodian each lies with: made, checked, moved, given out, erased, destroyed.

import { createPublicKey, randomBytes, randomUUID, verify } from 'node:crypto';

import {
  type CustodyKey,
  CustodyProblem,
  type Custodian,
  type KeyType,
  type SigningAlgorithm,
} from '../custody/custodian.ts';
import { Problem } from '../problem.ts';
import { condemnedKeys, type KeyPlace } from '../registry/keys.ts';
import type { Account, KeyPurpose, KeyRow } from '../registry/tables.ts';
import type { Registry } from '../registry/writer.ts';
import type { Secret } from '../secret.ts';
import { parsePublicKey } from '../x509/key.ts';
import { algorithmOf } from './signing-ca.ts';

/** What may be done with keys of ours by whoever cannot sign with them: only the issuer has the whole. */
export type KeyCare = Omit<HeldKeys, 'sign'>;

/** The registry's record of our keys and the custodians that hold them. */
export class HeldKeys {
  readonly #registry: Registry;
  readonly #custodians: ReadonlyMap<string, Custodian>;
  readonly #newKeysIn: Custodian;

  /** `newKeysIn` names the custodian that new keys are made in; those of earlier keys are to be there too. */
  constructor({
    registry,
    custodians,
    newKeysIn,
  }: {
    registry: Registry;
    custodians: ReadonlyMap<string, Custodian>;
    newKeysIn: string;
  }) {
    const custodian = custodians.get(newKeysIn);
    if (custodian === undefined) throw new TypeError(`there is no custodian ${newKeysIn}`);
    this.#registry = registry;
    this.#custodians = custodians;
    this.#newKeysIn = custodian;
  }

  /** The names of the custodians that are configured, that of new keys first. */
  get custodians(): string[] {
    return [...new Set([this.#newKeysIn.name, ...this.#custodians.keys()])];
  }

  /**
   * Makes a key in custody and records it. Unless said, a key may be given out where it is software, which who has the
   * master key could take anyway, and nowhere else.
   * Throws Problem('provisioning_not_offered') for a key that a production account must not hold, and CustodyProblem.
   */
  async create({
    account,
    purpose,
    keyType,
    exportable = this.#newKeysIn.name === 'software',
  }: {
    account: Account;
    purpose: KeyPurpose;
    keyType: KeyType;
    exportable?: boolean;
  }): Promise<KeyRow> {
    if (account.kind !== 'test' && purpose !== 'gateway-ca') throw new Problem('provisioning_not_offered');
    const custodian = this.#newKeysIn;
    const request = { id: randomUUID(), keyType, exportable };
    const { publicKey, remembered } = await custodian.create(request);
    try {
      return await this.#registry.write('recordKey', {
        key: {
          id: request.id,
          account_id: account.id,
          purpose,
          custodian: custodian.name,
          key_type: keyType,
          public_key: detached(publicKey),
          public_key_sha256: parsePublicKey(publicKey).sha256,
          remembered: detached(remembered),
          exportable: exportable ? 1 : 0,
        },
      });
    } catch (error) {
      // Nobody knows of it. The first error is the one to tell.
      await custodian.destroy({ ...request, publicKey, remembered }).catch(() => {});
      throw error;
    }
  }

  /** Signs data itself, not a digest of it. Throws CustodyProblem. */
  async sign(key: KeyRow, algorithm: SigningAlgorithm, data: Uint8Array): Promise<Buffer> {
    return this.#custodianOf(key).sign(custodyKey(key), algorithm, data);
  }

  /**
   * Proves that a key is there and is the one recorded: its custodian tells the same public key, and signs a random text
   * (which is no certificate) so that it verifies. Throws CustodyProblem.
   */
  async check(key: KeyRow): Promise<void> {
    await proveKey(this.#custodianOf(key), custodyKey(key), algorithmOf(key));
  }

  /** Gives a private key out, PKCS#8 in DER, having recorded that it does; the caller wipes it. Throws CustodyProblem. */
  async export(key: KeyRow): Promise<Secret> {
    const privateKey = await this.#custodianOf(key).export(custodyKey(key));
    try {
      await this.#registry.write('recordKeyExport', { key_id: key.id });
      return privateKey;
    } catch (error) {
      privateKey.wipe();
      throw error;
    }
  }

  /**
   * Moves a key that may be given out to another custodian, where it may be given out only if `exportable` says so. The
   * new place is proved by a signature and recorded before the old one is destroyed.
   * Throws Problem('not_found') for a custodian that is not configured, Problem('conflict'), CustodyProblem.
   */
  async move(key: KeyRow, to: string, { exportable }: { exportable: boolean }): Promise<KeyRow> {
    const target = this.#custodians.get(to);
    if (target === undefined) throw noCustodian(to, this.custodians);
    if (to === key.custodian) throw new Problem('conflict', `Key ${key.id} is in the custodian ${to} already.`);
    using privateKey = await this.#custodianOf(key).export(custodyKey(key));
    const moved = await this.#takeIn(key, target, exportable, privateKey, 'moved');
    await this.#destroyOldCopy(key, `Key ${key.id} has been moved to the custodian ${to}`);
    return moved;
  }

  /** Erases a key here, which lies outside from then on. Throws CustodyProblem, Problem('conflict'). */
  async erase(key: KeyRow): Promise<KeyRow> {
    custodyKey(key);
    await this.#custodianOf(key).check();
    const erased = await this.#registry.write('eraseKey', { key_id: key.id, from: placeOf(key) });
    await this.#destroyOldCopy(key, `Key ${key.id} has been erased from the registry`);
    return erased;
  }

  async #destroyOldCopy(key: KeyRow, done: string): Promise<void> {
    try {
      await this.#custodianOf(key).destroy(custodyKey(key));
    } catch (cause) {
      const fault = cause instanceof CustodyProblem ? cause.fault : 'unavailable';
      const message = `${done}, but its copy in the custodian ${key.custodian} could not be destroyed: ${(cause as Error).message}`;
      throw new CustodyProblem(fault, message, `Destroy the key ${key.id} there yourself.`, { cause });
    }
  }

  /**
   * Takes an erased key in again, into the custodian of new keys. Throws Problem('conflict') for a key that was not
   * erased, Problem('invalid_request') for a private key (PKCS#8, DER) that is not its own, CustodyProblem.
   */
  async restore(key: KeyRow, privateKey: Secret): Promise<KeyRow> {
    if (key.erased_at === null) throw new Problem('conflict', `Key ${key.id} was not erased here.`);
    return this.#takeIn(key, this.#newKeysIn, key.exportable === 1, privateKey, 'imported');
  }

  async #takeIn(
    key: KeyRow,
    custodian: Custodian,
    exportable: boolean,
    privateKey: Secret,
    event: 'moved' | 'imported',
  ): Promise<KeyRow> {
    if (!publicHalf(privateKey).equals(key.public_key)) {
      throw new Problem('invalid_request', `The private key is not that of key ${key.id}.`);
    }
    const request = { id: key.id, keyType: key.key_type as KeyType, exportable };
    const taken = { ...request, ...(await custodian.import(request, privateKey)) };
    try {
      await proveKey(custodian, { ...taken, publicKey: key.public_key }, algorithmOf(key));
      const to: KeyPlace = {
        custodian: custodian.name,
        remembered: detached(taken.remembered),
        exportable: exportable ? 1 : 0,
      };
      return await this.#registry.write('placeKey', { key_id: key.id, from: placeOf(key), to, event });
    } catch (error) {
      await custodian.destroy(taken).catch(() => {});
      throw error;
    }
  }

  /** Destroys a key in custody; that it was held stays recorded. A key that is destroyed already is left as it is. */
  async destroy(key: KeyRow): Promise<void> {
    if (key.remembered !== null) {
      await this.#custodianOf(key).destroy({ ...recordOf(key), remembered: key.remembered });
    }
    await this.#registry.write('forgetKey', { key_id: key.id });
  }

  /**
   * Destroys what is to be destroyed since its account is gone: what a custodian cannot do now is tried again at the next
   * call. Gives the keys that are still there, each with the reason.
   */
  async destroyCondemned(): Promise<{ key: KeyRow; error: unknown }[]> {
    const left: { key: KeyRow; error: unknown }[] = [];
    for (const key of await condemnedKeys(this.#registry.read)) {
      await this.destroy(key).catch((error: unknown) => left.push({ key, error }));
    }
    return left;
  }

  #custodianOf(key: KeyRow): Custodian {
    const custodian = this.#custodians.get(key.custodian);
    if (custodian !== undefined) return custodian;
    throw new CustodyProblem(
      'unavailable',
      `Key ${key.id} is in the custodian ${key.custodian}, which is not configured.`,
      'Configure that custodian: keys stay where they are when the custodian of new keys is another.',
    );
  }
}

/** Has the custodian sign a random text by a key, and verifies it. Throws CustodyProblem. */
async function proveKey(custodian: Custodian, key: CustodyKey, algorithm: SigningAlgorithm): Promise<void> {
  const publicKey = await custodian.publicKey(key);
  if (!publicKey.equals(key.publicKey)) {
    throw new CustodyProblem('corrupted', `The custodian ${custodian.name} holds another key under ${key.id}.`);
  }
  const text = Buffer.concat([Buffer.from('fleetroot: this key is there '), randomBytes(16)]);
  const signature = await custodian.sign(key, algorithm, text);
  const spki = createPublicKey({ key: publicKey, format: 'der', type: 'spki' });
  if (!verify(algorithm.split('-')[1], text, spki, signature)) {
    throw new CustodyProblem('corrupted', `The custodian ${custodian.name} made a wrong signature with key ${key.id}.`);
  }
}

function custodyKey(key: KeyRow): CustodyKey {
  if (key.destroyed_at !== null) throw new CustodyProblem('no_such_key', `Key ${key.id} has been destroyed.`);
  if (key.remembered === null) {
    throw new CustodyProblem(
      'no_such_key',
      `Key ${key.id} has been erased here and lies outside.`,
      'Import it again: `account gateway-ca import`.',
    );
  }
  return { ...recordOf(key), remembered: key.remembered };
}

function recordOf(key: KeyRow): Omit<CustodyKey, 'remembered'> {
  return {
    id: key.id,
    keyType: key.key_type as KeyType,
    exportable: key.exportable === 1,
    publicKey: key.public_key,
  };
}

function placeOf({ custodian, remembered, exportable }: KeyRow): KeyPlace {
  return { custodian, remembered, exportable };
}

/** The public key (SubjectPublicKeyInfo, DER) of a private one. Throws Problem('invalid_request'). */
function publicHalf(privateKey: Secret): Buffer {
  try {
    const key = createPublicKey({ key: privateKey.reveal(), format: 'der', type: 'pkcs8' } as never);
    return key.export({ type: 'spki', format: 'der' });
  } catch {
    throw new Problem('invalid_request', 'This is no private key in PKCS#8.');
  }
}

function noCustodian(name: string, known: readonly string[]): Problem {
  return new Problem('not_found', `There is no custodian ${name} here: there are ${known.join(', ')}.`);
}

/**
 * A copy with memory of its own: what goes to the registry is sent to another thread with all the memory that it is a
 * part of, and small buffers share theirs.
 */
export function detached(bytes: Buffer): Buffer {
  return Buffer.from(new Uint8Array(bytes).buffer);
}
