// What goes back across the gap: files in a directory or a tar archive, there under its name once it is whole.

import { once } from 'node:events';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { link, lstat, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { Header, Pax } from 'tar';
import { Problem } from '../problem.ts';

/** A file that goes back. Its name has been checked: nothing of it leads anywhere else. */
export interface OutputFile {
  readonly name: string;
  readonly content: Buffer | Spool;
}

type Packing = 'directory' | 'tar' | 'tar.gz';

/** How an output is packed, by its name. */
function packingOf(path: string): Packing {
  if (/\.(tgz|tar\.gz)$/i.test(path)) return 'tar.gz';
  return /\.tar$/i.test(path) ? 'tar' : 'directory';
}

/**
 * Writes files to `path`, an archive by its ending or else a directory, readable by this user alone. Until all are there
 * and on the disk they lie beside it under another name, which is taken away where anything fails; what a killed program
 * has left there is, the next time. Throws Problem('conflict') where `path` exists: an earlier answer is never lost.
 */
export async function writeOutput(path: string, files: (dir: string) => AsyncIterable<OutputFile>): Promise<void> {
  await requireFree(path);
  await removeLeftovers(path);
  const beside = `${besideName(path)}${process.pid}`;
  const parts = { whole: join(beside, 'whole'), spools: join(beside, 'spools') };
  await mkdir(beside, { mode: 0o700 });
  try {
    await mkdir(parts.spools);
    const packing = packingOf(path);
    if (packing === 'directory') await writeDirectory(parts.whole, files(parts.spools));
    else await writeArchive(parts.whole, files(parts.spools), packing === 'tar.gz');
    await publish(parts.whole, path, packing);
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

async function requireFree(path: string): Promise<void> {
  const exists = await lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
  if (exists) throw taken(path);
}

function taken(path: string): Problem {
  return new Problem('conflict', `${path} exists, and nothing is overwritten.`, 'Name a new file with -o.');
}

/** Up to the number of the process that writes there. */
function besideName(path: string): string {
  return join(dirname(path), `.${basename(path)}.partial-`);
}

async function removeLeftovers(path: string): Promise<void> {
  const start = basename(besideName(path));
  for (const name of await readdir(dirname(path))) {
    const pid = name.startsWith(start) ? name.slice(start.length) : '';
    if (/^\d+$/.test(pid) && !runs(Number(pid))) await rm(join(dirname(path), name), { recursive: true, force: true });
  }
}

function runs(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function publish(whole: string, path: string, packing: Packing): Promise<void> {
  try {
    // Fails where somebody has written there meanwhile, as renaming a directory does.
    if (packing === 'directory') await rename(whole, path);
    else await link(whole, path);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['EEXIST', 'ENOTEMPTY', 'ENOTDIR'].includes(code)) throw taken(path);
    // What is carried across a gap often knows no links, as FAT does not.
    if (!['EPERM', 'ENOTSUP', 'ENOSYS'].includes(code)) throw error;
    await requireFree(path);
    await rename(whole, path);
  }
  await using directory = await open(dirname(path));
  await directory.sync();
}

async function writeDirectory(path: string, files: AsyncIterable<OutputFile>): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  for await (const { name, content } of files) {
    const file = join(path, name);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const octets = Buffer.isBuffer(content) ? content : content.read();
    await writeFile(file, octets, { flag: 'wx', mode: 0o600, flush: true });
  }
}

async function writeArchive(path: string, files: AsyncIterable<OutputFile>, packed: boolean): Promise<void> {
  const target = createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true });
  if (packed) await pipeline(tarOf(files), createGzip(), target);
  else await pipeline(tarOf(files), target);
}

const block = 512;

/** A tar archive (POSIX ustar; names that do not fit get a pax header). */
async function* tarOf(files: AsyncIterable<OutputFile>): AsyncGenerator<Buffer> {
  const mtime = new Date(Math.floor(Date.now() / 1000) * 1000);
  for await (const { name, content } of files) {
    const size = content instanceof Spool ? content.size : content.length;
    const header = new Header({ path: name, size, mode: 0o644, mtime, type: 'File' });
    if (header.encode()) yield new Pax({ path: name }).encode();
    yield header.block!;
    if (Buffer.isBuffer(content)) yield content;
    else yield* content.read();
    yield Buffer.alloc((block - (size % block)) % block);
  }
  yield Buffer.alloc(2 * block);
}

/** Text that is written piece by piece, and read once it is whole: what an archive must know the size of beforehand. */
export class Spool {
  readonly #path: string;
  readonly #file: WriteStream;
  #failed: Error | null = null;
  size = 0;

  /** Throws, at what is called next, what the system throws. */
  constructor(path: string) {
    this.#path = path;
    this.#file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
    this.#file.on('error', (error) => (this.#failed = error));
  }

  async write(text: string): Promise<void> {
    if (this.#failed) throw this.#failed;
    this.size += Buffer.byteLength(text);
    if (!this.#file.write(text)) await once(this.#file, 'drain');
  }

  async end(): Promise<void> {
    this.#file.end();
    if (!this.#file.closed) await once(this.#file, 'close');
    if (this.#failed) throw this.#failed;
  }

  async *read(): AsyncGenerator<Buffer> {
    yield* createReadStream(this.#path) as AsyncIterable<Buffer>;
  }
}
