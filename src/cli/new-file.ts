// Files that a command writes with `-o`: new ones, for this user alone, and none where there is nothing to write.

import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure } from './failure.ts';
import { reasonOf } from './parameters.ts';

/**
 * Does what fills a new file. The file is opened first, anew and for this user alone: where it cannot be, nothing is
 * done; where nothing is written, it is removed again. What is written is on the disk when `make` goes on. Throws Failure.
 */
export async function withNewFile<Made>(
  path: string,
  make: (write: (content: string | Uint8Array) => void) => Promise<Made>,
): Promise<Made> {
  const file = withReason(path, () => openSync(path, 'wx', 0o600));
  let written = false;
  try {
    return await make((content) => {
      withReason(path, () => {
        writeFileSync(file, content);
        fsyncSync(file);
        syncDirectory(dirname(path));
      });
      written = true;
    });
  } catch (error) {
    written = false;
    throw error;
  } finally {
    closeSync(file);
    if (!written) rmSync(path, { force: true });
  }
}

/**
 * The same for a file of many pieces, which is there under its name once it is whole: a program that is killed leaves
 * `FILE.partial`, which the next takes away. Throws Failure.
 */
export async function withWholeFile<Made>(
  path: string,
  make: (write: (content: string | Uint8Array) => void) => Promise<Made>,
): Promise<Made> {
  if (existsSync(path)) throw isThere(path);
  const partial = `${path}.partial`;
  rmSync(partial, { force: true });
  const made = await withNewFile(partial, make);
  withReason(path, () => {
    renameSync(partial, path);
    syncDirectory(dirname(path));
  });
  return made;
}

/** Octets that go to the disk at once, which is waited for each time. */
const octetsAtOnce = 8 * 1024 * 1024;

/** Writes what a stream gives into a new file, as `withNewFile` does; `hear` is told of each piece. Throws Failure. */
export async function streamToNewFile(
  path: string,
  open: () => Promise<AsyncIterable<Buffer>>,
  hear: (piece: Buffer) => void = () => {},
): Promise<void> {
  await withNewFile(path, async (write) => {
    let waiting: Buffer[] = [];
    let octets = 0;
    for await (const piece of await open()) {
      hear(piece);
      waiting.push(piece);
      octets += piece.length;
      if (octets < octetsAtOnce) continue;
      write(Buffer.concat(waiting));
      waiting = [];
      octets = 0;
    }
    write(Buffer.concat(waiting));
  });
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function withReason<Done>(path: string, write: () => Done): Done {
  try {
    return write();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw isThere(path);
    throw new Failure(`cannot write ${path}: ${reasonOf(error)}`);
  }
}

function isThere(path: string): Failure {
  return new Failure(`${path} exists, and nothing is overwritten`, 'name a new file with -o');
}
