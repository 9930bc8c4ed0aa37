// What a factory as a whole remembers, each value under a key of its own.

import type { FactoryDb, FactoryTx } from './tables.ts';

/** The value remembered under a key; null for none. */
export async function fact(db: FactoryDb, key: string): Promise<Uint8Array | null> {
  const row = await db.selectFrom('facts').select('value').where('key', '=', key).executeTakeFirst();
  return row?.value ?? null;
}

/** Remembers a value, in place of the one that was there. */
export async function rememberFact(tx: FactoryTx, row: { key: string; value: Uint8Array }): Promise<void> {
  await tx.db
    .insertInto('facts')
    .values(row)
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: row.value }))
    .execute();
}
