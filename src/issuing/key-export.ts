// Private keys of CAs that leave at their owner's request, encrypted under a passphrase, and the one that comes back.

import { Problem } from '../problem.ts';
import { gatewayCasOf } from '../registry/gateway-cas.ts';
import { requireKey } from '../registry/keys.ts';
import type { Account, FleetRootCa, GatewayCa, KeyRow } from '../registry/tables.ts';
import type { Secret } from '../secret.ts';
import { encodePem } from '../x509/pem.ts';
import { encryptPrivateKey } from '../x509/pkcs8.ts';
import type { Issuer } from './issuer.ts';

/** A private key on its way out. */
export interface ExportedKey {
  readonly key: KeyRow;
  /** PKCS#8, encrypted under the passphrase, PEM. */
  readonly pem: string;
}

/**
 * Gives out the key of a generated Fleet Root CA, recorded before it leaves. The passphrase is the caller's to wipe.
 * Throws Problem('conflict') for a registered one, whose key was never here, and as HeldKeys.export does.
 */
export async function exportFleetRootKey(issuer: Issuer, ca: FleetRootCa, passphrase: Secret): Promise<ExportedKey> {
  if (ca.key_id === null) {
    throw new Problem(
      'conflict',
      `The Fleet Root CA "${ca.name}" was registered by its certificate: its private key was never here.`,
      'Whoever made this CA has its key.',
    );
  }
  return exportKey(issuer, await requireKey(issuer.registry.read, ca.key_id), passphrase);
}

/** Gives out the key of an account's standby gateway CA, as `exportFleetRootKey` does. Throws Problem('conflict') without one. */
export async function exportStandbyKey(issuer: Issuer, account: Account, passphrase: Secret): Promise<ExportedKey> {
  return exportKey(issuer, await standbyKey(issuer, account), passphrase);
}

/**
 * Erases the key of an account's standby gateway CA here, so that whoever steals this server has the active one's alone.
 * Throws Problem('conflict') where it was never exported, or is not here, and CustodyProblem.
 */
export async function eraseStandbyKey(issuer: Issuer, account: Account): Promise<void> {
  await issuer.keys.erase(await standbyKey(issuer, account));
}

/**
 * Takes the key of an account's standby gateway CA in again (PKCS#8, DER; wiping it is the caller's), proved by a
 * signature. Throws Problem('conflict') where it was not erased, Problem('invalid_request') for another key, CustodyProblem.
 */
export async function importStandbyKey(issuer: Issuer, account: Account, privateKey: Secret): Promise<void> {
  await issuer.keys.restore(await standbyKey(issuer, account), privateKey);
}

async function exportKey(issuer: Issuer, key: KeyRow, passphrase: Secret): Promise<ExportedKey> {
  using privateKey = await issuer.keys.export(key);
  const encrypted = await encryptPrivateKey(privateKey.reveal(), passphrase.reveal());
  return { key, pem: encodePem('ENCRYPTED PRIVATE KEY', encrypted) };
}

async function standbyKey(issuer: Issuer, account: Account): Promise<KeyRow> {
  const cas = await gatewayCasOf(issuer.registry.read, account.id);
  const standby: GatewayCa | undefined = cas.find(({ state }) => state === 'standby');
  if (!standby) throw new Problem('conflict', `Account ${account.name} has no standby gateway CA.`);
  return requireKey(issuer.registry.read, standby.key_id);
}
