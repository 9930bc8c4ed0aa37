// Where a master key, or the passphrase that it is derived from, is read: a file, a variable, a systemd credential, a person.

import { randomBytes } from 'node:crypto';
import { open, realpath, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { Secret } from '../secret.ts';
import { CustodyProblem } from './custodian.ts';
import { readPassphrase } from './passphrase.ts';
import { masterKeySize } from './seal.ts';

/** One place, as it is configured; or what a person has typed. */
export type MasterKeySource = ConfiguredSource | TypedSource;

interface ConfiguredSource {
  readonly holds: 'key' | 'passphrase';
  readonly in: 'file' | 'variable' | 'credential';
  /** The file's path, or the name of the environment variable or systemd credential. */
  readonly name: string;
  /** The setting that names it; null for the file in the data directory, which the server makes by itself. */
  readonly setting: string | null;
}

/** For a program that ends when it has done what it was asked: a server that starts by itself has nobody to ask. */
export interface TypedSource {
  readonly holds: 'passphrase';
  readonly in: 'terminal';
  readonly name: '';
  readonly setting: null;
  /** As it was typed; wiping it is up to whoever asked for it. */
  readonly typed: Secret;
}

/** The place in words, for people. */
export function placeOf({ in: kind, name }: MasterKeySource): string {
  switch (kind) {
    case 'terminal':
      return 'what was typed';
    case 'file':
      return `the file ${name}`;
    case 'variable':
      return `the variable ${name}`;
    case 'credential':
      return `the systemd credential ${name}`;
  }
}

/**
 * Reads the master key (32 octets, in the text as base64), or the passphrase as it is derived from; the caller wipes it.
 * Throws CustodyProblem: `no_such_key` where there is nothing, `denied` where it may not be used.
 */
export async function readSource(source: MasterKeySource, env: NodeJS.ProcessEnv): Promise<Secret> {
  if (source.in === 'terminal') return readPassphrase(source.typed, placeOf(source));
  using text = await readText(source, env);
  return source.holds === 'passphrase' ? readPassphrase(text, placeOf(source)) : decodeKey(text, source);
}

async function readText(source: ConfiguredSource, env: NodeJS.ProcessEnv): Promise<Secret> {
  switch (source.in) {
    case 'file':
      return readFileOf(source, source.name, onlyOwners);
    case 'variable': {
      const value = env[source.name];
      if (value === undefined) throw missing(source, `the variable ${source.name} is not set`);
      return Secret.fromText(value);
    }
    case 'credential': {
      const directory = env['CREDENTIALS_DIRECTORY'];
      if (directory === undefined) {
        throw missing(source, `CREDENTIALS_DIRECTORY is not set, so there is no systemd credential ${source.name}`);
      }
      return readFileOf(source, join(directory, source.name), inCredentialsDirectory);
    }
  }
}

/** Mode bits that a file may not have. */
const onlyOwners = 0o077;
/**
 * systemd gives a unit with `User=` its credentials as root's, mode 0400, with an access-control list that lets that user
 * read; stat shows the list's mask in the place of the group's bits, 0440 (systemd issue 29435). Who may come to the
 * directory is systemd's affair: nobody but that user and root.
 */
const inCredentialsDirectory = 0o037;

async function readFileOf(source: MasterKeySource, file: string, forbidden: number): Promise<Secret> {
  try {
    await using opened = await open(file);
    const { mode } = await opened.stat();
    if ((mode & forbidden) !== 0) {
      throw new CustodyProblem(
        'denied',
        `The ${whatOf(source)} ${file} can be reached by others than its owner (mode ${(mode & 0o777).toString(8)}).`,
        `chmod 600 ${file}`,
      );
    }
    return new Secret(await opened.readFile());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw missing(source, `there is no file ${file}`, error);
    if (error instanceof CustodyProblem) throw error;
    throw new CustodyProblem(
      'denied',
      `The ${whatOf(source)} cannot be read: ${(error as Error).message}.`,
      'Let the user who runs the server read it, and nobody else.',
      { cause: error },
    );
  }
}

const whatOf = ({ holds }: MasterKeySource): string =>
  holds === 'key' ? 'master key' : 'passphrase of the master key';

function missing(source: MasterKeySource, why: string, cause?: unknown): CustodyProblem {
  return new CustodyProblem(
    'no_such_key',
    `The ${whatOf(source)} is missing: ${why}.`,
    'Put it back from your backup; without it no private key in this registry opens.',
    { cause },
  );
}

function decodeKey(text: Secret, source: MasterKeySource): Secret {
  const base64 = text.reveal().toString('latin1').trim();
  const key = new Secret(Buffer.from(base64, 'base64'));
  const exact = key.reveal().length === masterKeySize && key.reveal().toString('base64') === base64;
  if (exact) return key;
  throw new CustodyProblem(
    'denied',
    `The master key (${placeOf(source)}) is not ${masterKeySize} octets in base64.`,
    'One is made by: openssl rand -base64 32',
  );
}

/**
 * Makes a master key in a file, which only its owner can read. Written beside its place and renamed into it, so that a
 * power cut leaves the whole key or none. The caller wipes what it gets.
 */
export async function makeKeyFile(file: string): Promise<Secret> {
  const key = new Secret(randomBytes(masterKeySize));
  const unfinished = `${file}.new`;
  await using written = await open(unfinished, 'w', 0o600);
  await written.chmod(0o600);
  await written.writeFile(`${key.reveal().toString('base64')}\n`);
  await written.sync();
  await moveFile(unfinished, file);
  return key;
}

/** Puts a file in the place of another, durably. */
export async function moveFile(from: string, to: string): Promise<void> {
  await rename(from, to);
  await using directory = await open(dirname(to));
  await directory.sync();
}

/**
 * The place beside a master key file where the server puts the next one until it counts; null for a key that is not in
 * a file. A link is followed: what it leads to is what gets replaced.
 */
export async function besideOf(source: MasterKeySource): Promise<{ file: string; next: MasterKeySource } | null> {
  if (source.holds !== 'key' || source.in !== 'file') return null;
  const file = await realpath(source.name).catch(() => source.name);
  return { file, next: { ...source, name: `${file}.next` } };
}
