// The settings of the device gateway: where it listens, how long it waits, how many processes serve, how it ends.

import { availableParallelism } from 'node:os';
import type { limitSettings } from './limits.ts';
import { address, domain, ports } from './network.ts';
import { milliseconds, oneOf, type Parse, text, wholeNumber } from './value.ts';

export interface GatewaySettings {
  /** Accounts are reached at `<uuid>.<domain>`. */
  readonly domain: string;
  /** The addresses listened on; `::` is every address, IPv4 too. */
  readonly address: string;
  readonly ports: readonly number[];
  /** The port that clients are told, where it is not the first one listened on. */
  readonly publicPort: number | null;
  /** Name or UUID of the account that serves connections without SNI to an address of no account. */
  readonly defaultAccount: string | null;
  /** `reply`: a refusal is told in JSON; `silent`: the connection ends without a word. */
  readonly refusals: 'reply' | 'silent';
  /** How long a TLS handshake may take, in milliseconds. */
  readonly handshakeTimeout: number;
  /** How long a request's header may take, in milliseconds. */
  readonly headersTimeout: number;
  /** How long a whole request may take to arrive, in milliseconds. */
  readonly requestTimeout: number;
  /** How long an idle connection is kept, in milliseconds. */
  readonly idleTimeout: number;
  /** How many connections may be open that have not finished their handshake. */
  readonly maxUnauthenticated: number;
  /** How many connections may wait for their turn to begin a handshake. */
  readonly maxWaiting: number;
  /** Addresses and networks of load balancers, whose connections begin with a header of the PROXY protocol. */
  readonly proxies: readonly string[];
  /** Whether a device may take up its last TLS session when it connects again. */
  readonly resumption: 'on' | 'off';
  /** How long a key of TLS tickets counts: no session is taken up longer than that, in milliseconds. */
  readonly ticketKeyLifetime: number;
  /** Processes that serve devices; 1: that is this one. */
  readonly workers: number;
  /** How long devices are still served after the word to end, while `/readyz` fails already, in milliseconds. */
  readonly drain: number;
}

const aMinuteOrMore: Parse = (value) => {
  const time = milliseconds(value) as number;
  if (time >= 60_000) return time;
  throw new Error('is to be a time from 1m to 24h');
};

const millisecondsOrNone: Parse = (value) => (value === '0s' ? 0 : milliseconds(value));

/** Each setting: its key, how it is read, and its default; what of `gateway` is a limit is among those. */
export const gatewaySettings = {
  'gateway.domain': [domain, 'gateway.localhost'],
  'gateway.address': [address, '::'],
  'gateway.port': [ports, [8443]],
  'gateway.public_port': [wholeNumber(1, 65_535), null],
  'gateway.default_account': [text, null],
  'gateway.refusals': [oneOf('reply', 'silent'), 'reply'],
  'gateway.handshake_timeout': [milliseconds, 10_000],
  'gateway.headers_timeout': [milliseconds, 10_000],
  'gateway.request_timeout': [milliseconds, 60_000],
  'gateway.idle_timeout': [milliseconds, 60_000],
  'gateway.max_unauthenticated': [wholeNumber(1, 1_000_000), 4096],
  'gateway.resumption': [oneOf('on', 'off'), 'on'],
  'gateway.ticket_key_lifetime': [aMinuteOrMore, 12 * 60 * 60_000],
  'gateway.workers': [wholeNumber(1, 1_024), availableParallelism()],
  'gateway.drain': [millisecondsOrNone, 0],
} as const satisfies Record<string, readonly [Parse, unknown]>;

/** Gathers them, as `read` gives each. */
export function readGateway(
  read: (key: keyof typeof gatewaySettings | keyof typeof limitSettings) => unknown,
): GatewaySettings {
  return {
    domain: read('gateway.domain'),
    address: read('gateway.address'),
    ports: read('gateway.port'),
    publicPort: read('gateway.public_port'),
    defaultAccount: read('gateway.default_account'),
    refusals: read('gateway.refusals'),
    handshakeTimeout: read('gateway.handshake_timeout'),
    headersTimeout: read('gateway.headers_timeout'),
    requestTimeout: read('gateway.request_timeout'),
    idleTimeout: read('gateway.idle_timeout'),
    maxUnauthenticated: read('gateway.max_unauthenticated'),
    maxWaiting: read('gateway.max_waiting'),
    proxies: read('gateway.proxies'),
    resumption: read('gateway.resumption'),
    ticketKeyLifetime: read('gateway.ticket_key_lifetime'),
    workers: read('gateway.workers'),
    drain: read('gateway.drain'),
  } as GatewaySettings;
}
