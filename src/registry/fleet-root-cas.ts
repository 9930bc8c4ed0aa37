// Fleet Root CAs: whom an account trusts for its devices, and the public keys it trusts for nothing.

import { Problem } from '../problem.ts';
import { requireAccount } from './accounts.ts';
import { difference, fleetRootCaMembers, trustedMembers } from './audit-notes.ts';
import type { Db, Tx } from './database.ts';
import { fleetRootChanged } from './event-notes.ts';
import { heldKeys } from './keys.ts';
import { provisioningCaOf } from './provisioning-cas.ts';
import type {
  DistrustedKey,
  FleetRootAdmit,
  FleetRootCa,
  FleetRootCertificate,
  Narrowing,
  ProvisioningCa,
} from './tables.ts';
import type { ManifestLine } from './manifest-tables.ts';
import { recordNarrowing } from './trust-sets.ts';

/** A Fleet Root CA before it is there: it begins by admitting by the chain. */
type NewFleetRootCa = Omit<FleetRootCa, 'created_at' | 'admit'>;

/** A certificate of a Fleet Root CA or of an intermediate under it, before it is said where it belongs. */
export type NewFleetRootCertificate = Omit<FleetRootCertificate, 'account_id' | 'fleet_root_ca_id' | 'added_at'>;

/**
 * Adds a Fleet Root CA with its certificates. Throws `name_taken`; `conflict` where the account has that name and key,
 * or one of the anchors, already; `key_held_by_server` for a registered one with a key, its own or an intermediate's,
 * that custody holds or has held, which is decided here, within the transaction, so that no key made meanwhile slips
 * through; `provisioning_not_offered` for a generated one of a production account.
 */
export async function addFleetRootCa(
  tx: Tx,
  { ca, certificates }: { ca: NewFleetRootCa; certificates: readonly NewFleetRootCertificate[] },
): Promise<FleetRootCa> {
  const { account_id } = ca;
  const account = await requireAccount(tx.db, account_id);
  if (ca.kind === 'generated' && account.kind !== 'test') throw new Problem('provisioning_not_offered');
  if (ca.kind === 'registered') await refuseHeld(tx.db, [ca, ...certificates]);
  const others = await fleetRootCasOf(tx.db, account_id);
  if (others.some((other) => other.name === ca.name)) {
    throw new Problem(
      'name_taken',
      `The account has a Fleet Root CA with the name ${JSON.stringify(ca.name)} already.`,
    );
  }
  const same = others.find((other) => isSame(other, ca));
  if (same) {
    throw new Problem('conflict', `The account has this Fleet Root CA already, as ${JSON.stringify(same.name)}.`);
  }
  const added = await tx.db
    .insertInto('fleet_root_cas')
    .values({ ...ca, created_at: tx.now })
    .returningAll()
    .executeTakeFirstOrThrow();
  await insertCertificates(tx, added, certificates);
  const after = { ...fleetRootCaMembers(added), certificates: certificates.map(trustedMembers) };
  tx.audit({ action: 'fleet_root_ca.add', ...itself(added), after });
  tx.event(fleetRootChanged(account_id, added, 'added'));
  tx.changed({ kind: 'trust', account_id });
  return added;
}

/** A Fleet Root CA as the object of an entry. */
function itself({ account_id, id, name }: FleetRootCa) {
  return { account_id, object: { kind: 'fleet_root_ca', id, name } };
}

/** A name and a public key make a Fleet Root CA: renewed with the same key or cross-signed, it is still the same. */
function isSame(one: NewFleetRootCa, other: NewFleetRootCa): boolean {
  return one.public_key_sha256 === other.public_key_sha256 && Buffer.compare(one.subject, other.subject) === 0;
}

async function refuseHeld(db: Db, certified: readonly { public_key_sha256: string }[]): Promise<void> {
  const keys = certified.map(({ public_key_sha256 }) => public_key_sha256);
  if ((await heldKeys(db, keys)).size > 0) throw new Problem('key_held_by_server');
}

/**
 * Adds certificates to a Fleet Root CA. Gives those that it did not have. Throws `not_found`, `conflict`, and
 * `key_held_by_server` as `addFleetRootCa` does.
 */
export async function addFleetRootCertificates(
  tx: Tx,
  {
    account_id,
    fleet_root_ca_id,
    rows,
  }: { account_id: string; fleet_root_ca_id: string; rows: readonly NewFleetRootCertificate[] },
): Promise<FleetRootCertificate[]> {
  const ca = await requireFleetRootCa(tx.db, account_id, fleet_root_ca_id);
  await refuseHeld(tx.db, rows);
  const added = await insertCertificates(tx, ca, rows);
  if (added.length === 0) return added;
  const after = { certificates: added.map(trustedMembers) };
  tx.audit({ action: 'fleet_root_ca.add_certificates', ...itself(ca), after });
  tx.event(fleetRootChanged(account_id, ca, 'certificates_added'));
  tx.changed({ kind: 'trust', account_id });
  return added;
}

