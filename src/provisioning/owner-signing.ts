// What operators do to an account whose owner signs whom it trusts: draw a set, apply a signed one, narrow at once.

import { randomUUID } from 'node:crypto';
import { requireFit } from '../issuing/ca-file.ts';
import { readDistrusted } from '../issuing/fleet-root-registration.ts';
import { Problem } from '../problem.ts';
import { heldKeys } from '../registry/keys.ts';
import type { Account, FleetRootCa, FleetRootCaState, Narrowing, NarrowingKind } from '../registry/tables.ts';
import { formatInstant } from '../time.ts';
import { type AccountTrust, supposeOwnerTrust } from './account-trust.ts';
import { isSignedBy, type OwnerKey } from './owner-key.ts';
import { isFault, ownerStanding } from './owner-standing.ts';
import {
  type AcceptedSet,
  hasOwner,
  keyOf,
  mostNarrowings,
  nameOfSet,
  type OwnerTrust,
  repeats,
  settles,
  weighAccount,
} from './owner-trust.ts';
import type { Provisioning } from './provisioning.ts';
import type { Pin } from './trust-file.ts';
import { type NarrowingRecord, parseTrustSet, type TrustSet, writeTrustSet } from './trust-set.ts';
import { type Difference, drawWishedSet, sentenceOf } from './wished-set.ts';

/** What is to be signed; `document` is null where that is nothing. */
export interface Changes {
  readonly number: number;
  readonly document: Buffer | null;
  readonly differences: readonly Difference[];
}

/** What is known of an account with an owner, also where its sets in the registry are not those that were accepted. */
interface Owned {
  readonly ownerKey: OwnerKey;
  readonly pin: Pin;
  readonly trust: Pick<OwnerTrust, 'accepted' | 'narrowings'>;
}

/** Throws `conflict` for an account that has no owner, or whose owner key is not the one that this node knows. */
async function requireOwned(provisioning: Provisioning, account: Account): Promise<Owned> {
  const standing = await ownerStanding(provisioning, account);
  // Read after it, which follows what is accepted.
  const pin = provisioning.trustFile.pins.get(account.id) ?? null;
  if (standing === null) {
    throw new Problem(
      'conflict',
      `The account ${account.name} has no owner key: what is registered in it counts at once.`,
      'An owner key is named when an account is made: `account create NAME --kind production --owner-key FILE`.',
    );
  }
  const ownerKey = weighAccount(account, pin);
  if (isFault(ownerKey)) throw new Problem('conflict', ownerKey.rule, ownerKey.remedy);
  const trust = isFault(standing) ? { accepted: null, narrowings: pin!.narrowings } : standing;
  return { ownerKey, pin: pin!, trust };
}

/** Draws what is wished for, as the owner is to sign it. Throws `conflict` as `requireOwned` does. */
export async function drawChanges(provisioning: Provisioning, account: Account): Promise<Changes> {
  const { pin, trust } = await requireOwned(provisioning, account);
  const { set, differences } = await drawWishedSet(provisioning, account, pin, trust, provisioning.clock());
  if (differences.length === 0) return { number: set.number, document: null, differences };
  const document = writeTrustSet(set);
  parseTrustSet(document);
  return { number: set.number, document, differences };
}

/**
 * Lets a set count that the owner has signed: the next one, or the accepted one again where the registry has lost it.
 * It is in the registry first and then in this node's file, which follows at the next load if it must; both are on the
 * disk when this returns. Throws `invalid_request` for a document or signature that is none, `conflict` for a set that
 * is not the next one or lifts a narrowing unknowingly, `certificate_unfit`, `key_held_by_server`.
 */
export function applySet(
  provisioning: Provisioning,
  account: Account,
  document: Uint8Array,
  signature: Uint8Array,
): Promise<void> {
  return provisioning.trustFile.inTurn(async () => {
    const { set, trust, accepted } = await weighSet(provisioning, account, document, signature);
    if (accepted) return provisioning.trustFile.written();
    await provisioning.registry.write('recordTrustSet', {
      account_id: account.id,
      number: set.number,
      document: new Uint8Array(document),
      signature: new Uint8Array(signature),
      settled: trust.narrowings.filter((each) => settles(set, each)).map(({ id }) => id),
    });
    await ownerStanding(provisioning, account);
    await provisioning.trustFile.written();
  });
}

/** What an account would trust if `applySet` were called, which it throws the same problems as; nothing is written. */
export async function supposeSet(
  provisioning: Provisioning,
  account: Account,
  document: Uint8Array,
  signature: Uint8Array,
): Promise<AccountTrust> {
  const { set, trust } = await weighSet(provisioning, account, document, signature);
  const narrowings = trust.narrowings.filter((each) => !settles(set, each));
  return supposeOwnerTrust(provisioning, account, { accepted: { set }, narrowings });
}

