// What breaks by a change of an account itself: its policy, its hosts, its files, its back ends, its gateway CAs, its end.

import { setImmediate } from 'node:timers/promises';
import { accountFilesOf } from '../registry/account-files.ts';
import { hostsOf } from '../registry/accounts.ts';
import { isAllowed } from '../registry/allow-list.ts';
import type { DeviceStanding } from '../registry/device-standings.ts';
import { fleetRootCasOf } from '../registry/fleet-root-cas.ts';
import { gatewayCasOf } from '../registry/gateway-cas.ts';
import { listProvisioningKeys } from '../registry/provisioning-keys.ts';
import type { Account, Upstream } from '../registry/tables.ts';
import { upstreamsOf } from '../registry/upstreams.ts';
import { loadReadableTrust } from './account-trust.ts';
import { checkPolicy, type Policy } from './accounts.ts';
import { impactOfTrust, tallyDevices } from './fleet-impact.ts';
import { canonicalHost } from './host.ts';
import { type Impact, noDevices, otherFacts } from './impact.ts';
import type { Provisioning } from './provisioning.ts';
import { refuse } from './refusal.ts';

/** Of an account's end. Every one of its devices is forgotten, so that all of them are to be confirmed. */
export async function impactOfEnd(p: Provisioning, account: Account): Promise<Impact> {
  const db = p.registry.read;
  const before = await loadReadableTrust(p, account);
  const after = refuse('not_found', 'The account is gone: its gateway ends every connection in the handshake.');
  const impact = await impactOfTrust(db, { before, after, touches: () => true }, p.clock());
  return {
    ...impact,
    confirm: impact.devices,
    newcomers: 'The gateway answers nobody under the hosts of this account.',
    other: otherFacts({
      hosts: (await hostsOf(db, account.id)).map(({ host }) => host),
      fleet_root_cas: (await fleetRootCasOf(db, account.id)).map(({ name }) => name),
      provisioning_keys: (await listProvisioningKeys(db, account.id)).map(({ id, description }) => description ?? id),
      back_ends: (await upstreamsOf(db, account.id)).map(({ prefix }) => prefix),
      files: (await accountFilesOf(db, account.id)).map(({ entry }) => entry),
    }),
  };
}

/** Of another policy: no device that is known is shut out by one. Throws `invalid_request`. */
export async function impactOfPolicy(p: Provisioning, account: Account, policy: Policy): Promise<Impact> {
  checkPolicy(account.kind, policy);
  const changed = (member: keyof Policy): boolean => policy[member] !== undefined && policy[member] !== account[member];
  const all = changed('namespace') || changed('rekey');
  const lets = changed('admission') ? policy.admission : undefined;
  const touched = async ({ state, device_id }: DeviceStanding): Promise<boolean> => {
    if (all) return true;
    if (lets === undefined || lets === 'approval' || state !== 'pending') return false;
    return lets === 'automatic' || isAllowed(p.registry.read, account.id, device_id);
  };
  const impact =
    all || (lets !== undefined && lets !== 'approval')
      ? await tallyDevices(p.registry.read, account.id, touched, p.clock())
      : noDevices();
  return { ...impact, newcomers: newcomersOf(policy, changed) };
}

function newcomersOf(policy: Policy, changed: (member: keyof Policy) => boolean): string | null {
  const { device_id_pattern: pattern, validity_seconds } = policy;
  const sentences = [
    changed('admission') &&
      {
        automatic: 'Newcomers get in at once, and those that wait do when they come again.',
        approval: 'Newcomers wait for approval (admission_pending).',
        'allow-list':
          'Newcomers that are not on the allow-list are refused with device_id_not_allowed; those that wait and are on it get in.',
      }[policy.admission!],
    changed('device_id_pattern') &&
      (pattern === null
        ? 'Newcomers may have any device ID.'
        : `Newcomers whose device ID does not match ${JSON.stringify(pattern)} are refused with device_id_not_allowed.`),
    changed('rekey') &&
      (policy.rekey === 'approve'
        ? 'Known devices that come with a new key wait for approval (rekey_pending).'
        : 'Known devices that come with a new key get in with it.'),
    changed('key_type') && `Devices that are provisioned from then on get keys of the type ${policy.key_type}.`,
    changed('validity_seconds') &&
      `Certificates that are issued from then on are valid for ${validity_seconds} seconds; those there stay as they are.`,
    changed('namespace') && `Back ends hear the namespace ${JSON.stringify(policy.namespace)} from then on.`,
  ].filter((sentence) => typeof sentence === 'string');
  return sentences.length === 0 ? null : sentences.join(' ');
}

