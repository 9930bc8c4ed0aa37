// The device gateway's face: ports, handshakes and requests; SNI picks the account, its certificate and its rules.

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';
import type { Log } from '../log.ts';
import { type Metrics, type Samples, secondsSince } from '../metrics.ts';
import { Problem } from '../problem.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { refuse } from '../provisioning/refusal.ts';
import { accountByRef } from '../registry/accounts.ts';
import { type Connection, Connections } from './connections.ts';
import { LastSeen } from './last-seen.ts';
import { Exchange } from './exchange.ts';
import { identifyPeer } from './peer.ts';
import { Refusals } from './refusals.ts';
import { Sightings } from './sightings.ts';
import { closeInOrderAlways, problemOfParser } from './reply.ts';
import { contextOptions, type GatewayCredentials, Trust } from './trust.ts';
import { Unauthenticated } from './unauthenticated.ts';
import { Upstreams } from './upstream.ts';

const largestHeader = 16 * 1024;

/** How the gateway listens; times in milliseconds. */
export interface GatewayOptions {
  readonly address: string;
  readonly ports: readonly number[];
  readonly defaultAccount: string | null;
  readonly refusals: 'reply' | 'silent';
  readonly refusalsKept: number;
  readonly handshakeTimeout: number;
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly idleTimeout: number;
  readonly maxUnauthenticated: number;
}

/** What the gateway needs of the layers below. */
export interface GatewayParts {
  readonly provisioning: Provisioning;
  /** The present gateway certificate of an account, with its key opened. */
  readonly credentialsOf: (account_id: string) => Promise<GatewayCredentials>;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** The device gateway while it is open. */
export class Gateway implements AsyncDisposable {
  readonly #options: GatewayOptions;
  readonly #provisioning: Provisioning;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #trust: Trust;
  readonly #connections: Connections;
  readonly #refusals: Refusals;
  readonly #sightings: Sightings;
  readonly #upstreams: Upstreams;
  readonly #lastSeen: LastSeen;
  readonly #exchange: Exchange;
  readonly #unauthenticated: Unauthenticated;
  /** TLS faces by the account that serves connections without SNI; under '' the one that has no certificate for them. */
  readonly #faces = new Map<string, Promise<https.Server>>();
  /** The account whose context a handshake was given. */
  readonly #accounts = new WeakMap<object, string>();
  readonly #ofSocket = new WeakMap<object, Connection>();
  readonly #ports: net.Server[] = [];
  readonly #stopListening: () => void;
  #closing = false;

