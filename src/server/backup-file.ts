// The form of a back-up: a tar archive of a few files by fixed names, the manifest first, encrypted by age.

import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Decrypter, Encrypter } from 'age-encryption';
import { Header, Parser, type ReadEntry } from 'tar';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { Problem } from '../problem.ts';

/** The files that a back-up may hold, by their names there, which are those of a data directory. */
export const backupFiles = ['registry.db', 'owner-trust.json', 'fleetroot.toml', 'master.key'] as const;
export type BackupFile = (typeof backupFiles)[number];

/** The version of this form that is written, and the only one that is read. */
const formatVersion = 1;
const format = 'fleetroot-backup';
const manifestName = 'manifest.json';
const largestManifest = 1024 * 1024;

const text = Type.String({ maxLength: 4096 });
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const ManifestSchema = Type.Object({
  format: Type.Literal(format),
  version: Type.Literal(formatVersion),
  /** The version of the program that made it. */
  program: text,
  /** RFC 3339. */
  made_at: text,
  schema: count,
  accounts: count,
  devices: count,
  certificates: count,
  /** Keys that lie in each custodian; those of others than `software` are not in here. */
  keys: Type.Record(Type.String(), count),
  /** The last entry of the audit log that is chained; null where there is none. */
  audit: Type.Union([Type.Object({ log: text, number: count, hash: sha256 }), Type.Null()]),
  master_key: Type.Object({
    /** Of the present one and, in the middle of a rotation, of the next: 8 octets by which it is told, hex. */
    ids: Type.Array(text, { maxItems: 2 }),
    /** Where it lay, in words. */
    place: text,
    included: Type.Boolean(),
  }),
  files: Type.Array(Type.Object({ name: Type.Enum(backupFiles), size: count, sha256 }), { maxItems: 16 }),
});
export type Manifest = Static<typeof ManifestSchema>;

/** A manifest before what is the form's own is added to it. */
export type ManifestBody = Omit<Manifest, 'format' | 'version'>;

/** A file that goes into a back-up: what it holds, or where that lies, of the size that the manifest says. */
export type Content = Uint8Array | { readonly path: string };

/** To whom a back-up is encrypted: age's recipients (`age1…`), or a passphrase. */
export type Lock = { readonly recipients: readonly string[] } | { readonly passphrase: string };
/** By what one is opened: age's identities (`AGE-SECRET-KEY-1…`), or a passphrase. */
export type Key = { readonly identities: readonly string[] } | { readonly passphrase: string };

/** Throws Problem `invalid_request` that names the recipient to whom nothing can be encrypted. */
export function encrypterTo(lock: Lock): Encrypter {
  const encrypter = new Encrypter();
  if ('passphrase' in lock) encrypter.setPassphrase(lock.passphrase);
  else for (const recipient of lock.recipients) addTo(encrypter, recipient);
  return encrypter;
}

function addTo(encrypter: Encrypter, recipient: string): void {
  try {
    encrypter.addRecipient(recipient);
  } catch (cause) {
    throw new Problem(
      'invalid_request',
      `${JSON.stringify(recipient)} is no recipient of age.`,
      '`age-keygen -o KEYFILE` makes an identity and says its recipient, age1…; keys of SSH are not taken.',
      { cause },
    );
  }
}

const block = 512;

/** The back-up piece by piece, encrypted. `contents` has each file that the manifest names, in its order. */
export async function* writeBackup(
  body: ManifestBody,
  contents: readonly Content[],
  lock: Lock,
): AsyncGenerator<Uint8Array> {
  const manifest: Manifest = { format, version: formatVersion, ...body };
  const plain = Readable.toWeb(Readable.from(tarOf(manifest, contents), { objectMode: true, highWaterMark: 1 }));
  yield* await encrypterTo(lock).encrypt(plain as ReadableStream<Uint8Array>);
}

async function* tarOf(manifest: Manifest, contents: readonly Content[]): AsyncGenerator<Buffer> {
  const mtime = new Date(manifest.made_at);
  const encoded = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  const first = { name: manifestName, size: encoded.length };
  for (const [index, { name, size }] of [first, ...manifest.files].entries()) {
    const content = index === 0 ? encoded : contents[index - 1]!;
    const header = new Header({ path: name, size, mode: 0o600, mtime, type: 'File' });
    header.encode();
    yield header.block!;
    if (content instanceof Uint8Array) yield Buffer.from(content);
    else yield* createReadStream(content.path) as AsyncIterable<Buffer>;
    yield Buffer.alloc((block - (size % block)) % block);
  }
  yield Buffer.alloc(2 * block);
}

/**
 * Unpacks a back-up into `directory`, which is empty and this user's alone, and holds every file against the manifest.
 * Throws Problem `invalid_request` where it does not open, was cut or changed, or is none: what lies in the directory is
 * then of no use.
 */
export async function readBackup(file: string, key: Key, directory: string): Promise<Manifest> {
  const unpacking = new Unpacking(file, directory);
  try {
    for await (const piece of await openBackup(file, key)) unpacking.take(piece);
    return unpacking.end();
  } catch (error) {
    throw error instanceof Problem ? error : changed(file, error);
  } finally {
    unpacking.close();
  }
}

const ageHead = Buffer.from('age-encryption.org/v1\n');

