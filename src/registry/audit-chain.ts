// The chain of the audit log and the checkpoints over it: what is hashed, what is signed, and how both are verified.

import { createHash, createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { formatInstant } from '../time.ts';

/** The end of a log, or of a part of it: entries have numbers from 1 on. */
export interface Head {
  readonly number: number;
  /** SHA-256, hex. */
  readonly hash: string;
}

/** An entry as it is chained and exported. `body` is JSON, and counts octet by octet. */
export interface ChainedEntry extends Head {
  readonly previous_hash: string;
  readonly body: string;
}

/** What a checkpoint says: that the log of this ID had this entry at its end, at that time. */
export interface Checkpoint extends Head {
  /** The log's ID, a UUID. */
  readonly log: string;
  /** RFC 3339, in UTC. */
  readonly at: string;
}

/** A checkpoint as it is pushed, kept elsewhere, and verified. */
export interface SignedCheckpoint extends Checkpoint {
  readonly type: typeof checkpointType;
  /** SubjectPublicKeyInfo, DER, Base64. */
  readonly public_key: string;
  readonly algorithm: typeof checkpointAlgorithm;
  /** ECDSA over P-256 with SHA-256, the DER of RFC 3279 §2.2.3, Base64. */
  readonly signature: string;
}

export const checkpointType = 'fleetroot-audit-checkpoint-v1';
export const checkpointAlgorithm = 'ecdsa-sha256';
const entryType = 'fleetroot-audit-entry-v1';
export const logType = 'fleetroot-audit-log-v1';

const sha256 = (...lines: readonly string[]): string =>
  hash('sha256', lines.map((line) => `${line}\n`).join(''), 'hex');

/** What stands before the first entry of a log: its ID is bound in, so that no entry fits into another log. */
export function hashBeforeFirst(log: string): string {
  return sha256(logType, log);
}

/** The hash of an entry: over the one before it, its number and the SHA-256 of its body. */
export function hashOfEntry(previous_hash: string, number: number, body: string): string {
  const digest = hash('sha256', body, 'hex');
  return sha256(entryType, previous_hash, String(number), digest);
}

/** The text that is signed: no certificate or anything else that a key of ours signs begins like it. */
export function textOfCheckpoint({ log, number, hash, at }: Checkpoint): string {
  return [checkpointType, `log ${log}`, `number ${number}`, `hash ${hash}`, `at ${at}`, ''].join('\n');
}

/** A checkpoint in the form in which it is pushed, kept elsewhere and verified; `at` in milliseconds since 1970. */
export function signedCheckpoint(
  log: string,
  { number, hash, at, public_key, signature }: Head & { at: number; public_key: Uint8Array; signature: Uint8Array },
): SignedCheckpoint {
  return {
    type: checkpointType,
    log,
    number,
    hash,
    at: formatInstant(at),
    public_key: Buffer.from(public_key).toString('base64'),
    algorithm: checkpointAlgorithm,
    signature: Buffer.from(signature).toString('base64'),
  };
}

/** Whether a checkpoint was signed by this key. */
export function isSignedBy(checkpoint: SignedCheckpoint, key: KeyObject): boolean {
  const signature = Buffer.from(checkpoint.signature, 'base64');
  if (signature.toString('base64') !== checkpoint.signature) return false;
  return verify('sha256', Buffer.from(textOfCheckpoint(checkpoint)), key, signature);
}

/** The key that a checkpoint names. Throws where it is none. */
export function keyOfCheckpoint({ public_key }: Pick<SignedCheckpoint, 'public_key'>): KeyObject {
  return createPublicKey({ key: Buffer.from(public_key, 'base64'), format: 'der', type: 'spki' });
}

/** SHA-256 of a public key (SubjectPublicKeyInfo), hex. */
export function sha256OfKey(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** What does not fit, and where: `number` is the first entry that is not as it was, or is not there. */
export interface Misfit {
  readonly number: number;
  readonly sentence: string;
}

/** Follows a log entry by entry, and holds each checkpoint against it. */
export class ChainCheck {
  readonly #log: string;
  readonly #checkpoints: ReadonlyMap<number, readonly Checkpoint[]>;
  readonly #farthest: Checkpoint | null;
  #head: Head;
  /** The last entry that a checkpoint confirms. */
  #confirmed = 0;

  /** `checkpoints` are those whose signatures have been verified. */
  constructor(log: string, checkpoints: readonly Checkpoint[]) {
    this.#log = log;
    this.#head = { number: 0, hash: hashBeforeFirst(log) };
    this.#checkpoints = Map.groupBy(checkpoints, ({ number }) => number);
    this.#farthest = checkpoints.reduce<Checkpoint | null>(
      (one, other) => (one !== null && one.number >= other.number ? one : other),
      null,
    );
  }

  /** The last entry that fitted, and how far the checkpoints confirm the log. */
  get head(): Head {
    return this.#head;
  }

  get confirmed(): number {
    return this.#confirmed;
  }

  /** Whether a checkpoint is of another log; then none of its entries can fit. */
  get stranger(): Misfit | null {
    const [other] = [...this.#checkpoints.values()].flat().filter(({ log }) => log !== this.#log);
    if (other === undefined) return null;
    return {
      number: 1,
      sentence: `The checkpoint of ${other.at} is of the log ${other.log}, and this is the log ${this.#log}: another history.`,
    };
  }

  /** Takes the next entry. Gives what does not fit; then the check is over. */
  take({ number, hash, previous_hash, body }: ChainedEntry): Misfit | null {
    const expected = this.#head.number + 1;
    if (number !== expected) {
      const sentence = `Entry ${expected} is not there: entry ${number} stands in its place.`;
      return { number: expected, sentence };
    }
    if (previous_hash !== this.#head.hash) {
      return {
        number,
        sentence: `Entry ${number} does not follow entry ${number - 1}: it names another hash before it.`,
      };
    }
    // A lone surrogate is hashed as U+FFFD is.
    if (!body.isWellFormed() || hash !== hashOfEntry(previous_hash, number, body)) {
      return {
        number,
        sentence: `Entry ${number} has been changed: it does not have the hash that it was chained with.`,
      };
    }
    for (const checkpoint of this.#checkpoints.get(number) ?? []) {
      if (checkpoint.hash === hash) continue;
      const first = this.#confirmed + 1;
      const where = first === number ? `entry ${number}` : `one of the entries from ${first} to ${number}`;
      return {
        number,
        sentence: `Entry ${number} is not the one that the checkpoint of ${checkpoint.at} was signed over: ${where} has been written anew, and what follows with it.`,
      };
    }
    if (this.#checkpoints.has(number)) this.#confirmed = number;
    this.#head = { number, hash };
    return null;
  }

  /** To be called after the last entry: a checkpoint beyond it says that the tail is missing. */
  end(): Misfit | null {
    const { number } = this.#head;
    if (this.#farthest === null || this.#farthest.number <= number) return null;
    const { number: covered, at } = this.#farthest;
    return {
      number: number + 1,
      sentence: `The log ends with entry ${number}, and the checkpoint of ${at} covers entry ${covered}: the tail has been cut off.`,
    };
  }
}
