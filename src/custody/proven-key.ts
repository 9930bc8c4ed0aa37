// Which of the configured places holds the master key that the registry has a proof of.

import type { Secret } from '../secret.ts';
import { CustodyProblem } from './custodian.ts';
import { besideOf, type MasterKeySource, placeOf, readSource } from './master-key-source.ts';
import { decodeDerivation, type Derivation, deriveMasterKey, encodeDerivation } from './passphrase.ts';
import { type ChangeableSeal, createSeal, type Seal } from './seal.ts';

/** What the registry remembers of a master key: a value sealed under it, and how it comes from a passphrase. */
export interface MasterKeyRecord {
  readonly proof: Uint8Array;
  readonly derivation: Uint8Array | null;
}

/** Where the master keys are looked for. */
export interface MasterKeySources {
  readonly present: MasterKeySource;
  /** The one that a rotation leads to, where it is configured. */
  readonly next: MasterKeySource | null;
  readonly env: NodeJS.ProcessEnv;
}

/** A key that was found, and where. Whoever has it wipes it. */
export interface Found {
  readonly key: Secret;
  readonly source: MasterKeySource;
}

const proven = Buffer.from('fleetroot');
const proofContext = 'proof of the master key';

/**
 * The key that a proof is of, wherever of the configured places it lies: a rotation may have been interrupted at any point,
 * and the settings may have been changed before or after its end. Throws CustodyProblem.
 */
export async function findProven(
  which: 'present' | 'next',
  record: MasterKeyRecord,
  { present, next, env }: MasterKeySources,
  rotating: boolean,
): Promise<Found & Disposable> {
  const faults: CustodyProblem[] = [];
  for (const source of [present, next, (await besideOf(present))?.next ?? null]) {
    if (source === null) continue;
    try {
      const key = await provenKey(source, record, env);
      return { key, source, [Symbol.dispose]: () => key.wipe() };
    } catch (error) {
      if (!(error instanceof CustodyProblem)) throw error;
      faults.push(error);
    }
  }
  const [fault] = faults as [CustodyProblem];
  if (!rotating) throw fault;
  const needed = which === 'present' ? 'the one before it' : 'the next one';
  throw new CustodyProblem(
    'no_such_key',
    `The master key is being rotated, and ${needed} is not here. ${faults.map(({ message }) => message).join(' ')}`,
    'Give the server both keys, the present and the next, until the rotation is done.',
    { cause: fault },
  );
}

async function provenKey(source: MasterKeySource, record: MasterKeyRecord, env: NodeJS.ProcessEnv): Promise<Secret> {
  const derivation = record.derivation === null ? null : decodeDerivation(record.derivation);
  if ((source.holds === 'passphrase') !== (derivation !== null)) {
    const [is, was] = derivation === null ? ['passphrase', 'key'] : ['key', 'passphrase'];
    throw new CustodyProblem(
      'denied',
      `A master ${is} is configured (${placeOf(source)}), and this registry's secrets were sealed under a master ${was}.`,
      `Configure the master ${was} as it was; \`custody rotate-master\` leads from one to the other.`,
    );
  }
  const key = await keyIn(source, derivation, env);
  try {
    createSeal(key).open(record.proof, proofContext);
    return key;
  } catch (cause) {
    key.wipe();
    if (source.in === 'terminal') {
      const hint = 'Type it again: the one that was chosen when the directory was made.';
      throw new CustodyProblem('denied', 'The passphrase is not the one of the keys here.', hint, { cause });
    }
    throw new CustodyProblem(
      'denied',
      `The master key (${placeOf(source)}) is not the one under which this registry's secrets were sealed.`,
      'Give the server the master key that belongs to this registry; without it no private key in it opens.',
      { cause },
    );
  }
}

/**
 * The record with a proof of the present form, null where it has that: one of version 1 does not tell its key, which the
 * registry compares with what is to be recorded.
 */
export function renewedRecord(seal: ChangeableSeal, record: MasterKeyRecord): MasterKeyRecord | null {
  const proof = seal.rewrap(record.proof, proofContext);
  return proof === null ? null : { ...record, proof };
}

/** The master key in a place, derived where that is how it comes to be. */
export async function keyIn(
  source: MasterKeySource,
  derivation: Derivation | null,
  env: NodeJS.ProcessEnv,
): Promise<Secret> {
  const read = await readSource(source, env);
  if (derivation === null) return read;
  using passphrase = read;
  return await deriveMasterKey(passphrase, derivation);
}

/** What the registry is to remember of the master key of a seal. */
export function recordOf(seal: Seal, derivation: Derivation | null): MasterKeyRecord {
  return {
    proof: seal.seal(proven, proofContext),
    derivation: derivation === null ? null : encodeDerivation(derivation),
  };
}
