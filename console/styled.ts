// Fails the build where a component of Mantine is used whose style sheet console/mantine.css does not name.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

const stylesOf = /@mantine\/core\/.*\/(\w+)\.module\.mjs$/;

/** The plugin: all style sheets weigh twice as much as those that are used, and one that is missing is easily overlooked. */
export function styled(): Plugin {
  return {
    name: 'fleetroot-styled',
    apply: 'build',
    generateBundle(_options, bundle) {
      const named = readFileSync(join(import.meta.dirname, 'mantine.css'), 'utf8');
      const used = Object.values(bundle).flatMap((part) => (part.type === 'chunk' ? Object.keys(part.modules) : []));
      const missing = used
        .map((id) => stylesOf.exec(id)?.[1])
        .filter((name) => name !== undefined && !named.includes(`/styles/${name}.css'`));
      if (missing.length > 0) this.error(`console/mantine.css has no style sheet for ${missing.join(', ')}.`);
    },
  };
}
