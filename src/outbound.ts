// Where the server may connect to on behalf of others: public addresses, and beyond those what a setting names.

import { lookup as lookupName } from 'node:dns/promises';
import http from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';
import { Problem } from './problem.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** What `outbound.allow` holds: networks, and host names in lower case whose addresses do not matter. */
interface Allowed {
  readonly networks: readonly (readonly [Address, number])[];
  readonly hosts: ReadonlySet<string>;
}

/** Finds every address of a host name. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** Decides about each connection; made once from the setting `outbound.allow`. */
export interface Outbound {
  /**
   * The URL, where the server might connect there: https, or http to what is allowed by the setting; no user, no fragment.
   * A host name is not looked up here: what it means is decided at each connection. Throws Problem `invalid_request` for
   * what is no such URL, `destination_not_allowed`.
   */
  requireUrl(text: string): URL;
  /**
   * The agent that every request to `url` is to go through: it connects to nothing but an address that has been looked up
   * and found good for this very connection, so that a name cannot mean another one a moment later. A connection that is
   * refused fails with the Problem `destination_not_allowed`. Node's agents follow no redirect.
   */
  agent(url: URL, options?: https.AgentOptions): http.Agent;
}

/** Looked like a public address, and is the platform's own behind every virtual machine of Azure. */
const platformAddresses = new Set(['168.63.129.16']);
/** What of IPv6 is given out to the world (RFC 4291 §2.4, IANA's registry); the rest is reserved or embeds IPv4. */
const globalUnicast = ipaddr.parseCIDR('2000::/3') as [ipaddr.IPv6, number];
/** Where a DNS64 puts public IPv4 addresses on a network that has IPv6 alone (RFC 6052 §2.1). */
const nat64 = ipaddr.parseCIDR('64:ff9b::/96') as [ipaddr.IPv6, number];

/** Reads one entry of `outbound.allow`: an address, a network in CIDR, or a host name; null for anything else. */
export function parseAllowed(entry: string): readonly [Address, number] | string | null {
  if (ipaddr.isValidCIDR(entry)) return ipaddr.parseCIDR(entry);
  if (isIP(entry) !== 0) {
    const address = ipaddr.parse(entry);
    return [address, address.kind() === 'ipv4' ? 32 : 128];
  }
  return /^(?!(.*\.)?\d+$)[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?$/i.test(entry) ? entry.toLowerCase() : null;
}

/** What may be connected to, with `allow` as the setting has it. `resolve` stands for the system's resolver. */
export function createOutbound(allow: readonly string[], resolve: Resolve = resolveName): Outbound {
  const parsed = allow.map(parseAllowed).filter((entry) => entry !== null);
  const allowed: Allowed = {
    networks: parsed.filter((entry) => typeof entry !== 'string'),
    hosts: new Set(parsed.filter((entry) => typeof entry === 'string')),
  };
  return {
    requireUrl: (text) => requireUrl(text, allowed),
    agent: (url, options) => guardedAgent(url, options, allowed, resolve),
  };
}

function requireUrl(text: string, allowed: Allowed): URL {
  const url = URL.parse(text);
  if (!url || !['https:', 'http:'].includes(url.protocol) || url.username || url.password || url.hash) {
    throw new Problem(
      'invalid_request',
      'The URL is to begin with https:// and to hold no user, password or fragment.',
    );
  }
  const host = hostOf(url);
  const literal = isIP(host) !== 0;
  if (literal && !mayReach(ipaddr.process(host), url, allowed)) throw notAllowed(host);
  const plain = url.protocol === 'http:' && !literal && !allowed.hosts.has(host) && allowed.networks.length === 0;
  if (plain || (isLocalName(host) && !mayReachItself(host, url, allowed))) throw notAllowed(host);
  return url;
}

/** Names that mean the machine itself (RFC 6761 §6.3): told at once rather than at the first connection. */
const isLocalName = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost');

function mayReachItself(host: string, url: URL, allowed: Allowed): boolean {
  return allowed.hosts.has(host) || ['127.0.0.1', '::1'].some((self) => mayReach(ipaddr.parse(self), url, allowed));
}

/** The host as DNS and addresses are written: without brackets and the root's dot. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

/** Without encryption only what the setting names; with it everything public too. */
function mayReach(address: Address, { protocol }: Pick<URL, 'protocol'>, { networks }: Allowed): boolean {
  const named = networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
  return named || (protocol === 'https:' && isPublic(address));
}

function isPublic(address: Address): boolean {
  const text = address.toString();
  if (platformAddresses.has(text) || isOwn(text)) return false;
  if (address.kind() === 'ipv4') return address.range() === 'unicast';
  const six = address as ipaddr.IPv6;
  if (six.match(nat64)) return isPublic(ipaddr.fromByteArray(six.toByteArray().slice(12)));
  return six.match(globalUnicast) && six.range() === 'unicast';
}

/** What listens on this machine may be kept from the world by a firewall that does not look at the machine itself. */
function isOwn(address: string): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some((own) => own.address === address));
}

async function resolveName(host: string): Promise<string[]> {
  return (await lookupName(host, { all: true, order: 'verbatim' })).map(({ address }) => address);
}

/** Every address of a host, each of them good. One that is not taints all: which one is connected to is chance. */
async function goodAddresses(host: string, url: URL, allowed: Allowed, resolve: Resolve): Promise<string[]> {
  const found = await resolve(host).catch((cause: unknown) => {
    throw notAllowed(host, cause);
  });
  const addresses = found.map((text) => ipaddr.process(text));
  const good = allowed.hosts.has(host) || addresses.every((address) => mayReach(address, url, allowed));
  if (!good || addresses.length === 0) throw notAllowed(host);
  return addresses.map(String);
}

function guardedAgent(
  url: URL,
  options: https.AgentOptions | undefined,
  allowed: Allowed,
  resolve: Resolve,
): http.Agent {
  const lookup: LookupFunction = (hostname, { all }, callback) => {
    const host = hostname.toLowerCase().replace(/\.$/, '');
    goodAddresses(host, url, allowed, resolve).then(
      (addresses) => {
        const found = addresses.map((address) => ({ address, family: isIP(address) }));
        if (all) callback(null, found);
        else callback(null, found[0]!.address, found[0]!.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    );
  };
  const agent =
    url.protocol === 'https:' ? new https.Agent({ ...options, lookup }) : new http.Agent({ ...options, lookup });
  const connect = agent.createConnection.bind(agent);
  // An address is connected to without a look-up, so it is looked at here.
  agent.createConnection = (to, callback) => {
    const host = (to.host ?? '').replace(/^\[(.*)\]$/, '$1');
    if (isIP(host) === 0 || mayReach(ipaddr.process(host), url, allowed)) return connect(to, callback);
    callback?.(notAllowed(host), undefined as never);
    return undefined;
  };
  return agent;
}

/** The same for a name that is not there and one that leads inside: which names there are inside is nobody's to learn. */
function notAllowed(host: string, cause?: unknown): Problem {
  return new Problem(
    'destination_not_allowed',
    `The server does not connect to ${host}: it has no public address, or the connection would not be encrypted.`,
    'The server administrator may allow it by the setting outbound.allow.',
    { cause },
  );
}
