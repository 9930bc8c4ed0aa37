// Keys that custody holds or has held: what a custodian needs to sign with one, and that it was ever ours.

import { randomUUID } from 'node:crypto';

import { sql } from 'kysely';
import { Problem } from '../problem.ts';
import { requireTestAccount } from './accounts.ts';
import { keyMembers } from './audit-notes.ts';
import { type Db, prepared, type Tx } from './database.ts';
import { requireLivingCustody } from './sealed-values.ts';
import type {
  FleetRootCaState,
  GatewayCaState,
  KeyCopy,
  KeyEvent,
  KeyEventKind,
  KeyPurpose,
  KeyRow,
} from './tables.ts';

/** What is recorded of a key that a custodian has made. */
export type NewKeyRow = Omit<KeyRow, 'created_at' | 'destroyed_at' | 'erased_at'>;

/** Where a key lies: its custodian, what that one remembers, and whether it gives the key out. */
export type KeyPlace = Pick<KeyRow, 'custodian' | 'remembered' | 'exportable'>;

/** Keys that sign for no device: those of every account, and those of the server itself, which have no account. */
const neverForDevices: ReadonlySet<KeyPurpose> = new Set(['gateway-ca', 'operator-ca', 'audit']);

/** Records a key that a custodian has made. Throws `provisioning_not_offered` for one that no production account has. */
export async function recordKey(tx: Tx, { key }: { key: NewKeyRow }): Promise<KeyRow> {
  if (!neverForDevices.has(key.purpose)) await requireTestAccount(tx.db, key.account_id);
  await requireLivingCustody(tx.db, key);
  const recorded = await tx.db
    .insertInto('keys')
    .values({ ...key, created_at: tx.now, destroyed_at: null, erased_at: null })
    .returningAll()
    .executeTakeFirstOrThrow();
  await recordEvent(tx, recorded, 'created');
  return recorded;
}

/** Forgets what it takes to use a key; that it was held here stays. Forgetting it again is fine. Throws `not_found`. */
export async function forgetKey(tx: Tx, { key_id }: { key_id: string }): Promise<KeyRow> {
  const before = await requireKey(tx.db, key_id);
  tx.purge();
  const forgotten = await change(tx, key_id, { remembered: null, destroyed_at: before.destroyed_at ?? tx.now });
  if (before.remembered !== null) await recordEvent(tx, forgotten, 'destroyed');
  return forgotten;
}

/** Marks a key as one to be destroyed: nothing is signed with it any more. Throws `not_found`. */
export async function condemnKey(tx: Tx, { key_id }: { key_id: string }): Promise<KeyRow> {
  const before = await requireKey(tx.db, key_id);
  if (before.destroyed_at !== null) return before;
  const condemned = await change(tx, key_id, { destroyed_at: tx.now });
  tx.audit({ action: 'key.condemn', ...itself(condemned), after: keyMembers(condemned) });
  return condemned;
}

/**
 * Puts a key into another place: that of another custodian, or back after it was erased. `from` is the place that whoever
 * calls has seen; throws `conflict` where the key is in another by now. The copy there is to be destroyed.
 */
export async function placeKey(
  tx: Tx,
  { key_id, from, to, event }: { key_id: string; from: KeyPlace; to: KeyPlace; event: 'moved' | 'imported' },
): Promise<KeyRow> {
  const before = await requireKey(tx.db, key_id);
  requireSamePlace(before, from);
  tx.purge();
  await requireLivingCustody(tx.db, to);
  // What is there from now on is no old copy any more.
  await tx.db.deleteFrom('key_copies').where('key_id', '=', key_id).where('custodian', '=', to.custodian).execute();
  await leaveCopy(tx, before);
  const placed = await change(tx, key_id, { ...to, erased_at: null });
  await recordEvent(tx, placed, event, before);
  return placed;
}

/**
 * Forgets a key here that lies outside from now on. Throws `conflict` where it is not where `from` says, where it is not
 * that of a standby gateway CA, which alone is not needed until it is imported again, and where it was never given out.
 */
export async function eraseKey(tx: Tx, { key_id, from }: { key_id: string; from: KeyPlace }): Promise<KeyRow> {
  const key = await requireKey(tx.db, key_id);
  requireSamePlace(key, from);
  await requireStandby(tx, key);
  if (key.exportable === 0) {
    throw new Problem(
      'conflict',
      `Key ${key_id} was made not to be given out: erased here it would be lost.`,
      'Leave it where it is: a custodian that gives no key out keeps it apart by itself.',
    );
  }
  if (!(await keyEvents(tx.db, key_id)).some(({ event }) => event === 'exported')) {
    throw new Problem(
      'conflict',
      `Key ${key_id} was never exported: erased here it would be lost.`,
      'Export it first: `account gateway-ca export`.',
    );
  }
  tx.purge();
  await leaveCopy(tx, key);
  const erased = await change(tx, key_id, { remembered: null, erased_at: tx.now });
  await recordEvent(tx, erased, 'erased');
  return erased;
}

