// API tokens, logins by an identity provider, and back ends that no administrator of the server has set.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0008-tokens';

export async function up(db: Db, { instant, tableEnd }: ColumnTypes): Promise<void> {
  // Those that are there were set by whoever administers the server: there was nobody else.
  await db.schema
    .alterTable('upstreams')
    .addColumn('guarded', 'integer', (column) => column.notNull().defaultTo(0))
    .execute();
  await db.schema
    .createTable('tokens')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('account_id', 'text', (column) => column.references('accounts.id'))
    .addColumn('role', 'text', (column) => column.notNull())
    .addColumn('description', 'text', (column) => column.notNull())
    .addColumn('sha256', 'text', (column) => column.notNull().unique())
    .addColumn('maker_kind', 'text', (column) => column.notNull())
    .addColumn('maker_id', 'text')
    .addColumn('maker_name', 'text', (column) => column.notNull())
    .addColumn('operator_id', 'text')
    .addColumn('created_at', instant, (column) => column.notNull())
    .addColumn('not_after', instant, (column) => column.notNull())
    .addColumn('last_used_at', instant)
    .addColumn('last_address', 'text')
    .modifyEnd(tableEnd)
    .execute();
  await db.schema.createIndex('tokens_of_account').on('tokens').columns(['account_id', 'id']).execute();
  await db.schema
    .createTable('operator_identities')
    .addColumn('operator_id', 'text', (column) => column.primaryKey())
    .addColumn('issuer', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addForeignKeyConstraint('operator_identities_operator', ['operator_id'], 'operators', ['id'], (key) =>
      key.onDelete('cascade'),
    )
    .addUniqueConstraint('operator_identities_one', ['issuer', 'subject'])
    .modifyEnd(tableEnd)
    .execute();
  await db.schema.createIndex('tokens_of_operator').on('tokens').column('operator_id').execute();
}
