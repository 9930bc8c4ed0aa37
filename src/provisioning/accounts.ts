// Accounts: made with everything that provisioning needs, changed, and ended.

import { randomUUID } from 'node:crypto';
import { createFleetRootCa } from '../issuing/fleet-root-ca.ts';
import { createGatewayCas, currentGatewayCertificate } from '../issuing/gateway-ca.ts';
import { createProvisioningCa } from '../issuing/provisioning-ca.ts';
import { Problem } from '../problem.ts';
import type { Account, AccountKind, AdmissionPolicy, RekeyPolicy } from '../registry/tables.ts';
import { checkPattern } from './device-id.ts';
import { canonicalHost } from './host.ts';
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
}

/**
 * Makes an account: its gateway CAs and gateway certificate and, for a test account, a generated Fleet Root CA and a
 * provisioning CA. Throws `invalid_request`, `name_taken`, or `custody_unavailable`; then nothing of it is left.
 */
export async function createAccount(
  { registry, issuer, seal, gateway }: Provisioning,
  { name, kind, exportable, ...policy }: NewAccount,
): Promise<Account> {
  checkName(name);
  checkPolicy(kind, policy);
  const id = randomUUID();
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
    },
    host: `${id}.${gateway.domain}`,
  });
  try {
    const keys = { exportable };
    await createGatewayCas(issuer, account, keys);
    await currentGatewayCertificate(issuer, seal, account);
    if (kind === 'test') {
      await createFleetRootCa(issuer, account, keys);
      await createProvisioningCa(issuer, account, keys);
    }
    return await registry.write('readyAccount', { account_id: id });
  } catch (error) {
    await registry.write('removeAccount', { account_id: id });
    await issuer.keys.destroyCondemned();
    throw error;
  }
}

/**
 * Ends an account with all that is in it; its keys are destroyed, their public halves remembered. Keys whose custodian is
 * away are never used again, and destroyed when it is back.
 */
export async function deleteAccount({ registry, issuer }: Provisioning, account: Account): Promise<void> {
  await registry.write('removeAccount', { account_id: account.id });
  await issuer.keys.destroyCondemned();
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
export async function addHost(
  { registry, issuer, seal, gateway }: Provisioning,
  account: Account,
  host: string,
): Promise<string> {
  const canonical = canonicalHost(host);
  if (canonical === gateway.domain || canonical.endsWith(`.${gateway.domain}`)) {
    throw new Problem(
      'invalid_request',
      `${canonical} lies under the gateway domain ${gateway.domain}, whose names belong to the accounts they were made for.`,
    );
  }
  await registry.write('addHost', { account_id: account.id, host: canonical });
  await currentGatewayCertificate(issuer, seal, account);
  return canonical;
}

/** Takes a host from an account, and renews the gateway certificate without it. Throws `not_found` or `conflict`. */
export async function removeHost(
  { registry, issuer, seal }: Provisioning,
  account: Account,
  host: string,
): Promise<void> {
  await registry.write('removeHost', { account_id: account.id, host: canonicalHost(host) });
  await currentGatewayCertificate(issuer, seal, account);
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

function checkPolicy(kind: AccountKind, policy: Policy): void {
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