  constructor(options: GatewayOptions, { provisioning, credentialsOf, log, metrics }: GatewayParts) {
    const { registry, clock } = provisioning;
    this.#options = options;
    this.#provisioning = provisioning;
    this.#log = log;
    this.#metrics = metrics;
    this.#trust = new Trust(provisioning, credentialsOf);
    this.#sightings = new Sightings(registry, { clock, log });
    const parts = { registry, trust: this.#trust, sightings: this.#sightings, metrics };
    this.#connections = new Connections(this.#trust, (connection) => identifyPeer(parts, connection, clock()), clock);
    this.#refusals = new Refusals(registry, { kept: options.refusalsKept, clock, log, metrics });
    this.#upstreams = new Upstreams(provisioning);
    this.#lastSeen = new LastSeen(registry, log);
    this.#unauthenticated = new Unauthenticated(options.maxUnauthenticated, () => metrics.crowdedOut.inc());
    this.#exchange = new Exchange({
      provisioning,
      trust: this.#trust,
      connections: this.#connections,
      refusals: this.#refusals,
      sightings: this.#sightings,
      unauthenticated: this.#unauthenticated,
      upstreams: this.#upstreams,
      lastSeen: this.#lastSeen,
      silent: options.refusals === 'silent',
      log,
      metrics,
    });
    metrics.deviceConnections.from(() => this.#connectionsByAccount());
    metrics.unidentifiedConnections.from(() => [[{}, this.#unauthenticated.size]]);
    this.#stopListening = registry.changes.listen((change) => {
      this.#trust.forget(change);
      this.#upstreams.forget(change);
      if (change.kind === 'account') this.#renewFace(change.account_id);
      this.#connections.act(change).catch((error) => log.error({ err: error }, 'connections could not be judged anew'));
    });
  }

  /** The ports listened on, in the order configured. */
  get ports(): number[] {
    return this.#ports.map((server) => (server.address() as AddressInfo).port);
  }

  /** Opens the ports. Throws Problem `unavailable` where one is taken. */
  async listen(): Promise<void> {
    for (const port of this.#options.ports) {
      this.#ports.push(await this.#open(port, this.#options.address));
    }
  }

  async #open(port: number, host: string): Promise<net.Server> {
    const server = net.createServer({ noDelay: true }, (socket) => void this.#accept(socket));
    try {
      server.listen({ port, host });
      await once(server, 'listening');
      return server;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // Every address of a machine without IPv6.
      if (code === 'EAFNOSUPPORT' && host === '::') return this.#open(port, '0.0.0.0');
      const reason = code === 'EADDRINUSE' ? 'it is in use' : message;
      const hint = 'Choose another with --gateway-port.';
      throw new Problem('unavailable', `The gateway cannot listen on port ${port}: ${reason}.`, hint);
    }
  }

  async #accept(socket: Socket): Promise<void> {
    socket.on('error', () => undefined);
    if (!this.#unauthenticated.add(socket)) return;
    try {
      const account_id = await this.#accountWithoutSni(socket);
      const face = await this.#faceOf(account_id ?? '');
      if (!socket.destroyed) face.emit('connection', socket);
    } catch (error) {
      this.#log.error({ err: error }, 'a connection could not be taken up');
      socket.destroy();
    }
  }

  /** Who serves a connection that names no host: the account that has the local address, else the configured one. */
  async #accountWithoutSni(socket: Socket): Promise<string | null> {
    const owner = await this.#trust.accountOf(canonicalAddress(socket.localAddress));
    if (owner !== null || this.#options.defaultAccount === null) return owner;
    const account = await accountByRef(this.#provisioning.registry.read, this.#options.defaultAccount).catch(
      () => null,
    );
    return account?.id ?? null;
  }

  #faceOf(account_id: string): Promise<https.Server> {
    const known = this.#faces.get(account_id);
    if (known) return known;
    const opening = this.#openFace(account_id);
    this.#faces.set(account_id, opening);
    opening.catch(() => this.#faces.delete(account_id));
    return opening;
  }

  async #openFace(account_id: string): Promise<https.Server> {
    const own = account_id === '' ? {} : await this.#trust.credentialsOf(account_id);
    const face = https.createServer({
      ...contextOptions,
      ...own,
      requestCert: true,
      // Admission decides, by its own path validation; OpenSSL's verdict is not used.
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: this.#options.handshakeTimeout,
      headersTimeout: this.#options.headersTimeout,
      requestTimeout: this.#options.requestTimeout,
      keepAliveTimeout: this.#options.idleTimeout,
      connectionsCheckingInterval: Math.min(1000, this.#options.headersTimeout),
      maxHeaderSize: largestHeader,
      requireHostHeader: false,
      SNICallback: sniCallback((socket, name) => this.#contextFor(socket, name)),
    });
    face.on('secureConnection', (socket) => this.#secured(socket, account_id));
    face.on('tlsClientError', (error, socket) => this.#handshakeFailed(error, socket, account_id));
    face.on('clientError', (error, socket) => this.#unreadable(problemOfParser(error), socket as Socket));
    // Without a listener Node ends it without a word.
    face.on('connect', ({ socket }) =>
      this.#unreadable(new Problem('invalid_request', 'The gateway is no proxy.'), socket),
    );
    for (const event of ['request', 'checkContinue', 'checkExpectation'] as const) {
      face.on(event, (request, response) => void this.#answer(request, response));
    }
    // Node starts to look after slow headers and bodies when a server listens, which this one never does by itself.
    face.emit('listening');
    return face;
  }

  /** A renewed gateway certificate serves the next handshake; connections that are open go on. */
  #renewFace(account_id: string): void {
    const face = this.#faces.get(account_id);
    if (!face) return;
    face
      .then(async (server) =>
        server.setSecureContext({ ...contextOptions, ...(await this.#trust.credentialsOf(account_id)) }),
      )
      .catch(() => this.#faces.delete(account_id));
  }

  async #contextFor(socket: TLSSocket, name: string): Promise<SecureContext> {
    const account_id = await this.#trust.accountOf(name.toLowerCase());
    if (account_id === null) throw new UnknownServerName(name, canonicalAddress(socket.remoteAddress));
    this.#accounts.set(socket, account_id);
    return this.#trust.contextOf(account_id);
  }

  #secured(socket: TLSSocket, faceAccount: string): void {
    const sni = typeof socket.servername === 'string' && socket.servername !== '' ? socket.servername : null;
    const account_id = sni === null ? faceAccount : this.#accounts.get(socket);
    // A resumed session shows whoever had it first, under whatever account: none is let in.
    if (socket.isSessionReused() || !account_id || this.#closing) {
      this.#count(account_id, socket.isSessionReused() ? 'resumed' : 'failed');
      socket.destroy();
      return;
    }
    this.#count(account_id, 'done');
    const began = this.#unauthenticated.since(socket);
    if (began !== null) this.#metrics.handshakeDuration.observe(secondsSince(began));
    // Whoever takes it out of the hands of HTTP (CONNECT) takes its listener for errors away too.
    socket.on('error', () => undefined);
    closeInOrderAlways(socket);
    const connection: Connection = {
      socket,
      account_id,
      sni,
      address: canonicalAddress(socket.remoteAddress),
      localAddress: canonicalAddress(socket.localAddress),
      shown: null,
      verdict: null,
      askedDeviceId: null,
      response: null,
      answered: Promise.resolve(),
      unanswered: 0,
      ending: false,
    };
    this.#ofSocket.set(socket, connection);
    this.#connections.add(connection);
  }

  /** A handshake that we ended for its server name, or for the lack of one, is a refusal under no account. */
  #handshakeFailed(error: Error, socket: TLSSocket, faceAccount: string): void {
    this.#unauthenticated.remove(socket);
    if (error instanceof UnknownServerName) {
      const rule = `The connection asked for the host ${JSON.stringify(error.servername)}, which belongs to no account.`;
      this.#count(null, 'unknown_host');
      this.#noteUnassigned(rule, error.address, error.servername);
    } else if (faceAccount === '' && !this.#accounts.has(socket) && isForLackOfCertificate(error)) {
      const to = canonicalAddress(socket.localAddress);
      const rule = `The connection named no host (no SNI), and the address it came to, ${to}, belongs to no account.`;
      this.#count(null, 'no_host');
      this.#noteUnassigned(rule, canonicalAddress(socket.remoteAddress), null);
    } else {
      const late = (error as NodeJS.ErrnoException).code === 'ERR_TLS_HANDSHAKE_TIMEOUT';
      this.#count(this.#accounts.get(socket) ?? faceAccount, late ? 'timed_out' : 'failed');
    }
    socket.destroy();
  }

  /** Counts a handshake that has ended. */
  #count(account_id: string | null | undefined, outcome: string): void {
    this.#metrics.handshakes.inc({ account: this.#metrics.accounts.of(account_id || null), outcome });
  }

  #connectionsByAccount(): Samples {
    const open = new Map<string, number>();
    for (const [account_id, size] of this.#connections.sizes) {
      const label = this.#metrics.accounts.of(account_id);
      open.set(label, (open.get(label) ?? 0) + size);
    }
    return [...open].map(([account, size]) => [{ account }, size] as const);
  }

  #noteUnassigned(rule: string, address: string, sni: string | null): void {
    const remedy = 'Connect by a host of the account; `account host add` makes another name or address known.';
    const nobody = { account_id: null, shown: null, verdict: null, askedDeviceId: null };
    this.#refusals.note(refuse('misdirected_request', rule, remedy), { ...nobody, address, sni });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = this.#ofSocket.get(request.socket);
    if (connection) await this.#exchange.answer(connection, request, response);
    else request.socket.destroy();
  }

  #unreadable(problem: Problem | null, socket: Socket): void {
    const connection = this.#ofSocket.get(socket);
    if (!connection || !problem) socket.destroy();
    else if (!connection.ending) this.#exchange.refuseUnreadable(connection, problem);
    // It is being sent away: what it still sends may be anything, but not without end.
    else if (problem.code === 'request_timeout') socket.destroy();
  }

  /** Closes the ports, then what is open, then writes what was gathered. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    this.#stopListening();
    for (const server of this.#ports) server.close();
    this.#unauthenticated[Symbol.dispose]();
    this.#connections[Symbol.dispose]();
    this.#upstreams[Symbol.dispose]();
    for (const opening of this.#faces.values()) (await opening.catch(() => null))?.close();
    await this.#lastSeen[Symbol.asyncDispose]();
    await this.#refusals[Symbol.asyncDispose]();
    await this.#sightings[Symbol.asyncDispose]();
  }
}

/** Node calls it on the TLS socket whose handshake it is. */
function sniCallback(contextFor: (socket: TLSSocket, name: string) => Promise<SecureContext>) {
  return function (this: TLSSocket, name: string, done: (error: Error | null, context?: SecureContext) => void): void {
    contextFor(this, name).then(
      (context) => done(null, context),
      (error: Error) => done(error),
    );
  };
}

/** A handshake asked for a host that belongs to no account. */
class UnknownServerName extends Error {
  readonly servername: string;
  /** Kept here since the socket has lost it by the time its error is told. */
  readonly address: string;

  constructor(servername: string, address: string) {
    super('unknown server name');
    this.servername = servername;
    this.address = address;
  }
}

/** What OpenSSL says of a handshake for which there is no certificate: no host named, no account at the address. */
function isForLackOfCertificate(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ERR_SSL_NO_SHARED_CIPHER' || error.code === 'ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM';
}

/** An address as hosts are compared: what the system writes, but IPv4 as such where IPv6 holds it, and without a zone. */
function canonicalAddress(address = ''): string {
  return address.replace(/^::ffff:(?=[\d.]+$)/, '').replace(/%.*$/, '');
}