async function leaveCopy(tx: Tx, { id: key_id, account_id, custodian, remembered, exportable }: KeyRow): Promise<void> {
  if (remembered === null) return;
  const copy = { id: randomUUID(), key_id, account_id, custodian, remembered, exportable };
  await tx.db.insertInto('key_copies').values(copy).execute();
}

/** Forgets a copy of a key that its custodian has destroyed. */
export async function forgetKeyCopy(tx: Tx, { id }: { id: string }): Promise<void> {
  tx.purge();
  const copy = await tx.db.deleteFrom('key_copies').where('id', '=', id).returningAll().executeTakeFirst();
  if (!copy) return;
  const { key_id, account_id, custodian } = copy;
  const object = { kind: 'key', id: key_id, name: null };
  tx.audit({ action: 'key.destroy_copy', account_id: account_id || null, object, before: { custodian } });
}

async function requireStandby(tx: Tx, key: KeyRow): Promise<void> {
  const standby = await tx.db
    .selectFrom('gateway_cas')
    .select('id')
    .where('account_id', '=', key.account_id)
    .where('key_id', '=', key.id)
    .where('state', '=', 'standby')
    .executeTakeFirst();
  if (standby) return;
  throw new Problem('conflict', `Key ${key.id} is not that of a standby gateway CA: the server needs it here.`);
}

/** Records that a key is given out, before it is. */
export async function recordKeyExport(tx: Tx, { key_id }: { key_id: string }): Promise<void> {
  await recordEvent(tx, await requireKey(tx.db, key_id), 'exported');
}

async function change(
  tx: Tx,
  key_id: string,
  to: Partial<KeyPlace & Pick<KeyRow, 'destroyed_at' | 'erased_at'>>,
): Promise<KeyRow> {
  const changed = await tx.db
    .updateTable('keys')
    .set(to)
    .where('id', '=', key_id)
    .returningAll()
    .executeTakeFirstOrThrow();
  // What it takes to use a key is kept with the CA that it is of; the server's own keys have no account.
  if (changed.account_id) tx.changed({ kind: 'trust', account_id: changed.account_id });
  return changed;
}

function requireSamePlace(key: KeyRow, from: KeyPlace): void {
  const same =
    key.custodian === from.custodian &&
    key.destroyed_at === null &&
    Buffer.compare(key.remembered ?? Buffer.alloc(0), from.remembered ?? Buffer.alloc(0)) === 0;
  if (!same) throw new Problem('conflict', `Key ${key.id} has been moved, erased or destroyed meanwhile.`);
}

/** What the audit log calls what happens to keys. */
const actions = {
  created: 'key.create',
  imported: 'key.import',
  exported: 'key.export',
  moved: 'key.move',
  erased: 'key.erase',
  destroyed: 'key.destroy',
} as const satisfies Record<KeyEventKind, string>;

async function recordEvent(tx: Tx, key: KeyRow, event: KeyEventKind, before: KeyRow | null = null): Promise<void> {
  const { id: key_id, account_id, custodian } = key;
  await tx.db
    .insertInto('key_events')
    .values({ id: randomUUID(), key_id, account_id, at: tx.now, event, custodian })
    .execute();
  const members = before && { custodian: before.custodian, exportable: before.exportable === 1 };
  tx.audit({ action: actions[event], ...itself(key), before: members, after: keyMembers(key) });
}

/** A key as the object of an entry; that of the audit log itself is of no account. */
function itself({ account_id, id }: KeyRow) {
  return { account_id: account_id || null, object: { kind: 'key', id, name: null } };
}

const byId = prepared((db, given: { key_id: string }) =>
  db.selectFrom('keys').selectAll().where('id', '=', given.key_id),
);

/** One key, by the ID that a CA of an account names it by. */
export async function keyById(db: Db, key_id: string): Promise<KeyRow | undefined> {
  const [key] = await byId(db, { key_id });
  return key;
}

/** One key, by its ID. Throws `not_found`. */
export async function requireKey(db: Db, key_id: string): Promise<KeyRow> {
  const key = await keyById(db, key_id);
  if (!key) throw new Problem('not_found', `There is no key ${key_id}.`, '`custody list` shows the keys.');
  return key;
}

