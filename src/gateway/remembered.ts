// Loads remembered by a key: one load at a time for each, and none that failed.

import type { LRUCache } from 'lru-cache';

/** What is remembered under a key; else what `load` gives, which is remembered from its beginning on. */
export function remembered<T>(cache: LRUCache<string, Promise<T>>, key: string, load: () => Promise<T>): Promise<T> {
  const known = cache.get(key);
  if (known) return known;
  const loading = load();
  cache.set(key, loading);
  loading.catch(() => {
    if (cache.peek(key) === loading) cache.delete(key);
  });
  return loading;
}