/** Throws what `applySet` throws; `accepted` is whether the set counts already. */
async function weighSet(
  provisioning: Provisioning,
  account: Account,
  document: Uint8Array,
  signature: Uint8Array,
): Promise<{ set: TrustSet; trust: Owned['trust']; accepted: boolean }> {
  const { ownerKey, pin, trust } = await requireOwned(provisioning, account);
  const set = parseTrustSet(document);
  requireSigned(account, ownerKey, set, document, signature);
  const sha256 = nameOfSet(document);
  if (trust.accepted?.sha256 === sha256) return { set, trust, accepted: true };
  if (pin.set?.number !== set.number || pin.set.sha256 !== sha256) {
    requireNext(set, pin);
    requireNarrowingsSettled(set, trust);
    await requireFitSet(provisioning, set, trust.accepted);
  }
  return { set, trust, accepted: false };
}

function requireSigned(
  account: Account,
  ownerKey: OwnerKey,
  set: TrustSet,
  document: Uint8Array,
  signature: Uint8Array,
): void {
  if (set.account.id !== account.id || set.account.name !== account.name) {
    throw new Problem(
      'invalid_request',
      `The set is of the account ${set.account.name} (${set.account.id}), not of this one.`,
    );
  }
  if (isSignedBy(ownerKey, document, signature)) return;
  const how = {
    p256: '`openssl dgst -sha256 -sign owner.key -out FILE.sig FILE`',
    p384: '`openssl dgst -sha384 -sign owner.key -out FILE.sig FILE`',
    ed25519: '`openssl pkeyutl -sign -rawin -inkey owner.key -in FILE -out FILE.sig`',
  }[ownerKey.kind];
  throw new Problem(
    'invalid_request',
    "The signature is not one of the account's owner key over this file.",
    `Sign the file as it is with ${how}.`,
  );
}

function requireNext(set: TrustSet, { set: accepted }: Pin): void {
  const present = accepted?.number ?? 0;
  const anew = 'Draw it anew with `fleet-root changes`, and have that signed.';
  if (set.number <= present) {
    throw new Problem('conflict', `The set has the number ${set.number}, and set ${present} has been accepted.`, anew);
  }
  if (set.number > present + 1) {
    throw new Problem(
      'conflict',
      `The set has the number ${set.number}, and this node has accepted set ${present} last.`,
      'Apply the sets in between first, one after the other.',
    );
  }
  if (set.previous_sha256 !== (accepted?.sha256 ?? null)) {
    throw new Problem(
      'conflict',
      `The set was drawn to come after another set ${present} than the one accepted.`,
      anew,
    );
  }
}

/** What was shut out at night is not let in again by what was drawn the day before. */
function requireNarrowingsSettled(set: TrustSet, { narrowings }: Owned['trust']): void {
  const open = narrowings.filter((each) => !settles(set, each));
  if (open.length === 0) return;
  const nameOf = (id: string | null): string => set.fleet_root_cas.find((root) => root.id === id)?.name ?? String(id);
  throw new Problem(
    'conflict',
    `The set neither carries nor lifts what has been narrowed meanwhile: ${open.map((each) => sentenceOf(each, nameOf(each.fleet_root_ca))).join('; ')}.`,
    'Draw it anew with `fleet-root changes`, and have that signed.',
  );
}

/** As at registration, of what was not in the set before: that one may have ended meanwhile, which harms nobody. */
async function requireFitSet({ registry }: Provisioning, set: TrustSet, accepted: AcceptedSet | null): Promise<void> {
  const known = new Set(accepted?.set.fleet_root_cas.flatMap((root) => root.certificates.map(({ sha256 }) => sha256)));
  for (const root of set.fleet_root_cas) {
    for (const certificate of root.certificates.filter(({ sha256 }) => !known.has(sha256))) {
      requireFit(certificate, `A certificate of the Fleet Root CA ${JSON.stringify(root.name)}`, certificate.notAfter);
    }
  }
  const held = await heldKeys(registry.read, set.fleet_root_cas.map(keyOf));
  const found = set.fleet_root_cas.find((root) => held.has(keyOf(root)));
  if (!found) return;
  throw new Problem(
    'key_held_by_server',
    `This server holds, or has held, the private key of the Fleet Root CA ${JSON.stringify(found.name)}.`,
    'A Fleet Root CA that is registered has its key in your own infrastructure.',
  );
}

