// Owner-signed trust: what counts of an account whose owner signs whom it trusts, or why nothing does. Pure.

import { hash } from 'node:crypto';
import { Problem } from '../problem.ts';
import type { Account, FleetRootCa, FleetRootCaState, TrustSetRow } from '../registry/tables.ts';
import { isSignedBy, type OwnerKey, parseOwnerKey } from './owner-key.ts';
import type { Pin } from './trust-file.ts';
import { type NarrowingRecord, parseTrustSet, type SignedRoot, type TrustSet } from './trust-set.ts';

/** Why an account trusts nobody. */
export interface Fault {
  /** One sentence. */
  readonly rule: string;
  readonly remedy: string;
}

/** A set that the owner has signed, as it was accepted. */
export interface AcceptedSet {
  readonly set: TrustSet;
  readonly sha256: string;
  readonly row: TrustSetRow;
}

/** What an owner's signature lets count. */
export interface OwnerTrust {
  readonly ownerKey: OwnerKey;
  /** Null before the first: then nobody is trusted. */
  readonly accepted: AcceptedSet | null;
  /** In force: no set since has carried or lifted them. */
  readonly narrowings: readonly NarrowingRecord[];
}

/** The name of a document: its SHA-256, hex. */
export function nameOfSet(document: Uint8Array): string {
  return hash('sha256', document, 'hex');
}

/** Whether an account is one whose owner signs: by its row, or by what this node knows of it whatever the row says. */
export function hasOwner(account: Account, pin: Pin | null): boolean {
  return account.owner_key !== null || pin !== null;
}

/** The owner's key of an account, where its row and this node agree on it; else why nothing of it counts. */
export function weighAccount(account: Account, pin: Pin | null): OwnerKey | Fault {
  const changed = 'Somebody has changed the registry: find out who, and restore it from a back-up.';
  if (pin === null) {
    return {
      rule: 'The account has an owner key in the registry that this node does not know, so nobody is admitted under it.',
      remedy:
        'Restore owner-trust.json of this node from a back-up, or set trust.owner_file to that of a node which knows the account.',
    };
  }
  const ownerKey = Buffer.from(pin.owner_key, 'base64');
  if (account.owner_key === null || !ownerKey.equals(account.owner_key)) {
    return {
      rule: 'The owner key of the account in the registry is not the one that this node knows, so nobody is admitted under it.',
      remedy: changed,
    };
  }
  if (account.kind !== 'production' || account.name !== pin.name) {
    return {
      rule: 'The account has another kind or name in the registry than this node knows, so nobody is admitted under it.',
      remedy: changed,
    };
  }
  return parseOwnerKey(ownerKey);
}

/** The number from which on sets have to be read to weigh them. */
export function firstSetNeeded(pin: Pin, narrowings: readonly NarrowingRecord[]): number {
  return [...pin.narrowings, ...narrowings].reduce((first, { set }) => Math.min(first, set + 1), pin.set?.number ?? 1);
}

/**
 * Weighs the sets of an account, the latest first, against what this node knows. The latest must be signed by the owner,
 * and lead back, each by the hash of the one before, to the one that this node has accepted.
 */
export function weighSets(
  account: Account,
  ownerKey: OwnerKey,
  pin: Pin,
  rows: readonly TrustSetRow[],
  narrowings: readonly NarrowingRecord[],
): OwnerTrust | Fault {
  const [latest, ...earlier] = rows;
  const known = pin.set?.number ?? 0;
  // What this node keeps is not replaced by a row that has its ID.
  const all = unique([...narrowings, ...pin.narrowings]);
  if (!latest && known === 0) return { ownerKey, accepted: null, narrowings: all };
  if (!latest || latest.number < known) {
    return {
      rule: `The registry has lost set ${known} of the account, which this node has accepted, so nobody is admitted under it.`,
      remedy: `Apply set ${known} again with \`fleet-root apply\`, restore a newer registry, or have the owner sign what \`fleet-root changes\` writes now.`,
    };
  }
  const set = signedSet(account, ownerKey, latest);
  if (set === null) {
    return {
      rule: `Set ${latest.number} of the account in the registry is not signed by its owner, so nobody is admitted under it.`,
      remedy: `Somebody has changed the registry: find out who, and apply ${known > 0 ? `set ${known}` : 'a signed set'} again with \`fleet-root apply\`.`,
    };
  }
  const chain = [{ set, sha256: nameOfSet(latest.document) }, ...historyOf(set, earlier)];
  const next = chain.find((each) => each.set.number === known + 1);
  const leadsBack =
    latest.number === known
      ? chain[0]!.sha256 === pin.set?.sha256
      : next !== undefined && next.set.previous_sha256 === (pin.set?.sha256 ?? null);
  if (!leadsBack) {
    return {
      rule: `Set ${latest.number} of the account in the registry does not lead back to set ${known} that this node has accepted, so nobody is admitted under it.`,
      remedy: 'Restore the registry, or apply the sets since then again, one after the other, with `fleet-root apply`.',
    };
  }
  return {
    ownerKey,
    accepted: { set, sha256: chain[0]!.sha256, row: latest },
    narrowings: all.filter((each) => !chain.some(({ set: later }) => settles(later, each))),
  };
}

