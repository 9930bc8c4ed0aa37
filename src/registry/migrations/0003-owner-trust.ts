// Owner-signed trust: an account's owner key, the sets that its owner has signed, and what was narrowed since.

import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0003-owner-trust';

/** Accounts that are there have no owner key, and never get one: what they trust are their rows, as before. */
export async function up(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  await db.schema.alterTable('accounts').addColumn('owner_key', bytes).execute();

  await db.schema
    .createTable('trust_sets')
    .addColumn('account_id', 'text', (column) => column.notNull())
    .addColumn('number', 'integer', (column) => column.notNull())
    .addColumn('document', bytes, (column) => column.notNull())
    .addColumn('signature', bytes, (column) => column.notNull())
    .addColumn('accepted_at', instant, (column) => column.notNull())
    .addPrimaryKeyConstraint('trust_sets_key', ['account_id', 'number'])
    .addForeignKeyConstraint('trust_sets_account', ['account_id'], 'accounts', ['id'])
    .modifyEnd(tableEnd)
    .execute();

  await db.schema
    .createTable('narrowings')
    .addColumn('account_id', 'text', (column) => column.notNull())
    .addColumn('id', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('fleet_root_ca_id', 'text')
    .addColumn('public_key_sha256', 'text', (column) => column.notNull())
    .addColumn('set_number', 'integer', (column) => column.notNull())
    .addColumn('at', instant, (column) => column.notNull())
    .addPrimaryKeyConstraint('narrowings_key', ['account_id', 'id'])
    .addForeignKeyConstraint('narrowings_account', ['account_id'], 'accounts', ['id'])
    .modifyEnd(tableEnd)
    .execute();
}
