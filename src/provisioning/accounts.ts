// Accounts: made with everything that provisioning needs, changed, and ended.

import { randomUUID } from 'node:crypto';
import { createFleetRootCa } from '../issuing/fleet-root-ca.ts';
import { changeHosts, createGatewayCas, currentGatewayCertificate } from '../issuing/gateway-ca.ts';
import { createProvisioningCa } from '../issuing/provisioning-ca.ts';
import { Problem } from '../problem.ts';
import { accountOfHost, hostsOf } from '../registry/accounts.ts';
import type { Account, AccountKind, AdmissionPolicy, RekeyPolicy } from '../registry/tables.ts';
import { checkPattern } from './device-id.ts';
import { canonicalHost } from './host.ts';
import { ownerKeyFor, pinAccount, pinHost, requireFreeName, unpinHost } from './owner-pin.ts';
import type { Provisioning } from './provisioning.ts';

const tenYears = 10 * 365 * 24 * 60 * 60;
const longestValidity = 10 * tenYears;

/** Every client reads p256 and rsa2048; who asks for another knows its clients. */
const deviceKeyTypes: readonly string[] = ['p256', 'p384', 'rsa2048', 'rsa3072'];

/** What of an account may be changed. */
export interface Policy {
  admission?: AdmissionPolicy;
  rekey?: RekeyPolicy;
  /** Of device keys that the crypto service makes. */
  key_type?: string;
  validity_seconds?: number;
  /** RE2 pattern; null for none. */
  device_id_pattern?: string | null;
  namespace?: string;
}

/** What an account is made of. */
export interface NewAccount extends Policy {
  name: string;
  kind: AccountKind;
  /** Whether the private keys of its CAs may be given out, ever; left out, as their custodian has it. */
  exportable?: boolean | undefined;
  /** A file with the public key of whoever signs whom a production account trusts; left out, its rows are trusted. */
  owner_key?: Uint8Array | undefined;
}

/**
 * Makes an account: its gateway CAs and gateway certificate and, for a test account, a generated Fleet Root CA and a
 * provisioning CA. Throws `invalid_request`, `name_taken`, `key_held_by_server` or `custody_unavailable`; then nothing of
 * it is left.
 */
export async function createAccount(
  provisioning: Provisioning,
  { name, kind, exportable, owner_key: file, ...policy }: NewAccount,
): Promise<Account> {
  const { registry, issuer, seal, gateway, trustFile } = provisioning;
  checkName(name);
  checkPolicy(kind, policy);
  requireFreeName(provisioning, name);
  const owner_key = file === undefined ? null : await ownerKeyFor(provisioning, kind, file);
  const id = randomUUID();
  const host = `${id}.${gateway.domain}`;
  const account = await registry.write('insertAccount', {
    account: {
      id,
      name,
      kind,
      admission: policy.admission ?? 'automatic',
      rekey: policy.rekey ?? 'accept',
      key_type: policy.key_type ?? 'p256',
      validity_seconds: policy.validity_seconds ?? tenYears,
      device_id_pattern: policy.device_id_pattern ?? null,
      namespace: policy.namespace ?? name,
      owner_key,
    },
    host,
  });
  try {
    const keys = { exportable };
    await createGatewayCas(issuer, account, keys);
    await currentGatewayCertificate(issuer, seal, account);
    if (kind === 'test') {
      await createFleetRootCa(issuer, account, keys);
      await createProvisioningCa(issuer, account, keys);
    }
    await pinAccount(provisioning, account, host);
    return await registry.write('readyAccount', { account_id: id });
  } catch (error) {
    try {
      await registry.write('removeAccount', { account_id: id });
      await trustFile.change(id, () => null);
    } finally {
      await issuer.keys.destroyCondemned();
    }
    throw error;
  }
}

/**
 * Ends an account with all that is in it; its keys are destroyed, their public halves remembered. Keys whose custodian is
 * away are never used again, and destroyed when it is back. Throws `confirmation_required`, and does nothing, where it has
 * more than `mostDevices` by then.
 */
export async function deleteAccount(
  { registry, issuer, trustFile }: Provisioning,
  account: Account,
  { mostDevices }: { mostDevices?: number } = {},
): Promise<void> {
  try {
    await registry.write('removeAccount', { account_id: account.id, most_devices: mostDevices });
    await trustFile.change(account.id, () => null);
  } finally {
    await issuer.keys.destroyCondemned();
  }
}

/**
 * Throws `forbidden` where an account is to be given another namespace by somebody who does not administer the server: back
 * ends tell accounts apart by it, and would take its devices for another account's.
 */
