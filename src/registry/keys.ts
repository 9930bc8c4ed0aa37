// Keys that custody holds or has held: what a custodian needs to sign with one, and that it was ever ours.

import { Problem } from '../problem.ts';
import { type Db, prepared, type Tx } from './database.ts';
import type { KeyRow } from './tables.ts';

/** Records a key that a custodian has made. */
export async function recordKey(
  tx: Tx,
  { key }: { key: Omit<KeyRow, 'created_at' | 'destroyed_at'> },
): Promise<KeyRow> {
  return tx.db
    .insertInto('keys')
    .values({ ...key, created_at: tx.now, destroyed_at: null })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Forgets what it takes to use a key; that it was held here stays. Forgetting it again is fine. Throws `not_found`. */
export async function forgetKey(tx: Tx, { key_id }: { key_id: string }): Promise<KeyRow> {
  const forgotten = await tx.db
    .updateTable('keys')
    .set((set) => ({ remembered: null, destroyed_at: set.fn.coalesce('destroyed_at', set.val(tx.now)) }))
    .where('id', '=', key_id)
    .returningAll()
    .executeTakeFirst();
  if (!forgotten) throw new Problem('not_found', `There is no key ${key_id}.`);
  return forgotten;
}

const byId = prepared((db, given: { key_id: string }) =>
  db.selectFrom('keys').selectAll().where('id', '=', given.key_id),
);

/** One key, by the ID that a CA of an account names it by. */
export async function keyById(db: Db, key_id: string): Promise<KeyRow | undefined> {
  const [key] = await byId(db, { key_id });
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

/** Those of the public keys (SHA-256, hex) whose private key custody holds or has held, for any account. */
export async function heldKeys(db: Db, public_key_sha256s: readonly string[]): Promise<Set<string>> {
  if (public_key_sha256s.length === 0) return new Set();
  const held = await db
    .selectFrom('keys')
    .select('public_key_sha256')
    .where('public_key_sha256', 'in', public_key_sha256s)
    .execute();
  return new Set(held.map((key) => key.public_key_sha256));
}
