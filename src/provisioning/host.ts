// A host by which devices reach an account, in the one form in which hosts are kept and compared.

import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Problem } from '../problem.ts';

/** A label of a host name: letters, digits and inner hyphens (RFC 1034 §3.5, RFC 1123 §2.1). */
const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const hostName = new RegExp(`^${label}(\\.${label})*$`);

/**
 * The form in which a host is compared: a DNS name in lower case without a final dot, or an IP address as RFC 5952
 * writes it. Takes nothing that a gateway certificate could not name (issuing/lint.ts, `subject_alternative_names`),
 * since a host that no certificate can name would keep the account from ever getting another certificate.
 * Throws `invalid_request` for what is neither, for wildcards, and for addresses with a zone.
 */
export function canonicalHost(host: string): string {
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) && !bare.includes('%')) return ipaddr.process(bare).toString();
  const name = host.toLowerCase().replace(/\.$/, '');
  if (name.length > 253 || !hostName.test(name) || /(^|\.)\d+$/.test(name)) {
    throw new Problem(
      'invalid_request',
      `${JSON.stringify(host)} is neither a host name nor an IP address.`,
      'Host names have letters, digits, "-" and dots. Wildcards are not taken: name each host.',
    );
  }
  return name;
}
