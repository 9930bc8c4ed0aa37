// Events, and the webhooks that they are sent to.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0006-events';

export async function up(db: Db, { counter, instant, tableEnd }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('events')
    .addColumn('id', counter.type, counter.build)
    .addColumn('account_id', 'text')
    .addColumn('at', instant, (column) => column.notNull())
    .addColumn('type', 'text', (column) => column.notNull())
    .addColumn('data', 'text', (column) => column.notNull())
    .modifyEnd(tableEnd)
    .execute();
  await db.schema.createIndex('events_of_account').on('events').columns(['account_id', 'id']).execute();
  await db.schema.createIndex('events_by_time').on('events').column('at').execute();
}
