// The keys of TLS tickets, which all processes of a server share.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0014-tickets';

export async function up(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('ticket_keys')
    .addColumn('id', 'text', (column) => column.notNull().primaryKey())
    .addColumn('sealed_key', bytes, (column) => column.notNull())
    .addColumn('starts_at', instant, (column) => column.notNull().unique())
    .addColumn('created_at', instant, (column) => column.notNull())
    .modifyEnd(tableEnd)
    .execute();
}
