// The mark of a database into which a registry is being moved (moving.ts), and which no server may begin on.

import type { Db } from './database.ts';
import { serverValue } from './server-values.ts';

/** The server value that the database has as long as it is not whole. */
export const movingKey = 'moving';

/** Whether a database is one that a move has not finished. */
export async function isHalfMoved(db: Db): Promise<boolean> {
  return (await serverValue(db, movingKey)) !== undefined;
}
