// What an operator names in a path: the account, the Fleet Root CA.

import { Problem } from '../problem.ts';
import { isFault, ownerStanding } from '../provisioning/owner-standing.ts';
import { keyOf } from '../provisioning/owner-trust.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import type { SignedRoot } from '../provisioning/trust-set.ts';
import { accountByRef } from '../registry/accounts.ts';
import type { Db } from '../registry/database.ts';
import { fleetRootCaByRef } from '../registry/fleet-root-cas.ts';
import type { Account, FleetRootCa } from '../registry/tables.ts';

/** The account of this name or UUID. Throws `not_found`. */
export async function namedAccount(db: Db, ref: string): Promise<Account> {
  const account = await accountByRef(db, ref);
  if (!account) throw noSuchAccount(ref);
  return account;
}

/** What is told of an account that is not there, or that whoever asks has no role in. */
export function noSuchAccount(ref: string): Problem {
  return new Problem('not_found', `There is no account ${JSON.stringify(ref)}.`, '`account list` shows the accounts.');
}

/**
 * The Fleet Root CA of this ID, name or SHA-256 in an account. Where its owner signs, a name or SHA-256 means what is
 * signed under it. Throws `not_found`, or `conflict` where a row says otherwise: another would be closed than is meant.
 */
export async function namedFleetRootCa(
  provisioning: Provisioning,
  account: Account,
  ref: string,
): Promise<FleetRootCa> {
  const ca = await fleetRootCaByRef(provisioning.registry.read, account.id, ref);
  if (ca?.id !== ref.toLowerCase()) requireAsSigned(await signedRoots(provisioning, account), ref, ca);
  if (!ca) {
    throw new Problem(
      'not_found',
      `The account ${account.name} has no Fleet Root CA ${JSON.stringify(ref)}.`,
      '`fleet-root list ACCOUNT` shows them.',
    );
  }
  return ca;
}

async function signedRoots(provisioning: Provisioning, account: Account): Promise<readonly SignedRoot[]> {
  const standing = await ownerStanding(provisioning, account);
  return standing === null || isFault(standing) ? [] : (standing.accepted?.set.fleet_root_cas ?? []);
}

function requireAsSigned(roots: readonly SignedRoot[], ref: string, ca: FleetRootCa | undefined): void {
  const sha256 = ref.toLowerCase().replaceAll(':', '');
  const meant =
    roots.find(({ name }) => name === ref) ??
    roots.find(({ certificates }) => certificates.some((each) => each.sha256 === sha256)) ??
    roots.find(({ id }) => id === ca?.id);
  if (!meant) return;
  if (meant.id === ca?.id && meant.name === ca.name && keyOf(meant) === ca.public_key_sha256) return;
  throw new Problem(
    'conflict',
    `The registry has another name or key of the Fleet Root CA ${meant.id} than the owner has signed, so that ${JSON.stringify(ref)} is ambiguous.`,
    `Somebody has changed the registry: find out who. By its ID you reach what is signed as ${JSON.stringify(meant.name)}.`,
  );
}
