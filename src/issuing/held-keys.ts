// The keys that are ours, whichever custodian each lies with: made, checked, moved, given out, erased, destroyed.

import { randomUUID } from 'node:crypto';

import {
  type CustodyKey,
  CustodyProblem,
  type Custodian,
  type KeyType,
  type SigningAlgorithm,
  type Watched,
} from '../custody/custodian.ts';
import { Problem } from '../problem.ts';
import { condemnedKeys, keyCopies, type KeyPlace, requireKey } from '../registry/keys.ts';
import type { Account, KeyCopy, KeyPurpose, KeyRow } from '../registry/tables.ts';
import type { Registry } from '../registry/writer.ts';
import type { Secret } from '../secret.ts';
import { parsePublicKey } from '../x509/key.ts';
import { detached } from './detached.ts';
import { type FailingKey, FailingKeys } from './failing-keys.ts';
import { proveKey, publicHalf } from './key-proof.ts';
import { custodyKey, isAt, placeOf, recordOf } from './key-record.ts';
import { algorithmOf } from './signing-ca.ts';

/** What an account that issues nothing may have keys for, and what the server itself has them for. */
const neverForDevices: ReadonlySet<KeyPurpose> = new Set(['gateway-ca', 'operator-ca', 'audit']);

/** What may be done with keys of ours by whoever cannot sign with them: only the issuer has the whole. */
export type KeyCare = Omit<HeldKeys, 'sign'>;

/** A custodian, watched as the server's are. */
type HeldCustodian = Custodian & Partial<Watched>;

/** The registry's record of our keys and the custodians that hold them. */
export class HeldKeys {
  readonly #registry: Registry;
  readonly #custodians: ReadonlyMap<string, HeldCustodian>;
  readonly #newKeysIn: HeldCustodian;
  readonly #failing = new FailingKeys();
  /** The IDs of the keys whose place is being changed. */
  readonly #changing = new Set<string>();

