// How an account with an owner stands: its rows weighed against what this node knows, which follows what is accepted.

import { setImmediate } from 'node:timers/promises';
import { Check } from 'typebox/value';
import type { Log } from '../log.ts';
import { accountById, accountOfHost, accountsWithOwner, hostsOf } from '../registry/accounts.ts';
import type { Account, Narrowing } from '../registry/tables.ts';
import { narrowingsOf, trustSetsFrom } from '../registry/trust-sets.ts';
import { formatInstant } from '../time.ts';
import {
  type Fault,
  firstSetNeeded,
  hasOwner,
  mostNarrowings,
  mostNarrowingsOfRows,
  type OwnerTrust,
  weighAccount,
  weighSets,
} from './owner-trust.ts';
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
  const narrowings = await narrowingsOf(registry.read, account.id, mostNarrowings + 1);
  if (exceedsNarrowings(pin, narrowings)) return tooManyNarrowings;
  const recorded = narrowings.flatMap(narrowingRecord);
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

/** Whether rows would have a node keep more than a set could ever lift; those that it keeps already are no more. */
function exceedsNarrowings(pin: Pin, rows: readonly Narrowing[]): boolean {
  const kept = new Set(pin.narrowings.map(({ id }) => id));
  const fresh = rows.filter(({ id }) => !kept.has(id)).length;
  return rows.length > mostNarrowings || (fresh > 0 && kept.size + fresh > mostNarrowingsOfRows);
}

const tooManyNarrowings: Fault = {
  rule: `The registry says that more than ${mostNarrowingsOfRows} things were closed, disabled or distrusted in the account since the owner signed, so nobody is admitted under it.`,
  remedy: 'Somebody has changed the registry: find out who, and restore it from a back-up.',
};

/** What a node knows once it has seen what counts; `before` is what it knew when it looked. */
function follow(present: Pin, before: Pin, { accepted, narrowings }: OwnerTrust): Pin {
  const inForce = new Set(narrowings.map(({ id }) => id));
  const settled = new Set(before.narrowings.filter(({ id }) => !inForce.has(id)).map(({ id }) => id));
  const kept = present.narrowings.filter(({ id }) => !settled.has(id));
  const known = new Set(kept.map(({ id }) => id));
  const fresh = narrowings.filter(({ id }) => !known.has(id));
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

/**
 * Asks, at most every two seconds, what is wrong with any account that has an owner, and with what this node keeps of it.
 * Where the answer for an account is another than before, whoever remembers what it trusts is told to look again: nobody
 * tells them what has been written past this program, or mended.
 */
export function watchOwnerTrust(known: Known, clock: () => number, log: Log): () => Promise<OwnerTrustFault[]> {
  let asked = Number.NEGATIVE_INFINITY;
  let answer: Promise<OwnerTrustFault[]> = Promise.resolve([]);
  let before: readonly OwnerTrustFault[] = [];
  const ask = async (now: number): Promise<OwnerTrustFault[]> => {
    const present = (await ownerTrustFaults(known)).map(({ account, rule: reason, error }): OwnerTrustFault => {
      const known = before.find((each) => each.account === account && each.reason === reason);
      if (error !== undefined && !known) log.error({ err: error, account }, 'owner-signed trust cannot be told');
      return { part: 'owner_trust', account, reason, since: known?.since ?? formatInstant(now) };
    });
    const changed = accountsThatDiffer(before, present);
    before = present;
    for (const account_id of changed) void known.registry.changes.tell({ kind: 'account', account_id });
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

/** The accounts of which one list of faults says what the other does not. */
function accountsThatDiffer(one: readonly OwnerTrustFault[], other: readonly OwnerTrustFault[]): Set<string> {
  const told = (faults: readonly OwnerTrustFault[]) =>
    new Map(faults.map((fault) => [`${fault.account} ${fault.reason}`, fault.account]));
  const [before, after] = [told(one), told(other)];
  const differing = [...before, ...after].filter(([sentence]) => before.has(sentence) !== after.has(sentence));
  return new Set(differing.map(([, account]) => account));
}

interface Found extends Fault {
  readonly account: string;
  /** What came instead of an answer. */
  readonly error?: unknown;
}

/** What is wrong at present, by the accounts that this node knows and by those that the registry says have an owner. */
async function ownerTrustFaults(known: Known): Promise<Found[]> {
  const { registry, trustFile } = known;
  const faults: Found[] = [];
  const owned = await accountsWithOwner(registry.read);
  const ids = new Set([...trustFile.pins.keys(), ...owned.map(({ id }) => id)]);
  for (const account of ids) {
    try {
      for (const fault of await faultsOfAccount(known, account)) faults.push({ account, ...fault });
    } catch (error) {
      // What is in the rows of one account keeps nobody from hearing of the others.
      faults.push({ account, ...unreadable, error });
    }
    if (trustFile.failure) faults.push({ account, ...unwritable(trustFile.path, trustFile.failure) });
    // Reads do not leave this thread: with many accounts the devices get their turn in between.
    await setImmediate();
  }
  return faults;
}

async function faultsOfAccount(known: Known, account: string): Promise<Fault[]> {
  const { registry, trustFile } = known;
  const row = await accountById(registry.read, account);
  const standing = row ? await ownerStanding(known, row) : goneFrom(account);
  const faults = standing !== null && isFault(standing) ? [standing] : [];
  for (const host of trustFile.pins.get(account)?.hosts ?? []) {
    const holder = await accountOfHost(registry.read, host);
    if (row?.ready_at != null && holder?.id !== account) faults.push(movedHost(host));
  }
  return faults;
}

const unreadable: Fault = {
  rule: 'What the registry has of the account, whose owner signs whom it trusts, cannot be read.',
  remedy: 'Somebody has changed the registry: find out who, and restore it from a back-up.',
};

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
