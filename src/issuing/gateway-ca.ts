// The two gateway CAs of an account, and the certificate and key that its device gateway shows.

import { randomUUID } from 'node:crypto';

import type { Seal } from '../custody/seal.ts';
import { Problem } from '../problem.ts';
import type { Secret } from '../secret.ts';
import { hostsOf } from '../registry/accounts.ts';
import { gatewayCasOf, gatewayCertificateOf, keyOutside } from '../registry/gateway-cas.ts';
import type { Account, GatewayCa, GatewayCaState, GatewayCertificate } from '../registry/tables.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { Issuer } from './issuer.ts';
import { makeKeyPair } from './keys.ts';
import { makeCa, type NewCa, recordCa } from './new-ca.ts';
import { readSigningCa } from './recorded-ca.ts';

/**
 * Makes the account's active gateway CA and the one on standby, each with a key of its own; where a power cut has left
 * one of them out, that one.
 */
export async function createGatewayCas(
  issuer: Issuer,
  account: Account,
  options: { exportable?: boolean | undefined } = {},
): Promise<void> {
  const there = await gatewayCasOf(issuer.registry.read, account.id);
  for (const state of ['active', 'standby'] as const) {
    if (there.some((ca) => ca.state === state)) continue;
    await recordGatewayCa(issuer, account, await makeCa(issuer, account, 'gateway_ca', options), state);
  }
}

function recordGatewayCa(issuer: Issuer, account: Account, made: NewCa, state: GatewayCaState): Promise<GatewayCa> {
  const { id, key, certificate } = made;
  const ca = {
    id,
    account_id: account.id,
    key_id: key.id,
    state,
    certificate: certificate.der,
    sha256: certificate.sha256,
    not_after: certificate.notAfter,
  };
  return recordCa(issuer, made, () => issuer.registry.write('recordGatewayCa', ca));
}

/** Issues and records a gateway certificate for all hosts of the account, under its active gateway CA, with a new key. */
export async function issueGatewayCertificate(
  issuer: Issuer,
  seal: Seal,
  account: Account,
): Promise<GatewayCertificate> {
  const active = await gatewayCaIn(issuer, account, 'active');
  const made = await makeGatewayCertificate(issuer, seal, account, active, await hostNames(issuer, account));
  return issuer.registry.write('recordGatewayCertificate', made);
}

/**
 * Changes the hosts of an account by `change`, a write of the registry, once the gateway certificate for them has been
 * made: without it nothing changes. `change` may throw, as custody may; then no gateway shows the certificate either.
 */
export async function changeHosts(
  issuer: Issuer,
  seal: Seal,
  account: Account,
  { to, change }: { to: (present: string[]) => string[]; change: () => Promise<unknown> },
): Promise<void> {
  const active = await gatewayCaIn(issuer, account, 'active');
  const hosts = to(await hostNames(issuer, account));
  const made = await makeGatewayCertificate(issuer, seal, account, active, hosts);
  await change();
  await issuer.registry.write('recordGatewayCertificate', made);
  // Another change may have been made at the same time, or the active CA switched.
  await currentGatewayCertificate(issuer, seal, account);
}

/** All of a gateway certificate but its record, so that nothing that can fail comes after a switch of CAs. */
async function makeGatewayCertificate(
  issuer: Issuer,
  seal: Seal,
  account: Account,
  gatewayCa: GatewayCa,
  hosts: string[],
): Promise<Omit<GatewayCertificate, 'created_at'>> {
  const id = randomUUID();
  const ca = await readSigningCa(issuer.registry.read, gatewayCa);
  using pair = await makeKeyPair('p256');
  const request = { profile: 'gateway', account, ca, publicKey: pair.publicKey, hosts } as const;
  const certificate = await issuer.issue(issuer.prepare(request));
  return {
    id,
    account_id: account.id,
    gateway_ca_id: gatewayCa.id,
    certificate,
    sealed_key: seal.seal(pair.privateKey.reveal(), gatewayKeyContext(id)),
    hosts: JSON.stringify(hosts),
    not_after: parseCertificate(certificate).notAfter,
  };
}

/**
 * The gateway certificate of the account as it should be now: the recorded one, or where there is none, or that one is
 * due, is for other hosts or under a CA that is not active (any more), a new one. Calls may overlap: each looks again
 * after its own record, so that the last one stands for all hosts.
 */
export async function currentGatewayCertificate(
  issuer: Issuer,
  seal: Seal,
  account: Account,
): Promise<GatewayCertificate> {
  for (;;) {
    const recorded = await gatewayCertificateOf(issuer.registry.read, account.id);
    if (recorded !== undefined && !gatewayCertificateDue(recorded, issuer.clock())) {
      const active = await gatewayCaIn(issuer, account, 'active');
      const hosts = JSON.stringify(await hostNames(issuer, account));
      if (recorded.gateway_ca_id === active.id && recorded.hosts === hosts) return recorded;
    }
    await issueGatewayCertificate(issuer, seal, account);
  }
}

/** Whether a gateway certificate should be replaced at this instant (ms since 1970): a third of its life is left. */
export function gatewayCertificateDue({ created_at, not_after }: GatewayCertificate, now: number): boolean {
  return not_after - now < (not_after - created_at) / 3;
}

/** The private key of a gateway certificate, PKCS#8. Throws Problem('custody_unavailable'). */
export function openGatewayKey(seal: Seal, { id, sealed_key }: GatewayCertificate): Secret {
  return seal.open(sealed_key, gatewayKeyContext(id));
}

/**
 * Makes the standby gateway CA the active one, with a new gateway certificate under it, and a new CA the standby: devices
 * that come from now on have two pins again. Throws Problem('conflict') without a standby, or where its key is not here.
 */
export async function switchGatewayCa(
  issuer: Issuer,
  seal: Seal,
  account: Account,
): Promise<{ active: GatewayCa; standby: GatewayCa }> {
  const next = await gatewayCaIn(issuer, account, 'standby');
  const { key } = await readSigningCa(issuer.registry.read, next);
  if (key.erased_at !== null) throw new Problem('conflict', ...keyOutside);
  issuer.keys.ready(key);
  // An account whose keys are never to be given out has none later either.
  const made = await makeCa(issuer, account, 'gateway_ca', { exportable: key.exportable === 0 ? false : undefined });
  const { active, certificate } = await recordCa(issuer, made, async () => {
    // Sealed last: what waits long for its record may find the master key replaced.
    const certificate = await makeGatewayCertificate(issuer, seal, account, next, await hostNames(issuer, account));
    return { certificate, ...(await issuer.registry.write('switchGatewayCa', { account_id: account.id })) };
  });
  const standby = await recordGatewayCa(issuer, account, made, 'standby');
  await issuer.registry.write('recordGatewayCertificate', certificate);
  return { active, standby };
}

async function gatewayCaIn(issuer: Issuer, account: Account, state: GatewayCaState): Promise<GatewayCa> {
  const ca = (await gatewayCasOf(issuer.registry.read, account.id)).find((one) => one.state === state);
  if (ca === undefined) throw new Problem('conflict', `Account ${account.name} has no ${state} gateway CA.`);
  return ca;
}

async function hostNames(issuer: Issuer, account: Account): Promise<string[]> {
  return (await hostsOf(issuer.registry.read, account.id)).map(({ host }) => host);
}

/** What the key of a gateway certificate is called in the seal. */
export function gatewayKeyContext(id: string): string {
  return `key of gateway certificate ${id}`;
}