type NewNarrowing = Omit<Narrowing, 'account_id'>;

const narrowings = { active: null, closed: 'close', disabled: 'disable' } as const;

/**
 * Sets the state of a Fleet Root CA. Where the owner signs, closing and disabling act at once and until a later set lifts
 * them, which is in the registry and in this node's file when this returns; activating is a wish. Throws `not_found`.
 */
export async function setFleetRootState(
  provisioning: Provisioning,
  account: Account,
  ca: FleetRootCa,
  state: FleetRootCaState,
): Promise<FleetRootCa> {
  const kind = narrowings[state];
  const narrowing = kind && (await newNarrowing(provisioning, account, kind, ca.public_key_sha256, ca.id));
  const named = { account_id: account.id, fleet_root_ca_id: ca.id };
  return whileKept(provisioning, account, narrowing, () =>
    provisioning.registry.write('setFleetRootState', { ...named, state, narrowing }),
  );
}

/** Shuts out the key of the one certificate in a file, likewise. Gives its SHA-256 (hex). Throws `certificate_unfit`. */
export async function distrustKey(provisioning: Provisioning, account: Account, file: Uint8Array): Promise<string> {
  const { registry } = provisioning;
  const key = readDistrusted(account, file);
  const narrowing = await newNarrowing(provisioning, account, 'distrust', key.public_key_sha256, null);
  await whileKept(provisioning, account, narrowing, () => registry.write('distrustKey', { ...key, narrowing }));
  return key.public_key_sha256;
}

/** Each has an ID of its own, also where the same was narrowed before: a set drawn in between must not lift it. */
async function newNarrowing(
  provisioning: Provisioning,
  account: Account,
  kind: NarrowingKind,
  public_key_sha256: string,
  fleet_root_ca_id: string | null,
): Promise<NewNarrowing | null> {
  const { trustFile, clock } = provisioning;
  if (!hasOwner(account, trustFile.pins.get(account.id) ?? null)) return null;
  const standing = await ownerStanding(provisioning, account);
  const known = trustFile.pins.get(account.id)?.set?.number ?? 0;
  const accepted = standing === null || isFault(standing) ? null : standing.accepted;
  const set_number = standing === null || isFault(standing) ? known : (accepted?.set.number ?? 0);
  // A row may say another key of it than the owner has signed.
  const signed = accepted?.set.fleet_root_cas.find(({ id }) => id === fleet_root_ca_id);
  const key = signed ? keyOf(signed) : public_key_sha256;
  return { id: randomUUID(), kind, fleet_root_ca_id, public_key_sha256: key, set_number, at: clock() };
}

/**
 * Writes what narrows into the registry. This node knows it before, so that whatever happens to its row, there and then,
 * is not what is believed; it is on the disk when this returns. Where the registry is not changed, nothing is kept.
 */
async function whileKept<Done>(
  { trustFile }: Provisioning,
  account: Account,
  narrowing: NewNarrowing | null,
  write: () => Promise<Done>,
): Promise<Done> {
  if (narrowing === null) return write();
  const { fleet_root_ca_id: fleet_root_ca, set_number: set, at, ...rest } = narrowing;
  const record: NarrowingRecord = { ...rest, fleet_root_ca, set, at: formatInstant(at) };
  const before = trustFile.pins.get(account.id)?.narrowings ?? [];
  const kept = [...before.filter((each) => each.id !== record.id && !repeats(record, each)), record];
  if (kept.length > mostNarrowings) {
    throw new Problem(
      'conflict',
      `${mostNarrowings} things are closed, disabled or distrusted in the account without its owner's signature, which is as many as can be.`,
      'Have the owner sign what `fleet-root changes` writes, or cut the devices off by `device revoke`.',
    );
  }
  const keeping = trustFile.change(account.id, (pin) => pin && { ...pin, narrowings: kept });
  // It is told below; what narrows is done though the disk is full.
  keeping.catch(() => undefined);
  let done: Done;
  try {
    done = await write();
  } catch (error) {
    await trustFile.change(
      account.id,
      (pin) => pin && { ...pin, narrowings: restored(pin.narrowings, before, record) },
    );
    throw error;
  }
  await keeping;
  return done;
}

/** What is kept without the narrowing that came to nothing, and with those whose place it took. */
function restored(
  present: readonly NarrowingRecord[],
  before: readonly NarrowingRecord[],
  { id }: NarrowingRecord,
): NarrowingRecord[] {
  const known = new Set(before.map((each) => each.id));
  return [...before, ...present.filter((each) => each.id !== id && !known.has(each.id))];
}
