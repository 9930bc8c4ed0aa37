// A factory's records as it holds them.

import { openStore, type Store, type StoreOptions } from '../../registry/store.ts';
import type { FactoryTables } from './tables.ts';
import type { writes } from './writes.ts';

export type Records = Store<FactoryTables, typeof writes>;

/** Opens the records. Throws as `openStore` does. */
export function openRecords(options: Omit<StoreOptions, 'thread'>): Promise<Records> {
  return openStore({ ...options, thread: new URL('./writer-thread.ts', import.meta.url) });
}
