// Where the master key comes from, and the proof that it is the one under which this registry's secrets were sealed.

import { randomBytes } from 'node:crypto';
import { open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { Problem } from '../problem.ts';
import { Secret } from '../secret.ts';
import { createSeal, masterKeySize } from './seal.ts';
import type { Seal } from './seal.ts';

/** Where the master key is looked for: `text` (a variable's value) first, then `file`, then the data directory. */
export interface MasterKeySource {
  /** The data directory, which gets a master key at the first start where nothing else is configured. */
  directory: string;
  /** A file named in the configuration, or null. */
  file: string | null;
  /** The key itself, from a variable, or null. */
  text: Secret | null;
}

/** The value sealed at the first start, as the registry remembers it. */
export interface SealProof {
  read(): Promise<Uint8Array | null>;
  write(proof: Uint8Array): Promise<void>;
}

const proven = Buffer.from('fleetroot');
const proofContext = 'proof of the master key';

/**
 * The seal of this server. At the first start (no proof yet) the data directory gets a new master key, where none is
 * configured, and the registry a proof of it; from then on another key, or none, stops the start: a server that went on
 * would seal new secrets that the right key does not open.
 * Throws Problem('custody_unavailable') that says what is wrong with which key.
 */
export async function openSeal(source: MasterKeySource, proof: SealProof): Promise<Seal> {
  const remembered = await proof.read();
  const masterKey = await loadMasterKey(source, remembered === null);
  const seal = createSeal(masterKey);
  masterKey.wipe();
  if (remembered === null) await proof.write(seal.seal(proven, proofContext));
  else requireProof(seal, remembered, source);
  return seal;
}

function requireProof(seal: Seal, remembered: Uint8Array, source: MasterKeySource): void {
  try {
    seal.open(remembered, proofContext);
  } catch (cause) {
    throw new Problem(
      'custody_unavailable',
      `The master key (${placeOf(source)}) is not the one under which this registry's secrets were sealed.`,
      'Give the server the master key that belongs to this registry; without it no private key in it opens.',
      { cause },
    );
  }
}

/**
 * The master key, 32 octets: in text always base64 (`openssl rand -base64 32`). A file must be its owner's alone.
 * `firstStart` lets one be made in the data directory, durably, before anything is sealed under it.
 * Throws Problem('custody_unavailable').
 */
async function loadMasterKey(source: MasterKeySource, firstStart: boolean): Promise<Secret> {
  if (source.text !== null) return decode(source.text, source);
  const file = fileOf(source);
  try {
    return await readMasterKey(file, source);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    if (firstStart && source.file === null) return makeMasterKey(file);
    throw new Problem(
      'custody_unavailable',
      `The master key is missing: there is no file ${file}.`,
      'Put it back from your backup; without it no private key in this registry opens.',
      { cause: error },
    );
  }
}

async function readMasterKey(file: string, source: MasterKeySource): Promise<Secret> {
  await using opened = await open(file);
  const { mode } = await opened.stat();
  if ((mode & 0o077) !== 0) {
    throw new Problem(
      'custody_unavailable',
      `The master key ${file} can be reached by others than its owner (mode ${(mode & 0o777).toString(8)}).`,
      `chmod 600 ${file}`,
    );
  }
  using content = new Secret(await opened.readFile());
  return decode(content, source);
}

function decode(text: Secret, source: MasterKeySource): Secret {
  const base64 = text.reveal().toString('latin1').trim();
  const key = new Secret(Buffer.from(base64, 'base64'));
  const exact = key.reveal().length === masterKeySize && key.reveal().toString('base64') === base64;
  if (exact) return key;
  throw new Problem(
    'custody_unavailable',
    `The master key (${placeOf(source)}) is not ${masterKeySize} octets in base64.`,
    'One is made by: openssl rand -base64 32',
  );
}

/** Written beside its place and renamed into it, so that a power cut leaves the whole key or none. */
async function makeMasterKey(file: string): Promise<Secret> {
  const key = new Secret(randomBytes(masterKeySize));
  const unfinished = `${file}.new`;
  await using written = await open(unfinished, 'w', 0o600);
  await written.chmod(0o600);
  await written.writeFile(`${key.reveal().toString('base64')}\n`);
  await written.sync();
  await rename(unfinished, file);
  await using directory = await open(dirname(file));
  await directory.sync();
  return key;
}

function fileOf(source: MasterKeySource): string {
  return source.file ?? join(source.directory, 'master.key');
}

function placeOf(source: MasterKeySource): string {
  return source.text === null ? fileOf(source) : 'from the configuration';
}
