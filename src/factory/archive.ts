// A batch of requests as it comes across the gap: a tar archive, plain or gzipped, or a directory; nothing in it is believed.

import { constants, type Dirent } from 'node:fs';
import { type FileHandle, open, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Parser, type ReadEntry } from 'tar';
import { Problem } from '../problem.ts';

/** One thing in a batch that is no directory. */
export interface BatchEntry {
  /** As it stands there, with slashes. */
  readonly name: string;
  /** Null for what is not read. */
  readonly content: Buffer | null;
  /** The sentence that says why it is not read; null for what is. */
  readonly fault: string | null;
}

/** An open batch. */
export interface Batch extends AsyncDisposable {
  /** The archive's octets as they lie on the disk; null for a directory. */
  readonly octets: (() => AsyncIterable<Buffer>) | null;
  /**
   * Its entries in their order, from the first, at every call. Throws Problem('invalid_request') where it is no whole
   * archive, or holds more than anybody sends in earnest.
   */
  entries(): AsyncIterable<BatchEntry>;
}

/** The largest request in a batch, in octets: what RSA of 16,384 bits and a page of text around it do not reach. */
const requestLimit = 64 * 1024;
const mostEntries = 1_000_000;
/** Octets that an archive may hold, unpacked; and how many times its own size, from some size on. */
const mostOctets = 2 * 1024 ** 3;
const mostTimes = 100;
const timesFrom = 64 * 1024 ** 2;
/** Octets that are read, or unpacked, at once. */
const pieceSize = 64 * 1024;

