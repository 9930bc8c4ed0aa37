// How many connections wait, and how fast an account may go: [limits], and what [gateway] has of it.

import ipaddr from 'ipaddr.js';
import { type Parse, wholeNumber } from './value.ts';

/** Each of one account, or provisioning key, in a second and of one node, whose gateway processes share them. */
export interface LimitSettings {
  readonly accountHandshakes: number;
  readonly accountProvisionings: number;
  readonly keyProvisionings: number;
}

const rate = wholeNumber(1, 1_000_000);

/** Addresses and networks. */
const networks: Parse = (value) => {
  const all = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [value];
  const entries = all.map((one) => (typeof one === 'string' ? one.trim() : ''));
  const wrong = entries.find((entry) => !ipaddr.isValidCIDR(entry) && !isPlainAddress(entry));
  if (wrong === undefined) return entries;
  throw new Error(`is to be addresses or networks such as "10.1.0.0/16": ${JSON.stringify(wrong)} is none`);
};

/** As people write them: ipaddr.js takes "10" for one, too. */
function isPlainAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || (ipaddr.IPv6.isValid(text) && !text.includes('%'));
}

/** Each setting: its key, how it is read, and its default. */
export const limitSettings = {
  'gateway.max_waiting': [wholeNumber(1, 1_000_000), 8192],
  'gateway.proxies': [networks, []],
  // More than a core does: the accounts' turns are fair without it.
  'limits.account_handshakes': [rate, 5_000],
  // A third of what a core does: of provisioning nobody waits in turns.
  'limits.account_provisionings': [rate, 500],
  'limits.key_provisionings': [rate, 500],
} as const satisfies Record<string, readonly [Parse, unknown]>;

/** Gathers them, as `read` gives each. */
export function readLimits(read: (key: keyof typeof limitSettings) => unknown): LimitSettings {
  return {
    accountHandshakes: read('limits.account_handshakes') as number,
    accountProvisionings: read('limits.account_provisionings') as number,
    keyProvisionings: read('limits.key_provisionings') as number,
  };
}
