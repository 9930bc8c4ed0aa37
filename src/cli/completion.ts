// What may come next on a command line, read from the table of commands, for the shells to offer.

import { commonOptions } from './common-options.ts';
import type { Command, Parameter, Parameters } from './command.ts';

const isChoice = /^[a-z0-9-]+(\|[a-z0-9-]+)+$/;

/** The values of a parameter where it names them all. */
function valuesOf({ shown }: Parameter<unknown>): string[] {
  return isChoice.test(shown) ? shown.split('|') : [];
}

function optionsOf(command: Command): Parameters {
  const common = Object.fromEntries(command.common.map((name) => [name, commonOptions[name]]));
  return { ...command.options, ...common, help: commonOptions.help };
}

/** The words without the options and their values that stand among them. */
function positionals(words: readonly string[], options: Parameters): string[] {
  return words.filter((word, index) => {
    if (word.startsWith('-')) return false;
    const before = /^--([^=]+)$/.exec(words[index - 1] ?? '')?.[1];
    return before === undefined || !Object.hasOwn(options, before) || options[before]!.occurs === 'flag';
  });
}

/**
 * What can stand for the last of `words`, which may be the beginning of one or empty: words of commands, options, the
 * values of a choice. An empty answer leaves it to the shell, which offers files.
 */
export function completions(words: readonly string[], commands: readonly Command[]): string[] {
  const last = words.at(-1) ?? '';
  const anywhere: Parameters = { ...commonOptions, ...Object.assign({}, ...commands.map(({ options }) => options)) };
  const before = positionals(words.slice(0, -1), anywhere);
  const found = commands.find((command) => command.words.every((word, index) => word === before[index]));
  const options = found ? optionsOf(found) : commonOptions;
  const offered = (): string[] => {
    const option = /^--([^=]+)$/.exec(words.at(-2) ?? '')?.[1];
    if (option !== undefined && Object.hasOwn(options, option) && (options as Parameters)[option]!.occurs !== 'flag') {
      return valuesOf((options as Parameters)[option]!);
    }
    if (last.startsWith('-')) return Object.keys(options).map((name) => `--${name}`);
    if (found) {
      const argument = Object.values(found.arguments)[before.length - found.words.length];
      return argument ? valuesOf(argument) : [];
    }
    return commands
      .filter((command) => before.every((word, index) => word === command.words[index]))
      .map((command) => command.words[before.length]!);
  };
  return [...new Set(offered())].filter((word) => word.startsWith(last)).sort();
}

/** The scripts that a shell reads once: each asks the program itself, so that none of them is ever out of date. */
export const completionScripts = {
  bash: `_fleetroot() {
  local IFS=$'\\n'
  COMPREPLY=($("\${COMP_WORDS[0]}" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _fleetroot fleetroot
`,
  zsh: `#compdef fleetroot
_fleetroot() {
  local -a offered
  offered=("\${(@f)$("\${words[1]}" complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${offered[1]}" ]]; then compadd -a offered; else _files; fi
}
compdef _fleetroot fleetroot
`,
  fish: `function __fleetroot_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] complete -- $words[2..-1] 2>/dev/null
end
complete -c fleetroot -a '(__fleetroot_complete)'
`,
} as const;
