// The device gateway's face: ports, handshakes and requests; SNI picks the account, its certificate and its rules.

import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Server as Port, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import type { Log } from '../log.ts';
import { type Metrics, type Samples, secondsSince } from '../metrics.ts';
import { Problem } from '../problem.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { refuse } from '../provisioning/refusal.ts';
import { type Connection, Connections } from './connections.ts';
import type { ClientHello } from './client-hello.ts';
import { Entrance } from './entrance.ts';
import { Faces, type GatewayCredentials } from './faces.ts';
import { LastSeen } from './last-seen.ts';
import { Exchange } from './exchange.ts';
import { identifyPeer } from './peer.ts';
import { openPort } from './port.ts';
import { handshakeRule, type RateOptions, Rates } from './rates.ts';
import { Refusals } from './refusals.ts';
import { Sightings } from './sightings.ts';
import { closeInOrderAlways, problemOfParser } from './reply.ts';
import { ShortPath } from './short-path.ts';
import { type ReadTicketKeys, Tickets } from './tickets.ts';
import { Trust } from './trust.ts';
import { type Entrant, Unauthenticated } from './unauthenticated.ts';
import { Upstreams } from './upstream.ts';

const largestHeader = 16 * 1024;
/** When the gateway ends, who has connected and asked for nothing may still ask for so long, in milliseconds. */
const firstRequestWithin = 2_000;
/** How long all that is under way may take, in milliseconds: promised are 10 s from the ports' close to the exit. */
const finishWithin = 7_000;
/** How often it is looked whether all that was under way is done, in milliseconds. */
const finishedEvery = 20;

/** How the gateway listens; times in milliseconds. */
export interface GatewayOptions {
  readonly address: string;
  readonly ports: readonly number[];
  /** Whether other processes open the same ports, too. */
  readonly reusePort: boolean;
  readonly defaultAccount: string | null;
  readonly refusals: 'reply' | 'silent';
  readonly refusalsKept: number;
  /** How long the registry may be away before nobody is let in; null: what is known here goes on to count. */
  readonly refuseAfter: number | null;
  readonly handshakeTimeout: number;
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly idleTimeout: number;
  readonly maxUnauthenticated: number;
  readonly maxWaiting: number;
  /** The networks of load balancers that speak the PROXY protocol. */
  readonly proxies: readonly string[];
  readonly rates: RateOptions;
  /** Whether a device may take up its last TLS session when it connects again. */
  readonly resumption: 'on' | 'off';
  /** How long a key of TLS tickets counts. */
  readonly ticketKeyLifetime: number;
}

/** What the gateway needs of the layers below. */
export interface GatewayParts {
  readonly provisioning: Provisioning;
  /** The present gateway certificate of an account, with its key opened. */
  readonly credentialsOf: (account_id: string) => Promise<GatewayCredentials>;
  readonly ticketKeys: ReadTicketKeys;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** The device gateway while it is open. */
export class Gateway implements AsyncDisposable {
  readonly #options: GatewayOptions;
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
  readonly #rates: Rates;
  readonly #entrance: Entrance;
  readonly #tickets: Tickets | null;
  readonly #faces: Faces;
  /** What speaks HTTP on every connection whose handshake is done. */
  readonly #http: http.Server;
  readonly #shortPath: ShortPath;
  /** What a handshake under way asked for. */
  readonly #asked = new WeakMap<Entrant, { readonly account_id: string; readonly sni: string | null }>();
  readonly #ofSocket = new WeakMap<object, Connection>();
  readonly #ports: Port[] = [];
  readonly #stopListening: () => void;
  #closing = false;

