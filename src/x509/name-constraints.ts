// Name constraints (RFC 5280 §4.2.1.10): whether the names of a certificate stand where the CAs above it let them.

import type { Certificate } from './certificate.ts';
import type { NameConstraints } from './extensions.ts';
import type { GeneralName } from './general-name.ts';
import { emailAddress, withinName } from './name.ts';

/** Where a name stands to a subtree. What cannot be told is `unclear`: not permitted, and excluded. */
type Standing = 'inside' | 'outside' | 'unclear';

/** How many comparisons one search for a path may make: 2^16 are about 10 ms, an honest chain makes a few dozen. */
export const comparisonLimit = 65_536;

/** The longest address or URI that is taken apart, in characters. */
const textLimit = 1_024;

/** What is left of `comparisonLimit`. */
export interface ComparisonBudget {
  comparisons: number;
}

/**
 * Checks all names of a certificate against one CA's constraints: its subject, the e-mail addresses in that, and its
 * subjectAltName. A form without a subtree is free (§4.2.1.10). Returns the end of a sentence that says which name
 * breaks them, or null. Takes what it compares from the budget, and refuses where that does not suffice.
 */
export function faultOfNames(
  certificate: Certificate,
  { permitted, excluded }: NameConstraints,
  budget: ComparisonBudget,
): string | null {
  const names = namesOf(certificate);
  budget.comparisons -= names.length * (permitted.length + excluded.length);
  if (budget.comparisons < 0) return 'has more names than can be held against the name constraints';
  for (const name of names) {
    const ofItsForm = ({ form }: GeneralName): boolean => form === name.form;
    if (excluded.filter(ofItsForm).some((subtree) => standingOf(name, subtree) !== 'outside')) {
      return `has a ${name.form} that is excluded, or not told apart from one that is,`;
    }
    const subtrees = permitted.filter(ofItsForm);
    if (subtrees.length > 0 && !subtrees.some((subtree) => standingOf(name, subtree) === 'inside')) {
      return `has a ${name.form} that is not among those permitted`;
    }
  }
  return null;
}

/** All names that constraints apply to; the e-mail addresses of the subject even beside a subjectAltName. */
function namesOf({ subject, extensions }: Certificate): GeneralName[] {
  const names: GeneralName[] = [...(extensions.subjectAlternativeNames ?? [])];
  if (subject.attributes.length > 0) names.push({ form: 'directoryName', value: subject });
  for (const { type, value } of subject.attributes) {
    // An address that cannot be read is an empty one, whose standing is unclear.
    if (type === emailAddress) names.push({ form: 'rfc822Name', value: value ?? '' });
  }
  return names;
}

/** Where a name stands to a subtree of the same form. */
function standingOf(name: GeneralName, subtree: GeneralName): Standing {
  if (typeof name.value === 'string' && name.value.length > textLimit) return 'unclear';
  if (name.form === 'directoryName' && subtree.form === 'directoryName') {
    return withinName(subtree.value, name.value) ? 'inside' : 'outside';
  }
  if (name.form === 'dNSName' && subtree.form === 'dNSName') return dnsStanding(name.value, subtree.value);
  if (name.form === 'rfc822Name' && subtree.form === 'rfc822Name') return mailStanding(name.value, subtree.value);
  if (name.form === 'uniformResourceIdentifier' && subtree.form === 'uniformResourceIdentifier') {
    return uriStanding(name.value, subtree.value);
  }
  if (name.form === 'iPAddress' && subtree.form === 'iPAddress') return addressStanding(name.value, subtree.value);
  // otherName, x400Address, ediPartyName and registeredID: nobody has said what a subtree of them is.
  return 'unclear';
}

