// Idempotency keys: which creating calls have been answered, and how.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0009-idempotency';

export async function up(_db: Db, _types: ColumnTypes): Promise<void> {}
