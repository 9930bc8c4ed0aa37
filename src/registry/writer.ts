// The registry as the server holds it.

import { type ArgumentsIn, type NameIn, openStore, type ResultIn, type Store, type StoreOptions } from './store.ts';
import type { PostgresStoreOptions } from './postgres-store.ts';
import type { Tables } from './tables.ts';
import type { writes } from './writes.ts';

export type Writes = typeof writes;
export type WriteName = NameIn<Writes>;
export type WriteArguments<N extends WriteName> = ArgumentsIn<Writes, N>;
export type WriteResult<N extends WriteName> = ResultIn<Writes, N>;

export type Registry = Store<Tables, Writes>;

/** Opens the registry in a file of its own. Throws as `openStore` does. */
export function openRegistry(options: Omit<StoreOptions, 'thread'>): Promise<Registry> {
  return openStore({ ...options, thread: new URL('./writer-thread.ts', import.meta.url) });
}

/** Opens the registry in a PostgreSQL database, where other nodes may have it open too. Throws as `openPostgresStore` does. */
export async function openSharedRegistry(options: Omit<PostgresStoreOptions, 'writing'>): Promise<Registry> {
  // Loaded here: one machine needs neither the driver nor, on its main thread, what the writer's thread runs.
  const { openPostgresStore } = await import('./postgres-store.ts');
  const { writing } = await import('./writing.ts');
  return openPostgresStore<Writes>({ ...options, writing });
}