export function requireMayName(
  account: Account,
  namespace: string,
  { administrator }: { administrator: boolean },
): void {
  if (administrator || namespace === account.namespace) return;
  throw new Problem(
    'forbidden',
    'Only an administrator of the server gives an account another namespace: back ends tell accounts apart by it.',
  );
}

/** Changes the policy of an account. Throws `invalid_request`. */
export async function setPolicy({ registry }: Provisioning, account: Account, policy: Policy): Promise<Account> {
  checkPolicy(account.kind, policy);
  return registry.write('setPolicy', { account_id: account.id, ...policy });
}

/**
 * Adds a host by which devices reach the account, and renews the gateway certificate with it. Gives its canonical form.
 * Throws `invalid_request`, `host_taken` or `custody_unavailable`.
 */
export async function addHost(provisioning: Provisioning, account: Account, host: string): Promise<string> {
  const { registry, issuer, seal, gateway } = provisioning;
  const canonical = canonicalHost(host);
  if (canonical === gateway.domain || canonical.endsWith(`.${gateway.domain}`)) {
    throw new Problem(
      'invalid_request',
      `${canonical} lies under the gateway domain ${gateway.domain}, whose names belong to the accounts they were made for.`,
    );
  }
  const owner = await accountOfHost(registry.read, canonical);
  if (owner) throw new Problem('host_taken', `The host ${canonical} belongs to an account of this server already.`);
  await pinHost(provisioning, account, canonical);
  try {
    await changeHosts(issuer, seal, account, {
      to: (present) => [...present, canonical],
      change: () => registry.write('addHost', { account_id: account.id, host: canonical }),
    });
  } catch (error) {
    if (!(await hasHost(registry, account, canonical))) await unpinHost(provisioning, account, canonical);
    throw error;
  }
  return canonical;
}

/**
 * Takes a host from an account, and renews the gateway certificate without it. Throws `not_found`, `conflict` or
 * `custody_unavailable`.
 */
export async function removeHost(provisioning: Provisioning, account: Account, host: string): Promise<void> {
  const { registry, issuer, seal, trustFile } = provisioning;
  const canonical = canonicalHost(host);
  const change = () => registry.write('removeHost', { account_id: account.id, host: canonical });
  const there = (await hostsOf(registry.read, account.id)).find((each) => each.host === canonical);
  if (there?.kind === 'added') {
    await changeHosts(issuer, seal, account, { to: (present) => present.filter((each) => each !== canonical), change });
  } else if (there || trustFile.ownerOfHost(canonical) !== account.id) {
    // It says what is wrong with any other.
    await change();
  }
  // Where only the node knew it, somebody has taken the row away, or an addition was cut short.
  await unpinHost(provisioning, account, canonical);
}

async function hasHost({ read }: Provisioning['registry'], account: Account, host: string): Promise<boolean> {
  return (await hostsOf(read, account.id)).some((each) => each.host === host);
}

function checkName(name: string): void {
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name) || uuid.test(name)) {
    throw new Problem(
      'invalid_request',
      `${JSON.stringify(name)} is no account name.`,
      'A name has 1 to 63 characters a-z, 0-9 and "-", begins and ends with a letter or digit, and is not shaped like a UUID.',
    );
  }
}

/** Throws `invalid_request`, or `provisioning_not_offered`, for a policy that an account of this kind cannot have. */
export function checkPolicy(kind: AccountKind, policy: Policy): void {
  const issuing = policy.key_type !== undefined || policy.validity_seconds !== undefined;
  if (kind === 'production' && issuing) {
    throw new Problem(
      'provisioning_not_offered',
      'A production account issues no device certificates, so it has neither a key type nor a validity for them.',
    );
  }
  if (policy.key_type !== undefined && !deviceKeyTypes.includes(policy.key_type)) {
    throw new Problem('invalid_request', `Device keys are ${deviceKeyTypes.join(', ')}, not ${policy.key_type}.`);
  }
  const validity = policy.validity_seconds;
  if (validity !== undefined && !(Number.isInteger(validity) && validity >= 3600 && validity <= longestValidity)) {
    throw new Problem('invalid_request', 'The validity of device certificates is to be from an hour to 100 years.');
  }
  if (typeof policy.device_id_pattern === 'string') checkPattern(policy.device_id_pattern);
  if (policy.namespace !== undefined && !/^[\x21-\x7e]{1,128}$/.test(policy.namespace)) {
    throw new Problem('invalid_request', 'A namespace has 1 to 128 visible ASCII characters.');
  }
}