  constructor(options: GatewayOptions, { provisioning, credentialsOf, ticketKeys, log, metrics }: GatewayParts) {
    const { registry, clock } = provisioning;
    this.#options = options;
    this.#log = log;
    this.#metrics = metrics;
    this.#trust = new Trust(provisioning, options.refuseAfter);
    this.#sightings = new Sightings(registry, { clock, log });
    const parts = { registry, trust: this.#trust, sightings: this.#sightings, metrics };
    const identify = (connection: Connection) => identifyPeer(parts, connection, clock());
    this.#connections = new Connections(this.#trust, identify, clock);
    this.#refusals = new Refusals(registry, { kept: options.refusalsKept, clock, log, metrics });
    this.#upstreams = new Upstreams(provisioning);
    this.#lastSeen = new LastSeen(registry, log);
    this.#unauthenticated = new Unauthenticated(options.maxUnauthenticated, () => metrics.crowdedOut.inc());
    this.#rates = new Rates(options.rates);
    this.#entrance = this.#openEntrance();
    this.#tickets = options.resumption === 'on' ? new Tickets(ticketKeys, { clock, log }) : null;
    this.#faces = new Faces(
      { handshakeTimeout: options.handshakeTimeout, sessionLifetime: options.ticketKeyLifetime },
      {
        credentialsOf,
        tickets: this.#tickets,
        secured: (socket) => this.#secured(socket),
        failed: (socket, error) => this.#handshakeFailed(socket, error),
      },
    );
    this.#http = this.#openHttp();
    this.#shortPath = new ShortPath({
      provisioning,
      trust: this.#trust,
      connections: this.#connections,
      unauthenticated: this.#unauthenticated,
      lastSeen: this.#lastSeen,
      metrics,
      headersTimeout: options.headersTimeout,
      idleTimeout: options.idleTimeout,
      identify,
      toHttp: ({ socket }) => this.#http.emit('connection', socket),
      silent: ({ socket }) => this.#unreadable(new Problem('request_timeout'), socket),
    });
    this.#exchange = new Exchange({
      provisioning,
      trust: this.#trust,
      connections: this.#connections,
      refusals: this.#refusals,
      sightings: this.#sightings,
      unauthenticated: this.#unauthenticated,
      upstreams: this.#upstreams,
      lastSeen: this.#lastSeen,
      rates: this.#rates,
      silent: options.refusals === 'silent',
      log,
      metrics,
    });
    metrics.deviceConnections.from(() => this.#connectionsByAccount());
    metrics.unidentifiedConnections.from(() => [[{}, this.#unauthenticated.size]]);
    metrics.waitingConnections.from(() => [[{}, this.#unauthenticated.waiting]]);
    this.#stopListening = registry.changes.listen((change) => {
      this.#trust.forget(change);
      this.#upstreams.forget(change);
      this.#faces.forget(change);
      return this.#connections
        .act(change)
        .catch((error) => log.error({ err: error }, 'connections could not be judged anew'));
    });
  }

  /** The ports listened on, in the order configured. */
  get ports(): number[] {
    return this.#ports.map((server) => (server.address() as AddressInfo).port);
  }

  /** Opens the ports. Throws Problem `unavailable` where one is taken. */
  async listen(): Promise<void> {
    await this.refreshTickets();
    const { ports, address: host, reusePort } = this.#options;
    for (const port of ports) {
      this.#ports.push(await openPort({ port, host, reusePort }, (socket) => this.#entrance.accept(socket)));
    }
  }

  /** Reads the keys of TLS tickets anew; done every few seconds by itself. */
  async refreshTickets(): Promise<void> {
    await this.#tickets?.refresh();
  }

  /** From now on each reply is the last of its connection: who asks on comes anew, to another node if there is one. */
  drain(): void {
    this.#connections.drain();
  }

  /**
   * Closes the ports and finishes what is under way, for so many milliseconds at the most: requests are answered, whoever
   * has connected may ask what he came for, what is idle is closed in order.
   */
  async finish(patience = finishWithin): Promise<void> {
    const began = performance.now();
    this.drain();
    for (const server of this.#ports) server.close();
    let late = false;
    while (this.#connections.size + this.#unauthenticated.size > 0 && performance.now() - began < patience) {
      late ||= performance.now() - began >= firstRequestWithin;
      if (late) this.#unauthenticated.endSilent();
      this.#connections.endIdle(late);
      await pause(finishedEvery);
    }
  }

  #openEntrance(): Entrance {
    return new Entrance(this.#options, {
      unauthenticated: this.#unauthenticated,
      accountOf: (serverName, localAddress) =>
        serverName === null ? this.#accountWithoutSni(localAddress) : this.#accountOfServerName(serverName),
      mayLookUp: (serverName, localAddress) =>
        this.#trust.knownAccountOf(serverName?.toLowerCase() ?? localAddress) !== undefined || this.#rates.lookUp(),
      mayShake: (account_id) => this.#rates.handshake(account_id),
      overRate: (account_id) => this.#noteOverRate(account_id),
      begin: (entrant, account_id, hello) => this.#begin(entrant, account_id, hello),
      log: this.#log,
      metrics: this.#metrics,
    });
  }

  async #begin(entrant: Entrant, account_id: string | null, hello: ClientHello): Promise<void> {
    const sni = hello.kind === 'whole' ? hello.serverName : null;
    if (account_id === null) {
      this.#refuseUnassigned(entrant, hello.kind, sni);
      return;
    }
    this.#asked.set(entrant, { account_id, sni });
    await this.#faces.begin(entrant.socket, account_id);
  }

  /** It names a host of no account, or none and came to an address of none: that is a refusal under no account. */
  #refuseUnassigned({ socket, address, localAddress }: Entrant, kind: ClientHello['kind'], sni: string | null): void {
    socket.destroy();
    if (kind !== 'whole') {
      this.#count(null, 'failed');
    } else if (sni !== null) {
      const rule = `The connection asked for the host ${JSON.stringify(sni)}, which belongs to no account.`;
      this.#count(null, 'unknown_host');
      this.#noteUnassigned(rule, address, sni);
    } else {
      const rule = `The connection named no host (no SNI), and the address it came to, ${localAddress}, belongs to no account.`;
      this.#count(null, 'no_host');
      this.#noteUnassigned(rule, address, null);
    }
  }

  /** What is no host of anybody's is looked up nowhere. */
  async #accountOfServerName(name: string): Promise<string | null> {
    return /^[\x21-\x7E]+$/.test(name) ? this.#trust.accountOf(name.toLowerCase()) : null;
  }

  /** Who serves a connection that names no host: the account that has the local address, else the configured one. */
  async #accountWithoutSni(localAddress: string): Promise<string | null> {
    const owner = await this.#trust.accountOf(localAddress);
    if (owner !== null || this.#options.defaultAccount === null) return owner;
    return this.#trust.accountNamed(this.#options.defaultAccount).catch(() => null);
  }

  #openHttp(): http.Server {
    const { headersTimeout, requestTimeout, idleTimeout } = this.#options;
    const server = http.createServer({
      headersTimeout,
      requestTimeout,
      keepAliveTimeout: idleTimeout,
      connectionsCheckingInterval: Math.min(1000, headersTimeout),
      maxHeaderSize: largestHeader,
      requireHostHeader: false,
      // Most have no body, and one that has none need not be read.
      optimizeEmptyRequests: true,
    });
    server.on('clientError', (error, socket) => this.#unreadable(problemOfParser(error), socket as Socket));
    // Without a listener Node ends it without a word.
    server.on('connect', ({ socket }) =>
      this.#unreadable(new Problem('invalid_request', 'The gateway is no proxy.'), socket),
    );
    for (const event of ['request', 'checkContinue', 'checkExpectation'] as const) {
      server.on(event, (request, response) => this.#answer(request, response));
    }
    // Node starts to look after slow headers and bodies when a server listens, which this one never does by itself.
    server.emit('listening');
    return server;
  }

  #secured(socket: TLSSocket): void {
    const entrant = this.#unauthenticated.of(socket);
    const asked = entrant && this.#asked.get(entrant);
    // What a connection asks for is settled by its first ClientHello; one that named no host then names none later.
    if (!entrant || !asked || (asked.sni === null && socket.servername) || this.#closing) {
      this.#count(asked?.account_id, 'failed');
      socket.destroy();
      return;
    }
    const { account_id, sni } = asked;
    const resumed = socket.isSessionReused();
    this.#count(account_id, resumed ? 'resumed' : 'done');
    this.#metrics.handshakeDuration.observe(secondsSince(entrant.since));
    // Whoever takes it out of the hands of HTTP (CONNECT) takes its listener for errors away too.
    socket.on('error', () => undefined);
    closeInOrderAlways(socket);
    const connection: Connection = {
      socket,
      account_id,
      sni,
      resumed,
      address: entrant.address,
      localAddress: entrant.localAddress,
      shown: null,
      verdict: null,
      judged: null,
      askedDeviceId: null,
      response: null,
      answered: Promise.resolve(),
      unanswered: 0,
      ending: false,
    };
    this.#ofSocket.set(socket, connection);
    this.#connections.add(connection);
    this.#shortPath.take(connection);
  }

  #handshakeFailed(socket: TLSSocket, { code }: NodeJS.ErrnoException): void {
    const entrant = this.#unauthenticated.of(socket);
    const asked = entrant && this.#asked.get(entrant);
    this.#unauthenticated.remove(socket);
    this.#count(asked?.account_id, code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? 'timed_out' : 'failed');
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

  /** However many there are, and wherever they come from, it is one refusal. */
  #noteOverRate(account_id: string | null): void {
    const everybody = { address: null, sni: null, shown: null, verdict: null, askedDeviceId: null };
    this.#refusals.note(refuse('too_many_requests', handshakeRule), { account_id, ...everybody });
  }

  #noteUnassigned(rule: string, address: string, sni: string | null): void {
    const remedy = 'Connect by a host of the account; `account host add` makes another name or address known.';
    const nobody = { account_id: null, shown: null, verdict: null, askedDeviceId: null };
    this.#refusals.note(refuse('misdirected_request', rule, remedy), { ...nobody, address, sni });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#ofSocket.get(request.socket);
    if (connection) this.#exchange.answer(connection, request, response);
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
    this.#entrance[Symbol.dispose]();
    this.#unauthenticated[Symbol.dispose]();
    this.#connections[Symbol.dispose]();
    this.#shortPath[Symbol.dispose]();
    this.#upstreams[Symbol.dispose]();
    this.#tickets?.[Symbol.dispose]();
    this.#http.close();
    await this.#lastSeen[Symbol.asyncDispose]();
    await this.#refusals[Symbol.asyncDispose]();
    await this.#sightings[Symbol.asyncDispose]();
  }
}