  /** `newKeysIn` names the custodian that new keys are made in; those of earlier keys are to be there too. */
  constructor({
    registry,
    custodians,
    newKeysIn,
  }: {
    registry: Registry;
    custodians: ReadonlyMap<string, HeldCustodian>;
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
    account: Pick<Account, 'id' | 'kind'>;
    purpose: KeyPurpose;
    keyType: KeyType;
    exportable?: boolean;
  }): Promise<KeyRow> {
    if (account.kind !== 'test' && !neverForDevices.has(purpose)) throw new Problem('provisioning_not_offered');
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

  /**
   * Whether it is worth while to prepare for a signature by a key. Asks its custodian nothing; throws CustodyProblem where
   * that one is known to be away, or the key to be gone.
   */
  ready(key: KeyRow): void {
    custodyKey(key);
    const { trouble } = this.#custodianOf(key);
    if (trouble) throw trouble.problem;
  }

  /**
   * Signs data itself, not a digest of it. A key that has been moved since its row was read signs where it lies now.
   * Throws CustodyProblem.
   */
  async sign(key: KeyRow, algorithm: SigningAlgorithm, data: Uint8Array): Promise<Buffer> {
    return this.#whereItLies(key, (custodian, there) => custodian.sign(there, algorithm, data));
  }

  /** Its old copy is destroyed as soon as the new place is recorded, which may be between the reading of a row and its use. */
  async #whereItLies<Result>(
    key: KeyRow,
    use: (custodian: Custodian, key: CustodyKey) => Promise<Result>,
  ): Promise<Result> {
    for (let tried = key; ;) {
      try {
        const result = await use(this.#custodianOf(tried), custodyKey(tried));
        this.#failing.forget(key.id);
        return result;
      } catch (error) {
        if (!(error instanceof CustodyProblem)) throw error;
        const now = await requireKey(this.#registry.read, key.id);
        if (isAt(now, placeOf(tried))) {
          this.#noteFailing(now, error);
          throw error;
        }
        tried = now;
      }
    }
  }

  #noteFailing(key: KeyRow, problem: CustodyProblem): void {
    if (!this.#isAway(key)) this.#failing.note(key, problem);
  }

  /** A custodian that is away is told of as a whole. */
  #isAway({ custodian }: KeyRow): boolean {
    return Boolean(this.#custodians.get(custodian)?.trouble);
  }

  /** The keys that could not be used the last time, though their custodian is there. */
  get failing(): FailingKey[] {
    return this.#failing.all.filter(({ key }) => !this.#isAway(key));
  }

  /** Tries those again, so that one that works again is not told of any longer. */
  async recheckFailing(): Promise<void> {
    for (const { key } of this.failing) await this.check(key).catch(() => {});
  }

  /** Whether a custodian is there, open, and lets us use it. Throws CustodyProblem, Problem('not_found'). */
  async checkCustodian(name: string): Promise<void> {
    await this.#custodianNamed(name).check();
  }

  /**
   * Proves that a key is there and is the one recorded: its custodian tells the same public key, and signs a random text
   * (which is no certificate) so that it verifies. Throws CustodyProblem.
   */
  async check(key: KeyRow): Promise<void> {
    await this.#whereItLies(key, (custodian, there) => proveKey(custodian, there, algorithmOf(key)));
  }

  /**
   * Gives a private key out, PKCS#8 in DER, having recorded that it does; the caller wipes it. Throws CustodyProblem,
   * Problem('conflict') for a key that is not here.
   */
  async export(key: KeyRow): Promise<Secret> {
    const privateKey = await this.#giveOut(key);
    try {
      await this.#registry.write('recordKeyExport', { key_id: key.id });
      return privateKey;
    } catch (error) {
      privateKey.wipe();
      throw error;
    }
  }

  /** What a row says of `exportable` is said in words of our own; its custodian holds to it whatever the row says. */
  async #giveOut(key: KeyRow): Promise<Secret> {
    requireHere(key);
    if (key.exportable === 0) {
      throw new CustodyProblem(
        'not_exportable',
        `Key ${key.id} was made in the custodian ${key.custodian}, or moved there, not to be given out, and cannot be made exportable later.`,
        'A new account takes `account create --exportable yes`, where its custodian gives keys out.',
      );
    }
    return this.#custodianOf(key).export(custodyKey(key));
  }

  /**
   * Moves a key that may be given out to another custodian, where it may be given out only if `exportable` says so. The
   * new place is proved by a signature and recorded before the old one is destroyed.
   * Throws Problem('not_found') for a custodian that is not configured, Problem('conflict'), CustodyProblem.
   */
  async move({ id }: Pick<KeyRow, 'id'>, to: string, { exportable }: { exportable: boolean }): Promise<KeyRow> {
    const target = this.#custodianNamed(to);
    return this.#alone(id, async (key) => {
      requireHere(key);
      if (to === key.custodian) throw new Problem('conflict', `Key ${id} is in the custodian ${to} already.`);
      using privateKey = await this.#giveOut(key);
      const moved = await this.#takeIn(key, target, exportable, privateKey, 'moved');
      await this.#destroyCopies(key, `Key ${id} has been moved to the custodian ${to}`);
      return moved;
    });
  }

  /**
   * Erases the key of a standby gateway CA here, which lies outside from then on. Throws CustodyProblem, and
   * Problem('conflict') where it is needed here or was never exported.
   */
  async erase({ id }: Pick<KeyRow, 'id'>): Promise<KeyRow> {
    return this.#alone(id, async (key) => {
      requireHere(key);
      await this.#custodianOf(key).check();
      const erased = await this.#registry.write('eraseKey', { key_id: id, from: placeOf(key) });
      await this.#destroyCopies(key, `Key ${id} has been erased from the registry`);
      return erased;
    });
  }

  async #destroyCopies(key: KeyRow, done: string): Promise<void> {
    for (const copy of await keyCopies(this.#registry.read, key.id)) {
      try {
        await this.#destroyCopy(key, copy);
      } catch (cause) {
        const fault = cause instanceof CustodyProblem ? cause.fault : 'unavailable';
        const message = `${done}, but its copy in the custodian ${copy.custodian} could not be destroyed yet: ${(cause as Error).message}`;
        throw new CustodyProblem(fault, message, 'That is done by itself as soon as the custodian is back.', { cause });
      }
    }
  }

  async #destroyCopy(key: KeyRow, { id, custodian, remembered, exportable }: KeyCopy): Promise<void> {
    const there = { ...key, custodian, exportable };
    await this.#custodianOf(there).destroy({ ...recordOf(there), remembered });
    await this.#registry.write('forgetKeyCopy', { id });
  }

  /**
   * Takes an erased key in again, where it was: into the custodian of new keys where that one is not configured any more.
   * Throws Problem('conflict') for a key that was not erased, Problem('invalid_request') for a private key (PKCS#8, DER)
   * that is not its own, CustodyProblem.
   */
  async restore({ id }: Pick<KeyRow, 'id'>, privateKey: Secret): Promise<KeyRow> {
    return this.#alone(id, async (key) => {
      if (key.erased_at === null) throw new Problem('conflict', `Key ${id} was not erased here.`);
      const custodian = this.#custodians.get(key.custodian) ?? this.#newKeysIn;
      return this.#takeIn(key, custodian, key.exportable === 1, privateKey, 'imported');
    });
  }

  /** Two changes of one key's place at once could each undo what the other has recorded. */
  async #alone<Changed>(id: string, change: (key: KeyRow) => Promise<Changed>): Promise<Changed> {
    if (this.#changing.has(id)) {
      throw new Problem('conflict', `Key ${id} is being moved, erased or imported.`, 'Wait until that is done.');
    }
    this.#changing.add(id);
    try {
      return await change(await requireKey(this.#registry.read, id));
    } finally {
      this.#changing.delete(id);
    }
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
    const to: KeyPlace = {
      custodian: custodian.name,
      remembered: detached(taken.remembered),
      exportable: exportable ? 1 : 0,
    };
    try {
      await proveKey(custodian, { ...taken, publicKey: key.public_key }, algorithmOf(key));
      return await this.#registry.write('placeKey', { key_id: key.id, from: placeOf(key), to, event });
    } catch (error) {
      // Where the record was made after all, and only its answer lost, this is the one copy there is.
      const recorded = await requireKey(this.#registry.read, key.id).then(
        (now) => isAt(now, to),
        () => true,
      );
      if (!recorded) await custodian.destroy(taken).catch(() => {});
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

  /** Destroys a key that came to nothing: where its custodian cannot do it now, `destroyCondemned` does it later. */
  async discard(key: KeyRow): Promise<void> {
    const condemned = await this.#registry.write('condemnKey', { key_id: key.id });
    await this.destroy(condemned);
  }

  /**
   * Destroys what is to be destroyed since its account is gone, it came to nothing, or it lies elsewhere by now: what a
   * custodian cannot do now is tried again at the next call. Gives the keys that are still there, each with the reason.
   */
  async destroyCondemned(): Promise<{ key: KeyRow; error: unknown }[]> {
    const left: { key: KeyRow; error: unknown }[] = [];
    for (const key of await condemnedKeys(this.#registry.read)) {
      await this.destroy(key).catch((error: unknown) => left.push({ key, error }));
    }
    for (const { key_id, custodian } of await keyCopies(this.#registry.read)) {
      // Whoever changes its place destroys them, or makes one of them the key again.
      if (this.#changing.has(key_id)) continue;
      await this.#alone(key_id, async (key) => {
        await this.#destroyCopies(key, `Key ${key_id} lies elsewhere`).catch((error: unknown) => {
          left.push({ key: { ...key, custodian }, error });
        });
      });
    }
    return left;
  }

  #custodianNamed(name: string): HeldCustodian {
    const custodian = this.#custodians.get(name);
    if (custodian !== undefined) return custodian;
    throw new Problem('not_found', `There is no custodian ${name} here: there are ${this.custodians.join(', ')}.`);
  }

  #custodianOf(key: KeyRow): HeldCustodian {
    const custodian = this.#custodians.get(key.custodian);
    if (custodian !== undefined) return custodian;
    throw new CustodyProblem(
      'unavailable',
      `Key ${key.id} is in the custodian ${key.custodian}, which is not configured.`,
      'Configure that custodian: keys stay where they are when the custodian of new keys is another.',
    );
  }
}

/** Throws Problem('conflict') for a key that is not here. */
function requireHere(key: KeyRow): void {
  if (key.destroyed_at !== null) throw new Problem('conflict', `Key ${key.id} has been destroyed.`);
  if (key.erased_at !== null) {
    throw new Problem(
      'conflict',
      `Key ${key.id} has been erased here and lies outside.`,
      'Import it again: `account gateway-ca import`.',
    );
  }
}
