// Under a Fleet Root CA, what a certificate must be to get in: of its chain, or held by a manifest.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0012-admit';

export async function up(db: Db, _: ColumnTypes): Promise<void> {
  await db.schema
    .alterTable('fleet_root_cas')
    .addColumn('admit', 'text', (column) => column.notNull().defaultTo('chain'))
    .execute();
}
