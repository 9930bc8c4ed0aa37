// API tokens, and logins by an identity provider.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0008-tokens';

export async function up(_db: Db, _types: ColumnTypes): Promise<void> {}
