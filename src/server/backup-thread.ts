// The thread that makes one back-up: copies the registry, says what is in it, and gives the encrypted archive piece by piece.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { masterKeyIdOf } from '../custody/seal.ts';
import { Problem } from '../problem.ts';
import { masterKeyRow } from '../registry/sealed-values.ts';
import { copyDatabase, openCopy, registryFacts } from '../registry/snapshot.ts';
import { type BackupFile, type Content, type Lock, type ManifestBody, writeBackup } from './backup-file.ts';

/** What the thread is started with. */
export interface BackupStart {
  readonly registry: string;
  /** Empty, and of this back-up alone: the copy lies there until the thread has ended. */
  readonly directory: string;
  readonly program: string;
  readonly made_at: string;
  readonly masterKeyPlace: string;
  readonly files: readonly { readonly name: BackupFile; readonly content: Uint8Array }[];
  readonly lock: Lock;
}

/** What it says: first what is in the back-up, or why there is none; then a piece for each 'more', null after the last. */
export type BackupMessage =
  | { readonly kind: 'made'; readonly manifest: ManifestBody }
  | { readonly kind: 'refused'; readonly code: Problem['code']; readonly message: string; readonly hint: string | null }
  | { readonly kind: 'piece'; readonly piece: Uint8Array | null };

const port = parentPort!;
const say = (message: BackupMessage) => port.postMessage(message);
const start = workerData as BackupStart;

try {
  const { manifest, contents } = await prepare(start);
  const pieces = writeBackup(manifest, contents, start.lock);
  port.on('message', () => {
    void pieces.next().then(({ done, value }) => {
      say({ kind: 'piece', piece: done ? null : value });
      if (done) port.close();
    });
  });
  say({ kind: 'made', manifest });
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  const { code, message, hint } = error;
  say({ kind: 'refused', code, message, hint });
}

async function prepare({
  registry,
  directory,
  program,
  made_at,
  masterKeyPlace,
  files,
}: BackupStart): Promise<{ manifest: ManifestBody; contents: Content[] }> {
  const copy = join(directory, 'registry.db');
  await copyDatabase(registry, copy);
  using opened = openCopy(copy);
  const facts = await registryFacts(opened.db);
  const proofs = [await masterKeyRow(opened.db, 'present'), await masterKeyRow(opened.db, 'next')];
  const ids = proofs.flatMap((row) => (row === null ? [] : (masterKeyIdOf(row.proof) ?? [])));
  const described = files.map(({ name, content }) => ({
    name,
    size: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
  }));
  const included = files.some(({ name }) => name === 'master.key');
  const { size } = await stat(copy);
  return {
    manifest: {
      program,
      made_at,
      ...facts,
      master_key: { ids, place: masterKeyPlace, included },
      files: [...described, { name: 'registry.db', size, sha256: await sha256Of(copy) }],
    },
    contents: [...files.map(({ content }) => content), { path: copy }],
  };
}

async function sha256Of(path: string): Promise<string> {
  const digest = createHash('sha256');
  for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) digest.update(piece);
  return digest.digest('hex');
}
