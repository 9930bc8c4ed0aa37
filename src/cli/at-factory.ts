// What the commands of a factory share: its directory, and how each of them comes to it.

import { resolve } from 'node:path';
import { loadConfig } from '../config.ts';
import type { AtFactory } from '../factory/control.ts';
import type { Session } from './command.ts';
import { text } from './parameters.ts';

/** Of every command that works on a factory's directory; a server's is another one. */
export const factoryData = {
  data: text('DIR', "the factory's directory (else that of FLEETROOT_FACTORY_DATA, else ./fleetroot-factory)"),
};

/** The common options that those commands take. */
export const factoryCommon = ['json', 'yes'] as const;

interface Given {
  readonly data?: string | undefined;
}

/** The absolute path of the directory that is meant. */
export function factoryDirOf({ data }: Given, env: NodeJS.ProcessEnv): string {
  return resolve(data ?? env['FLEETROOT_FACTORY_DATA'] ?? 'fleetroot-factory');
}

/** Does something at the factory that is meant, whether or not its service is running. Throws Problem. */
export async function atFactoryOf<T>(
  given: Given,
  { env }: Pick<Session, 'env'>,
  work: (at: AtFactory) => Promise<T>,
): Promise<T> {
  // Loaded here, since no command of the server needs the factory's code.
  const { atFactory } = await import('../factory/control.ts');
  return atFactory(loadConfig({ dataDir: factoryDirOf(given, env), env }), work);
}
