// The servers that a user has signed in to, kept in a file of theirs alone: `contexts.json` in their config directory.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Login } from './connection.ts';
import { Failure } from './failure.ts';
import { reasonOf } from './parameters.ts';

/** One server, and the login to it. */
export interface Context {
  readonly url: string;
  /** PEM of what the server's certificate is to lead to, beside the public roots. */
  readonly ca: string | null;
  readonly login: Login;
  /** As whom. */
  readonly name: string;
}

export interface Contexts {
  /** The one that counts where none is named. */
  readonly current: string | null;
  readonly all: Readonly<Record<string, Context>>;
}

const none: Contexts = { current: null, all: {} };

/** $XDG_CONFIG_HOME/fleetroot/contexts.json (XDG Base Directory Specification). */
export function contextsFile(env: NodeJS.ProcessEnv): string {
  const config = env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config');
  return join(config, 'fleetroot', 'contexts.json');
}

/** Reads them; none where there is no file. Throws Failure where it cannot be read or is none. */
export function readContexts(env: NodeJS.ProcessEnv): Contexts {
  const path = contextsFile(env);
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return none;
    throw new Failure(`cannot read ${path}: ${reasonOf(error)}`);
  }
  try {
    const { current, all } = JSON.parse(content) as Contexts;
    for (const { url, login } of Object.values(all))
      if (!URL.canParse(url) || typeof login !== 'object') throw new TypeError('no context');
    return { current, all };
  } catch {
    throw new Failure(`${path} is damaged`, 'move it away, and sign in again with `fleetroot login`');
  }
}

/** Writes them, readable by this user alone; a reader finds the old file or the new one, never half of one. */
export function writeContexts(env: NodeJS.ProcessEnv, contexts: Contexts): void {
  const path = contextsFile(env);
  const next = `${path}.${process.pid}`;
  try {
    mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
    writeFileSync(next, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 });
    renameSync(next, path);
  } catch (error) {
    throw new Failure(`cannot write ${path}: ${reasonOf(error)}`);
  }
}

/** The context of this name. Throws Failure. */
export function contextNamed({ all }: Contexts, name: string): Context {
  const context = Object.hasOwn(all, name) ? all[name] : undefined;
  if (!context) {
    throw new Failure(
      `there is no context "${name}"`,
      '`fleetroot context list` shows them, `fleetroot login` makes one',
    );
  }
  return context;
}
