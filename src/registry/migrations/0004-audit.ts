// The audit log: its entries, and the signed checkpoints over what is chained.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0004-audit';

/** What happened before this migration is in no log. */
export async function up(db: Db, { bytes, counter, instant, tableEnd }: ColumnTypes): Promise<void> {
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
    .addColumn('object_name', 'text')
    .addColumn('result', 'text', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    // Its index finds those without a number too, in the order of their sequence.
    .addColumn('number', instant, (column) => column.unique())
    .addColumn('hash', 'text')
    .modifyEnd(tableEnd)
    .execute();
  for (const column of ['account_id', 'object_id', 'object_name'] as const) {
    await db.schema
      .createIndex(`audit_entries_by_${column}`)
      .on('audit_entries')
      .columns([column, 'sequence'])
      .execute();
  }

  await db.schema
    .createTable('audit_checkpoints')
    .addColumn('number', instant, (column) => column.notNull().primaryKey())
    .addColumn('hash', 'text', (column) => column.notNull())
    .addColumn('at', instant, (column) => column.notNull())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('public_key', bytes, (column) => column.notNull())
    .addColumn('signature', bytes, (column) => column.notNull())
    .modifyEnd(tableEnd)
    .execute();
}
