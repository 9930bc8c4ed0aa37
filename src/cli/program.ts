// The program `fleetroot`: one command line in, one exit code out.

import { styleText } from 'node:util';
import { Problem } from '../problem.ts';
import { programVersion } from '../version.ts';
import { clientOf } from './client.ts';
import { isWeighed, type Session } from './command.ts';
import { commands } from './commands.ts';
import { completions } from './completion.ts';
import { Failure, UsageError } from './failure.ts';
import { helpText } from './help.ts';
import { parse } from './parse.ts';
import { dataDirOf, placeOf } from './place.ts';
import { printable, printableJson, printableLines } from './printable.ts';
import type { Terminal } from './terminal.ts';
import { askToGoAhead, impactPage, weigh } from './weighing.ts';

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
    const coloured = (colour: 'red' | 'cyan', word: string): string =>
      terminal.colours ? styleText(colour, word, { validateStream: false }) : word;
    terminal.err(`${coloured('red', 'error:')} ${printableLines(error.message)}\n`);
    if (error instanceof UsageError && error.usage) terminal.err(`usage: ${error.usage}\n`);
    if (error.hint) terminal.err(`${coloured('cyan', 'hint:')} ${printableLines(error.hint)}\n`);
    return error instanceof UsageError ? misused : failed;
  }
}

async function runCommand(argv: readonly string[], env: NodeJS.ProcessEnv, terminal: Terminal): Promise<number> {
  if (argv[0] === 'complete' && argv[1] === '--') {
    // Asked by the scripts of `completion`: no command of its own, since what follows is any command line's beginning.
    for (const word of completions(argv.slice(2), commands)) terminal.out(`${word}\n`);
    return done;
  }
  const parsed = parse(argv, commands);
  if (parsed.kind === 'version') {
    terminal.out(`fleetroot ${programVersion()}\n`);
    return done;
  }
  if (parsed.kind === 'help') {
    terminal.out(helpText(parsed.words, commands));
    return done;
  }
  const { command, given } = parsed;
  const { confirm } = command;
  if (command.weigh === null && confirm && !parsed.yes) {
    await askToGoAhead(terminal, printable(confirm.question(given)), confirm.erases);
  }
  const { pointers } = parsed;
  const place = () => placeOf(pointers, env);
  const session: Session = {
    dataDir: dataDirOf(pointers, env),
    place,
    // Found when it is needed: not every command asks a server.
    get api() {
      return clientOf(place(), (sentence) => terminal.err(`warning: ${printable(sentence)}\n`));
    },
    terminal,
    env,
    now: Date.now(),
  };
  const weighed = isWeighed(command) ? await weigh(command, given, session, parsed) : session;
  const outcome =
    'devices' in weighed
      ? { json: weighed, page: impactPage(weighed), exitCode: done }
      : await command.run(given, weighed);
  const { json, page, exitCode } = outcome;
  if (parsed.json) {
    for (const piece of printableJson(json)) terminal.out(piece);
  } else {
    terminal.out(terminal.look && page.fit ? page.fit(terminal.look) : page.out);
    if (page.note) terminal.err(`${printableLines(page.note)}\n`);
  }
  return exitCode;
}
