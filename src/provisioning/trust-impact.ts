// What breaks by a change of whom an account trusts: a Fleet Root CA's state or successor, a distrusted key, a signed set.

import { readDistrusted } from '../issuing/fleet-root-registration.ts';
import type { Account, FleetRootAdmit, FleetRootCa, FleetRootCaState } from '../registry/tables.ts';
import { type AccountTrust, loadReadableTrust } from './account-trust.ts';
import { impactOfTrust } from './fleet-impact.ts';
import { type Impact, otherFacts } from './impact.ts';
import { supposeSet } from './owner-signing.ts';
import type { Provisioning } from './provisioning.ts';
import { withAdmit, withDistrusted, withRootState, withSuccessor } from './supposed-trust.ts';

const newcomers = (name: string, wished: boolean) => ({
  active: wished
    ? `Those under "${name}" are taken once the owner has signed it.`
    : `Those under "${name}" are taken, as the account's admission policy has it.`,
  closed: `Those under "${name}" are refused with fleet_root_ca_closed, but for those whose certificates lead to an active Fleet Root CA too. A generated one makes no more devices.`,
  disabled: `Those under "${name}" are refused with fleet_root_ca_disabled. A generated one makes no more devices.`,
});

/** Of a Fleet Root CA in another state. */
export async function impactOfRootState(
  p: Provisioning,
  account: Account,
  ca: FleetRootCa,
  state: FleetRootCaState,
): Promise<Impact> {
  const before = await loadReadableTrust(p, account);
  const after = withRootState(before, ca, state);
  const touches = ({ fleet_root_ca_id }: { fleet_root_ca_id: string }) => fleet_root_ca_id === ca.id;
  const impact = await impactOfTrust(p.registry.read, { before, after, touches }, p.clock());
  const wished = account.owner_key !== null;
  return { ...impact, newcomers: newcomers(ca.name, wished)[state] };
}

/** Of admitting by another measure under a Fleet Root CA. Throws what doing it throws. */
export async function impactOfAdmit(
  p: Provisioning,
  account: Account,
  ca: FleetRootCa,
  admit: FleetRootAdmit,
): Promise<Impact> {
  await p.registry.rehearse('setFleetRootAdmit', { account_id: account.id, fleet_root_ca_id: ca.id, admit });
  const before = await loadReadableTrust(p, account);
  const after = withAdmit(before, ca, admit);
  const touches = ({ fleet_root_ca_id }: { fleet_root_ca_id: string }) => fleet_root_ca_id === ca.id;
  const impact = await impactOfTrust(p.registry.read, { before, after, touches }, p.clock());
  const those = {
    chain: `Those under "${ca.name}" are taken by their chain alone, as the account's admission policy has it.`,
    manifest: `Those under "${ca.name}" are refused with certificate_not_in_manifest, but for those that a manifest holds.`,
  };
  return { ...impact, newcomers: those[admit] };
}

/** Of another successor of a Fleet Root CA. */
export async function impactOfSuccessor(
  p: Provisioning,
  account: Account,
  from: FleetRootCa,
  to: FleetRootCa,
): Promise<Impact> {
  const named = { account_id: account.id, old_id: from.id, new_id: to.id };
  await p.registry.rehearse('setSuccessor', named);
  const before = await loadReadableTrust(p, account);
  const after = withSuccessor(before, from.id, to.id);
  const touches = ({ fleet_root_ca_id }: { fleet_root_ca_id: string }) => fleet_root_ca_id === from.id;
  const impact = await impactOfTrust(p.registry.read, { before, after, touches }, p.clock());
  const then = `Devices of "${from.name}" that come with a certificate under "${to.name}" are taken as the same devices.`;
  const replaced = from.successor_id !== null && from.successor_id !== to.id ? [from.successor_id] : [];
  const names = replaced.map((id) => before.roots.get(id)?.name ?? id);
  return { ...impact, newcomers: then, other: otherFacts({ successors_replaced: names }) };
}

/** Of distrusting the key of the one certificate in a file. Throws `certificate_unfit`. */
export async function impactOfDistrust(p: Provisioning, account: Account, file: Uint8Array): Promise<Impact> {
  const { public_key_sha256 } = readDistrusted(account, file);
  const before = await loadReadableTrust(p, account);
  const after = withDistrusted(before, public_key_sha256);
  const touches = (_: unknown, keys: ReadonlySet<string>) => keys.has(public_key_sha256);
  const impact = await impactOfTrust(p.registry.read, { before, after, touches }, p.clock());
  return { ...impact, newcomers: 'Those whose every path contains the key are refused with certificate_untrusted.' };
}

/** Of letting a set count that the owner has signed. Throws as `applySet` does. */
export async function impactOfSet(
  p: Provisioning,
  account: Account,
  document: Uint8Array,
  signature: Uint8Array,
): Promise<Impact> {
  const after = await supposeSet(p, account, document, signature);
  const before = await loadReadableTrust(p, account);
  const changed = rootsThatDiffer(before, after);
  const touches = ({ fleet_root_ca_id }: { fleet_root_ca_id: string }) => changed.has(fleet_root_ca_id);
  const impact = await impactOfTrust(p.registry.read, { before, after, touches }, p.clock());
  const names = [...changed].map((id) => (after.roots.get(id) ?? before.roots.get(id))?.name ?? id);
  return {
    ...impact,
    newcomers: 'Those under what is signed as active are taken; all others are refused.',
    other: otherFacts({ fleet_root_cas: names }),
  };
}

function rootsThatDiffer(before: AccountTrust, after: AccountTrust): Set<string> {
  const stateIn = ({ roots, anchors }: AccountTrust, id: string): string =>
    JSON.stringify([
      roots.get(id)?.state,
      anchors.filter((each) => each.id === id).map((each) => each.certificate.sha256),
    ]);
  const ids = new Set([...before.roots.keys(), ...after.roots.keys()]);
  return new Set([...ids].filter((id) => stateIn(before, id) !== stateIn(after, id)));
}
