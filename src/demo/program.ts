// The programs of the story, each a process of its own as it is in a factory.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The program itself, as it was started. */
const main = process.argv[1] as string;
const thief = fileURLToPath(new URL('thief.ts', import.meta.url));

/** Runs `fleetroot` with these words, `typed` on its stdin; what it prints. Throws with what it complained of. */
export function fleetroot(words: readonly string[], typed = ''): Promise<string> {
  return finish(start(main, words), typed);
}

/** Runs the thief; the certificate, PEM. Throws with what it complained of. */
export function steal(directory: string, deviceId: string, publicKey: string): Promise<string> {
  return finish(start(thief, [directory, deviceId, publicKey]), '');
}

/** One that stays up, until it is disposed of. */
export interface Program extends AsyncDisposable {
  readonly said: string;
}

/** Starts a program that stays up, and waits until it says that it is ready; what it has said, and the program. */
export async function startProgram(words: readonly string[]): Promise<Program> {
  const child = start(main, words);
  child.stdin?.end();
  let said = '';
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (piece: Buffer) => {
      said += piece.toString('utf8');
      if (/^Ready\b/m.test(said)) resolve();
    });
    child.stderr?.on('data', (piece: Buffer) => (said += piece.toString('utf8')));
    child.once('exit', () => reject(new Error(said)));
  });
  await ready;
  return {
    said,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

function start(file: string, words: readonly string[]): ChildProcess {
  return spawn(process.execPath, [...process.execArgv, file, ...words], { stdio: 'pipe' });
}

async function finish(child: ChildProcess, typed: string): Promise<string> {
  let out = '';
  let err = '';
  child.stdout?.on('data', (piece: Buffer) => (out += piece.toString('utf8')));
  child.stderr?.on('data', (piece: Buffer) => (err += piece.toString('utf8')));
  child.stdin?.end(typed);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(err || out);
  return out;
}
