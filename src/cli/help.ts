// The help texts, read from the table of commands.

import { commonOptions } from './common-options.ts';
import type { Command, Parameter, Parameters } from './command.ts';
import { UsageError } from './failure.ts';

const globalOptions = ['help', 'version'] as const;

/** The usage lines of a command, mostly one: its words, arguments and own options. */
export function usageOf(command: Command): string {
  if (command.usage) return command.usage.map((line) => `fleetroot ${line}`).join('\n       ');
  const words = Object.values(command.arguments).map(({ shown, occurs }) =>
    occurs === 'optional' ? `[${shown}]` : occurs === 'repeated' ? `${shown}…` : shown,
  );
  const options = Object.entries(command.options).map(([name, option]) => {
    const written = [optionName(name, option), option.shown].filter(Boolean).join(' ');
    return option.occurs === 'required' ? written : option.occurs === 'repeated' ? `[${written}]…` : `[${written}]`;
  });
  return ['fleetroot', ...command.words, ...words, ...options].join(' ');
}

/** An option as it is mostly written: `--expires`, `-o`. */
export function optionName(name: string, { short }: Parameter<unknown>): string {
  return short ? `-${short}` : `--${name}`;
}

/** What `--help` prints after these words: one command's help, else the list of all commands that begin with them. */
export function helpText(words: readonly string[], commands: readonly Command[]): string {
  const exact = commands.find((command) => command.words.every((word, index) => word === words[index]));
  if (exact) return commandHelp(exact);
  const listed = commands.filter((command) => words.every((word, index) => word === command.words[index]));
  if (listed.length === 0) {
    throw new UsageError(`there is no command "${words.join(' ')}"`, '`fleetroot --help` lists the commands');
  }
  return overview(listed);
}

/** The help of one command: its usage, what it does, its own arguments and options, and the common ones that it takes. */
export function commandHelp(command: Command): string {
  const names = [...command.common, 'help'] as const;
  const common = describeOptions(Object.fromEntries(names.map((name) => [name, commonOptions[name]])));
  return `${commandReference(command)}\n${columns(common)}`;
}

/** What of a command's help is its own. */
export function commandReference(command: Command): string {
  const own = { ...describeArguments(command.arguments), ...describeOptions(command.options) };
  return [
    `usage: ${usageOf(command)}\n`,
    `${[command.about, ...command.more].join('\n')}\n`,
    ...(Object.keys(own).length > 0 ? [columns(own)] : []),
  ].join('\n');
}

function overview(commands: readonly Command[]): string {
  return [
    'usage: fleetroot COMMAND …, with --data DIR for another data directory than ./fleetroot-data,\n' +
      'or --url or --context for a server elsewhere (`fleetroot login --help`)\n',
    columns(Object.fromEntries(commands.map((command) => [command.words.join(' '), command.about]))),
    columns(describeOptions(Object.fromEntries(globalOptions.map((name) => [name, commonOptions[name]])))),
  ].join('\n');
}

function describeArguments(parameters: Parameters): Record<string, string> {
  return Object.fromEntries(Object.values(parameters).map(({ shown, about }) => [shown, about]));
}

function describeOptions(parameters: Parameters): Record<string, string> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, option]) => [
      [option.short ? `-${option.short}, --${name}` : `--${name}`, option.shown].filter(Boolean).join(' '),
      option.about,
    ]),
  );
}

function columns(entries: Readonly<Record<string, string>>): string {
  const width = Math.max(...Object.keys(entries).map((left) => left.length));
  return Object.entries(entries)
    .map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`)
    .join('');
}
