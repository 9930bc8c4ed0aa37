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
  /** The other nodes of this server; none where it is the only one. */
  readonly nodes?: OtherNodes;
  /** Makes the next key the present one if everything lies under it. Gives how many values do not. */
  end(): Promise<{ left: number }>;
}

/** Nodes that open the same values with keys of their own. */
export interface OtherNodes {
  /** Waits until no other node rotates; throws the reason of `signal` where it is aborted meanwhile. */
  alone(signal: AbortSignal): Promise<AsyncDisposable>;
  /** Whether values may be put under the next key. */
  agreed(next: MasterKeyRecord): Promise<boolean>;
  /**
   * Resolves when all other nodes open what lies under the next key, and it is agreed on. Throws Problem `conflict`, and the
   * reason of `signal` where it is aborted meanwhile.
   */
  agree(signal: AbortSignal): Promise<void>;
  /** Gives up what was begun and not agreed on. */
  withdraw(): Promise<void>;
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
  /** Where the one is that a rotation leads to; during none the same. */
  #next: MasterKeySource;
  #unfinished: boolean;
  #underWay: Promise<Rotated> | null = null;
  readonly #ending = new AbortController();

  private constructor(
    sources: MasterKeySources,
    records: MasterKeyRecords,
    {
      seal,
      source,
      next = source,
      unfinished,
    }: { seal: ChangeableSeal; source: MasterKeySource; next?: MasterKeySource; unfinished: boolean },
  ) {
    this.#sources = sources;
    this.#records = records;
    this.#seal = seal;
    this.#source = source;
    this.#next = next;
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
    const agreed = (await records.nodes?.agreed(next)) ?? true;
    if (agreed) seal.change(following.key);
    else seal.prepare(following.key);
    const { source } = agreed ? following : found;
    return new MasterKey(sources, records, { seal, source, next: following.source, unfinished: true });
  }

  /**
   * The seal in a process beside the one that opened the master key: reads the same records and places, and changes
   * neither. `next` has it follow a rotation, which is to be called before anything is put under the next key. Throws
   * CustodyProblem.
   */
  static async follow(
    sources: MasterKeySources,
    records: Pick<MasterKeyRecords, 'read' | 'nodes'>,
  ): Promise<{ readonly seal: Seal; next(): Promise<void> }> {
    const present = await records.read('present');
    if (present === null) throw new TypeError('a registry without a proof of its master key has not been opened yet');
    using found = await findProven('present', present, sources, (await records.read('next')) !== null);
    const seal = new ChangeableSeal(found.key);
    const next = async (): Promise<void> => void (await takeUp(seal, sources, records));
    await next();
    return { seal, next };
  }

  /**
   * Takes up what another node has done: opens what lies under a next key, seals under it once that is agreed on. Throws
   * CustodyProblem where this node does not have it.
   */
  async follow(): Promise<void> {
    if (this.#underWay === null) await this.#takeUp();
  }

  async #takeUp(): Promise<void> {
    const { rotating, agreed, source } = await takeUp(this.#seal, this.#sources, this.#records);
    this.#unfinished = rotating;
    this.#next = source ?? this.#next;
    if (agreed) this.#source = this.#next;
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
  rotate(): Promise<Rotated> {
    return this.#alone(true);
  }

  /** Goes on with a rotation that was interrupted, where no other node has. Throws as `rotate` does. */
  finish(): Promise<Rotated> {
    return this.#alone(false);
  }

  async #alone(begins: boolean): Promise<Rotated> {
    if (this.#underWay !== null) throw new Problem('conflict', 'A rotation of the master key is under way.');
    this.#underWay = this.#rotate(begins);
    try {
      return await this.#underWay;
    } finally {
      this.#underWay = null;
    }
  }

  async #rotate(begins: boolean): Promise<Rotated> {
    const { nodes } = this.#records;
    await using _turn = await nodes?.alone(this.#ending.signal);
    if (nodes) await this.#takeUp();
    if (!this.#unfinished) {
      if (!begins) return { values: 0, source: this.#source };
      await this.#begin();
    }
    if (nodes) await this.#agree(nodes);
    for (;;) {
      const values = await resealAll(this.#seal, this.#records, this.#ending.signal);
      // What was sealed before the rotation began and recorded while the values were gone through is left.
      if ((await this.#records.end()).left > 0) continue;
      this.#unfinished = false;
      this.#next = this.#source = await settleFile(this.#source, this.#sources.present);
      return { values, source: this.#source };
    }
  }

  async #agree(nodes: OtherNodes): Promise<void> {
    const next = await this.#records.read('next');
    if (next !== null && !(await nodes.agreed(next))) {
      try {
        await nodes.agree(this.#ending.signal);
      } catch (error) {
        await nodes.withdraw();
        await this.#takeUp();
        throw error;
      }
    }
    await this.#takeUp();
  }

  async #begin(): Promise<void> {
    // Where the rotation before has left its file beside the place, the next one would leave it behind.
    this.#source = await settleFile(this.#source, this.#sources.present);
    // What opens under no key could never be brought under another: it is told before anything is changed.
    await checkAll(this.#seal, this.#records, this.#ending.signal);
    const { source, derivation, ...next } = await this.#nextKey();
    using key = next.key;
    await this.#records.begin(recordOf(createSeal(key), derivation));
    this.#unfinished = true;
    this.#next = source;
    if (this.#records.nodes) return this.#seal.prepare(key);
    this.#seal.change(key);
    this.#source = source;
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

/** Has a seal open, and where that is agreed on seal, under the key that a rotation leads to or has led to. */
async function takeUp(
  seal: ChangeableSeal,
  sources: MasterKeySources,
  { read, nodes }: Pick<MasterKeyRecords, 'read' | 'nodes'>,
): Promise<{ rotating: boolean; agreed: boolean; source: MasterKeySource | null }> {
  // First the next one: where there is none any more, the present one is what it was.
  const next = await read('next');
  const record = next ?? (await read('present'));
  if (record === null) return { rotating: false, agreed: true, source: null };
  let source: MasterKeySource | null = null;
  if (!seal.knows(record.proof)) {
    using found = await findProven(next === null ? 'present' : 'next', record, sources, next !== null);
    seal.prepare(found.key);
    source = found.source;
  }
  const agreed = next === null || ((await nodes?.agreed(next)) ?? true);
  if (agreed) seal.turnTo(record.proof);
  return { rotating: next !== null, agreed, source };
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
