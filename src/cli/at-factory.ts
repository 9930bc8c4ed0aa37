// What the commands of a factory share: its directory, and how each of them comes to it.

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Config } from '../config.ts';
import type { AtFactory } from '../factory/control.ts';
import type { Secret } from '../secret.ts';
import type { Session } from './command.ts';
import { text } from './parameters.ts';
import { passphraseOf } from './passphrase.ts';

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

/** Of commands that may be the first to open a directory, or open one whose passphrase is in a file. */
export const passphraseFile = {
  'passphrase-file': text(
    'FILE',
    "the passphrase of the directory's keys, in a file of its owner's alone; else it is asked for",
  ),
};

interface GivenFile extends Given {
  readonly 'passphrase-file'?: string | undefined;
}

/**
 * Does something at the factory that is meant, whether or not its service is running. A directory whose keys are sealed
 * under a passphrase has no master key in it: a person is asked for it then. `first` asks for the one of a new directory.
 * Throws Problem.
 */
export async function atFactoryOf<T>(
  given: GivenFile,
  { env, terminal }: Pick<Session, 'env' | 'terminal'>,
  work: (at: AtFactory) => Promise<T>,
  first: (config: Config) => Promise<Secret | null> = async () => null,
): Promise<T> {
  // Loaded here, since no command of the server needs the factory's code.
  const { loadConfig } = await import('../config.ts');
  const { atFactory } = await import('../factory/control.ts');
  const config = loadConfig({ dataDir: factoryDirOf(given, env), env });
  using typed = new DisposableStack();
  return await atFactory(config, work, async () => {
    const file = given['passphrase-file'];
    if (file !== undefined) {
      return { holds: 'passphrase', in: 'file', name: resolve(file), setting: '--passphrase-file' };
    }
    if (config.custody.masterKey !== null || existsSync(join(config.dataDir, 'master.key'))) return null;
    const made = existsSync(join(config.dataDir, 'factory.db'));
    const passphrase = made ? await passphraseOf(terminal, config.dataDir) : await first(config);
    if (passphrase === null) return null;
    typed.use(passphrase);
    return { holds: 'passphrase', in: 'terminal', name: '', setting: null, typed: passphrase };
  });
}
