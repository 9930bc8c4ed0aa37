// The registry as the server holds it.

import { type ArgumentsIn, type NameIn, openStore, type ResultIn, type Store, type StoreOptions } from './store.ts';
import type { Tables } from './tables.ts';
import type { writes } from './writes.ts';

type Writes = typeof writes;
export type WriteName = NameIn<Writes>;
export type WriteArguments<N extends WriteName> = ArgumentsIn<Writes, N>;
export type WriteResult<N extends WriteName> = ResultIn<Writes, N>;

export type Registry = Store<Tables, Writes>;

/** Opens the registry. Throws as `openStore` does. */
export function openRegistry(options: Omit<StoreOptions, 'thread'>): Promise<Registry> {
  return openStore({ ...options, thread: new URL('./writer-thread.ts', import.meta.url) });
}
