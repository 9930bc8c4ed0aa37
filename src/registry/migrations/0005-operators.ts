// Operators: logins, roles, sessions, tokens, passkeys.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0005-operators';

export async function up(_db: Db, _types: ColumnTypes): Promise<void> {}