/** Opens an archive or a directory. Throws Problem, and what the system throws where it cannot be opened. */
export async function openBatch(path: string): Promise<Batch> {
  const about = await stat(path);
  if (about.isDirectory()) {
    return { octets: null, entries: () => counted(below(path, '')), [Symbol.asyncDispose]: async () => {} };
  }
  if (!about.isFile()) throw refusal(`${path} is neither a file nor a directory.`);
  const handle = await open(path, 'r');
  return {
    octets: () => octetsOf(handle),
    entries: () => counted(unpacked(handle)),
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

/** From the first on, whoever read before: what is checked and what is answered is the same open file. */
async function* octetsOf(handle: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ;) {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(pieceSize), 0, pieceSize, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function refusal(sentence: string, hint: string | null = null): Problem {
  return new Problem('invalid_request', sentence, hint);
}

function damaged(what: string): Problem {
  return refusal(`The archive is cut or damaged: ${what}.`, 'Pack it again, or carry it over again.');
}

async function* counted(entries: AsyncIterable<BatchEntry | null>): AsyncGenerator<BatchEntry> {
  let count = 0;
  for await (const entry of entries) {
    count += 1;
    if (count > mostEntries) throw refusal(`The batch holds more than ${mostEntries} entries.`, 'Send several.');
    if (entry !== null) yield entry;
  }
}

/** The entries of a tar archive; null for a directory. */
async function* unpacked(handle: FileHandle): AsyncGenerator<BatchEntry | null> {
  const { size } = await handle.stat();
  const limit = Math.min(mostOctets, Math.max(timesFrom, size * mostTimes));
  const reader = new ArchiveReader();
  let octets = 0;
  try {
    for await (const piece of tarOf(handle, await beginning(handle))) {
      octets += piece.length;
      if (octets > limit) {
        throw refusal(`The archive holds more than ${limit} octets when it is unpacked.`, 'Send several.');
      }
      yield* reader.read(piece);
      if (reader.ended) return;
    }
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw code.startsWith('Z_') ? damaged((error as Error).message) : error;
  }
  throw damaged('its end is missing');
}

/** What other packers begin their files with. */
const otherPackers: Readonly<Record<string, string>> = {
  '504b0304': 'a ZIP',
  '28b52ffd': 'a Zstandard file',
  fd377a58: 'an XZ file',
  '425a6839': 'a bzip2 file',
};

async function beginning(handle: FileHandle): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
  return buffer.subarray(0, bytesRead);
}

const isGzip = (first: Buffer): boolean => first[0] === 0x1f && first[1] === 0x8b;

/** The archive without its compression, in pieces. */
async function* tarOf(handle: FileHandle, first: Buffer): AsyncGenerator<Buffer> {
  if (!isGzip(first)) {
    notPackedOtherwise(first);
    yield* octetsOf(handle);
    return;
  }
  // What goes wrong in either is thrown to whoever reads the last.
  const plain = pipeline(octetsOf(handle), createGunzip({ chunkSize: pieceSize }), () => {});
  let head: Buffer | null = Buffer.alloc(0);
  for await (const piece of plain as AsyncIterable<Buffer>) {
    if (head === null) {
      yield piece;
      continue;
    }
    // The parser would unpack what is packed twice, past the bound that is kept here.
    head = Buffer.concat([head, piece]);
    if (head.length < 4) continue;
    notPackedOtherwise(head);
    if (isGzip(head)) throw refusal('The archive is packed twice.', 'Pack it once: tar czf requests.tgz DIR.');
    yield head;
    head = null;
  }
}

function notPackedOtherwise(first: Buffer): void {
  const packer = otherPackers[first.toString('hex', 0, 4)];
  if (packer) throw refusal(`The batch is ${packer}, and not a tar archive.`, 'Make it by tar czf requests.tgz DIR.');
}

/** What tar has beside files. */
const kinds: Readonly<Record<string, string>> = {
  Link: 'a hard link',
  SymbolicLink: 'a symbolic link',
  CharacterDevice: 'a device',
  BlockDevice: 'a device',
  FIFO: 'a pipe',
};

/** Reads a tar archive piece by piece, keeping none of it. */
class ArchiveReader {
  readonly #parser: Parser;
  #read: (BatchEntry | null)[] = [];
  #fault: string | null = null;
  ended = false;

  constructor() {
    const parser = new Parser({
      maxMetaEntrySize: requestLimit,
      onwarn: (code, message) => {
        if (code !== 'TAR_ENTRY_INFO') this.#fault ??= message;
      },
    });
    parser.on('entry', (entry: ReadEntry) => this.#take(entry));
    parser.on('ignoredEntry', (entry: ReadEntry) => {
      // Without it the next entry would have another name.
      if (entry.meta) this.#fault ??= `a header in it is longer than ${requestLimit} octets`;
      else this.#read.push(passed(entry.path, 'It is of a kind that is no file.'));
    });
    parser.on('eof', () => (this.ended = true));
    this.#parser = parser;
  }

  /** The entries that are whole with this piece. Throws Problem where it is no archive. */
  read(piece: Buffer): (BatchEntry | null)[] {
    this.#read = [];
    try {
      this.#parser.write(piece);
    } catch (error) {
      this.#fault ??= (error as Error).message;
    }
    if (this.#fault !== null) throw damaged(this.#fault);
    return this.#read;
  }

  #take(entry: ReadEntry): void {
    const { path, type, size } = entry;
    // What `tar czf … .` puts before every name.
    const name = path.replace(/^(\.\/)+/, '');
    const pieces: Buffer[] = [];
    const isFile = type === 'File' || type === 'OldFile' || type === 'ContiguousFile';
    const wanted = isFile && size <= requestLimit;
    entry.on('data', (piece: Buffer) => {
      if (wanted) pieces.push(piece);
    });
    entry.on('end', () => {
      if (wanted) this.#read.push({ name, content: Buffer.concat(pieces), fault: null });
      else if (isFile) this.#read.push(tooLarge(name));
      else if (type === 'Directory' || type === 'GNUDumpDir') this.#read.push(null);
      else this.#read.push(passed(name, `It is ${kinds[type] ?? 'no file'}, which is not followed.`));
    });
  }
}

function passed(name: string, fault: string): BatchEntry {
  return { name, content: null, fault };
}

function tooLarge(name: string): BatchEntry {
  return passed(name, `It is larger than ${requestLimit} octets.`);
}

/** Directories below each other at the most; their names are bounded too, by who takes them. */
const deepest = 32;

/** The entries of a directory and of those below it, by name; null for a directory. */
async function* below(root: string, prefix: string, depth = 0): AsyncGenerator<BatchEntry | null> {
  for (const found of await listOf(join(root, prefix))) {
    const name = prefix + found.name;
    if (found.isDirectory()) {
      yield null;
      if (depth === deepest) yield passed(name, `It lies more than ${deepest} directories deep.`);
      else yield* below(root, `${name}/`, depth + 1);
    } else if (found.isFile()) {
      yield await fileOf(join(root, name), name);
    } else {
      yield passed(name, `It is ${found.isSymbolicLink() ? 'a symbolic link' : 'no file'}, which is not followed.`);
    }
  }
}

async function listOf(path: string): Promise<Dirent[]> {
  const found: Dirent[] = [];
  for await (const entry of await opendir(path)) {
    found.push(entry);
    if (found.length > mostEntries) throw refusal(`The batch holds more than ${mostEntries} entries.`, 'Send several.');
  }
  return found.toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

async function fileOf(path: string, name: string): Promise<BatchEntry> {
  try {
    // It may have become a link, or a pipe that nobody writes to.
    await using handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (!(await handle.stat()).isFile()) return passed(name, 'It is no file, which is not followed.');
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(requestLimit + 1), 0, requestLimit + 1, 0);
    if (bytesRead > requestLimit) return tooLarge(name);
    return { name, content: Buffer.from(buffer.subarray(0, bytesRead)), fault: null };
  } catch (error) {
    return passed(name, `It cannot be read: ${(error as NodeJS.ErrnoException).code}.`);
  }
}
