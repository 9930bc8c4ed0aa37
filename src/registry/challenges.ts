// Challenges that were answered, each once, whichever node was asked: remembered until they would have ended.

import type { Tx } from './database.ts';

/** Where they lie among what the server remembers: in the order of their ends, in milliseconds since 1970. */
const keyOf = (ends: number, id = ''): string => `challenge ${String(ends).padStart(15, '0')} ${id}`;

/** Uses a challenge up. Gives whether nobody has before; those that have ended are forgotten. */
export async function useChallenge(tx: Tx, { id, ends }: { id: string; ends: number }): Promise<{ first: boolean }> {
  await tx.db.deleteFrom('server').where('key', '>', keyOf(0)).where('key', '<', keyOf(tx.now)).execute();
  const { numInsertedOrUpdatedRows } = await tx.db
    .insertInto('server')
    .values({ key: keyOf(ends, id), value: new Uint8Array(0) })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .executeTakeFirstOrThrow();
  return { first: numInsertedOrUpdatedRows === 1n };
}