/** Of taking a host away. Which host a device calls is not recorded. Throws `not_found`, `conflict`. */
export async function impactOfRemovedHost(p: Provisioning, account: Account, host: string): Promise<Impact> {
  const canonical = canonicalHost(host);
  // Where only this node knows it, it is let go of, and there is no row to lose.
  if (p.trustFile.ownerOfHost(canonical) !== account.id) {
    await p.registry.rehearse('removeHost', { account_id: account.id, host: canonical });
  }
  return noDevices({
    newcomers: `The gateway ends connections to ${canonical} in the handshake.`,
    unknown: `Which host a device calls is not recorded: those that call ${canonical} do not get through any more.`,
    other: otherFacts({ hosts: [canonical] }),
  });
}

/** Of leaving a file out of credentials.zip. Throws `not_found`. */
export async function impactOfRemovedFile(p: Provisioning, account: Account, entry: string): Promise<Impact> {
  await p.registry.rehearse('removeAccountFile', { account_id: account.id, entry });
  return noDevices({
    newcomers: 'Images that are built with a credentials.zip made from then on do not have it.',
    other: otherFacts({ files: [entry] }),
  });
}

/** Of passing the calls under a path on no longer: every device may make them. Throws `not_found`. */
export async function impactOfRemovedUpstream(p: Provisioning, account: Account, prefix: string): Promise<Impact> {
  const { url } = await p.registry.rehearse('removeUpstream', { account_id: account.id, prefix });
  const impact = await tallyDevices(p.registry.read, account.id, async ({ state }) => state === 'active', p.clock());
  return {
    ...impact,
    newcomers: `Calls under ${prefix} are not passed on to ${url}, those of newcomers neither.`,
    other: otherFacts({ back_ends: [prefix] }),
  };
}

/** Of setting these back ends: those that are there under the same prefixes and lead elsewhere end. */
export async function impactOfPreset(
  { registry }: Provisioning,
  account: Account,
  wished: readonly Upstream[],
): Promise<Impact> {
  const urls = new Map(wished.map(({ prefix, url }) => [prefix, url]));
  const ends = (await upstreamsOf(registry.read, account.id)).filter(
    ({ prefix, url }) => urls.has(prefix) && urls.get(prefix) !== url,
  );
  return noDevices({ other: otherFacts({ back_ends: ends.map(({ prefix, url }) => `${prefix} to ${url}`) }) });
}

/** Of taking device IDs off the allow-list: devices that have joined stay. */
export async function impactOfUnlisted(p: Provisioning, account: Account, ids: readonly string[]): Promise<Impact> {
  const there: string[] = [];
  for (const [at, device_id] of [...new Set(ids)].entries()) {
    if (await isAllowed(p.registry.read, account.id, device_id)) there.push(device_id);
    if (at % 500 === 499) await setImmediate();
  }
  return noDevices({
    newcomers:
      account.admission === 'allow-list'
        ? 'Newcomers with these device IDs are refused with device_id_not_allowed; devices that have joined stay.'
        : 'Nothing at present: the admission policy of the account is not allow-list.',
    other: otherFacts({ allow_list: there }),
  });
}

/** Of retiring the active gateway CA. Devices that pin their gateway's CAs hold that one and the standby. */
export async function impactOfSwitchedGateway(p: Provisioning, account: Account): Promise<Impact> {
  const cas = await gatewayCasOf(p.registry.read, account.id);
  const [active, standby] = (['active', 'standby'] as const).map((state) => cas.find((ca) => ca.state === state));
  const since = standby?.created_at ?? 0;
  const touched = async ({ state }: DeviceStanding) => state === 'active';
  const impact = await tallyDevices(p.registry.read, account.id, touched, p.clock());
  const older = await tallyDevices(
    p.registry.read,
    account.id,
    async ({ state, first_seen }) => state === 'active' && first_seen < since,
    p.clock(),
  );
  return {
    ...impact,
    newcomers: 'Images from now on pin the gateway CA that signs from then on, and a new standby.',
    unknown:
      older.devices === 0
        ? null
        : `${older.devices} device(s) were first seen before the standby gateway CA was made: those that have had no credentials.zip since do not trust it, and will refuse the gateway themselves.`,
    other: otherFacts({ gateway_cas_retired: active ? [active.sha256] : [] }),
  };
}

/** Of erasing the key of the standby gateway CA here. */
export async function impactOfErasedStandby(p: Provisioning, account: Account): Promise<Impact> {
  const standby = (await gatewayCasOf(p.registry.read, account.id)).find(({ state }) => state === 'standby');
  return noDevices({
    newcomers: null,
    unknown: 'Whether the file it was exported to and its passphrase are at hand is not known here.',
    other: otherFacts({ gateway_ca_keys_erased: standby ? [standby.sha256] : [] }),
  });
}
