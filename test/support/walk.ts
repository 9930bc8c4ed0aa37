// Walks over everything that the server can be asked: each route of the operators' API and each command, with values for all that they take.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import type { FastifyInstance, RouteOptions } from 'fastify';
import type { Command, Parameter } from '../../src/cli/command.ts';
import { operatorCall, type OperatorAnswer } from './operator-call.ts';

/**
 * What may stand where a name stands: by the name of a path's, query's or body's member, or by how the help shows a
 * command's argument or option. What must be new each time is a function that gives it.
 */
export type Values = (name: string) => readonly unknown[] | undefined;

const resolved = (value: unknown): unknown => (typeof value === 'function' ? value() : value);

/** A route as the server itself has it. */
export interface Route {
  readonly method: string;
  /** Such as `/api/v1/accounts/:account`. */
  readonly url: string;
  readonly schema: Readonly<Record<string, Schema | undefined>>;
  /** Of its rule. */
  readonly operationId: string | undefined;
}

interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly format?: string;
  readonly contentMediaType?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

/** Listens to the routes of every Fastify server that is made from now on, until disposed of. */
export function hearRoutes(): Disposable & { readonly routes: readonly Route[] } {
  const routes: Route[] = [];
  const onRoute = ({ method, url, schema = {}, config }: RouteOptions): void => {
    for (const each of [method].flat()) {
      routes.push({ method: each, url, schema: schema as Route['schema'], operationId: config?.operationId });
    }
  };
  const onServer = (made: unknown): void => {
    (made as { fastify: FastifyInstance }).fastify.addHook('onRoute', onRoute);
  };
  subscribe('fastify.initialization', onServer);
  return { routes, [Symbol.dispose]: () => void unsubscribe('fastify.initialization', onServer) };
}

/** The values of a name. Throws where nobody has said any: a new route or command is not to be passed over. */
function valuesOf(values: Values, name: string, where: string): readonly unknown[] {
  const found = values(name);
  if (found === undefined || found.length === 0) throw new Error(`${where} takes ${name}: say how to call it`);
  return found;
}

/** Every way to take one of each list. */
function product<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>((rows, list) => rows.flatMap((row) => list.map((each) => [...row, each])), [[]]);
}

/** The same object, with what must be new made. */
function fill(members: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).map(([name, value]) => [name, resolved(value)]));
}

/** Objects with what is required alone, with each other member added in each of its values, and with all members. */
function objects(
  members: ReadonlyMap<string, readonly unknown[]>,
  required: readonly string[],
): Record<string, unknown>[] {
  const firsts = (names: Iterable<string>) =>
    Object.fromEntries([...names].map((name) => [name, members.get(name)![0]]));
  const least = firsts(required);
  const single = [...members].flatMap(([name, all]) => all.map((value) => ({ ...least, [name]: value })));
  return [least, ...single, firsts(members.keys())];
}

function schemaValues(schema: Schema, name: string, values: Values, where: string): readonly unknown[] {
  const said = values(name);
  if (said !== undefined) return said;
  if (schema.const !== undefined) return [schema.const];
  if (schema.enum) return schema.enum;
  if (schema.anyOf) return schema.anyOf.flatMap((each) => schemaValues(each, name, values, where));
  if (schema.properties) return bodies(schema, values, where);
  const [type] = [schema.type].flat();
  if (type === 'integer' || type === 'number') return [1];
  if (type === 'boolean') return [true, false];
  if (type === 'array' && schema.items) return [[...schemaValues(schema.items, name, values, where)]];
  if (schema.format === 'date-time') return [new Date(Date.now() + 86_400_000).toISOString()];
  return valuesOf(values, name, where);
}

function bodies(schema: Schema | undefined, values: Values, where: string): readonly unknown[] {
  if (schema === undefined) return [undefined];
  if (schema.contentMediaType !== undefined) {
    return valuesOf(values, 'FILE', where).map((file) => readFileSync(file as string));
  }
  if (schema.anyOf) return schema.anyOf.flatMap((each) => bodies(each, values, where));
  const members = Object.entries(schema.properties ?? {}).map(
    ([name, member]) => [name, schemaValues(member, name, values, where)] as const,
  );
  return objects(new Map(members), schema.required ?? []);
}

