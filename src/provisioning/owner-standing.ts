// How an account with an owner stands: its rows weighed against what this node knows, which follows what is accepted.

import { Check } from 'typebox/value';
import { accountById, accountOfHost, accountsWithOwner, hostsOf } from '../registry/accounts.ts';
import type { Account, Narrowing } from '../registry/tables.ts';
import { narrowingsOf, trustSetsFrom } from '../registry/trust-sets.ts';
import { formatInstant } from '../time.ts';
import { type Fault, firstSetNeeded, hasOwner, type OwnerTrust, weighAccount, weighSets } from './owner-trust.ts';
import type { Provisioning } from './provisioning.ts';
import type { Pin } from './trust-file.ts';
import { type NarrowingRecord, NarrowingSchema } from './trust-set.ts';

/** What it takes. */
export type Known = Pick<Provisioning, 'registry' | 'trustFile'>;

/** How long an answer about all accounts counts, in milliseconds: whoever asks for health asks often. */
const faultsAge = 2_000;

/** Whether what was found is a fault. */
export function isFault(found: object): found is Fault {
  return 'remedy' in found;
}

/**
 * What counts of an account by its owner's signature, or why nothing does; null for an account without an owner. A set
 * that has been accepted elsewhere raises the number that this node keeps, and what was narrowed elsewhere is kept too.
 */
export async function ownerStanding(
  { registry, trustFile }: Known,
  account: Account,
): Promise<OwnerTrust | Fault | null> {
  // The file before the database, which is always written first: what is read can be ahead of the file, never behind.
  const pin = trustFile.pins.get(account.id) ?? null;
  if (!hasOwner(account, pin)) return null;
  const ownerKey = weighAccount(account, pin);
  if (isFault(ownerKey) || pin === null) return ownerKey as Fault;
  const recorded = (await narrowingsOf(registry.read, account.id)).flatMap(narrowingRecord);
  const rows = await trustSetsFrom(registry.read, account.id, firstSetNeeded(pin, recorded));
  // Under a set that is yet to come nobody can have narrowed anything; nothing could lift it.
  const highest = Math.max(pin.set?.number ?? 0, rows[0]?.number ?? 0);
  const possible = recorded.map((each) => ({ ...each, set: Math.min(each.set, highest) }));
  const weighed = weighSets(account, ownerKey, pin, rows, possible);
  if (!isFault(weighed)) {
    // Told to readyz where it fails: a narrowing must act though the disk is full.
    trustFile.change(account.id, (present) => present && follow(present, pin, weighed)).catch(() => undefined);
  }
  return weighed;
}

/** What a node knows once it has seen what counts; `before` is what it knew when it looked. */
function follow(present: Pin, before: Pin, { accepted, narrowings }: OwnerTrust): Pin {
  const inForce = new Set(narrowings.map(({ id }) => id));
  const settled = new Set(before.narrowings.filter(({ id }) => !inForce.has(id)).map(({ id }) => id));
  const kept = present.narrowings.filter(({ id }) => !settled.has(id));
  const fresh = narrowings.filter(({ id }) => !kept.some((each) => each.id === id));
  const higher = accepted !== null && accepted.set.number > (present.set?.number ?? 0);
  if (!higher && fresh.length === 0 && kept.length === present.narrowings.length) return present;
  const set = higher ? { number: accepted.set.number, sha256: accepted.sha256 } : present.set;
  return { ...present, set, narrowings: [...kept, ...fresh] };
}

/** A row as a node's file has it; none where the row is none that this program writes. */
function narrowingRecord({
  id,
  kind,
  fleet_root_ca_id,
  public_key_sha256,
  set_number,
  at,
}: Narrowing): NarrowingRecord[] {
  if (!(at >= 0 && at < Number.MAX_SAFE_INTEGER / 2)) return [];
  const record = {
    id,
    kind,
    fleet_root_ca: fleet_root_ca_id,
    public_key_sha256,
    set: set_number,
    at: formatInstant(at),
  };
  return Check(NarrowingSchema, record) ? [record] : [];
}

