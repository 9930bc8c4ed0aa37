// How a command reaches its server: over the Unix socket in the data directory, or over HTTPS with a login or a token.

import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { socketPath } from '../socket-path.ts';
import { Failure } from './failure.ts';

/** What shows who calls: an API token, or the cookie of a session. */
export type Login = { readonly token: string } | { readonly cookie: string };

/** Where the server is. */
export type Place =
  | { readonly kind: 'socket'; readonly dataDir: string }
  | {
      readonly kind: 'remote';
      readonly url: URL;
      /** PEM of what its certificate is to lead to, beside the public roots. */
      readonly ca: string | null;
      readonly login: Login | null;
    };

/** A request on its way; `path` is the whole one, from the root. */
export interface Call {
  readonly method: string;
  readonly path: string;
  readonly accept: string;
  readonly type: string | null;
  readonly payload: Uint8Array | null;
  /** Further header fields. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends one request over a connection of its own. Throws Failure where no server answers. */
export function send(
  place: Place,
  { method, path, accept, type, payload, headers = {} }: Call,
): Promise<IncomingMessage> {
  const options = {
    method,
    path,
    headers: {
      ...headers,
      connection: 'close',
      accept,
      ...(type !== null && { 'content-type': type }),
      ...(payload && { 'content-length': payload.length }),
    },
  };
  return new Promise((resolve, reject) => {
    const call = place.kind === 'socket' ? overSocket(place.dataDir, options) : overNetwork(place, options);
    call.once('error', (error: NodeJS.ErrnoException) => reject(failureOf(error, place)));
    call.once('response', resolve);
    call.end(payload ?? undefined);
  });
}

/** What a call with a session's cookie has to carry: no page of another site can send it. */
const ownHeader = { 'x-fleetroot': '1' };

type Options = { method: string; path: string; headers: Record<string, string | number> };

// Not by `import`, which reads all members of a built-in module: one of these loads a WebSocket client, a quarter of
// what a command takes to start.
const { request: plainRequest } = process.getBuiltinModule('node:http');

function overSocket(dataDir: string, { headers, ...options }: Options) {
  const short = socketPath(join(dataDir, 'operator.sock'));
  const socket = connect(short.path);
  const settled = () => short[Symbol.dispose]();
  socket.once('connect', settled).once('error', settled);
  return plainRequest({ ...options, headers: { ...headers, host: 'localhost' }, createConnection: () => socket });
}

function overNetwork({ url, ca, login }: Extract<Place, { kind: 'remote' }>, { headers, path, ...options }: Options) {
  const shown =
    login === null ? {} : 'token' in login ? { authorization: `Bearer ${login.token}` } : { cookie: login.cookie };
  const whole = new URL(url);
  const given = {
    ...options,
    path: whole.pathname.replace(/\/$/, '') + path,
    headers: { ...headers, ...ownHeader, ...shown },
  };
  if (whole.protocol === 'http:') return plainRequest(whole, { ...given, agent: false });
  // Most commands speak over the socket, and need no TLS.
  const { request } = process.getBuiltinModule('node:https');
  const { rootCertificates } = process.getBuiltinModule('node:tls');
  return request(whole, { ...given, agent: false, ...(ca !== null && { ca: [...rootCertificates, ca] }) });
}

/** What an error of the network means to whoever typed the command. */
export function failureOf(error: NodeJS.ErrnoException, place: Place): Failure {
  const where = place.kind === 'socket' ? `on ${place.dataDir}` : `at ${place.url.href}`;
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ECONNREFUSED':
      return place.kind === 'socket'
        ? new Failure(`no server is running ${where}`, `start one with \`fleetroot serve --data ${place.dataDir}\``)
        : new Failure(`no server answers ${where}`, 'is it running, and does it listen on that address?');
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return new Failure(`no server answers ${where}`, 'is the address right, and the network there?');
    case 'EACCES':
    case 'EPERM':
      return new Failure(
        `this user may not speak to the server ${where}`,
        'run the command as the user who runs the server',
      );
    default:
      if (isUntrusted(error)) {
        return new Failure(
          `the certificate of the server ${where} is not trusted (${error.message})`,
          'name its CA with --ca FILE: operator-ca.crt in the data directory, where it made its certificate itself',
        );
      }
      return new Failure(
        `the server ${where} ended the connection before it answered (${error.message})`,
        'look whether it was done before you do it again; the log of the server says more',
      );
  }
}

/** What OpenSSL and Node say of a certificate that leads nowhere, or belongs to another host. */
function isUntrusted({ code = '' }: NodeJS.ErrnoException): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_TLS_CERT/.test(code);
}
