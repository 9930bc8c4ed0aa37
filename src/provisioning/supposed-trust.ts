// What an account would trust after a change that has not been made. Pure: nothing is written, nobody is told.

import type { FleetRootAdmit, FleetRootCa, FleetRootCaState } from '../registry/tables.ts';
import type { AccountTrust } from './account-trust.ts';

/** The trust with a Fleet Root CA in another state. Where the owner signs, what widens waits for the signature. */
export function withRootState(trust: AccountTrust, { id }: FleetRootCa, state: FleetRootCaState): AccountTrust {
  const root = trust.roots.get(id);
  if (trust.fault || (trust.account.owner_key !== null && state === 'active')) return trust;
  const roots = new Map(trust.roots);
  if (root) roots.set(id, { ...root, state });
  return { ...trust, roots, disabled: disabledAmong(trust, roots) };
}

/** Those that are disabled whatever becomes of the Fleet Root CAs, and those of them that would be. */
function disabledAmong(trust: AccountTrust, roots: AccountTrust['roots']): AccountTrust['disabled'] {
  const before = new Set([...trust.roots.values()].map(({ public_key_sha256 }) => public_key_sha256));
  const others = [...trust.disabled].filter(([key]) => !before.has(key));
  const disabled = [...roots.values()].filter(({ state }) => state === 'disabled');
  return new Map([...others, ...disabled.map((root) => [root.public_key_sha256, { name: root.name }] as const)]);
}

/** The trust with another successor of a Fleet Root CA. */
export function withSuccessor(trust: AccountTrust, old_id: string, successor_id: string): AccountTrust {
  const root = trust.roots.get(old_id);
  if (!root) return trust;
  return { ...trust, roots: new Map(trust.roots).set(old_id, { ...root, successor_id }) };
}

/** The trust with a Fleet Root CA that admits by another measure. */
export function withAdmit(trust: AccountTrust, { id }: FleetRootCa, admit: FleetRootAdmit): AccountTrust {
  const root = trust.roots.get(id);
  if (!root) return trust;
  return { ...trust, roots: new Map(trust.roots).set(id, { ...root, admit }) };
}

/** The trust with one more public key (SHA-256, hex) that no path may contain. */
export function withDistrusted(trust: AccountTrust, public_key_sha256: string): AccountTrust {
  return { ...trust, distrusted: new Set([...trust.distrusted, public_key_sha256]) };
}
