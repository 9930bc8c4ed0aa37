// Back-ups of a server on SQLite while it serves: one at a time, made by a thread of its own, streamed to who asked.

import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import type { MasterKey } from '../custody/master-key.ts';
import { placeOf } from '../custody/master-key-source.ts';
import type { Backups, BackupMade, NewBackup } from '../operator/backup-routes.ts';
import { Problem } from '../problem.ts';
import { Secret } from '../secret.ts';
import { formatInstant } from '../time.ts';
import { programVersion } from '../version.ts';
import type { BackupFile, ManifestBody } from './backup-file.ts';
import type { BackupMessage, BackupStart } from './backup-thread.ts';

/** What back-ups are made of. */
export interface BackingUp {
  readonly dataDir: string;
  readonly masterKey: Pick<MasterKey, 'source' | 'rotating'>;
  readonly clock: () => number;
}

/** How long whoever takes a back-up may take nothing of it, in milliseconds. */
const patience = 60_000;
const prefix = 'backup-in-work-';
/** What is left on the disk at least while a copy of the registry lies there, in octets. */
const spared = 64 * 1024 * 1024;

/** Opens what makes back-ups of a SQLite registry; what a killed server has left of one is taken away. */
export async function openBackups(backingUp: BackingUp): Promise<Backups & AsyncDisposable> {
  const { dataDir } = backingUp;
  const left = (await readdir(dataDir)).filter((name) => name.startsWith(prefix));
  for (const name of left) await rm(join(dataDir, name), { recursive: true, force: true });
  const ending = new AbortController();
  let underWay: Promise<unknown> | null = null;
  return {
    async make(wanted) {
      // Loaded here: with age and tar it would be a tenth of every start.
      const { encrypterTo } = await import('./backup-file.ts');
      encrypterTo(wanted.lock);
      if (underWay !== null) throw new Problem('conflict', 'A back-up is being made.', 'Wait for that one.');
      const ended = Promise.withResolvers<void>();
      underWay = ended.promise.then(() => (underWay = null));
      return make(backingUp, wanted, ending.signal, ended.resolve);
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      await underWay;
    },
  };
}

/** Of a registry on PostgreSQL, which is backed up by its own means. */
export const noBackups: Backups = {
  async make() {
    throw new Problem(
      'conflict',
      'The registry is in PostgreSQL, which has back-ups of its own.',
      'docs/back-up.md says which; keep the master key and owner-trust.json beside them.',
    );
  },
};

async function make(
  { dataDir, masterKey, clock }: BackingUp,
  { lock, withMasterKey }: NewBackup,
  ending: AbortSignal,
  ended: () => void,
): Promise<BackupMade> {
  await using held = new AsyncDisposableStack();
  held.defer(ended);
  const registry = join(dataDir, 'registry.db');
  await requireRoom(dataDir, registry);
  using key = withMasterKey ? await readMasterKey(masterKey) : null;
  const files = await filesOf(dataDir);
  if (key !== null) files.push({ name: 'master.key', content: key.reveal() });
  const directory = await mkdtemp(join(dataDir, prefix));
  held.defer(() => rm(directory, { recursive: true, force: true }));
  const start: BackupStart = {
    registry,
    directory,
    program: programVersion(),
    made_at: formatInstant(clock()),
    masterKeyPlace: placeOf(masterKey.source),
    files,
    lock,
  };
  const worker = new Worker(new URL('./backup-thread.ts', import.meta.url), { workerData: start });
  const end = () => void worker.terminate();
  ending.addEventListener('abort', end);
  held.defer(() => ending.removeEventListener('abort', end));
  held.defer(async () => {
    await worker.terminate();
  });
  const { files: _, ...manifest } = await madeBy(worker);
  if (key !== null) await requireSameKey(masterKey, key);
  const all = held.move();
  worker.once('exit', () => void all.disposeAsync());
  return { manifest, content: contentOf(worker) };
}

/** What else lies in the data directory that a restored server needs. */
async function filesOf(dataDir: string): Promise<{ name: BackupFile; content: Buffer }[]> {
  const found: { name: BackupFile; content: Buffer }[] = [];
  // Before the copy of the registry: where a row is older than what this file knows, its account admits nobody.
  for (const name of ['owner-trust.json', 'fleetroot.toml'] as const) {
    const content = await readFile(join(dataDir, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (content !== null) found.push({ name, content });
  }
  return found;
}

async function requireRoom(dataDir: string, registry: string): Promise<void> {
  const { bavail, bsize } = await statfs(dataDir);
  const log = await stat(`${registry}-wal`).catch(() => ({ size: 0 }));
  const needed = (await stat(registry)).size + log.size + spared;
  if (bavail * bsize >= needed) return;
  throw new Problem(
    'unavailable',
    `A copy of the registry needs ${needed} octets beside it while it is sent, and ${bavail * bsize} are free.`,
    'Make room on the disk that holds the data directory.',
  );
}

async function readMasterKey({ source, rotating }: BackingUp['masterKey']): Promise<Secret> {
  if (rotating) throw new Problem('conflict', 'The master key is being rotated.', 'Back up when that is done.');
  if (source.in !== 'file' || source.holds !== 'key') {
    throw new Problem(
      'conflict',
      `The master key is ${source.holds === 'passphrase' ? 'derived from a passphrase' : placeOf(source)}, and no file to be put into a back-up.`,
      'Back up without it, and keep it where it is kept.',
    );
  }
  return new Secret(await readFile(source.name));
}

/** A rotation that began and ended meanwhile would leave a registry and a key that do not belong together. */
async function requireSameKey(masterKey: BackingUp['masterKey'], key: Secret): Promise<void> {
  using present = await readMasterKey(masterKey);
  if (present.reveal().equals(key.reveal())) return;
  throw new Problem('conflict', 'The master key was rotated while the back-up was made.', 'Make it again.');
}

function madeBy(worker: Worker): Promise<ManifestBody> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the thread that makes a back-up ended by itself')));
    worker.once('message', (message: BackupMessage) => {
      if (message.kind === 'made') resolve(message.manifest);
      else if (message.kind === 'refused') reject(new Problem(message.code, message.message, message.hint));
    });
  });
}

/** The pieces as they are taken; the thread makes the next when it is asked for. */
function contentOf(worker: Worker): Readable {
  const ended = new AbortController();
  worker.once('exit', () => ended.abort(new Error('the thread that makes a back-up ended by itself')));
  const content = Readable.from(
    piecesOf(worker, ended.signal, () => late.refresh()),
    { highWaterMark: 4 },
  );
  const late = setTimeout(() => content.destroy(new Error('nobody takes the back-up')), patience).unref();
  content.once('close', () => {
    clearTimeout(late);
    void worker.terminate();
  });
  return content;
}

async function* piecesOf(worker: Worker, signal: AbortSignal, taken: () => void): AsyncGenerator<Uint8Array> {
  for (;;) {
    taken();
    const next = once(worker, 'message', { signal });
    worker.postMessage('more');
    const [message] = (await next) as [BackupMessage];
    if (message.kind !== 'piece' || message.piece === null) return;
    yield message.piece;
  }
}
