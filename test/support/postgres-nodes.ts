// Registries on one PostgreSQL, each as a node of its own has it.

import type { PostgresSettings } from '../../src/registry/postgres-connections.ts';
import { openSharedRegistry, type Registry } from '../../src/registry/writer.ts';
import { settingsFor } from './registry.ts';

/** Opens the registry of a database as the node of that name. */
export function openNode(url: string, name: string, settings: Partial<PostgresSettings> = {}): Promise<Registry> {
  return openSharedRegistry({
    postgres: { ...settingsFor(url), ...settings },
    node: { id: name, name, version: 'test' },
    directory: null,
    clock: Date.now,
    onFailure: (error) => {
      throw error;
    },
  });
}
