// The client of the operator API, over the Unix socket in the data directory.

import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { isProblemCode, Problem } from '../problem.ts';
import { socketPath } from '../socket-path.ts';
import type { ProblemJson } from '../operator/schemas.ts';
import { Failure } from './failure.ts';

/** What is sent: a file as it is, anything else as JSON. */
type Body = Uint8Array | Readonly<Record<string, unknown>>;

/** Paths are relative to `/api/v1` and written with `at`. Each call throws a Problem of the server's, or a Failure. */
export interface Client {
  get<Reply>(path: string): Promise<Reply>;
  /** All items of a list, page after page. */
  list<Item>(path: string): Promise<Item[]>;
  post<Reply>(path: string, body?: Body): Promise<Reply>;
  put<Reply>(path: string, body: Body): Promise<Reply>;
  patch<Reply>(path: string, body: Body): Promise<Reply>;
  delete<Reply>(path: string): Promise<Reply>;
}

interface Reply {
  readonly status: number;
  readonly next: string | null;
  readonly body: Buffer;
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

/** The client of the server that runs on a data directory (absolute path). It connects anew for each call. */
export function openClient(dataDir: string): Client {
  const call = async (method: string, path: string, body?: Body): Promise<Reply> => {
    const reply = await exchange(dataDir, method, path, body);
    if (reply.status >= 400) throw problemOf(reply);
    return reply;
  };
  const json = async (method: string, path: string, body?: Body) =>
    JSON.parse((await call(method, root + path, body)).body.toString('utf8'));
  return {
    get: (path) => json('GET', path),
    async list<Item>(path: string) {
      const items: Item[] = [];
      for (let page: string | null = root + path; page !== null;) {
        const reply = await call('GET', page);
        for (const item of JSON.parse(reply.body.toString('utf8')) as Item[]) items.push(item);
        page = reply.next;
      }
      return items;
    },
    post: (path, body) => json('POST', path, body),
    put: (path, body) => json('PUT', path, body),
    patch: (path, body) => json('PATCH', path, body),
    delete: (path) => json('DELETE', path),
  };
}

function exchange(dataDir: string, method: string, path: string, body: Body | undefined): Promise<Reply> {
  const payload = body === undefined || body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
  return new Promise((resolve, reject) => {
    const short = socketPath(join(dataDir, 'operator.sock'));
    const socket = connect(short.path);
    const settled = () => short[Symbol.dispose]();
    socket.once('connect', settled).once('error', settled);
    const call = request({
      createConnection: () => socket,
      method,
      path,
      headers: {
        host: 'localhost',
        connection: 'close',
        accept: 'application/json',
        ...(payload && {
          'content-type': body instanceof Uint8Array ? 'application/octet-stream' : 'application/json',
          'content-length': payload.length,
        }),
      },
    });
    call.once('error', (error: NodeJS.ErrnoException) => reject(failureOf(error, dataDir)));
    call.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', (error: NodeJS.ErrnoException) => reject(failureOf(error, dataDir)));
      response.once('end', () => {
        const [, next = null] = /<([^>]+)>; rel="next"/.exec(String(response.headers['link'])) ?? [];
        resolve({ status: response.statusCode ?? 0, next, body: Buffer.concat(chunks) });
      });
    });
    call.end(payload);
  });
}

function failureOf(error: NodeJS.ErrnoException, dataDir: string): Failure {
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ECONNREFUSED':
      return new Failure(`no server is running on ${dataDir}`, `start one with \`fleetroot serve --data ${dataDir}\``);
    case 'EACCES':
    case 'EPERM':
      return new Failure(
        `this user may not speak to the server on ${dataDir}`,
        'run the command as the user who runs the server',
      );
    default:
      return new Failure(
        `the server on ${dataDir} ended the connection before it answered (${error.message})`,
        'look whether it was done before you do it again; the log of the server says more',
      );
  }
}

/** The problem that a reply tells; a reply that tells none is not of a server of ours. */
function problemOf({ status, body }: Reply): Error {
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
