// The version of this program.

import { readFileSync } from 'node:fs';

/** That of package.json, which lies beside `src`. */
export function programVersion(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