async function insertCertificates(
  tx: Tx,
  { account_id, id: fleet_root_ca_id }: FleetRootCa,
  rows: readonly NewFleetRootCertificate[],
): Promise<FleetRootCertificate[]> {
  const added: FleetRootCertificate[] = [];
  for (const row of rows) {
    if (row.role === 'anchor') await refuseAnchorOfAnother(tx.db, account_id, fleet_root_ca_id, row.sha256);
    const inserted = await tx.db
      .insertInto('fleet_root_certificates')
      .values({ ...row, account_id, fleet_root_ca_id, added_at: tx.now })
      .onConflict((conflict) => conflict.columns(['account_id', 'fleet_root_ca_id', 'sha256']).doNothing())
      .returningAll()
      .executeTakeFirst();
    if (inserted) added.push(inserted);
  }
  return added;
}

async function refuseAnchorOfAnother(db: Db, account_id: string, fleet_root_ca_id: string, sha256: string) {
  const other = await db
    .selectFrom('fleet_root_certificates')
    .select('fleet_root_ca_id')
    .where('account_id', '=', account_id)
    .where('sha256', '=', sha256)
    .where('role', '=', 'anchor')
    .where('fleet_root_ca_id', '!=', fleet_root_ca_id)
    .executeTakeFirst();
  if (other) throw new Problem('conflict', 'The certificate is that of another Fleet Root CA of the account.');
}

/**
 * Sets whether a Fleet Root CA takes newcomers, only those known, or nobody; `narrowing` is recorded with it, where the
 * owner signs whom the account trusts. Throws `not_found`.
 */
export async function setFleetRootState(
  tx: Tx,
  {
    account_id,
    fleet_root_ca_id,
    state,
    narrowing,
  }: {
    account_id: string;
    fleet_root_ca_id: string;
    state: FleetRootCa['state'];
    narrowing?: Omit<Narrowing, 'account_id'> | null;
  },
): Promise<FleetRootCa> {
  const changed = await changeFleetRootCa(tx, 'fleet_root_ca.set_state', account_id, fleet_root_ca_id, { state });
  if (narrowing) await recordNarrowing(tx, { ...narrowing, account_id });
  return changed;
}

/** Lets the devices of the old Fleet Root CA come back under the new one. Throws `not_found`, or `conflict` for itself. */
export async function setSuccessor(
  tx: Tx,
  { account_id, old_id, new_id }: { account_id: string; old_id: string; new_id: string },
): Promise<FleetRootCa> {
  if (old_id === new_id) throw new Problem('conflict', 'A Fleet Root CA cannot be its own successor.');
  await requireFleetRootCa(tx.db, account_id, new_id);
  return changeFleetRootCa(tx, 'fleet_root_ca.set_successor', account_id, old_id, { successor_id: new_id });
}

/**
 * Sets whether certificates under a Fleet Root CA get in by their chain, or only where a manifest holds them. Throws
 * `not_found`; `conflict` for a generated one, whose certificates the server makes and no factory accounts for.
 */
export async function setFleetRootAdmit(
  tx: Tx,
  { account_id, fleet_root_ca_id, admit }: { account_id: string; fleet_root_ca_id: string; admit: FleetRootAdmit },
): Promise<FleetRootCa> {
  const { kind, name } = await requireFleetRootCa(tx.db, account_id, fleet_root_ca_id);
  if (kind === 'generated' && admit === 'manifest') {
    const message = `The Fleet Root CA ${JSON.stringify(name)} was generated here: no manifest holds what it makes.`;
    throw new Problem('conflict', message, 'Only a registered one, under which a factory works, admits by manifest.');
  }
  return changeFleetRootCa(tx, 'fleet_root_ca.set_admit', account_id, fleet_root_ca_id, { admit });
}

async function changeFleetRootCa(
  tx: Tx,
  action: string,
  account_id: string,
  id: string,
  set: Partial<Pick<FleetRootCa, 'state' | 'successor_id' | 'admit'>>,
): Promise<FleetRootCa> {
  const before = await requireFleetRootCa(tx.db, account_id, id);
  const changed = await tx.db
    .updateTable('fleet_root_cas')
    .set(set)
    .where('account_id', '=', account_id)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
  const changes = difference(fleetRootCaMembers(before), fleetRootCaMembers(changed));
  if (changes) {
    tx.audit({ action, ...itself(changed), ...changes });
    tx.event(fleetRootChanged(account_id, changed, changeOf(set)));
  }
  tx.changed({ kind: 'trust', account_id });
  return changed;
}

function changeOf({ state, admit }: Partial<Pick<FleetRootCa, 'state' | 'admit'>>) {
  if (admit !== undefined) return `admit_${admit}` as const;
  return state === undefined ? 'successor' : 'state';
}

/**
 * Shuts a public key out of every path of the account. Again is fine. `narrowing` as in `setFleetRootState`.
 * Throws `not_found` without the account.
 */
