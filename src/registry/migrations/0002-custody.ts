// Custody: whether a key may be given out, whether it has been erased here, what happened to it, and copies to destroy.

import { sql } from 'kysely';
import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0002-custody';

/**
 * The keys that are there were made by the software custodian, before it was asked whether one may be given out: they
 * may. (It seals the answer with the key, so that a changed row opens nothing.)
 */
export async function up(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  await db.schema
    .alterTable('keys')
    .addColumn('exportable', 'integer', (column) => column.notNull().defaultTo(1))
    .execute();
  await db.schema.alterTable('keys').addColumn('erased_at', instant).execute();
  await db.schema
    .createIndex('keys_to_destroy')
    .on('keys')
    .column('destroyed_at')
    .where(sql.ref('destroyed_at'), 'is not', null)
    .where(sql.ref('remembered'), 'is not', null)
    .execute();

  await db.schema
    .createTable('key_events')
    .addColumn('id', 'text', (column) => column.notNull().primaryKey())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('account_id', 'text', (column) => column.notNull())
    .addColumn('at', instant, (column) => column.notNull())
    .addColumn('event', 'text', (column) => column.notNull())
    .addColumn('custodian', 'text', (column) => column.notNull())
    .modifyEnd(tableEnd)
    .execute();
  await db.schema.createIndex('key_events_of_key').on('key_events').columns(['key_id', 'at']).execute();

  await db.schema
    .createTable('key_copies')
    .addColumn('id', 'text', (column) => column.notNull().primaryKey())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('account_id', 'text', (column) => column.notNull())
    .addColumn('custodian', 'text', (column) => column.notNull())
    .addColumn('remembered', bytes, (column) => column.notNull())
    .addColumn('exportable', 'integer', (column) => column.notNull())
    .modifyEnd(tableEnd)
    .execute();
  await db.schema.createIndex('key_copies_of_key').on('key_copies').columns(['key_id', 'custodian']).execute();

  // Beside those of `keys`, the private keys that this server has made for itself or for images.
  await db.schema
    .createIndex('certificates_by_own_key')
    .on('certificates')
    .column('public_key_sha256')
    .where(sql<boolean>`profile in ('gateway', 'provisioning_key')`)
    .execute();
}