/** The keys of an account, destroyed ones too. */
export async function keysOf(db: Db, account_id: string): Promise<KeyRow[]> {
  return db
    .selectFrom('keys')
    .selectAll()
    .where('account_id', '=', account_id)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/** A key with the name of its account and the CA that it is of; null what is gone, or never was. */
export type ListedKey = KeyRow & {
  account_name: string | null;
  fleet_root_ca_id: string | null;
  fleet_root_ca_name: string | null;
  fleet_root_ca_state: FleetRootCaState | null;
  gateway_ca_id: string | null;
  gateway_ca_state: GatewayCaState | null;
  provisioning_ca_id: string | null;
  operator_ca_id: string | null;
};

/** The keys of all accounts, destroyed ones too, the oldest first; or the one with this ID, or public key (SHA-256). */
export async function listKeys(db: Db, ref: string | null = null): Promise<ListedKey[]> {
  return db
    .selectFrom('keys')
    .leftJoin('accounts', 'accounts.id', 'keys.account_id')
    .leftJoin('fleet_root_cas', 'fleet_root_cas.key_id', 'keys.id')
    .leftJoin('gateway_cas', 'gateway_cas.key_id', 'keys.id')
    .leftJoin('provisioning_cas', 'provisioning_cas.key_id', 'keys.id')
    .leftJoin('operator_cas', 'operator_cas.key_id', 'keys.id')
    .selectAll('keys')
    .select([
      'fleet_root_cas.id as fleet_root_ca_id',
      'fleet_root_cas.name as fleet_root_ca_name',
      'fleet_root_cas.state as fleet_root_ca_state',
      'gateway_cas.id as gateway_ca_id',
      'gateway_cas.state as gateway_ca_state',
      'provisioning_cas.id as provisioning_ca_id',
      'operator_cas.id as operator_ca_id',
      'accounts.name as account_name',
    ])
    .$if(ref !== null, (keys) =>
      keys.where((where) => where.or([where('keys.id', '=', ref!), where('keys.public_key_sha256', '=', ref!)])),
    )
    .orderBy('keys.created_at')
    .orderBy('keys.id')
    .execute();
}

/** The custodians that hold keys: from one to the next in the index, however many keys each has. */
export async function custodiansInUse(db: Db): Promise<string[]> {
  const names: string[] = [];
  for (let last = ''; ;) {
    const next = await keysInCustody(db)
      .select('custodian')
      .where('custodian', '>', last)
      .orderBy('custodian')
      .limit(1)
      .executeTakeFirst();
    if (!next) return names;
    names.push((last = next.custodian));
  }
}

/** How many keys a custodian holds. */
export async function countKeysIn(db: Db, custodian: string): Promise<number> {
  const { keys } = await keysInCustody(db)
    .select((select) => select.fn.countAll<number | string>().as('keys'))
    .where('custodian', '=', custodian)
    .executeTakeFirstOrThrow();
  return Number(keys);
}

function keysInCustody(db: Db) {
  return db.selectFrom('keys').where('remembered', 'is not', null).where('destroyed_at', 'is', null);
}

/** The keys that are to be destroyed and that their custodians may have still. */
export async function condemnedKeys(db: Db): Promise<KeyRow[]> {
  return db
    .selectFrom('keys')
    .selectAll()
    .where('destroyed_at', 'is not', null)
    .where('remembered', 'is not', null)
    .execute();
}

/** The copies of moved and erased keys that their custodians may have still; of one key where it is named. */
export async function keyCopies(db: Db, key_id: string | null = null): Promise<KeyCopy[]> {
  return db
    .selectFrom('key_copies')
    .selectAll()
    .$if(key_id !== null, (copies) => copies.where('key_id', '=', key_id!))
    .orderBy('id')
    .execute();
}

/** What happened to a key, the oldest first. */
export async function keyEvents(db: Db, key_id: string): Promise<KeyEvent[]> {
  return db.selectFrom('key_events').selectAll().where('key_id', '=', key_id).orderBy('at').orderBy('id').execute();
}

/** The keys with these public keys (SHA-256, hex), of any account, that are not to be destroyed; erased ones too. */
export async function keysByPublicKey(db: Db, public_key_sha256s: readonly string[]): Promise<KeyRow[]> {
  if (public_key_sha256s.length === 0) return [];
  return db
    .selectFrom('keys')
    .selectAll()
    .where('public_key_sha256', 'in', public_key_sha256s)
    .where('destroyed_at', 'is', null)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/**
 * Those of the public keys (SHA-256, hex) whose private key this server holds or has held, for any account: in custody,
 * as that of a gateway certificate, or as a provisioning key that it made and gave out.
 */
export async function heldKeys(db: Db, public_key_sha256s: readonly string[]): Promise<Set<string>> {
  if (public_key_sha256s.length === 0) return new Set();
  const held = await db
    .selectFrom('keys')
    .select('public_key_sha256')
    .where('public_key_sha256', 'in', public_key_sha256s)
    .execute();
  const own = await db
    .selectFrom('certificates')
    .select('public_key_sha256')
    .where('public_key_sha256', 'in', public_key_sha256s)
    .where(sql<boolean>`profile in ('gateway', 'provisioning_key')`)
    .execute();
  return new Set([...held, ...own].map((key) => key.public_key_sha256));
}
