// The audit log: its entries, and the signed checkpoints over what is chained.

import { sql } from 'kysely';
import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0004-audit';

/** What happened before this migration is in no log. */
export async function up(db: Db, { counter, instant, tableEnd }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('audit_entries')
    .addColumn('sequence', counter.type, counter.build)
    .addColumn('account_id', 'text')
    .addColumn('at', instant, (column) => column.notNull())
    .addColumn('action', 'text', (column) => column.notNull())
    .addColumn('actor_kind', 'text', (column) => column.notNull())
    .addColumn('actor_id', 'text')
    .addColumn('object_kind', 'text', (column) => column.notNull())
    .addColumn('object_id', 'text', (column) => column.notNull())
    .addColumn('result', 'text', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addColumn('number', instant, (column) => column.unique())
    .addColumn('hash', 'text')
    .modifyEnd(tableEnd)
    .execute();
  await db.schema
    .createIndex('audit_entries_of_account')
    .on('audit_entries')
    .columns(['account_id', 'sequence'])
    .execute();
  await db.schema
    .createIndex('audit_entries_unchained')
    .on('audit_entries')
    .column('sequence')
    .where(sql.ref('number'), 'is', null)
    .execute();
}
