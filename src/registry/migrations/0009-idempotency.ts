// Idempotency keys: which creating calls have been answered, and how.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0009-idempotency';

export async function up(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('idempotency_keys')
    .addColumn('id', 'text', (column) => column.notNull().primaryKey())
    .addColumn('principal', 'text', (column) => column.notNull())
    .addColumn('account_id', 'text', (column) => column.references('accounts.id'))
    .addColumn('fingerprint', 'text', (column) => column.notNull())
    .addColumn('created_at', instant, (column) => column.notNull())
    .addColumn('answered_at', instant)
    .addColumn('status', 'integer')
    .addColumn('body', bytes)
    .modifyEnd(tableEnd)
    .execute();
  await db.schema
    .createIndex('idempotency_keys_of_principal')
    .on('idempotency_keys')
    .columns(['principal', 'created_at'])
    .execute();
  await db.schema.createIndex('idempotency_keys_by_age').on('idempotency_keys').column('created_at').execute();
  await db.schema.createIndex('idempotency_keys_of_account').on('idempotency_keys').column('account_id').execute();
}
