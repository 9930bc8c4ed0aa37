// The file in a data directory that says that its registry was moved to a database, so that nobody begins on the old one.

import { existsSync, readFileSync } from 'node:fs';
import { open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem } from '../problem.ts';
import { formatInstant } from '../time.ts';

const name = 'registry.moved';

/** Throws Problem `conflict` where the registry in a data directory has been moved away. */
export function requireNotMoved(dataDir: string): void {
  const mark = join(dataDir, name);
  if (!existsSync(mark)) return;
  throw new Problem(
    'conflict',
    `The registry of ${dataDir} was moved: ${readFileSync(mark, 'utf8').trim()}. What is in its file is old.`,
    `Set database.url to that database. To go back to the file, and lose what was done since, remove ${mark}.`,
  );
}

/** Writes the mark, with the database of a URL and not its password. */
export async function markMoved(dataDir: string, url: string): Promise<void> {
  const mark = join(dataDir, name);
  const [, hosts = '', database = ''] = /^[^:]+:\/\/(?:[^@]*@)?([^/]*)\/(.*)$/.exec(url) ?? [];
  const to = `${formatInstant(Date.now())}, to the database ${database} on ${hosts}`;
  await writeFile(`${mark}.new`, `${to}\n`, { flush: true });
  await rename(`${mark}.new`, mark);
  await using directory = await open(dataDir);
  await directory.sync();
}
