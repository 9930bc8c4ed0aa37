// A person with curl and a cookie jar, at the operators' port of a server.

import { randomUUID } from 'node:crypto';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import type { Fleetroot } from './fleetroot.ts';
import { succeed } from './process.ts';

export interface Answered {
  readonly status: number;
  /** By their names in lower case; of several of one name, the last. */
  readonly headers: ReadonlyMap<string, string>;
  readonly json: any;
}

interface Call {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Without the header that shows that no page of another site has sent it. */
  readonly bare?: boolean;
}

/** Calls over HTTPS under `/api/v1`, with the cookies that it was given. */
export class CookieJar {
  readonly #server: Fleetroot;
  #file: string;
  readonly #from: string;

  /** `from` is the loopback address that it calls from. */
  constructor(server: Fleetroot, from = '127.0.0.1') {
    this.#server = server;
    this.#file = server.file(`jar-${randomUUID()}`);
    this.#from = from;
  }

  /** Another who calls with the same cookies, from elsewhere. */
  async copiedTo(from: string): Promise<CookieJar> {
    const copy = new CookieJar(this.#server, from);
    await writeFile(copy.#file, await readFile(this.#file));
    return copy;
  }

  /** The same browser at another node: cookies are the host's, whatever the port. */
  at(server: Fleetroot): CookieJar {
    const there = new CookieJar(server, this.#from);
    there.#file = this.#file;
    return there;
  }

  /** The values of its cookies by their names. */
  async cookies(): Promise<Map<string, string>> {
    const lines = (await readFile(this.#file, 'utf8').catch(() => '')).split('\n');
    const rows = lines.map((line) => line.replace(/^#HttpOnly_/, '').split('\t')).filter((row) => row.length === 7);
    return new Map(rows.map((row) => [row[5]!, row[6]!]));
  }

  /** Calls by curl. GET without a body, else POST, unless said otherwise. */
  async call(path: string, { method, body, headers = {}, bare = false }: Call = {}): Promise<Answered> {
    await appendFile(this.#file, '');
    const given = { ...(bare ? {} : { 'X-Fleetroot': '1' }), ...headers };
    const out = await succeed('curl', [
      ...['--silent', '--show-error', '--include', '--http1.1', '--interface', this.#from],
      ...['--connect-to', `localhost::127.0.0.1:`, '--cacert', this.#server.file('operator-ca.crt')],
      ...['--cookie', this.#file, '--cookie-jar', this.#file],
      ...Object.entries(given).flatMap(([name, value]) => ['--header', `${name}: ${value}`]),
      ...(method === undefined ? [] : ['--request', method]),
      ...(body === undefined ? [] : ['--json', JSON.stringify(body)]),
      `https://localhost:${this.#server.server.operatorPort}/api/v1${path}`,
    ]);
    const [head = '', text = ''] = out.split(/\r\n\r\n(?!HTTP\/)/, 2);
    const [first = '', ...lines] = head.split('\r\n');
    return {
      status: Number(first.split(' ')[1]),
      headers: new Map(lines.map((line) => [line.split(':', 1)[0]!.toLowerCase(), line.replace(/^[^:]*: */, '')])),
      json: text === '' ? null : JSON.parse(text),
    };
  }

  /** Signs in; `totp` is a code of the authenticator app, or a recovery code. */
  signIn(name: string, password: string, totp?: string): Promise<Answered> {
    return this.call('/session', { body: { name, password, ...(totp !== undefined && { totp }) } });
  }
}

/** A password that is good enough. */
export const goodPassword = 'mill otter vivid';

/** Makes an operator on the server, over its socket. */
export async function makeOperator(server: Fleetroot, name: string, ...options: string[]): Promise<{ id: string }> {
  server.typed.push(goodPassword, goodPassword);
  return server.json('operator', 'create', name, ...options);
}