/** What a walk was answered: by route or command, each outcome once. */
export type Outcomes = Map<string, Set<number | null>>;

function note(outcomes: Outcomes, what: string, outcome: number | null): void {
  outcomes.set(what, (outcomes.get(what) ?? new Set()).add(outcome));
}

const deletes = ({ method }: Route): number => (method === 'DELETE' ? 1 : 0);

/** Calls each route of the API with all that the values make; `hear` is told of each answer. Gives the statuses. */
export async function walkRoutes(
  dir: string,
  routes: readonly Route[],
  values: Values,
  hear: (route: string, answer: OperatorAnswer) => void = () => {},
): Promise<Outcomes> {
  const outcomes: Outcomes = new Map();
  const prefix = '/api/v1';
  // What deletes comes last: the others would find nothing.
  for (const { method, url, schema } of routes.toSorted((one, other) => deletes(one) - deletes(other))) {
    if (!url.startsWith(prefix)) continue;
    const where = `${method} ${url}`;
    const names = [...url.matchAll(/:(\w+)/g)].map((match) => match[1]!);
    const segments = schema['params']?.properties ?? {};
    const paths = product(
      names.map((name) => (segments[name]?.enum ?? valuesOf(values, `${where} :${name}`, where)).map(String)),
    );
    const query = Object.entries(schema['querystring']?.properties ?? {}).map(
      ([name, member]) => [name, schemaValues(member, name, values, where)] as const,
    );
    const queries = query.length === 0 ? [{}] : objects(new Map(query), schema['querystring']?.required ?? []);
    for (const path of paths) {
      for (const asked of queries) {
        for (const body of bodies(schema['body'], values, where)) {
          let at = 0;
          const filled = url.slice(prefix.length).replaceAll(/:\w+/g, () => encodeURIComponent(path[at++]!));
          const search = new URLSearchParams(fill(asked) as Record<string, string>).toString();
          const type = Buffer.isBuffer(body) ? 'application/octet-stream' : 'application/json';
          const options = body === undefined ? {} : { body: Buffer.isBuffer(body) ? body : fill(body as object), type };
          const answer = await operatorCall(dir, method, search ? `${filled}?${search}` : filled, options);
          hear(where, answer);
          note(outcomes, where, answer.status);
        }
      }
    }
  }
  return outcomes;
}

const isChoice = (shown: string): boolean => /^[a-z0-9_-]+(\|[a-z0-9_-]+)*$/.test(shown);

function parameterValues([name, { shown, occurs }]: [string, Parameter<unknown>], values: Values, where: string) {
  if (occurs === 'flag') return [null];
  const said = values(`${where} ${shown}`) ?? values(`--${name}`);
  return said ?? (isChoice(shown) ? shown.split('|') : valuesOf(values, shown, where));
}

/** Gives each command with all that the values make to `run`, which gives its exit code. */
export async function walkCommands(
  commands: readonly Command[],
  values: Values,
  run: (words: readonly string[]) => Promise<number>,
): Promise<Outcomes> {
  const outcomes: Outcomes = new Map();
  for (const { words, arguments: taken, options } of commands) {
    const where = words.join(' ');
    const positional = product(Object.entries(taken).map((each) => parameterValues(each, values, where)));
    const members = Object.entries(options).map((each) => [each[0], parameterValues(each, values, where)] as const);
    const required = Object.keys(options).filter((name) => options[name]!.occurs === 'required');
    for (const given of positional) {
      for (const asked of objects(new Map(members), required)) {
        const spelt = Object.entries(fill(asked)).map(([name, value]) =>
          value === null ? `--${name}` : `--${name}=${value as string}`,
        );
        note(outcomes, where, await run([...words, ...given.map((value) => String(resolved(value))), ...spelt]));
      }
    }
  }
  return outcomes;
}
