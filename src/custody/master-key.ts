// The master key: which one this registry's secrets lie under, proved at every start, and its rotation.

import { Problem } from '../problem.ts';
import type { Secret } from '../secret.ts';
import { CustodyProblem } from './custodian.ts';
import { besideOf, makeKeyFile, type MasterKeySource, moveFile, placeOf } from './master-key-source.ts';
import { decodeDerivation, type Derivation, newDerivation } from './passphrase.ts';
import {
  findProven,
  type Found,
  keyIn,
  type MasterKeyRecord,
  type MasterKeySources,
  recordOf,
  renewedRecord,
} from './proven-key.ts';
import { checkAll, resealAll, type SealedStore } from './resealing.ts';
import { type AuthenticatingSeal, ChangeableSeal, createSeal, type Seal } from './seal.ts';

/** What the registry remembers of this server's master keys, and everything that is sealed under them. */
export interface MasterKeyRecords extends SealedStore {
  read(which: 'present' | 'next'): Promise<MasterKeyRecord | null>;
  /** Records the present key in the place of `before`. Throws `conflict` where that is not what is there. */
  record(before: Uint8Array | null, record: MasterKeyRecord): Promise<void>;
  /** Allows values under the next key beside those under the present one. Throws `conflict` while one is there. */
  begin(next: MasterKeyRecord): Promise<void>;
  /** Makes the next key the present one if everything lies under it. Gives how many values do not. */
  end(): Promise<{ left: number }>;
}

/** What a rotation has done: how many values lie under the new key, all there are, and where that is. */
export interface Rotated {
  readonly values: number;
  readonly source: MasterKeySource;
}

/** Holds the seal, and the one rotation that may be under way. */
export class MasterKey implements AsyncDisposable {
  readonly #seal: ChangeableSeal;
  readonly #sources: MasterKeySources;
  readonly #records: MasterKeyRecords;
  /** Where the key is under which is sealed. */
  #source: MasterKeySource;
  #unfinished: boolean;
  #underWay: Promise<Rotated> | null = null;
  readonly #ending = new AbortController();

  private constructor(
    sources: MasterKeySources,
    records: MasterKeyRecords,
    { seal, source, unfinished }: { seal: ChangeableSeal; source: MasterKeySource; unfinished: boolean },
  ) {
    this.#sources = sources;
    this.#records = records;
    this.#seal = seal;
    this.#source = source;
    this.#unfinished = unfinished;
  }

  /**
   * Opens the seal of this server. At the first start (no proof yet) the registry gets a proof of the master key, and the
   * data directory a new master key where none is configured; from then on another key, or none, stops the start: a
   * server that went on would seal new secrets that the right key does not open. During a rotation both keys are needed.
   * Throws CustodyProblem that says what is wrong with which key.
   */
  static async open(sources: MasterKeySources, records: MasterKeyRecords): Promise<MasterKey> {
    const present = await records.read('present');
    if (present === null) return MasterKey.#openFirst(sources, records);
    const next = await records.read('next');
    using found = await findProven('present', present, sources, next !== null);
    const seal = new ChangeableSeal(found.key);
    if (next === null) {
      const settled = { seal, source: await settleFile(found.source, sources.present), unfinished: false };
      const renewed = renewedRecord(seal, present);
      if (renewed !== null) await records.record(present.proof, renewed);
      return new MasterKey(sources, records, settled);
    }
    using following = await findProven('next', next, sources, true);
    seal.change(following.key);
    return new MasterKey(sources, records, { seal, source: following.source, unfinished: true });
  }

  /**
   * The seal in a process beside the one that opened the master key: reads the same records and places, and changes
   * neither. `next` has it open what lies under the key that a rotation leads to, which is to be called before anything
   * is put under that. Throws CustodyProblem.
   */
  static async follow(
    sources: MasterKeySources,
    read: MasterKeyRecords['read'],
  ): Promise<{ readonly seal: Seal; next(): Promise<void> }> {
    const present = await read('present');
    if (present === null) throw new TypeError('a registry without a proof of its master key has not been opened yet');
    const rotating = await read('next');
    using found = await findProven('present', present, sources, rotating !== null);
    const seal = new ChangeableSeal(found.key);
    const next = async (): Promise<void> => {
      const record = await read('next');
      if (record === null) return;
      using following = await findProven('next', record, sources, true);
      if (!seal.isUnder(following.key)) seal.change(following.key);
    };
    if (rotating !== null) await next();
    return { seal, next };
  }

