// Which server a command means: what the line says, else what the environment says, else whoever is nearest.

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Place } from './connection.ts';
import { contextNamed, readContexts } from './contexts.ts';
import { UsageError } from './failure.ts';
import { readFile } from './parameters.ts';

/** What stands on the command line. */
export interface Pointers {
  readonly data?: string | undefined;
  readonly url?: string | undefined;
  readonly context?: string | undefined;
  readonly token?: string | undefined;
  readonly ca?: string | undefined;
}

/** The data directory that is meant where the command works on one. */
export function dataDirOf({ data }: Pointers, env: NodeJS.ProcessEnv): string {
  return resolve(data ?? env['FLEETROOT_DATA'] ?? 'fleetroot-data');
}

/**
 * Where the server is: `--data`, `--url` or `--context`, of which the line names one; else FLEETROOT_URL,
 * FLEETROOT_CONTEXT or FLEETROOT_DATA; else the server on ./fleetroot-data where its socket is there, or the current
 * context. Throws UsageError and Failure.
 */
export function placeOf(pointers: Pointers, env: NodeJS.ProcessEnv): Place {
  const named = (['data', 'url', 'context'] as const).filter((name) => pointers[name] !== undefined);
  if (named.length > 1) {
    throw new UsageError(`--${named[0]} and --${named[1]} mean different servers`, 'name one of them');
  }
  const said = named[0];
  const url = pointers.url ?? (said === undefined ? env['FLEETROOT_URL'] : undefined);
  if (url !== undefined) return atUrl(url, pointers, env);
  const context = pointers.context ?? (said === undefined ? env['FLEETROOT_CONTEXT'] : undefined);
  if (context !== undefined) return inContext(context, pointers, env);
  const dataDir = dataDirOf(pointers, env);
  if (said === undefined && env['FLEETROOT_DATA'] === undefined && !existsSync(join(dataDir, 'operator.sock'))) {
    const { current } = readContexts(env);
    if (current !== null) return inContext(current, pointers, env);
  }
  if (pointers.token !== undefined || pointers.ca !== undefined) {
    throw new UsageError('--token and --ca are for a server at a --url or in a --context');
  }
  return { kind: 'socket', dataDir };
}

/** The URL of an operators' API. Throws UsageError, also for one that would carry a login in the clear. */
export function operatorUrl(given: string): URL {
  const url = URL.parse(given);
  if (url?.protocol === 'https:') return url;
  if (url?.protocol !== 'http:') throw new UsageError(`"${given}" is no https:// URL`);
  if (['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)) return url;
  throw new UsageError(`"${given}" would send the login in the clear`, 'use https://');
}

function atUrl(given: string, { token, ca }: Pointers, env: NodeJS.ProcessEnv): Place {
  const shown = token ?? env['FLEETROOT_TOKEN'];
  const file = ca ?? env['FLEETROOT_CA'];
  return {
    kind: 'remote',
    url: operatorUrl(given),
    ca: file === undefined ? null : readFile(file).toString('utf8'),
    login: shown === undefined ? null : { token: shown },
  };
}

function inContext(name: string, { token, ca }: Pointers, env: NodeJS.ProcessEnv): Place {
  const context = contextNamed(readContexts(env), name);
  const shown = token ?? env['FLEETROOT_TOKEN'];
  return {
    kind: 'remote',
    url: operatorUrl(context.url),
    ca: ca === undefined ? context.ca : readFile(ca).toString('utf8'),
    login: shown === undefined ? context.login : { token: shown },
  };
}
