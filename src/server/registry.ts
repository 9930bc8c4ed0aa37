// The registry that the configuration names: a file in the data directory, or a PostgreSQL that other nodes share.

import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { settleAllowListImports } from '../operator/allow-list-import.ts';
import type { ReadinessFault } from '../operator/readiness.ts';
import { Problem } from '../problem.ts';
import { isHalfMoved } from '../registry/half-moved.ts';
import { goneInstances, isInterrupted } from '../registry/nodes.ts';
import { openRegistry, openSharedRegistry, type Registry } from '../registry/writer.ts';
import { formatInstant } from '../time.ts';
import { programVersion } from '../version.ts';
import { requireNotMoved } from './moved-mark.ts';

/** How often it is looked whether another node has died in the middle of something, in milliseconds. */
const settleInterval = 10_000;
/** Nothing is being made for so long: a certificate that is still only intended is made by nobody, in milliseconds. */
const longestMaking = 2 * 60_000;

interface Parts {
  readonly clock: () => number;
  readonly metrics: Metrics;
  readonly onFailure: (error: Error) => void;
}

/** Opens it for the process that has the data directory. Throws as `openRegistry` and `openSharedRegistry` do. */
export async function openServerRegistry(config: Config, parts: Parts): Promise<Registry> {
  const { dataDir, database, node } = config;
  if (database.url === null) {
    requireNotMoved(dataDir);
    return openRegistryFile(config, parts);
  }
  const id = await nodeId(dataDir);
  const registry = await openSharedRegistry({
    postgres: { ...database, url: database.url },
    node: { id, name: node.name, version: programVersion() },
    directory: dataDir,
    ...parts,
  });
  if (await isHalfMoved(registry.read)) {
    await registry[Symbol.asyncDispose]();
    throw new Problem(
      'conflict',
      'The database has a part of a registry that is being moved into it.',
      'Have `registry move` finish it, on the data directory from which it comes.',
    );
  }
  await registry.write('leaveBehind', { node_id: id, except: registry.instance });
  return registry;
}

/** Opens the file in the data directory, also where it was moved away. */
export function openRegistryFile({ dataDir }: Config, parts: Parts): Promise<Registry> {
  return openRegistry({ file: join(dataDir, 'registry.db'), ...parts });
}

/** Opens the shared one for a gateway process of this node. */
export async function openSharedForWorker(
  { dataDir, database, node }: Config,
  { number, ...parts }: Parts & { readonly number: number; readonly instance: string },
): Promise<Registry> {
  const name = { id: await nodeId(dataDir), name: `${node.name} (worker ${number})`, version: programVersion() };
  return openSharedRegistry({
    postgres: { ...database, url: database.url! },
    node: name,
    directory: null,
    ...parts,
  });
}

/** The node's own ID for good, made at its first start. */
async function nodeId(dataDir: string): Promise<string> {
  const file = join(dataDir, 'node.id');
  const known = await readFile(file, 'utf8').catch(() => null);
  if (known !== null) return known.trim();
  const id = randomUUID();
  await writeFile(file, `${id}\n`, { mode: 0o600 });
  return id;
}

/**
 * What a process that is gone left half done is undone: nobody was told of it. On a file that is whatever there is, once;
 * on a shared database what no other process is making, at once and from then on. Disposing of it ends that.
 */
export async function settleInterrupted(config: Config, registry: Registry, log: Log): Promise<Disposable> {
  const alone = config.database.url === null;
  const settle = async () => {
    // Another node may be making one now.
    const begun = Date.now() - (alone ? 0 : longestMaking);
    const gone = alone ? 'all' : await goneInstances(registry.read);
    // The writes below hold everybody up: mostly there is nothing to be undone.
    if (gone !== 'all' && !(await isInterrupted(registry.read, { gone, before: begun }))) return;
    const before = alone ? Number.MAX_SAFE_INTEGER : begun;
    const unready = await registry.write('removeUnreadyAccounts', { before });
    const { abandoned } = await registry.write('settleInterrupted', { gone, before: begun });
    await settleAllowListImports(registry, before);
    if (abandoned > 0 || unready.length > 0) {
      log.info({ accounts: unready.length, certificates: abandoned }, 'undid what a killed server had left half done');
    }
  };
  await settle();
  if (alone) return { [Symbol.dispose]: () => undefined };
  const timer = setInterval(() => {
    settle().catch((error: unknown) => log.warn({ err: error }, 'what is half done could not be looked at'));
  }, settleInterval).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** What `/readyz` tells of a database that has been away for longer than the grace. */
export function databaseFaults({ database }: Config, { standing }: Registry, now: number): ReadinessFault[] {
  if (standing.reachable || now - standing.since < database.grace) return [];
  const served = database.whenCutOff === 'admit' ? 'Devices that are known here are served.' : 'No device is let in.';
  const reason = `The database has not answered for longer than ${database.grace / 1000} s. ${served}`;
  return [{ part: 'database', reason, since: formatInstant(standing.since) }];
}

/** How long `/readyz` waits for what the registry knows to be amiss, in milliseconds. */
const asksWithin = 1_000;

/** What the registry knows to be amiss, as it was last heard while it does not answer. */
export function faultsFrom(
  registry: Registry,
  ask: () => Promise<readonly ReadinessFault[]>,
): () => Promise<readonly ReadinessFault[]> {
  let last: readonly ReadinessFault[] = [];
  return async () => {
    if (!registry.standing.reachable) return last;
    const heard = ask().then(
      (faults) => (last = faults),
      () => last,
    );
    return Promise.race([heard, pause(asksWithin, null, { ref: false }).then(() => last)]);
  };
}
