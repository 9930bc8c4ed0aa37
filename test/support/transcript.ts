// Stories told at a terminal: a transcript is run line by line, and what the program says must be what it shows.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { execute, type Outcome } from './process.ts';

const main = join(import.meta.dirname, '../../src/main.ts');

/** Stripping the types of the same files anew for each command would be most of what a transcript takes. */
const environment = { NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/fleetroot') };

/** Runs `fleetroot` as a person does: its own process, the pinned Node, nobody at a terminal. */
export function fleetroot(
  words: readonly string[],
  { env = process.env, ...options }: Parameters<typeof execute>[2] = {},
): Promise<Outcome> {
  return execute(process.execPath, [main, ...words], { ...options, env: { ...env, ...environment } });
}

/**
 * Runs a transcript in a directory with a server's data directory as FLEETROOT_DATA. A line that begins with `$` is a
 * command, in which `fleetroot` is the program under test and everything else is up to the shell; the lines until the
 * next are what it prints: first stdout, then stderr with `! ` before each line, then `[n]` where the exit code is not
 * 0. `…` stands for anything within a line, a line of dots for any lines, and two spaces for the gap between columns.
 */
export async function tell(transcript: string, { cwd, data }: { cwd: string; data: string }): Promise<void> {
  const steps = transcript
    .trim()
    .split(/^ *\$ /m)
    .slice(1);
  for (const step of steps) {
    const [command = '', ...shown] = step.split('\n');
    const expected = shown.flatMap(lines).join('\n');
    const script = `fleetroot() { "$NODE" "$MAIN" "$@"; }\n${command}`;
    const env = { ...process.env, ...environment, NODE: process.execPath, MAIN: main, FLEETROOT_DATA: data };
    const { code, stdout, stderr } = await execute('sh', ['-c', script], { cwd, env });
    const said = [
      ...lines(stdout),
      ...lines(stderr).map((line) => `! ${line}`),
      ...(code === 0 ? [] : [`[${code}]`]),
    ].join('\n');
    assert.ok(pattern(expected).test(said), `$ ${command}\nwas to print\n${expected}\n\nand printed\n${said}\n`);
  }
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim().replaceAll(/ {2,}/g, '  '))
    .filter((line) => line !== '');
}

function pattern(expected: string): RegExp {
  const escaped = expected
    .split('\n')
    .map((line) => (line === '...' ? '[^]*' : line.split('…').map(RegExp.escape).join('.*')))
    .join('\n');
  return new RegExp(`^${escaped}$`);
}
