// The operators' TCP port: TLS for everyone, plain HTTP for whoever calls on loopback, told apart by the first octet.

import type { Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import ipaddr from 'ipaddr.js';
import { Problem } from '../problem.ts';
import { rawAnswer } from './problems.ts';
import { Strangers } from './strangers.ts';

/** A certificate with its chain, and its key: PEM. The same object until there is another. */
export interface ListenerCertificate {
  readonly chain: string;
  readonly key: string;
}

export interface ListenerOptions {
  /** The certificate for the next handshake; null where there is none yet. */
  certificate(): ListenerCertificate | null;
  /** By which names and addresses the server may be called, in canonical form; in plain HTTP by no other. */
  readonly hosts: readonly string[];
}

/** The first octet of a TLS handshake (RFC 8446 §5.1); no method of HTTP begins with it. */
const handshake = 0x16;
/** How long the first octet, and then a TLS handshake, may take, in milliseconds. */
const handshakeTimeout = 10_000;
/** How long whoever spoke plain HTTP from afar may take to read why not, in milliseconds. */
const farewell = 2_000;
/** Connections of which no request has been found to be somebody's. */
const mostStrangers = 2_048;

/** Has the server of `app`, before it listens, tell TLS from plain HTTP, and keep idle strangers in bounds. */
export function tellApart(app: FastifyInstance, options: ListenerOptions): void {
  const doors = new Doors(app, options);
  app.addHook('onRequest', async ({ raw, headers }) => {
    if (!isSecure(raw.socket)) requireOwnHost(headers.host, options.hosts);
  });
  app.addHook('preValidation', async ({ principal, raw }) => {
    if (principal !== null) doors.strangers.remove(raw.socket);
  });
  app.addHook('preClose', async () => doors.strangers[Symbol.dispose]());
}

/** Whether a connection is over TLS. */
export function isSecure(socket: Socket): boolean {
  return 'encrypted' in socket && socket.encrypted === true;
}

/** What comes in, and where it goes. */
class Doors {
  readonly strangers = new Strangers(mostStrangers);
  readonly #options: ListenerOptions;
  readonly #serve: (socket: Socket) => void;
  #tls: { readonly server: TlsServer; certificate: ListenerCertificate } | null = null;

  constructor({ server }: FastifyInstance, options: ListenerOptions) {
    this.#options = options;
    const listeners = server.listeners('connection') as ((socket: Socket) => void)[];
    server.removeAllListeners('connection');
    this.#serve = (socket) => {
      this.strangers.serve(socket);
      for (const listener of listeners) listener.call(server, socket);
    };
    server.on('connection', (socket: Socket) => this.#accept(socket));
  }

  #accept(socket: Socket): void {
    socket.on('error', () => undefined);
    if (!this.strangers.add(socket)) return;
    socket.setTimeout(handshakeTimeout, () => socket.destroy());
    socket.once('data', (first: Buffer) => {
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      socket.pause();
      socket.unshift(first);
      this.#handOver(socket, first[0] === handshake);
    });
  }

  #handOver(socket: Socket, secure: boolean): void {
    if (secure) {
      const tls = this.#tlsServer();
      if (tls === null) socket.destroy();
      else tls.emit('connection', socket);
    } else if (isLoopback(socket.localAddress)) {
      this.#serve(socket);
      socket.resume();
    } else {
      this.#turnAway(socket);
    }
  }

  /** A certificate that is new serves from the next handshake on; connections that are open go on. */
  #tlsServer(): TlsServer | null {
    const certificate = this.#options.certificate();
    if (certificate === null) return null;
    const context = { cert: certificate.chain, key: certificate.key, minVersion: 'TLSv1.2' } as const;
    if (this.#tls === null) {
      const server = createTlsServer({ ...context, ALPNProtocols: ['http/1.1'], handshakeTimeout });
      server.on('secureConnection', (socket) => {
        socket.on('error', () => undefined);
        this.#serve(socket);
      });
      server.on('tlsClientError', (_error, socket) => void socket.destroy());
      this.#tls = { server, certificate };
    } else if (this.#tls.certificate !== certificate) {
      this.#tls.server.setSecureContext(context);
      this.#tls.certificate = certificate;
    }
    return this.#tls.server;
  }

  #turnAway(socket: Socket): void {
    const problem = new Problem(
      'invalid_request',
      'Plain HTTP is spoken on loopback alone.',
      'Speak HTTPS: the same port takes it. operator-ca.crt in the data directory is the CA to trust.',
    );
    socket.setTimeout(farewell, () => socket.destroy());
    socket.end(rawAnswer(problem));
    socket.resume();
  }
}

/** Whether an address is this machine's own, for itself alone. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && ipaddr.process(address).range() === 'loopback';
}

/**
 * In plain HTTP a page of another site may have its own name resolved to 127.0.0.1, and would then be of the same origin
 * as the API (DNS rebinding): the Host header still has that name. Over TLS the certificate sees to it.
 */
function requireOwnHost(header: string | undefined, hosts: readonly string[]): void {
  const host = (header ?? '').replace(/:\d*$/, '').toLowerCase();
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  if (hosts.includes(bare) || (ipaddr.isValid(bare) && isLoopback(bare))) return;
  throw new Problem(
    'invalid_request',
    `The Host header names ${JSON.stringify(host)}, by which this server is not known.`,
    'operator.hosts in the configuration is to name it.',
  );
}
