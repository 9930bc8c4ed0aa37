// A master key derived from a passphrase: Argon2id, with parameters that the registry keeps.

import { argon2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

import { Secret } from '../secret.ts';
import { CustodyProblem } from './custodian.ts';
import { masterKeySize } from './seal.ts';

/** How a passphrase becomes a master key: Argon2id, version 0x13 (RFC 9106 §3.1). */
export interface Derivation {
  readonly salt: Buffer;
  /** In KiB. */
  readonly memory: number;
  readonly passes: number;
  readonly lanes: number;
}

/** Characters that a passphrase has at least, and octets at most. */
const shortest = 16;
const longest = 1024;

/** Twice the memory of the second choice that RFC 9106 §4 recommends: half a second at the start, seldom a burden. */
const chosen = { memory: 128 * 1024, passes: 3, lanes: 4 } as const;
const saltSize = 16;

/**
 * What parameters from the registry may be: no weaker than ours (somebody else than us wrote them then), and no more than
 * a server can bear at its start.
 */
const bounds = { memory: [chosen.memory, 1024 * 1024], passes: [chosen.passes, 16], lanes: [1, 64] } as const;

/** A new derivation, with a salt of its own. */
export function newDerivation(): Derivation {
  return { salt: randomBytes(saltSize), ...chosen };
}

/** The derivation as the registry keeps it. */
export function encodeDerivation({ salt, ...costs }: Derivation): Buffer {
  return Buffer.from(JSON.stringify({ algorithm: 'argon2id', salt: salt.toString('base64'), ...costs }));
}

/** Reads what the registry keeps. Throws CustodyProblem `corrupted` for what `encodeDerivation` has not written. */
export function decodeDerivation(encoded: Uint8Array): Derivation {
  const given = parse(encoded);
  const costs = Object.entries(bounds).map(([name, [least, most]]) => {
    const cost = given[name];
    if (!Number.isInteger(cost) || (cost as number) < least || (cost as number) > most) throw unusable();
    return [name, cost as number] as const;
  });
  const salt = Buffer.from(String(given['salt']), 'base64');
  if (given['algorithm'] !== 'argon2id' || salt.length !== saltSize) throw unusable();
  return { salt, ...(Object.fromEntries(costs) as Pick<Derivation, 'memory' | 'passes' | 'lanes'>) };
}

function parse(encoded: Uint8Array): Record<string, unknown> {
  try {
    return Object(JSON.parse(Buffer.from(encoded).toString('utf8'))) as Record<string, unknown>;
  } catch {
    throw unusable();
  }
}

function unusable(): CustodyProblem {
  return new CustodyProblem(
    'corrupted',
    'What the registry says of how the master key is derived from the passphrase is damaged, or out of all bounds.',
    'Restore the registry from a backup.',
  );
}

const argon2InThread = promisify(argon2);

/** Derives the master key from a passphrase as `readPassphrase` gives it, in a thread. The caller wipes both. */
export async function deriveMasterKey(
  passphrase: Secret,
  { salt, memory, passes, lanes }: Derivation,
): Promise<Secret> {
  const parameters = { message: passphrase.reveal(), nonce: salt, memory, passes, parallelism: lanes };
  return new Secret(await argon2InThread('argon2id', { ...parameters, tagLength: masterKeySize }));
}

/**
 * The passphrase in a text (UTF-8), as it is derived from: without the end of its line, in Unicode's form NFC, so that it
 * is the same one whatever typed it. `place` says where it is from. Throws CustodyProblem `denied` for one that is not
 * fit to be one, and says nothing of what it is.
 */
export function readPassphrase(content: Secret, place: string): Secret {
  const line = withoutLineEnd(content.reveal());
  const normal = new Secret(isAscii(line) ? Buffer.alloc(line.length, line) : normalise(line, place));
  const fault = faultOf(normal.reveal());
  if (fault === null) return normal;
  normal.wipe();
  throw unfit(place, fault);
}

function faultOf(passphrase: Buffer): string | null {
  // Of UTF-8 every octet but those of the form 10xxxxxx begins a character.
  const characters = passphrase.reduce((count, octet) => count + ((octet & 0xc0) === 0x80 ? 0 : 1), 0);
  if (characters < shortest) return `has fewer than ${shortest} characters`;
  if (passphrase.length > longest) return `is longer than ${longest} octets`;
  return passphrase.some((octet) => octet < 0x20 || octet === 0x7f) ? 'is not one line of text' : null;
}

function withoutLineEnd(text: Buffer): Buffer {
  if (text.at(-1) !== 0x0a) return text;
  return text.subarray(0, text.at(-2) === 0x0d ? -2 : -1);
}

const isAscii = (text: Buffer): boolean => text.every((octet) => octet < 0x80);

/** By way of a string, which nothing can wipe: only for those that need it. */
function normalise(text: Buffer, place: string): Buffer {
  try {
    const normal = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text).normalize('NFC');
    return Secret.fromText(normal).reveal();
  } catch {
    throw unfit(place, 'is not UTF-8');
  }
}

function unfit(place: string, fault: string): CustodyProblem {
  return new CustodyProblem(
    'denied',
    `The passphrase of the master key (${place}) ${fault}.`,
    'Take one that nobody can guess, on one line: six random words, or what `openssl rand -base64 24` gives.',
  );
}
