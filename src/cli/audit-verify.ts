// The verification of an exported audit log: offline, against checkpoints kept elsewhere, by the public key alone.

import { createPublicKey, type KeyObject } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  ChainCheck,
  type ChainedEntry,
  checkpointAlgorithm,
  checkpointType,
  isSignedBy,
  keyOfCheckpoint,
  logType,
  type Misfit,
  sha256OfKey,
  type SignedCheckpoint,
} from '../registry/audit-chain.ts';
import { Failure } from './failure.ts';
import { readFile, reasonOf } from './parameters.ts';

/** What was found of an export; `first_misfit` is null where all fits. */
export interface Verification {
  readonly ok: boolean;
  readonly log: string | null;
  /** The last entry that fits, which is the last there is where all fit. */
  readonly entries: number;
  readonly head_hash: string | null;
  readonly checkpoints: number;
  /** The last entry that a checkpoint confirms, and when that one was signed. */
  readonly confirmed_to: number;
  readonly confirmed_at: string | null;
  /** Of the key by which the checkpoints were verified. */
  readonly public_key_sha256: string | null;
  /** Whether that key was given, rather than taken from the checkpoint itself. */
  readonly key_given: boolean;
  readonly first_misfit: Misfit | null;
}

/** An entry may be as long as the longest body that an operator may send, and is never near that. */
const longestLine = 16 * 1024 * 1024;

/**
 * Follows the log in `file` and holds every checkpoint in the files `checkpoints` against it. Throws Failure for a file
 * that cannot be read or is no export, for a checkpoint file without one, and for a public key that is none.
 */
export async function verifyExport(
  file: string,
  checkpointFile: string | null,
  publicKeyFile: string | null,
): Promise<Verification> {
  const given = publicKeyFile === null ? null : readPublicKey(publicKeyFile);
  const checkpoints = checkpointFile === null ? [] : readCheckpoints(checkpointFile);
  const key = given ?? (checkpoints.length > 0 ? namedKey(checkpoints.at(-1)!) : null);
  const verified = {
    checkpoints: checkpoints.length,
    public_key_sha256: key && sha256OfKey(key),
    key_given: given !== null,
  };
  const unsigned = key === null ? undefined : checkpoints.find((each) => !isSignedBy(each, key));
  if (unsigned !== undefined) {
    const { number, at } = unsigned;
    const sentence = `The checkpoint of ${at} over entry ${number} was not signed by ${given === null ? 'the key that the latest one names' : 'this key'}.`;
    const nothing = { log: null, entries: 0, head_hash: null, confirmed_to: 0, confirmed_at: null };
    return { ok: false, ...nothing, ...verified, first_misfit: { number, sentence } };
  }
  return { ...(await follow(file, checkpoints)), ...verified };
}

async function follow(
  file: string,
  checkpoints: readonly SignedCheckpoint[],
): Promise<Omit<Verification, 'checkpoints' | 'public_key_sha256' | 'key_given'>> {
  let check: ChainCheck | null = null;
  let log: string | null = null;
  let misfit: Misfit | null = null;
  for await (const line of linesOf(file)) {
    if (check === null) {
      log = logOf(line);
      if (log === null)
        throw new Failure(`${file} is no export of an audit log`, 'make one with `audit export -o FILE`');
      check = new ChainCheck(log, checkpoints);
      misfit = check.stranger;
    } else {
      const number = check.head.number + 1;
      const entry = entryOf(line);
      const sentence = `Entry ${number} has been changed: its line is not as it was exported.`;
      misfit = entry === null ? { number, sentence } : check.take(entry);
    }
    if (misfit !== null) break;
  }
  if (check === null) {
    // What a log looks like that nothing was ever done in, or of which nothing is left.
    if (checkpoints.length === 0) throw new Failure(`${file} is empty`, 'make an export with `audit export -o FILE`');
    check = new ChainCheck(checkpoints[0]!.log, checkpoints);
  }
  misfit ??= check.end();
  const { head, confirmed } = check;
  const by = checkpoints.find(({ number }) => number === confirmed);
  return {
    ok: misfit === null,
    log,
    entries: head.number,
    head_hash: head.number === 0 ? null : head.hash,
    confirmed_to: confirmed,
    confirmed_at: by?.at ?? null,
    first_misfit: misfit,
  };
}

/** The lines of a file; one that does not end, or is no UTF-8, comes as null, since no export has such. */
async function* linesOf(file: string): AsyncGenerator<string | null> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let from = 0;
      for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10, from)) {
        yield decoded(decoder, rest.subarray(from, end));
        from = end + 1;
      }
      rest = rest.subarray(from);
      if (rest.length > longestLine) throw new Failure(`${file} has a line that no export has`);
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(`cannot read ${file}: ${reasonOf(error)}`);
  }
  if (rest.length > 0) yield null;
}

function decoded(decoder: TextDecoder, bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** The log that an export's first line names: octet by octet what we write, so that nothing can hide in it. */
function logOf(line: string | null): string | null {
  const { log } = objectOf(line);
  return isText(log) && JSON.stringify({ type: logType, log }) === line ? log : null;
}

/** Text that has octets of its own: a lone surrogate is hashed as U+FFFD is, and could be put in its place unseen. */
const isText = (value: unknown): value is string => typeof value === 'string' && value.isWellFormed();

function entryOf(line: string | null): ChainedEntry | null {
  const { number, hash, previous_hash, body } = objectOf(line) as unknown as ChainedEntry;
  const entry = { number, hash, previous_hash, body };
  const typed = Number.isSafeInteger(number) && [hash, previous_hash, body].every(isText);
  return typed && JSON.stringify(entry) === line ? entry : null;
}

function objectOf(line: string | null): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(line ?? 'null'));
  } catch {
    return {};
  }
}

/** Every checkpoint in a file, wherever it stands in its line: alone, in a message of syslog, in a webhook's body. */
function readCheckpoints(file: string): SignedCheckpoint[] {
  const text = readFile(file).toString('utf8');
  const found = [...text.matchAll(new RegExp(String.raw`\{"type":"${checkpointType}"[^{}]*\}`, 'g'))];
  const checkpoints = found.map(([json]) => objectOf(json) as unknown as SignedCheckpoint).filter(isCheckpoint);
  if (checkpoints.length === 0) throw new Failure(`${file} has no checkpoint of an audit log`);
  return checkpoints;
}

function isCheckpoint({ log, number, hash, at, public_key, algorithm, signature }: SignedCheckpoint): boolean {
  const texts = [log, hash, at, public_key, signature];
  return Number.isSafeInteger(number) && algorithm === checkpointAlgorithm && texts.every(isText);
}

function namedKey(checkpoint: SignedCheckpoint): KeyObject {
  try {
    return keyOfCheckpoint(checkpoint);
  } catch {
    throw new Failure(`the checkpoint of ${checkpoint.at} names no public key`);
  }
}

function readPublicKey(file: string): KeyObject {
  const content = readFile(file);
  try {
    const key = createPublicKey(content);
    if (key.asymmetricKeyType !== 'ec') throw new TypeError('no EC key');
    return key;
  } catch {
    throw new Failure(
      `${file} is no public key of an audit log`,
      '`audit checkpoint --public-key FILE` writes it, in PEM',
    );
  }
}
