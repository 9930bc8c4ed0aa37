// What a command is: data, from which the parser, the help texts and docs/commands.md are all read.

import type { ImpactJson } from '../operator/impact-schemas.ts';
import type { Client } from './client.ts';
import type { Place } from './connection.ts';
import type { Page } from './page.ts';
import type { Terminal } from './terminal.ts';

/** How often a value may stand: arguments are `once` unless said otherwise, options at most once. */
type Occurs = 'once' | 'optional' | 'required' | 'repeated' | 'flag';

/** One argument or option: what the usage line shows, what the help says, and how its text becomes a value. */
export interface Parameter<Value, Often extends Occurs = Occurs> {
  readonly shown: string;
  readonly about: string;
  readonly occurs: Often;
  /** One letter that stands for an option's name. */
  readonly short?: string;
  /** Reads one text. Throws UsageError where it is no such value, Failure where a file cannot be read. */
  readonly read: (text: string) => Value;
}

export type Parameters = Readonly<Record<string, Parameter<unknown>>>;

type ArgumentValue<P> =
  P extends Parameter<infer Value, infer Often>
    ? Often extends 'repeated'
      ? Value[]
      : Often extends 'optional'
        ? Value | undefined
        : Value
    : never;

type OptionValue<P> =
  P extends Parameter<infer Value, infer Often>
    ? Often extends 'flag'
      ? boolean
      : Often extends 'repeated'
        ? Value[]
        : Often extends 'required'
          ? Value
          : Value | undefined
    : never;

type Values<A, O> = { readonly [K in keyof A]: ArgumentValue<A[K]> } & { readonly [K in keyof O]: OptionValue<O[K]> };

/** What a command works with. */
export interface Session {
  /** Absolute path of the data directory, for what works on one. */
  readonly dataDir: string;
  /** The server that is meant. Throws UsageError or Failure where none can be. */
  readonly place: () => Place;
  readonly api: Client;
  readonly terminal: Terminal;
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Common options that a command may take. */
export type CommonOption = 'data' | 'url' | 'context' | 'token' | 'ca' | 'json' | 'yes' | 'dry-run' | 'max';

/** Those by which a command finds its server. */
export const pointers = ['data', 'url', 'context', 'token', 'ca'] as const satisfies readonly CommonOption[];

/** Those of commands that break something. */
const weighing = ['dry-run', 'max'] as const satisfies readonly CommonOption[];

/** Asked before something destructive. */
interface Confirmation<Given> {
  readonly question: (given: Given) => string;
  /**
   * Without a terminal there is nobody to ask: what erases records then needs `--yes`; what only shuts out goes ahead,
   * since a script says what it means.
   */
  readonly erases: boolean;
}

interface Definition<A extends Parameters, O extends Parameters, Result> {
  readonly words: string;
  readonly about: string;
  /** Further lines of its help text. */
  readonly more?: readonly string[];
  /** Its usage lines, where they cannot be read from its parameters. */
  readonly usage?: readonly string[];
  readonly arguments?: A;
  readonly options?: O;
  /** The common options it takes: all, unless said otherwise. */
  readonly common?: readonly CommonOption[];
  readonly confirm?: Confirmation<Values<A, O>>;
  /**
   * Whether what it does is weighed first (weighing.ts), to a device that it names or to however many. Its `call` then
   * changes something by one call of the API, which takes `dry_run` and `confirm`.
   */
  readonly weighed?: 'device' | 'fleet';
  /** Checks what no single value shows. Throws UsageError. */
  readonly check?: (given: Values<A, O>) => void;
  readonly call: (given: Values<A, O>, session: Session) => Promise<Result>;
  readonly print: (result: Result, given: Values<A, O>) => Page;
  /** What `--json` prints, where it is not the result itself. */
  readonly json?: (result: Result) => unknown;
  /** 0 unless said otherwise. */
  readonly exitCode?: (result: Result) => number;
}

/** A command as the parser and the help see it. `given` is what the parser read for its own parameters. */
export interface Command {
  readonly words: readonly string[];
  readonly about: string;
  readonly more: readonly string[];
  readonly usage: readonly string[] | null;
  readonly arguments: Parameters;
  readonly options: Parameters;
  readonly common: readonly CommonOption[];
  readonly confirm: Confirmation<Record<string, unknown>> | null;
  /** Makes the same call as `run` where the session's client asks for a dry run; null for a command without one. */
  readonly weigh: ((given: Record<string, unknown>, session: Session) => Promise<ImpactJson>) | null;
  readonly weighed: 'device' | 'fleet' | null;
  readonly check: (given: Record<string, unknown>) => void;
  readonly run: (given: Record<string, unknown>, session: Session) => Promise<Outcome>;
}

/** A command whose server is asked first what it would touch. */
export type WeighedCommand = Command & { readonly weigh: NonNullable<Command['weigh']> };

export function isWeighed(command: Command): command is WeighedCommand {
  return command.weigh !== null;
}

export interface Outcome {
  readonly json: unknown;
  readonly page: Page;
  readonly exitCode: number;
}

/** Makes a command of its definition. */
export function command<
  const A extends Parameters = Record<never, never>,
  const O extends Parameters = Record<never, never>,
  Result = void,
>(definition: Definition<A, O, Result>): Command {
  const { words, about, more = [], usage = null, confirm, check = () => {}, json = (result) => result } = definition;
  type Given = Values<A, O>;
  return {
    words: words.split(' '),
    about,
    more,
    usage,
    arguments: definition.arguments ?? {},
    options: definition.options ?? {},
    // What is the command's own means what it says there: `upstream set --ca` is the back end's.
    common: (definition.common ?? [...pointers, 'json', 'yes', ...(definition.weighed ? weighing : [])]).filter(
      (name) => !Object.hasOwn(definition.options ?? {}, name),
    ),
    confirm: confirm ? { ...confirm, question: (given) => confirm.question(given as Given) } : null,
    // A dry run is answered with an impact, whatever the call itself is answered with.
    weighed: definition.weighed ?? null,
    weigh: definition.weighed
      ? (given, session) => definition.call(given as Given, session) as Promise<unknown> as Promise<ImpactJson>
      : null,
    check: (given) => check(given as Given),
    run: async (given, session) => {
      const result = await definition.call(given as Given, session);
      return {
        json: json(result),
        page: definition.print(result, given as Given),
        exitCode: definition.exitCode?.(result) ?? 0,
      };
    },
  };
}
