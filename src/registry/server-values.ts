// What the server as a whole remembers of itself, each value under a key of its own.

import type { Db, Tx } from './database.ts';

/** Remembers a value, in place of the one that was there. */
export async function rememberServerValue(tx: Tx, row: { key: string; value: Uint8Array }): Promise<void> {
  await tx.db
    .insertInto('server')
    .values(row)
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: row.value }))
    .execute();
}

/** The value remembered under a key. */
export async function serverValue(db: Db, key: string): Promise<Uint8Array | undefined> {
  const row = await db.selectFrom('server').select('value').where('key', '=', key).executeTakeFirst();
  return row?.value;
}
