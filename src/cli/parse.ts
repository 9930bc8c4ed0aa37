// From the words of a command line to a command and its values: options may stand before or after its words.

import { parseArgs, type ParseArgsConfig } from 'node:util';
import { commonOptions } from './common-options.ts';
import { type Command, type Parameter, type Parameters, pointers } from './command.ts';
import { UsageError } from './failure.ts';
import { optionName, usageOf } from './help.ts';
import type { Pointers } from './place.ts';

export type Parsed =
  | { readonly kind: 'version' }
  /** `words` are those given: the help of a command, or of all that begin so. */
  | { readonly kind: 'help'; readonly words: readonly string[] }
  | {
      readonly kind: 'run';
      readonly command: Command;
      readonly given: Record<string, unknown>;
      readonly pointers: Pointers;
      readonly json: boolean;
      readonly yes: boolean;
      readonly dryRun: boolean;
      readonly max: number | null;
    };

/** What was written for one option: null where it stands without a value. */
type Written = Map<string, (string | null)[]>;

/** Reads a command line. Throws UsageError for one that is none, Failure where a file named on it cannot be read. */
export function parse(argv: readonly string[], commands: readonly Command[]): Parsed {
  const { words, written } = split(argv, commands);
  if (written.has('help')) return { kind: 'help', words };
  if (written.has('version')) return { kind: 'version' };
  if (words.length === 0 && written.size === 0) return { kind: 'help', words };
  const command = findCommand(words, commands);
  const common = Object.fromEntries(command.common.map((name) => [name, commonOptions[name]]));
  const taken: Parameters = { ...command.options, ...common };
  for (const [name, values] of written) {
    checkOption(name, Object.hasOwn(taken, name) ? taken[name] : undefined, values, command);
  }
  const given: Record<string, unknown> = readArguments(words.slice(command.words.length), command);
  for (const [name, option] of Object.entries(command.options))
    given[name] = readOption(name, option, written.get(name) ?? [], command);
  try {
    command.check(given);
  } catch (error) {
    throw error instanceof UsageError ? misused(command, error.message, error.hint) : error;
  }
  return {
    kind: 'run',
    command,
    given,
    pointers: Object.fromEntries(
      pointers.flatMap((name) => {
        const value = command.common.includes(name) ? written.get(name)?.[0] : undefined;
        return value == null ? [] : [[name, value]];
      }),
    ),
    json: written.has('json'),
    yes: written.has('yes'),
    dryRun: written.has('dry-run') && command.weigh !== null,
    max:
      command.weigh &&
      ((readOption('max', commonOptions.max, written.get('max') ?? [], command) ?? null) as number | null),
  };
}

/** The command whose words a line begins with. Throws UsageError. */
function findCommand(words: readonly string[], commands: readonly Command[]): Command {
  const begins = (line: readonly string[], with_: readonly string[]): boolean =>
    with_.length <= line.length && with_.every((word, index) => word === line[index]);
  const found = commands.find((command) => begins(words, command.words));
  if (found) return found;
  const group = commands.filter((command) => command.words.length > 1 && command.words[0] === words[0]);
  if (group.length === 0) {
    const what = words.length === 0 ? 'there is no command' : `there is no command "${words[0]}"`;
    throw new UsageError(what, '`fleetroot --help` lists the commands');
  }
  const deeper = group.filter((command) => begins(command.words, words));
  const next = [...new Set((deeper.length > 0 ? deeper : group).map((command) => command.words.join(' ')))];
  throw new UsageError(
    deeper.length > 0
      ? `"${words.join(' ')}" needs one word more`
      : `there is no command "${words.slice(0, 2).join(' ')}"`,
    `there is ${next.join(', ')}; \`fleetroot ${words[0]} --help\` explains them`,
  );
}

/** Takes a line apart before the command is known: a name means an option with or without a value, never both. */
function split(argv: readonly string[], commands: readonly Command[]): { words: string[]; written: Written } {
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const parameters of [commonOptions, ...commands.map((command) => command.options)] as readonly Parameters[]) {
    for (const [name, { occurs, short: letter }] of Object.entries(parameters)) {
      options[name] = { type: occurs === 'flag' ? 'boolean' : 'string', ...(letter && { short: letter }) };
    }
  }
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, tokens: true, allowPositionals: true });
  const words: string[] = [];
  const written: Written = new Map();
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    if (!token.inlineValue && token.value !== undefined && /^-./s.test(token.value)) {
      throw new UsageError(
        `${token.rawName} needs a value`,
        `write ${token.rawName}=${token.value} if that is the value`,
      );
    }
    written.set(token.name, [...(written.get(token.name) ?? []), token.value ?? null]);
  }
  return { words, written };
}

function checkOption(
  name: string,
  option: Parameter<unknown> | undefined,
  values: readonly (string | null)[],
  command: Command,
): void {
  if (!option) {
    throw misused(command, `${command.words.join(' ')} has no option ${name.length === 1 ? '-' : '--'}${name}`);
  }
  const shown = optionName(name, option);
  const isFlag = option.occurs === 'flag';
  if (!isFlag && values.includes(null)) throw misused(command, `${shown} needs ${option.shown}`);
  if (isFlag && !values.includes(null)) throw misused(command, `${shown} takes no value`);
  if (values.length > 1 && !isFlag && option.occurs !== 'repeated') throw misused(command, `${shown} stands twice`);
}

function readOption(
  name: string,
  option: Parameter<unknown>,
  values: readonly (string | null)[],
  command: Command,
): unknown {
  if (option.occurs === 'flag') return values.length > 0;
  const shown = optionName(name, option);
  const read = values.map((value) => readValue(value as string, option, shown, command));
  if (option.occurs === 'repeated') return read;
  if (option.occurs === 'required' && read.length === 0) {
    throw misused(command, `${shown} ${option.shown} is missing`);
  }
  return read[0];
}

function readArguments(texts: readonly string[], command: Command): Record<string, unknown> {
  const all = Object.entries(command.arguments);
  let taken = 0;
  const mine = all.map(([, argument]) => {
    const values = argument.occurs === 'repeated' ? texts.slice(taken) : texts.slice(taken, taken + 1);
    taken += values.length;
    if (values.length === 0 && argument.occurs !== 'optional') throw misused(command, `${argument.shown} is missing`);
    return values;
  });
  if (texts.includes('')) throw misused(command, 'an argument is empty');
  if (taken < texts.length) throw misused(command, `"${texts[taken]}" is one word too many`);
  return Object.fromEntries(
    all.map(([name, argument], index) => {
      const values = mine[index]!.map((value) => readValue(value, argument, argument.shown, command));
      return [name, argument.occurs === 'repeated' ? values : values[0]];
    }),
  );
}

function readValue(value: string, parameter: Parameter<unknown>, place: string, command: Command): unknown {
  try {
    return parameter.read(value);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw misused(command, `${place}: ${error.message}`, error.hint);
  }
}

function misused(command: Command, message: string, hint: string | null = null): UsageError {
  return new UsageError(
    message,
    hint ?? `\`fleetroot ${command.words.join(' ')} --help\` explains it`,
    usageOf(command),
  );
}
