// The registry of a gateway process, by the database that the server has.

import { join } from 'node:path';
import type { Config } from '../config.ts';
import type { Metrics } from '../metrics.ts';
import type { Change } from '../registry/changes.ts';
import type { Outcome } from '../registry/commit-thread.ts';
import { type ForwardedWrite, openForwardingStore } from '../registry/forwarding-store.ts';
import type { Tables } from '../registry/tables.ts';
import type { Registry, Writes } from '../registry/writer.ts';
import { openSharedForWorker } from './registry.ts';

/** What a gateway process knows of itself, and its way to the process that writes. */
export interface WorkerRegistryOptions {
  readonly instance: string;
  readonly forward: (write: ForwardedWrite) => Promise<Outcome>;
  readonly metrics: Metrics;
  readonly number: number;
  readonly clock: () => number;
  readonly onFailure: (error: Error) => void;
}

/** A gateway process's registry, and how it hears what the control process says has changed. */
export interface WorkerRegistry {
  readonly registry: Registry;
  readonly hear: (changes: readonly Change[]) => Promise<unknown>;
}

/**
 * Opens it: the control process has opened the same one before. On a file, that process writes and tells of changes; on a
 * shared database this one is a neighbour of that one's, as of any other node's processes.
 */
export async function openWorkerRegistry(
  config: Config,
  { forward, ...options }: WorkerRegistryOptions,
): Promise<WorkerRegistry> {
  if (config.database.url !== null) {
    const registry = await openSharedForWorker(config, options);
    // It hears what is written by itself; the control process has more to say: what it finds changed past every program.
    return { registry, hear: (changes) => Promise.all(changes.map((change) => registry.changes.tell(change))) };
  }
  const file = join(config.dataDir, 'registry.db');
  const registry = openForwardingStore<Tables, Writes>({ file, forward, ...options });
  return { registry, hear: (changes) => registry.hear(changes) };
}
