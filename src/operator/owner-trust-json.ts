// How owner-signed trust looks to operators: the owner's key, the set that counts, and what of a Fleet Root CA is signed.

import { Problem } from '../problem.ts';
import { type AccountTrust, loadAccountTrust } from '../provisioning/account-trust.ts';
import { parseOwnerKey } from '../provisioning/owner-key.ts';
import { drawChanges } from '../provisioning/owner-signing.ts';
import { isFault, ownerStanding } from '../provisioning/owner-standing.ts';
import { compareStates, type Fault, type OwnerTrust } from '../provisioning/owner-trust.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import type { Account, FleetRootCa, FleetRootCertificate } from '../registry/tables.ts';
import { formatInstant } from '../time.ts';
import type { FleetRootCaJson, OwnerKeyJson, TrustSetJson } from './schemas.ts';

/** The owner's key of an account, as this node knows it; null for an account without an owner, or where a row has none. */
export function ownerKeyJson({ trustFile }: Provisioning, account: Account): OwnerKeyJson | null {
  const pin = trustFile.pins.get(account.id);
  const spki = pin ? Buffer.from(pin.owner_key, 'base64') : account.owner_key;
  if (!spki) return null;
  try {
    const { kind, sha256 } = parseOwnerKey(spki);
    return { algorithm: kind, sha256 };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return null;
  }
}

/** The set that counts in an account, or why nothing does; null for an account without an owner. */
export async function trustSetJson(provisioning: Provisioning, account: Account): Promise<TrustSetJson | null> {
  const standing = await ownerStanding(provisioning, account);
  if (standing === null) return null;
  const pin = provisioning.trustFile.pins.get(account.id);
  const fault = isFault(standing) ? standing : null;
  const accepted = isFault(standing) ? null : standing.accepted;
  return {
    number: pin?.set?.number ?? 0,
    sha256: pin?.set?.sha256 ?? null,
    accepted_at: formatInstant(accepted?.row.accepted_at ?? null),
    narrowed: [...(isFault(standing) ? (pin?.narrowings ?? []) : standing.narrowings)],
    waiting: fault === null && (await isWaiting(provisioning, account)),
    fault,
  };
}

/** Also where what is wished cannot be drawn: it is not what is signed, and `fleet-root changes` says why it cannot be. */
async function isWaiting(provisioning: Provisioning, account: Account): Promise<boolean> {
  try {
    return (await drawChanges(provisioning, account)).document !== null;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return true;
  }
}

/** What is signed in an account, and what counts of it. */
export interface Signed {
  readonly standing: OwnerTrust | Fault;
  readonly trust: AccountTrust;
}

/** Null for an account without an owner. */
export async function signedIn(provisioning: Provisioning, account: Account): Promise<Signed | null> {
  const standing = await ownerStanding(provisioning, account);
  return standing && { standing, trust: await loadAccountTrust(provisioning, account) };
}

/** What of a Fleet Root CA is signed, what counts, and whether its owner would have to sign for all of it to count. */
export function signedRootJson(
  signed: Signed | null,
  ca: FleetRootCa,
  anchors: readonly FleetRootCertificate[],
): Pick<FleetRootCaJson, 'signed' | 'counts' | 'waiting'> {
  if (signed === null) return { signed: null, counts: null, waiting: false };
  const { standing, trust } = signed;
  const counts = trust.roots.get(ca.id)?.state ?? 'none';
  if (isFault(standing)) return { signed: 'none', counts, waiting: false };
  const root = standing.accepted?.set.fleet_root_cas.find(({ id }) => id === ca.id);
  if (!root || counts === 'none') return { signed: root?.state ?? 'none', counts, waiting: true };
  const further = anchors.some(({ sha256 }) => !root.certificates.some((each) => each.sha256 === sha256));
  return { signed: root.state, counts, waiting: further || compareStates(ca.state, counts) < 0 };
}
