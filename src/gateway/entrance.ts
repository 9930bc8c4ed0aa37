// How connections come in: who a load balancer says they are, which account they ask for, and in whose turn they are served.

import type { Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { type ClientHello, readClientHello } from './client-hello.ts';
import { Lines } from './lines.ts';
import { readProxyHeader } from './proxy-header.ts';
import type { Entrant, Unauthenticated } from './unauthenticated.ts';

/** A network, as ipaddr.js has it. */
type Network = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/**
 * How many handshakes begin in one turn of the event loop. A turn does first whatever is under way, so that what has begun
 * is finished before anything else begins, and eight take some milliseconds: nobody notices.
 */
const begunInATurn = 8;
/**
 * For so many turns of the event loop that bring newcomers, nothing begins: libuv takes in one a turn, and where they
 * waited with the kernel, nobody would know whose they are. Where the lines are full, few are taken in, and the kernel
 * keeps the others, who cost nothing there.
 */
const turnsOfNewcomers = 32;
const turnsOfNewcomersWhenFull = begunInATurn;
/** What came wrong from a load balancer is told once in a while, in milliseconds. */
const toldEvery = 60_000;

export interface EntranceOptions {
  /** The networks of load balancers, each of whose connections begins with a header of the PROXY protocol. */
  readonly proxies: readonly string[];
  /** How long a handshake may take to begin, and how long one may wait for its turn, in milliseconds. */
  readonly handshakeTimeout: number;
  /** How many may wait for their turn. */
  readonly maxWaiting: number;
}

export interface EntranceParts {
  readonly unauthenticated: Unauthenticated;
  /** The account that a connection asks for: by its server name, or the address that it came to. */
  readonly accountOf: (serverName: string | null, localAddress: string) => Promise<string | null>;
  /** Whether that may be looked up now, where it is not known. */
  readonly mayLookUp: (serverName: string | null, localAddress: string) => boolean;
  /** Whether one more handshake of an account may be; '' is for those of no account. */
  readonly mayShake: (account_id: string) => boolean;
  /** Is told of each that may not. */
  readonly overRate: (account_id: string | null) => void;
  /** Begins the handshake, of that account alone: whatever the client has sent is in the socket to be read. */
  readonly begin: (entrant: Entrant, account_id: string | null, hello: ClientHello) => Promise<void>;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What is known of an entrant that has not begun its handshake. */
interface Arrival {
  readonly entrant: Entrant;
  /** Whether its load balancer is still to say who it is. */
  announced: boolean;
  /** What has come of the client, and is for TLS. */
  bytes: Buffer;
  /** What that begins with. */
  hello: ClientHello;
  /** The account that it asks for; null for none, undefined before it has. */
  account_id: string | null | undefined;
}

/** Takes connections up and hands them on to TLS, when each has its turn. */
export class Entrance implements Disposable {
  readonly #options: EntranceOptions;
  readonly #parts: EntranceParts;
  readonly #proxies: readonly Network[];
  /** In the order in which they came. */
  readonly #arrivals = new Map<Socket, Arrival>();
  readonly #lines: Lines<Arrival>;
  readonly #sweep: NodeJS.Timeout;
  #turn: NodeJS.Immediate | null = null;
  /** Whether anybody has come since the last turn, and for how many turns somebody has. */
  #newcomers = false;
  #turnsOfNewcomers = 0;
  #malformed = 0;
  #toldAt = -toldEvery;

  constructor(options: EntranceOptions, parts: EntranceParts) {
    this.#options = options;
    this.#parts = parts;
    this.#proxies = options.proxies.map(parseNetwork);
    this.#lines = new Lines(options.maxWaiting);
    const interval = Math.min(1000, Math.ceil(options.handshakeTimeout / 4));
    this.#sweep = setInterval(() => this.#endLate(), interval).unref();
  }

  /** Takes up a connection. */
  accept(socket: Socket): void {
    socket.on('error', () => undefined);
    this.#newcomers = true;
    const entrant = this.#parts.unauthenticated.add(socket);
    if (!entrant) return;
    const arrival: Arrival = {
      entrant,
      announced: !this.#isProxy(entrant.address),
      bytes: nothing,
      hello: unheard,
      account_id: undefined,
    };
    this.#arrivals.set(socket, arrival);
    socket.once('close', () => this.#left(arrival));
    const read = () => {
      const part = socket.read() as Buffer | null;
      if (part === null || !this.#arrivals.has(socket)) return;
      arrival.bytes = arrival.bytes.length === 0 ? part : Buffer.concat([arrival.bytes, part]);
      if (!arrival.announced && !this.#announce(arrival)) return;
      const hello = readClientHello(arrival.bytes);
      if (hello.kind === 'partial') return;
      socket.off('readable', read);
      this.#line(arrival, hello).catch((error: unknown) => this.#fail(arrival, error));
    };
    socket.on('readable', read);
  }

  #isProxy(address: string): boolean {
    if (this.#proxies.length === 0 || !ipaddr.isValid(address)) return false;
    const asked = ipaddr.parse(address);
    return this.#proxies.some(([network, bits]) => network.kind() === asked.kind() && asked.match(network, bits));
  }

  /** Reads who a load balancer says that it is; whether it has said so. */
  #announce(arrival: Arrival): boolean {
    const { entrant } = arrival;
    const header = readProxyHeader(arrival.bytes);
    if (header.kind === 'malformed') this.#refuseProxy(arrival, header.fault);
    if (header.kind !== 'whole') return false;
    arrival.announced = true;
    arrival.bytes = arrival.bytes.subarray(header.size);
    this.#parts.unauthenticated.name(entrant, header.proxied, header.size);
    return arrival.bytes.length > 0;
  }

  #refuseProxy({ entrant: { socket, address } }: Arrival, fault: string): void {
    const { log, metrics } = this.#parts;
    this.#arrivals.delete(socket);
    socket.destroy();
    metrics.proxyHeadersRefused.inc();
    this.#malformed += 1;
    const now = performance.now();
    if (now - this.#toldAt < toldEvery) return;
    const hint = 'Have it send the PROXY protocol on every connection, or take it out of gateway.proxies.';
    log.warn({ balancer: address, fault, connections: this.#malformed, hint }, 'a load balancer sent no PROXY header');
    this.#toldAt = now;
    this.#malformed = 0;
  }

  /** Has it wait for its turn, in the line of the account that it asks for. */
  async #line(arrival: Arrival, hello: ClientHello): Promise<void> {
    const { unauthenticated, accountOf, mayLookUp, mayShake, overRate } = this.#parts;
    const { entrant } = arrival;
    const serverName = hello.kind === 'whole' ? hello.serverName : null;
    if (!mayLookUp(serverName, entrant.localAddress)) {
      this.#end(arrival, 'over_rate');
      return;
    }
    const account_id = await accountOf(serverName, entrant.localAddress);
    if (!this.#arrivals.has(entrant.socket)) return;
    Object.assign(arrival, { account_id, hello });
    if (!mayShake(account_id ?? nobody)) {
      this.#end(arrival, 'over_rate');
      overRate(account_id);
      return;
    }
    unauthenticated.wait(entrant);
    const crowdedOut = this.#lines.add(account_id ?? nobody, arrival);
    if (crowdedOut) this.#end(crowdedOut, 'crowded_out');
    this.#turn ??= setImmediate(() => this.#serve());
  }

  /** One turn: some begin, one account after the other. */
  #serve(): void {
    this.#turn = null;
    const patience = this.#lines.full ? turnsOfNewcomersWhenFull : turnsOfNewcomers;
    if (this.#newcomers && this.#turnsOfNewcomers < patience) {
      this.#turnsOfNewcomers += 1;
    } else {
      this.#turnsOfNewcomers = 0;
      this.#beginSome();
    }
    this.#newcomers = false;
    if (this.#lines.size > 0) this.#turn = setImmediate(() => this.#serve());
  }

  #beginSome(): void {
    for (let begun = 0; begun < begunInATurn; begun += 1) {
      const arrival = this.#lines.next();
      if (arrival === null) return;
      // Whoever connects gives up some time, and it would be for nothing.
      if (this.#isLate(arrival)) this.#end(arrival, 'timed_out');
      else this.#begin(arrival);
    }
  }

  #begin(arrival: Arrival): void {
    const { entrant, bytes, hello, account_id = null } = arrival;
    this.#arrivals.delete(entrant.socket);
    if (!this.#parts.unauthenticated.begin(entrant)) {
      entrant.socket.destroy();
      return;
    }
    // TLS takes what has been read first, then what comes; it has its own time-out.
    entrant.socket.unshift(bytes);
    this.#parts.begin(entrant, account_id, hello).catch((error: unknown) => this.#fail(arrival, error));
  }

  #isLate({ entrant }: Arrival): boolean {
    return performance.now() - entrant.since > this.#options.handshakeTimeout;
  }

  /** Ends whoever has not said in time what it wants, or has waited for as long as it would itself. */
  #endLate(): void {
    for (const arrival of this.#arrivals.values()) {
      if (!this.#isLate(arrival)) return;
      if (arrival.announced) this.#end(arrival, 'timed_out');
      else this.#refuseProxy(arrival, 'it does not come');
    }
  }

  #end({ entrant: { socket }, account_id }: Arrival, outcome: string): void {
    this.#arrivals.delete(socket);
    this.#count(account_id, outcome);
    socket.destroy();
  }

  /** It has closed its connection, or was made to. Whoever had said nothing has asked for nothing: so are health checks. */
  #left(arrival: Arrival): void {
    this.#lines.leave(arrival);
    if (!this.#arrivals.delete(arrival.entrant.socket) || arrival.bytes.length === 0) return;
    if (arrival.announced) this.#count(arrival.account_id, 'failed');
    else this.#refuseProxy(arrival, 'it breaks off');
  }

  #fail({ entrant: { socket } }: Arrival, error: unknown): void {
    this.#parts.log.error({ err: error }, 'a connection could not be taken up');
    this.#arrivals.delete(socket);
    socket.destroy();
  }

  #count(account_id: string | null | undefined, outcome: string): void {
    const { metrics } = this.#parts;
    metrics.handshakes.inc({ account: metrics.accounts.of(account_id ?? null), outcome });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sweep);
    if (this.#turn) clearImmediate(this.#turn);
  }
}

const nothing = Buffer.alloc(0);
const unheard: ClientHello = { kind: 'partial' };
/** The line of those who belong to no account: they are refused in their turn. */
const nobody = '';

/** An address or a network in CIDR, which the configuration has checked. */
function parseNetwork(text: string): Network {
  if (text.includes('/')) return ipaddr.parseCIDR(text);
  const address = ipaddr.parse(text);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}
