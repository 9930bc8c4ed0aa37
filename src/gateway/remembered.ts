// Loads remembered by a key: one load at a time for each, and none that failed.

import type { LRUCache } from 'lru-cache';

/** A load, and what it gave once it is done. */
export interface Loading<T> {
  readonly promise: Promise<T>;
  value: T | null;
}

/** What is remembered under a key; else what `load` gives, which is remembered from its beginning on. */
export function remembered<T>(cache: LRUCache<string, Loading<T>>, key: string, load: () => Promise<T>): Promise<T> {
  const known = cache.get(key);
  if (known) return known.promise;
  const loading: Loading<T> = { promise: load(), value: null };
  cache.set(key, loading);
  loading.promise.then(
    (value) => (loading.value = value),
    () => {
      if (cache.peek(key) === loading) cache.delete(key);
    },
  );
  return loading.promise;
}

/** What is remembered under a key and has been loaded, at once; null where it is to be waited for. */
export function loaded<T>(cache: LRUCache<string, Loading<T>>, key: string): T | null {
  return cache.get(key)?.value ?? null;
}

/** The bound of a cache that takes room as it fills: one that is told `max` takes all of it at the start, and time for it. */
export function atMost(entries: number) {
  return { maxSize: entries, sizeCalculation: () => 1 };
}
