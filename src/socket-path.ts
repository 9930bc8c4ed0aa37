// A path that the kernel takes for a Unix socket, whatever the length of the directory it lies in.

import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

/** `sun_path` holds 108 bytes on Linux and 104 on macOS, the closing NUL among them. */
const longestPath = 103;

/** A name for a socket, good until it is disposed of: bind or connect before that. */
export interface SocketPath extends Disposable {
  readonly path: string;
}

/**
 * The path itself where it is short enough, else one through a symbolic link to its directory, made in a directory that
 * only this user can enter. (A relative name would need `chdir`, which changes what every other path of the process
 * means, and libuv unlinks a listening socket by the name it was bound to: in the wrong directory by then.)
 */
export function socketPath(path: string): SocketPath {
  const whole = resolve(path);
  if (Buffer.byteLength(whole) <= longestPath) return { path: whole, [Symbol.dispose]() {} };
  const holder = mkdtempSync(join(tmpdir(), 'fleetroot-'));
  symlinkSync(dirname(whole), join(holder, 'd'));
  return {
    path: join(holder, 'd', basename(whole)),
    [Symbol.dispose]: () => rmSync(holder, { recursive: true, force: true }),
  };
}
