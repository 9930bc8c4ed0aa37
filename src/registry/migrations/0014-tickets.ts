// Filled in while issue 7 is built.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0014-tickets';

export async function up(_db: Db, _types: ColumnTypes): Promise<void> {}
