// A process of its own that holds a registry and writes what its parent asks for, until it is killed.

import { openRegistry } from '../../src/registry/writer.ts';

export type Ask = { keys: string[]; bytes: number };
export type Tell = { ready: true } | { written: string } | { refused: string; code: string };

const registry = await openRegistry({
  file: process.argv[2]!,
  clock: Date.now,
  onFailure: (error) => {
    throw error;
  },
});
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