  static async #openFirst(sources: MasterKeySources, records: MasterKeyRecords): Promise<MasterKey> {
    const derivation = sources.present.holds === 'passphrase' ? newDerivation() : null;
    using key = await firstKey(sources, derivation);
    const seal = new ChangeableSeal(key);
    await records.record(null, recordOf(seal, derivation));
    return new MasterKey(sources, records, { seal, source: sources.present, unfinished: false });
  }

  get seal(): AuthenticatingSeal {
    return this.#seal;
  }

  /** Where the key is that is sealed under. */
  get source(): MasterKeySource {
    return this.#source;
  }

  /** Whether a rotation is not at its end: what is sealed lies under two keys. */
  get rotating(): boolean {
    return this.#unfinished || this.#underWay !== null;
  }

  /** Whether a rotation was begun that nobody is finishing. */
  get interrupted(): boolean {
    return this.#unfinished && this.#underWay === null;
  }

  /**
   * Puts everything that is sealed under the next master key, or goes on with that where it was interrupted; the seal goes
   * on serving. Throws Problem('conflict') while that is under way or where there is no next key, and CustodyProblem
   * where a key cannot be had or something does not open; what was done by then stays, and nothing is lost.
   */
  async rotate(): Promise<Rotated> {
    if (this.#underWay !== null) throw new Problem('conflict', 'A rotation of the master key is under way.');
    this.#underWay = this.#rotate();
    try {
      return await this.#underWay;
    } finally {
      this.#underWay = null;
    }
  }

  async #rotate(): Promise<Rotated> {
    if (!this.#unfinished) await this.#begin();
    for (;;) {
      const values = await resealAll(this.#seal, this.#records, this.#ending.signal);
      // What was sealed before the rotation began and recorded while the values were gone through is left.
      if ((await this.#records.end()).left > 0) continue;
      this.#unfinished = false;
      this.#source = await settleFile(this.#source, this.#sources.present);
      return { values, source: this.#source };
    }
  }

  async #begin(): Promise<void> {
    // Where the rotation before has left its file beside the place, the next one would leave it behind.
    this.#source = await settleFile(this.#source, this.#sources.present);
    // What opens under no key could never be brought under another: it is told before anything is changed.
    await checkAll(this.#seal, this.#records, this.#ending.signal);
    const { source, derivation, ...next } = await this.#nextKey();
    using key = next.key;
    await this.#records.begin(recordOf(createSeal(key), derivation));
    this.#seal.change(key);
    this.#source = source;
    this.#unfinished = true;
  }

  async #nextKey(): Promise<Found & { derivation: Derivation | null }> {
    const { next, env } = this.#sources;
    if (next !== null) {
      await this.#requireAnother(next);
      const derivation = next.holds === 'passphrase' ? newDerivation() : null;
      return { key: await keyIn(next, derivation, env), source: next, derivation };
    }
    const beside = await besideOf(this.#source);
    if (beside === null) {
      throw new Problem(
        'conflict',
        `No next master key is configured, and the present one (${placeOf(this.#source)}) is not the server's to replace.`,
        'Configure one of custody.next_… and restart the server; docs/the-master-key.md has the steps.',
      );
    }
    return { key: await makeNext(beside.next), source: beside.next, derivation: null };
  }

  /** A passphrase is told by the key that it gives with the present salt: with a new one it would give another each time. */
  async #requireAnother(next: MasterKeySource): Promise<void> {
    const present = await this.#records.read('present');
    const derivation = present?.derivation ?? null;
    if ((next.holds === 'passphrase') !== (derivation !== null)) return;
    using key = await keyIn(next, derivation === null ? null : decodeDerivation(derivation), this.#sources.env);
    if (!this.#seal.isUnder(key)) return;
    throw new Problem(
      'conflict',
      `The next master key (${placeOf(next)}) is the present one.`,
      'Give it another one; where a rotation has led to it, take the setting of the one before out.',
    );
  }

  /** Ends a rotation where it stands; the next start goes on with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Problem('unavailable', 'The server ends; its next start goes on with the rotation.'));
    await this.#underWay?.catch(() => {});
  }
}

async function makeNext({ name }: MasterKeySource): Promise<Secret> {
  try {
    return await makeKeyFile(name);
  } catch (cause) {
    throw new Problem(
      'conflict',
      `The next master key cannot be written to ${name}: ${(cause as Error).message}.`,
      'Let the server write there, or make the next key yourself and name it in custody.next_master_key_file.',
      { cause },
    );
  }
}

async function firstKey({ present, env }: MasterKeySources, derivation: Derivation | null): Promise<Secret> {
  try {
    return await keyIn(present, derivation, env);
  } catch (error) {
    const makes = present.setting === null && error instanceof CustodyProblem && error.fault === 'no_such_key';
    if (!makes) throw error;
    return makeKeyFile(present.name);
  }
}

/** A next key that the server made and that counts now is put in the place of the one before, where that was not done. */
async function settleFile(source: MasterKeySource, present: MasterKeySource): Promise<MasterKeySource> {
  const beside = await besideOf(present);
  if (beside === null || source.name !== beside.next.name || source.in !== 'file') return source;
  try {
    await moveFile(beside.next.name, beside.file);
    return present;
  } catch (cause) {
    throw new CustodyProblem(
      'unavailable',
      `The new master key counts, but it cannot be put in its place: ${(cause as Error).message}.`,
      `Put it there yourself: mv ${beside.next.name} ${beside.file}`,
      { cause },
    );
  }
}
