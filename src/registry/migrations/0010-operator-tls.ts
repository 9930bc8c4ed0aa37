// The operators' listener: its CA, and the certificate that it shows.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0010-operator-tls';

export async function up(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('operator_cas')
    .addColumn('id', 'text', (column) => column.notNull().primaryKey())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('certificate', bytes, (column) => column.notNull())
    .addColumn('sha256', 'text', (column) => column.notNull())
    .addColumn('not_after', instant, (column) => column.notNull())
    .addColumn('created_at', instant, (column) => column.notNull())
    .modifyEnd(tableEnd)
    .execute();
  await db.schema.createIndex('operator_cas_by_state').on('operator_cas').column('state').execute();
  await db.schema
    .createTable('operator_certificates')
    .addColumn('id', 'text', (column) => column.notNull().primaryKey())
    .addColumn('operator_ca_id', 'text', (column) => column.notNull().unique())
    .addColumn('certificate', bytes, (column) => column.notNull())
    .addColumn('sealed_key', bytes, (column) => column.notNull())
    .addColumn('hosts', 'text', (column) => column.notNull())
    .addColumn('not_after', instant, (column) => column.notNull())
    .addColumn('created_at', instant, (column) => column.notNull())
    .modifyEnd(tableEnd)
    .execute();
}
