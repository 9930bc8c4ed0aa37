// What a load balancer says before a client's first byte: the PROXY protocol (haproxy's proxy-protocol.txt), pure.

import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** The addresses of a client and of where it connected to, as the load balancer names them; IPv6 in its short form. */
export interface ProxiedAddresses {
  readonly address: string;
  readonly localAddress: string;
}

/** What the bytes so far are: a header, its beginning, or none. */
export type ProxyHeader =
  | { readonly kind: 'partial' }
  | { readonly kind: 'malformed'; readonly fault: string }
  /** `size` is where the client's bytes begin; `proxied` is null where the balancer speaks for itself (a health check). */
  | { readonly kind: 'whole'; readonly size: number; readonly proxied: ProxiedAddresses | null };

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const fixedPart = 16;
/** Balancers send some hundred octets at the most; version 2 could say 64 KiB. */
const longestHeader = 4096;

const lineBeginning = Buffer.from('PROXY ', 'latin1');
const addressOf: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ['TCP4', isIPv4],
  ['TCP6', isIPv6],
]);
/** §2.1: the longest line, its CRLF included. */
const longestLine = 107;

const partial: ProxyHeader = { kind: 'partial' };
const malformed = (fault: string): ProxyHeader => ({ kind: 'malformed', fault });

/** Reads the header with which a connection begins, as far as it is there: version 2, or 1 as nginx sends it. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (isBeginning(bytes, signature)) return bytes.length < fixedPart ? partial : readBinary(bytes);
  if (isBeginning(bytes, lineBeginning)) return bytes.length < lineBeginning.length ? partial : readLine(bytes);
  return malformed('it does not begin as one');
}

/** Whether all of `bytes`, as far as they go, are as `beginning` is. */
function isBeginning(bytes: Buffer, beginning: Buffer): boolean {
  const size = Math.min(bytes.length, beginning.length);
  return bytes.compare(beginning, 0, size, 0, size) === 0;
}

/** §2.2. What comes after the addresses (TLVs, their checksum among them) is skipped, as a receiver may. */
function readBinary(bytes: Buffer): ProxyHeader {
  const version = bytes[12]! >> 4;
  const command = bytes[12]! & 15;
  const family = bytes[13]!;
  const rest = bytes.readUInt16BE(14);
  const size = fixedPart + rest;
  if (version !== 2) return malformed(`its version is ${version}`);
  if (command > 1) return malformed(`its command is ${command}`);
  if (size > longestHeader) return malformed(`it has ${size} octets, which is more than ${longestHeader}`);
  if (bytes.length < size) return partial;
  // Whatever family a health check names is to be ignored.
  if (command === 0) return { kind: 'whole', size, proxied: null };
  // An address that the balancer does not name is not taken to be its own: networks are allowed by addresses. (UNSPEC of a
  // PROXY command may be rejected, and what is not supported is to be as UNSPEC.)
  const octets = { 0x11: 4, 0x21: 16 }[family];
  if (octets === undefined) return malformed(`its family and transport are 0x${family.toString(16).padStart(2, '0')}`);
  if (rest < 2 * octets + 4) return malformed(`its addresses have ${rest} octets`);
  const [address, localAddress] = [0, 1].map((n) => {
    const start = fixedPart + n * octets;
    return formatAddress([...bytes.subarray(start, start + octets)]);
  }) as [string, string];
  return { kind: 'whole', size, proxied: { address, localAddress } };
}

/** §2.1. */
function readLine(bytes: Buffer): ProxyHeader {
  const line = bytes.toString('latin1', 0, longestLine);
  const end = line.indexOf('\n');
  if (end < 0) return bytes.length < longestLine ? partial : malformed('its line does not end');
  if (line[end - 1] !== '\r') return malformed('its line does not end in CR and LF');
  const size = end + 1;
  const [, protocol = '', ...words] = line.slice(0, end - 1).split(' ');
  // A sender that cannot name the addresses; what follows the word is to be ignored.
  if (protocol === 'UNKNOWN') return { kind: 'whole', size, proxied: null };
  const isAddress = addressOf.get(protocol);
  if (!isAddress) return malformed(`its protocol is ${JSON.stringify(protocol)}`);
  const [address = '', localAddress = '', ...ports] = words;
  const addresses = [address, localAddress];
  if (words.length !== 4 || !addresses.every((one) => isAddress(one) && !one.includes('%')) || !ports.every(isPort)) {
    return malformed('its line does not have two addresses and two ports');
  }
  const [from, to] = addresses.map((one) => formatAddress(ipaddr.parse(one).toByteArray())) as [string, string];
  return { kind: 'whole', size, proxied: { address: from, localAddress: to } };
}

/** As the system writes addresses, but IPv4 as such where IPv6 holds it. */
function formatAddress(octets: number[]): string {
  return ipaddr.process(ipaddr.fromByteArray(octets).toString()).toString();
}

function isPort(word: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(word) && Number(word) <= 65_535;
}
