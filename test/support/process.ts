// Other programs as tests run them: arguments in, exit code and output out.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout as bytes. */
  readonly bytes: Buffer;
}

/** Runs a program to its end, its stdin closed or fed with `input`. Never throws for what the program answers. */
export function execute(
  command: string,
  args: readonly string[],
  { input, cwd, env }: { input?: string | Uint8Array | undefined; cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: env ?? process.env, stdio: 'pipe' });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => out.push(part));
    child.stderr.on('data', (part: Buffer) => err.push(part));
    child.stdin.on('error', () => undefined);
    child.once('error', reject);
    child.once('close', (code) => {
      const bytes = Buffer.concat(out);
      resolve({ code, bytes, stdout: bytes.toString('utf8'), stderr: Buffer.concat(err).toString('utf8') });
    });
    child.stdin.end(input);
  });
}

/** Runs a program that must succeed and gives its stdout. */
export async function succeed(...[command, args, options]: Parameters<typeof execute>): Promise<string> {
  const outcome = await execute(command, args, options);
  if (outcome.code !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${outcome.code}:\n${outcome.stderr}${outcome.stdout}`);
  }
  return outcome.stdout;
}

/** A directory of the test's own, removed when disposed of. */
export async function temporaryDirectory(): Promise<
  AsyncDisposable & { readonly path: string; file(name: string): string }
> {
  const path = await mkdtemp(join(tmpdir(), 'fleetroot-test-'));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
