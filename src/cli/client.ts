// The client of the operator API: calls, lists page after page, and streams, wherever the server is.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isProblemCode, Problem } from '../problem.ts';
import type { ProblemJson } from '../operator/schemas.ts';
import { failureOf, type Place, send } from './connection.ts';
import { Failure } from './failure.ts';

/** What is sent: a file as it is, anything else as JSON. */
type Body = Uint8Array | Readonly<Record<string, unknown>>;

/** Paths are relative to `/api/v1` and written with `at`. Each call throws a Problem of the server's, or a Failure. */
export interface Client {
  get<Reply>(path: string): Promise<Reply>;
  /** All items of a list, page after page; no page more once there are `most`. */
  list<Item>(path: string, most?: number): Promise<Item[]>;
  /** A reply as it comes, of the media type asked for. */
  stream(path: string, accept: string): Promise<AsyncIterable<Buffer>>;
  /** The same of what a POST makes, with the fields of its header. */
  download(
    path: string,
    accept: string,
    body: Body,
  ): Promise<{ headers: IncomingHttpHeaders; content: AsyncIterable<Buffer> }>;
  /** The same of what a POST makes, with the fields of its header. */
  download(
    path: string,
    accept: string,
    body: Body,
  ): Promise<{ headers: IncomingHttpHeaders; content: AsyncIterable<Buffer> }>;
  post<Reply>(path: string, body?: Body): Promise<Reply>;
  put<Reply>(path: string, body: Body): Promise<Reply>;
  patch<Reply>(path: string, body: Body): Promise<Reply>;
  delete<Reply>(path: string): Promise<Reply>;
}

const root = '/api/v1';

/**
 * A path with whatever stands in it percent-encoded: at`/accounts/${account}/devices/${device}`. Dots too, since `.` and
 * `..` are device IDs like any other.
 */
export function at(parts: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  return parts.reduce((path, part, index) => path + segment(values[index - 1]!) + part);
}

function segment(value: string | number): string {
  return encodeURIComponent(String(value).toWellFormed()).replaceAll('.', '%2E');
}

/** A query with these members, after its question mark; empty for none. */
export function queryOf(
  members: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>,
): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [value]) query.append(name, String(each).toWellFormed());
  }
  return query.size === 0 ? '' : `?${query.toString()}`;
}

/** The client of the server that runs on a data directory (absolute path), over its socket. */
export function openClient(dataDir: string): Client {
  return clientOf({ kind: 'socket', dataDir });
}

/** The client of the server at a place. It connects anew for each call. */
export function clientOf(place: Place, warn: (sentence: string) => void = () => {}): Client {
  const open = async (method: string, path: string, accept: string, body?: Body): Promise<IncomingMessage> => {
    const payload = body === undefined ? null : body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
    const type =
      body === undefined ? null : body instanceof Uint8Array ? 'application/octet-stream' : 'application/json';
    const reply = await send(place, { method, path, accept, type, payload });
    const unconfirmed = reply.headers['fleetroot-unconfirmed'];
    if (unconfirmed !== undefined) warn(unconfirmedSentence(String(unconfirmed)));
    if ((reply.statusCode ?? 0) >= 400) throw problemOf(reply.statusCode ?? 0, await whole(reply, place));
    return reply;
  };
  const json = async (method: string, path: string, body?: Body) => {
    const reply = await open(method, root + path, 'application/json', body);
    return jsonOf(await whole(reply, place), place);
  };
  return {
    get: (path) => json('GET', path),
    async list<Item>(path: string, most = Number.POSITIVE_INFINITY) {
      const items: Item[] = [];
      for (let page: string | null = root + path; page !== null && items.length < most;) {
        const reply = await open('GET', page, 'application/json');
        for (const item of jsonOf(await whole(reply, place), place) as Item[]) items.push(item);
        page = /<([^>]+)>; rel="next"/.exec(String(reply.headers['link']))?.[1] ?? null;
      }
      return items.slice(0, most);
    },
    async stream(path, accept) {
      const reply = await open('GET', root + path, accept);
      return pieces(reply, place);
    },
    async download(path, accept, body) {
      const reply = await open('POST', root + path, accept, body);
      return { headers: reply.headers, content: pieces(reply, place) };
    },
    post: (path, body) => json('POST', path, body),
    put: (path, body) => json('PUT', path, body),
    patch: (path, body) => json('PATCH', path, body),
    delete: (path) => json('DELETE', path),
  };
}

function unconfirmedSentence(names: string): string {
  const nodes = names.split(', ').map(decodeURIComponent).join(', ');
  return `These nodes have not confirmed yet that they act on this: ${nodes}. They may still let in what is to be kept out.`;
}

async function* pieces(reply: IncomingMessage, place: Place): AsyncGenerator<Buffer> {
  try {
    for await (const piece of reply) yield piece as Buffer;
  } catch (error) {
    throw failureOf(error as NodeJS.ErrnoException, place);
  }
}

async function whole(reply: IncomingMessage, place: Place): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(pieces(reply, place)));
}

function jsonOf(body: Buffer, place: Place) {
  if (body.length === 0) return null;
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    const where = place.kind === 'socket' ? place.dataDir : place.url.href;
    throw new Failure(`what answers at ${where} is no Fleetroot server: its reply is no JSON`);
  }
}

/** The problem that a reply tells; a reply that tells none is not of a server of ours. */
function problemOf(status: number, body: Buffer): Error {
  let problem: Partial<ProblemJson> = {};
  try {
    problem = JSON.parse(body.toString('utf8')) as ProblemJson;
  } catch {
    // Told below.
  }
  if (!problem.code || !isProblemCode(problem.code)) return new Failure(`the server answered with status ${status}`);
  const hint = problem.instance ? `the log of the server tells more under ${problem.instance}` : (problem.hint ?? null);
  return new Problem(problem.code, problem.detail, hint);
}