/**
 * Why nobody may be admitted under an account because this node knows its name, or one of its hosts, as another's: those
 * who come there mean that other one. Null where all is well.
 */
export async function faultOfPlace({ registry, trustFile }: Known, account: Account): Promise<Fault | null> {
  if (trustFile.pins.size === 0) return null;
  const places = [
    { what: `name ${account.name}`, owner: trustFile.ownerOfName(account.name) },
    ...(await hostsOf(registry.read, account.id)).map(({ host }) => ({
      what: `host ${host}`,
      owner: trustFile.ownerOfHost(host),
    })),
  ];
  const taken = places.find(({ owner }) => owner !== null && owner !== account.id);
  if (!taken) return null;
  return {
    rule: `The ${taken.what} of this account is known to this node as that of the account ${taken.owner}, whose owner signs whom it trusts, so nobody is admitted under it.`,
    remedy: `Restore the registry; if the account ${taken.owner} was deleted, \`account delete ${taken.owner}\` lets go of what was its.`,
  };
}

/** Something that is wrong with the owner-signed trust of an account, as `/readyz` tells it. */
export interface OwnerTrustFault {
  readonly part: 'owner_trust';
  /** Its ID. */
  readonly account: string;
  readonly reason: string;
  /** When it was first seen; RFC 3339. */
  readonly since: string;
}

/** Asks, at most every two seconds, what is wrong with any account that has an owner, and with what this node keeps of it. */
export function watchOwnerTrust(known: Known, clock: () => number): () => Promise<OwnerTrustFault[]> {
  let asked = Number.NEGATIVE_INFINITY;
  let answer: Promise<OwnerTrustFault[]> = Promise.resolve([]);
  let before: readonly OwnerTrustFault[] = [];
  const ask = async (now: number): Promise<OwnerTrustFault[]> => {
    const present = (await ownerTrustFaults(known)).map(({ account, rule: reason }): OwnerTrustFault => {
      const known = before.find((each) => each.account === account && each.reason === reason);
      return { part: 'owner_trust', account, reason, since: known?.since ?? formatInstant(now) };
    });
    before = present;
    return present;
  };
  return () => {
    const now = clock();
    if (now - asked >= faultsAge || now < asked) {
      asked = now;
      answer = ask(now);
      answer.catch(() => (asked = Number.NEGATIVE_INFINITY));
    }
    return answer;
  };
}

/** What is wrong at present, by the accounts that this node knows and by those that the registry says have an owner. */
async function ownerTrustFaults(known: Known): Promise<(Fault & { account: string })[]> {
  const { registry, trustFile } = known;
  const faults: (Fault & { account: string })[] = [];
  const owned = await accountsWithOwner(registry.read);
  const ids = new Set([...trustFile.pins.keys(), ...owned.map(({ id }) => id)]);
  for (const account of ids) {
    const row = await accountById(registry.read, account);
    const standing = row ? await ownerStanding(known, row) : goneFrom(account);
    if (standing !== null && isFault(standing)) faults.push({ account, ...standing });
    for (const host of trustFile.pins.get(account)?.hosts ?? []) {
      const holder = await accountOfHost(registry.read, host);
      if (row?.ready_at != null && holder?.id !== account) faults.push({ account, ...movedHost(host) });
    }
    if (trustFile.failure) faults.push({ account, ...unwritable(trustFile.path, trustFile.failure) });
  }
  return faults;
}

function goneFrom(account_id: string): Fault {
  return {
    rule: 'The account, whose owner signs whom it trusts, is gone from the registry without having been deleted.',
    remedy: `Restore the registry; if it was deleted, \`account delete ${account_id}\` lets go of what was its.`,
  };
}

function unwritable(path: string, { message }: Error): Fault {
  return { rule: `${path} cannot be written: ${message}.`, remedy: 'See to the disk that holds the data directory.' };
}

function movedHost(host: string): Fault {
  return {
    rule: `The host ${host} of the account, whose owner signs whom it trusts, is not its own in the registry any more.`,
    remedy: `Restore the registry, or take the host from the account with \`account host remove\`.`,
  };
}
