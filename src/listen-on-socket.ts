// A Unix socket that is its owner's alone from its first moment, and takes the place of what a killed server left.

import { chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { socketPath as shortened } from './socket-path.ts';

/**
 * Listens on a Unix socket at `path` (absolute, of any length). It is bound within a directory that only its owner can
 * enter, made readable by the owner alone, and only then moved to its place, over whatever lies there: nobody ever finds
 * a socket with another mode, or one that does not answer. (A umask would be that of every thread of the process.)
 * Disposing of it removes the name; the listener is closed by whoever owns it.
 */
export async function listenOnSocket(app: FastifyInstance, path: string): Promise<Disposable> {
  const workshop = join(dirname(path), `.${basename(path)}`);
  rmSync(workshop, { recursive: true, force: true });
  mkdirSync(workshop, { mode: 0o700 });
  const made = join(workshop, 's');
  using short = shortened(made);
  await app.listen({ path: short.path });
  chmodSync(made, 0o600);
  renameSync(made, path);
  rmSync(workshop, { recursive: true });
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}