async function openBackup(file: string, key: Key): Promise<AsyncIterable<Uint8Array>> {
  const decrypter = new Decrypter();
  if ('passphrase' in key) decrypter.addPassphrase(key.passphrase);
  else for (const identity of key.identities) decrypter.addIdentity(identity);
  const pieces = createReadStream(file);
  const source = Readable.from(fromAge(file, pieces), { objectMode: true, highWaterMark: 1 });
  try {
    return await decrypter.decrypt(Readable.toWeb(source) as ReadableStream<Uint8Array>);
  } catch (error) {
    pieces.destroy();
    if (error instanceof Problem) throw error;
    if ((error as Error).message.startsWith('no identity matched')) {
      throw new Problem(
        'invalid_request',
        'passphrase' in key
          ? `The passphrase does not open ${file}, or it was encrypted to recipients.`
          : `${file} was encrypted to nobody whose identity this is.`,
        'passphrase' in key ? 'Type it again, or give --identity FILE.' : 'Give the identity of one of its recipients.',
        { cause: error },
      );
    }
    throw changed(file, error);
  }
}

/** What `file` holds, where it begins as age's files do: the library would read any other whole in search of a line. */
async function* fromAge(file: string, pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let head: Buffer | null = Buffer.alloc(0);
  for await (const piece of pieces) {
    if (head === null) {
      yield piece;
      continue;
    }
    head = Buffer.concat([head, piece]);
    if (head.length < ageHead.length) continue;
    if (!head.subarray(0, ageHead.length).equals(ageHead)) break;
    yield head;
    head = null;
  }
  if (head === null) return;
  throw new Problem(
    'invalid_request',
    `${file} is no back-up: it is not encrypted by age.`,
    'One that was armoured is made binary again by age -d and age -e without -a.',
  );
}

/** What an error means that is no sentence yet. */
function changed(file: string, cause: unknown): Problem {
  const { syscall, message } = cause as NodeJS.ErrnoException;
  if (syscall !== undefined)
    throw new Problem('unavailable', `${file} cannot be unpacked: ${message}.`, null, { cause });
  return new Problem(
    'invalid_request',
    `${file} has been cut or changed: it does not open as it was made.`,
    'Take another copy of it, or another back-up.',
    { cause },
  );
}

/** A file as it came out of the archive. */
interface Unpacked {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}

/** Writes the files of the archive as they come. */
class Unpacking {
  readonly #file: string;
  readonly #directory: string;
  readonly #parser: Parser;
  readonly #files: Unpacked[] = [];
  readonly #manifest: Buffer[] = [];
  #open: number | null = null;
  #fault: Problem | null = null;
  #ended = false;

  constructor(file: string, directory: string) {
    this.#file = file;
    this.#directory = directory;
    this.#parser = new Parser({
      onwarn: (code, message) => {
        if (code !== 'TAR_ENTRY_INFO') this.#fault ??= this.#strange(message);
      },
    });
    this.#parser.on('entry', (entry: ReadEntry) => this.#unpack(entry));
    this.#parser.on('ignoredEntry', () => (this.#fault ??= this.#strange('something in it is no file')));
    this.#parser.on('eof', () => (this.#ended = true));
  }

  take(piece: Uint8Array): void {
    if (!this.#ended) this.#parser.write(Buffer.from(piece));
    if (this.#fault !== null) throw this.#fault;
  }

  /** Holds what was unpacked against the manifest. */
  end(): Manifest {
    if (!this.#ended) throw this.#strange('its end is missing');
    const manifest = this.#readManifest();
    const listed = (files: readonly Unpacked[]) =>
      files
        .map(({ name, size, sha256: hash }) => `${name} ${size} ${hash}`)
        .toSorted()
        .join('\n');
    if (listed(this.#files) !== listed(manifest.files)) throw this.#strange('its files are not those of its manifest');
    if (!manifest.files.some(({ name }) => name === 'registry.db')) throw this.#strange('it holds no registry');
    return manifest;
  }

  close(): void {
    if (this.#open !== null) closeSync(this.#open);
    this.#open = null;
  }

  #unpack(entry: ReadEntry): void {
    // What `tar cf … .` puts before every name.
    const name = entry.path.replace(/^\.\//, '');
    const known = name === manifestName || (backupFiles as readonly string[]).includes(name);
    const twice =
      this.#files.some((file) => file.name === name) || (name === manifestName && this.#manifest.length > 0);
    if (!known || twice || entry.type !== 'File' || (name === manifestName && entry.size > largestManifest)) {
      this.#fault ??= this.#strange(`it holds ${JSON.stringify(entry.path)}, which no back-up does`);
    }
    if (this.#fault !== null) entry.resume();
    else if (name === manifestName) entry.on('data', (piece: Buffer) => this.#manifest.push(piece));
    else this.#write(entry, name);
  }

  #write(entry: ReadEntry, name: string): void {
    const digest = createHash('sha256');
    const file = openSync(join(this.#directory, name), 'wx', 0o600);
    this.#open = file;
    entry.on('data', (piece: Buffer) => {
      digest.update(piece);
      for (let at = 0; at < piece.length;) at += writeSync(file, piece, at);
    });
    entry.on('end', () => {
      fsyncSync(file);
      this.close();
      this.#files.push({ name, size: entry.size, sha256: digest.digest('hex') });
    });
  }

  #readManifest(): Manifest {
    let value: unknown;
    try {
      value = JSON.parse(Buffer.concat(this.#manifest).toString('utf8'));
    } catch {
      value = null;
    }
    if (Check(ManifestSchema, value)) return value;
    const { format: itsFormat, version } = Object(value) as { format?: unknown; version?: unknown };
    if (itsFormat !== format || version === formatVersion) throw this.#strange('its manifest is none');
    throw new Problem(
      'invalid_request',
      `${this.#file} is a back-up of version ${String(version)}, and this program reads version ${formatVersion}.`,
      'Restore it with the program that made it, or a newer one.',
    );
  }

  #strange(what: string): Problem {
    return new Problem('invalid_request', `${this.#file} is no back-up: ${what}.`);
  }
}