/** `example.com` holds itself and all below it, `.example.com` (not of RFC 5280, but in use) only what is below. */
function dnsStanding(name: string, subtree: string): Standing {
  if (subtree === '') return 'inside';
  const wildcard = name.startsWith('*.');
  const host = hostOf(wildcard ? name.slice(2) : name);
  const below = subtree.startsWith('.');
  const domain = hostOf(below ? subtree.slice(1) : subtree);
  if (host === null || domain === null) return 'unclear';
  if (host.endsWith(`.${domain}`) || (host === domain && (wildcard || !below))) return 'inside';
  // *.example.com may be what foo.example.com is, which stands in a smaller subtree.
  return wildcard && domain.endsWith(`.${host}`) ? 'unclear' : 'outside';
}

/** A subtree is one mailbox, a host (all mailboxes there) or a domain `.example.com` (all hosts below it). */
function mailStanding(name: string, subtree: string): Standing {
  if (subtree === '') return 'inside';
  const [local, host] = splitMailbox(name);
  if (host === null || local === '' || local.includes('@')) return 'unclear';
  if (!subtree.includes('@')) return hostStanding(host, subtree);
  const [wantedLocal, wantedHost] = splitMailbox(subtree);
  if (wantedHost === null) return 'unclear';
  if (host !== wantedHost) return 'outside';
  if (local === wantedLocal) return 'inside';
  // The case of a local part counts (RFC 5280 §7.5), and quotes hide what it is; but many hosts think otherwise.
  const vague = local.toLowerCase() === wantedLocal.toLowerCase() || /["\\]/.test(local + wantedLocal);
  return vague ? 'unclear' : 'outside';
}

/** Constraints on URIs are about the host, which must be a name (RFC 5280 §4.2.1.10). */
function uriStanding(name: string, subtree: string): Standing {
  if (subtree === '') return 'inside';
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#\\]*)(?:[/?#]|$)/i.exec(name)?.[1];
  if (authority === undefined) return 'unclear';
  const host = hostOf(authority.slice(authority.lastIndexOf('@') + 1).replace(/:\d*$/, ''));
  if (host === null || /^[\d.]+$/.test(host)) return 'unclear';
  return hostStanding(host, subtree);
}

/** A host against `example.com`, which is that host alone, or `.example.com`, which is all below it. */
function hostStanding(host: string, subtree: string): Standing {
  const below = subtree.startsWith('.');
  const domain = hostOf(below ? subtree.slice(1) : subtree);
  if (domain === null) return 'unclear';
  return (below ? host.endsWith(`.${domain}`) : host === domain) ? 'inside' : 'outside';
}

/** An address against address and mask, which must be a prefix; the other family's addresses are outside. */
function addressStanding(name: Buffer, subtree: Buffer): Standing {
  const octets = subtree.length / 2;
  if ((name.length !== 4 && name.length !== 16) || (octets !== 4 && octets !== 16)) return 'unclear';
  const mask = subtree.subarray(octets);
  if (!isPrefix(mask)) return 'unclear';
  if (name.length !== octets) return 'outside';
  return mask.every((octet, index) => ((name[index]! ^ subtree[index]!) & octet) === 0) ? 'inside' : 'outside';
}

/** Whether all ones of a mask stand before all zeros. */
function isPrefix(mask: Buffer): boolean {
  return mask.every((octet, index) => {
    const zeros = 0xff - octet;
    return (zeros & (zeros + 1)) === 0 && (octet === 0 || index === 0 || mask[index - 1] === 0xff);
  });
}

/** The local part, and the host or null where that is none. */
function splitMailbox(mailbox: string): [string, string | null] {
  const at = mailbox.lastIndexOf('@');
  return at === -1 ? ['', null] : [mailbox.slice(0, at), hostOf(mailbox.slice(at + 1))];
}

/** A DNS name in lower case without the root's dot, or null where it is none. */
function hostOf(text: string): string | null {
  if (text.length > 254) return null; // 253 and the dot
  const host = text.toLowerCase().replace(/\.$/, '');
  return host.split('.').every((label) => /^[a-z0-9_-]{1,63}$/.test(label)) ? host : null;
}
