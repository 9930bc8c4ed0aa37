// A process of its own that holds a registry and writes what its parent asks for, until it is killed.

import { openRegistry, openSharedRegistry } from '../../src/registry/writer.ts';
import { settingsFor } from './registry.ts';

export type Ask = { keys: string[]; bytes: number };
export type Tell = { ready: true } | { written: string } | { refused: string; code: string };

/** A file, or the URL of a database. */
const place = process.argv[2]!;
const options = {
  clock: Date.now,
  onFailure: (error: Error) => {
    throw error;
  },
};
const registry = place.startsWith('postgres:')
  ? await openSharedRegistry({
      ...options,
      postgres: settingsFor(place),
      node: { id: 'child', name: 'child', version: 'test' },
      directory: null,
    })
  : await openRegistry({ ...options, file: place });
const tell = (message: Tell) => void process.send!(message);

process.on('message', ({ keys, bytes }: Ask) => {
  for (const key of keys) {
    registry.write('rememberServerValue', { key, value: new Uint8Array(bytes) }).then(
      () => tell({ written: key }),
      (error) => tell({ refused: key, code: error.code }),
    );
  }
});
tell({ ready: true });
