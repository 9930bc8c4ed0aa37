// The program `fleetroot`: one command line in, one exit code out.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Problem } from '../problem.ts';
import { openClient } from './client.ts';
import type { Command } from './command.ts';
import { commands } from './commands.ts';
import { Failure, UsageError } from './failure.ts';
import { helpText } from './help.ts';
import { parse } from './parse.ts';
import { printable, printableJson, printableLines } from './printable.ts';
import type { Terminal } from './terminal.ts';

const done = 0;
const failed = 1;
const misused = 2;

/**
 * Runs one command line on a terminal, or what stands in its place. Returns the exit code: 0 done, 1 refused or failed,
 * 2 wrong usage. Throws only what is a fault of the program itself.
 */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv, terminal: Terminal): Promise<number> {
  try {
    return await runCommand(argv, env, terminal);
  } catch (error) {
    if (!(error instanceof Failure || error instanceof Problem)) throw error;
    terminal.err(`error: ${printableLines(error.message)}\n`);
    if (error instanceof UsageError && error.usage) terminal.err(`usage: ${error.usage}\n`);
    if (error.hint) terminal.err(`hint: ${printableLines(error.hint)}\n`);
    return error instanceof UsageError ? misused : failed;
  }
}

async function runCommand(argv: readonly string[], env: NodeJS.ProcessEnv, terminal: Terminal): Promise<number> {
  const parsed = parse(argv, commands);
  if (parsed.kind === 'version') {
    terminal.out(`fleetroot ${version()}\n`);
    return done;
  }
  if (parsed.kind === 'help') {
    terminal.out(helpText(parsed.words, commands));
    return done;
  }
  const { command, given } = parsed;
  if (!parsed.yes) await confirm(command, given, terminal);
  const dataDir = resolve(parsed.data ?? env['FLEETROOT_DATA'] ?? 'fleetroot-data');
  const session = { dataDir, api: openClient(dataDir), terminal, env, now: Date.now() };
  const { json, page, exitCode } = await command.run(given, session);
  if (parsed.json) {
    for (const piece of printableJson(json)) terminal.out(piece);
  } else {
    terminal.out(page.out);
    if (page.note) terminal.err(`${printableLines(page.note)}\n`);
  }
  return exitCode;
}

/** Asks before something destructive. Throws Failure where the answer is no, or nobody is there to give one. */
async function confirm({ confirm: asked }: Command, given: Record<string, unknown>, terminal: Terminal): Promise<void> {
  if (!asked) return;
  const answer = await terminal.ask(printable(asked.question(given)));
  if (answer === false) throw new Failure('not confirmed: nothing was done');
  if (answer === null && asked.erases) {
    throw new Failure('this needs to be confirmed, and there is no terminal to ask', 'give --yes to go ahead');
  }
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