export async function distrustKey(
  tx: Tx,
  { narrowing, ...key }: Omit<DistrustedKey, 'added_at'> & { narrowing?: Omit<Narrowing, 'account_id'> | null },
): Promise<void> {
  const added = await tx.db
    .insertInto('distrusted_keys')
    .values({ ...key, added_at: tx.now })
    .onConflict((conflict) => conflict.columns(['account_id', 'public_key_sha256']).doNothing())
    .returningAll()
    .executeTakeFirst();
  if (added) {
    tx.audit({ action: 'distrusted_key.add', ...distrusted(added) });
    tx.event(fleetRootChanged(key.account_id, null, 'key_distrusted', key.public_key_sha256));
  }
  if (narrowing) await recordNarrowing(tx, { ...narrowing, account_id: key.account_id });
  tx.changed({ kind: 'trust', account_id: key.account_id });
}

/** Ends the distrust of a public key. Throws `not_found` where it is not distrusted. */
export async function trustKey(
  tx: Tx,
  { account_id, public_key_sha256 }: { account_id: string; public_key_sha256: string },
): Promise<DistrustedKey> {
  const trusted = await tx.db
    .deleteFrom('distrusted_keys')
    .where('account_id', '=', account_id)
    .where('public_key_sha256', '=', public_key_sha256)
    .returningAll()
    .executeTakeFirst();
  if (!trusted) throw new Problem('not_found', 'The account does not distrust the key of this certificate.');
  tx.audit({ action: 'distrusted_key.remove', ...distrusted(trusted) });
  tx.event(fleetRootChanged(account_id, null, 'key_trusted', public_key_sha256));
  tx.changed({ kind: 'trust', account_id });
  return trusted;
}

/** A distrusted key as the object of an entry. */
function distrusted({ account_id, public_key_sha256: id }: DistrustedKey) {
  return { account_id, object: { kind: 'distrusted_key', id, name: null } };
}

/** The Fleet Root CAs of an account, the oldest first. */
export async function fleetRootCasOf(db: Db, account_id: string): Promise<FleetRootCa[]> {
  return db
    .selectFrom('fleet_root_cas')
    .selectAll()
    .where('account_id', '=', account_id)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/** The certificates of all Fleet Root CAs of an account and of the intermediates under them, the oldest first. */
export async function fleetRootCertificatesOf(db: Db, account_id: string): Promise<FleetRootCertificate[]> {
  return db
    .selectFrom('fleet_root_certificates')
    .selectAll()
    .where('account_id', '=', account_id)
    .orderBy('added_at')
    .orderBy('sha256')
    .execute();
}

/** The Fleet Root CA that an operator named by its ID, its name, or the SHA-256 of one of its own certificates. */
export async function fleetRootCaByRef(db: Db, account_id: string, ref: string): Promise<FleetRootCa | undefined> {
  const cas = await fleetRootCasOf(db, account_id);
  const named = cas.find((ca) => ca.id === ref.toLowerCase()) ?? cas.find((ca) => ca.name === ref);
  if (named) return named;
  const anchor = await db
    .selectFrom('fleet_root_certificates')
    .select('fleet_root_ca_id')
    .where('account_id', '=', account_id)
    .where('sha256', '=', ref.toLowerCase().replaceAll(':', ''))
    .where('role', '=', 'anchor')
    .executeTakeFirst();
  return cas.find((ca) => ca.id === anchor?.fleet_root_ca_id);
}

async function requireFleetRootCa(db: Db, account_id: string, id: string): Promise<FleetRootCa> {
  const ca = (await fleetRootCasOf(db, account_id)).find((one) => one.id === id);
  if (!ca) throw noFleetRootCa(id);
  return ca;
}

function noFleetRootCa(id: string): Problem {
  return new Problem('not_found', `This account has no Fleet Root CA ${id}.`, '`fleet-root list ACCOUNT` shows them.');
}

/** A factory line of an account, as far as it decides what its manifests say. */
export type TrustedLine = Pick<ManifestLine, 'id' | 'public_key_sha256' | 'name'>;

/** Everything that decides whose certificates count in an account. */
export interface Trust {
  fleet_root_cas: FleetRootCa[];
  certificates: FleetRootCertificate[];
  distrusted_keys: DistrustedKey[];
  provisioning_ca: ProvisioningCa | undefined;
  /** Those of which manifests have been imported. */
  lines: TrustedLine[];
}

/** Reads what an account trusts. */
export async function trustOf(db: Db, account_id: string): Promise<Trust> {
  return {
    fleet_root_cas: await fleetRootCasOf(db, account_id),
    certificates: await fleetRootCertificatesOf(db, account_id),
    distrusted_keys: await db
      .selectFrom('distrusted_keys')
      .selectAll()
      .where('account_id', '=', account_id)
      .orderBy('added_at')
      .orderBy('public_key_sha256')
      .execute(),
    provisioning_ca: await provisioningCaOf(db, account_id),
    lines: await db
      .selectFrom('manifest_lines')
      .select(['id', 'public_key_sha256', 'name'])
      .where('account_id', '=', account_id)
      .orderBy('id')
      .execute(),
  };
}
