// How settings that name a place in a network are read: addresses, ports, hosts.

import { isIP } from 'node:net';
import { type Parse, text, wholeNumber } from './value.ts';

/** With an account's UUID before it, it is still a host name of at most 253 characters (RFC 1035 §2.3.4). */
const longestDomain = 200;
/** Labels of letters, digits and inner hyphens (RFC 1034 §3.5), the last no number, as that of an address would be. */
const domainName = /^(?!(.*\.)?\d+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

export const domain: Parse = (value) => {
  const name = String(text(value)).toLowerCase();
  if (name.length <= longestDomain && domainName.test(name)) return name;
  throw new Error('is to be a domain name');
};

export const address: Parse = (value) => {
  if (typeof value === 'string' && isIP(value)) return value;
  throw new Error('is to be an IP address');
};

export const addresses: Parse = (value) => {
  const all = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [];
  if (all.length === 0) throw new Error('is to be at least one IP address');
  return all.map((one) => address(typeof one === 'string' ? one.trim() : one));
};

export const port = wholeNumber(0, 65_535);

export const ports: Parse = (value) => {
  const all = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [value];
  if (all.length === 0) throw new Error('is to be at least one port');
  return all.map((one) => port(typeof one === 'string' ? one.trim() : one));
};

export const hosts: Parse = (value) => {
  const all = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [];
  if (all.length === 0) throw new Error('is to be at least one host');
  return all.map((one) => {
    const host = String(text(one)).trim();
    return isIP(host) ? host : domain(host);
  });
};

/** Scheme, host and port alone (RFC 6454 §4): passkeys are bound to it, and cookies to its host. */
export const origin: Parse = (value) => {
  const url = URL.parse(String(text(value)));
  const loopback = url?.hostname === 'localhost';
  if (url && (url.protocol === 'https:' || (url.protocol === 'http:' && loopback)) && url.href === `${url.origin}/`) {
    return url.origin;
  }
  throw new Error('is to be an https URL of a host and maybe a port, or http://localhost with a port');
};
