// Labels of devices, what allow-lists carry beside the device IDs, and what lists are sorted and filtered by.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0007-fleet';

export async function up(_db: Db, _types: ColumnTypes): Promise<void> {}