/** The set of a row, where its owner has signed it and it is of this account and number. */
function signedSet(account: Account, ownerKey: OwnerKey, row: TrustSetRow): TrustSet | null {
  if (!isSignedBy(ownerKey, row.document, row.signature)) return null;
  const set = setOrNull(row.document);
  return set?.account.id === account.id && set.number === row.number ? set : null;
}

function setOrNull(document: Uint8Array): TrustSet | null {
  try {
    return parseTrustSet(document);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return null;
  }
}

/** The sets before one, as far as each names the one before it by its hash: what is signed vouches for it. */
function historyOf(set: TrustSet, rows: readonly TrustSetRow[]): { set: TrustSet; sha256: string }[] {
  const history: { set: TrustSet; sha256: string }[] = [];
  let next = set;
  for (const row of rows) {
    const sha256 = nameOfSet(row.document);
    const before = sha256 === next.previous_sha256 ? setOrNull(row.document) : null;
    if (before?.number !== next.number - 1) break;
    history.push({ set: before, sha256 });
    next = before;
  }
  return history;
}

function unique(narrowings: readonly NarrowingRecord[]): NarrowingRecord[] {
  return [...new Map(narrowings.map((each) => [each.id, each])).values()];
}

/** The most narrowings of an account that a node keeps, which a set that lifts them all can name. */
export const mostNarrowings = 1_000;

/** How many of them it takes from rows: the rest are left for its operators, whatever somebody writes there. */
export const mostNarrowingsOfRows = 500;

/** Whether one narrowing is another made again: then that one need not be kept, since what lifts it does not lift this. */
export function repeats(later: NarrowingRecord, earlier: NarrowingRecord): boolean {
  return (
    later.kind === earlier.kind &&
    later.fleet_root_ca === earlier.fleet_root_ca &&
    later.public_key_sha256 === earlier.public_key_sha256 &&
    later.set >= earlier.set
  );
}

/** Whether a set says what became of a narrowing made before it: it carries the narrowing itself, or lifts it by name. */
export function settles(set: TrustSet, narrowing: NarrowingRecord): boolean {
  if (set.number <= narrowing.set) return false;
  return carries(set, narrowing) || set.lifts.some(({ id }) => id === narrowing.id);
}

/** Whether a set is as narrow by itself. */
export function carries(
  { fleet_root_cas, distrusted_keys }: Pick<TrustSet, 'fleet_root_cas' | 'distrusted_keys'>,
  narrowing: NarrowingRecord,
): boolean {
  if (narrowing.kind === 'distrust') {
    return distrusted_keys.some(({ publicKey }) => publicKey.sha256 === narrowing.public_key_sha256);
  }
  const meant = fleet_root_cas.filter((root) => concerns(narrowing, root.id, keyOf(root)));
  const narrow = narrowing.kind === 'close' ? ['closed', 'disabled'] : ['disabled'];
  return meant.length > 0 && meant.every(({ state }) => narrow.includes(state));
}

/** The public key (SHA-256, hex) of a Fleet Root CA. */
export function keyOf({ certificates }: SignedRoot): string {
  return certificates[0]!.publicKey.sha256;
}

function concerns(narrowing: NarrowingRecord, id: string, key: string): boolean {
  return narrowing.kind !== 'distrust' && (narrowing.fleet_root_ca === id || narrowing.public_key_sha256 === key);
}

const narrowness: readonly FleetRootCaState[] = ['active', 'closed', 'disabled'];

/** How much narrower one state is than another: positive where it is. */
export function compareStates(one: FleetRootCaState, other: FleetRootCaState): number {
  return narrowness.indexOf(one) - narrowness.indexOf(other);
}

/** The narrowest of some states and of what the narrowings in force make of a Fleet Root CA. */
export function narrowest(
  narrowings: readonly NarrowingRecord[],
  { id, public_key_sha256 }: Pick<FleetRootCa, 'id' | 'public_key_sha256'>,
  ...states: readonly FleetRootCaState[]
): FleetRootCaState {
  const narrowed = narrowings
    .filter((each) => concerns(each, id, public_key_sha256))
    .map(({ kind }): FleetRootCaState => (kind === 'close' ? 'closed' : 'disabled'));
  return [...states, ...narrowed].reduce((one, other) => (compareStates(other, one) > 0 ? other : one), 'active');
}
