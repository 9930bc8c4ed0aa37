// A server's registry carried over from its data directory to PostgreSQL, offline; the directory then says where it is.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, loadConfig } from '../config.ts';
import { openLog } from '../log.ts';
import { Metrics } from '../metrics.ts';
import { Problem } from '../problem.ts';
import { type MovedTable, moveRegistry } from '../registry/moving.ts';
import { markMoved } from './moved-mark.ts';
import { openRegistryFile, settleInterrupted } from './registry.ts';

/** What is moved, and where to. */
export interface Moving {
  /** Absolute path. */
  readonly dataDir: string;
  /** `postgres://…`; null for the one that is configured. */
  readonly to: string | null;
  readonly configFile: string | null;
  readonly env: NodeJS.ProcessEnv;
  readonly heard: (table: string) => void;
}

/**
 * Moves the registry; where an earlier call was killed, goes on with it. Throws Problem `conflict` while a server runs on
 * the directory, and as `moveRegistry` does.
 */
export async function moveToPostgres({ dataDir, to, configFile, env, heard }: Moving): Promise<MovedTable[]> {
  if (!existsSync(join(dataDir, 'registry.db'))) {
    throw new Problem('not_found', `${dataDir} has no registry.`, 'Name the data directory with --data DIR.');
  }
  const options = to === null ? {} : { 'database.url': to };
  const config = loadConfig({ dataDir, configFile, options, env });
  const { url } = config.database;
  if (url === null) {
    throw new Problem('invalid_request', 'No database is named.', 'Give --to postgres://…, or set database.url.');
  }
  const inFile: Config = { ...config, database: { ...config.database, url: null } };
  const onFailure = (error: Error) => {
    throw error;
  };
  await using opened = new AsyncDisposableStack();
  const registry = opened.use(await openRegistryFile(inFile, { clock: Date.now, metrics: new Metrics(), onFailure }));
  opened.use(await settleInterrupted(inFile, registry, openLog('silent')));
  return await moveRegistry(
    registry.read,
    { ...config.database, url },
    {
      now: Date.now(),
      heard,
      // Killed before the database is whole too, the move is finished by being asked for once more.
      beforeWhole: () => markMoved(dataDir, url),
    },
  );
}
