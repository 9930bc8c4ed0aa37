// Labels of devices, what allow-lists carry beside the device IDs, and what lists are sorted and filtered by.

import { type ColumnDefinitionBuilder, sql } from 'kysely';
import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0007-fleet';

/**
 * Through which intermediates a device came is known of those that are admitted from now on: what they showed before was
 * not kept.
 */
export async function up(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  const required = (column: ColumnDefinitionBuilder) => column.notNull();
  await db.schema.alterTable('devices').addColumn('certificate_not_after', instant).execute();
  await db.schema.alterTable('devices').addColumn('chain_id', 'text').execute();
  await db.schema.alterTable('devices').addColumn('labels', 'text').execute();
  await db.schema.alterTable('allow_list').addColumn('labels', 'text').execute();
  await sql`
    update devices set certificate_not_after = (
      select max(certificates.not_after) from certificates
      where certificates.account_id = devices.account_id and certificates.device_uuid = devices.uuid
        and certificates.state = 'current')`.execute(db);
  for (const [index, column] of [
    ['devices_by_first_seen', 'first_seen'],
    ['devices_by_last_seen', 'last_seen'],
    ['devices_by_certificate_end', 'certificate_not_after'],
    ['devices_by_chain', 'chain_id'],
  ] as const) {
    await db.schema.createIndex(index).on('devices').columns(['account_id', column, 'device_id']).execute();
  }
  await db.schema
    .createIndex('certificates_by_end')
    .on('certificates')
    .columns(['account_id', 'profile', 'not_after', 'tbs_sha256'])
    .execute();

  await db.schema
    .createTable('chain_certificates')
    .addColumn('account_id', 'text', required)
    .addColumn('chain_id', 'text', required)
    .addColumn('sha256', 'text', required)
    .addColumn('public_key_sha256', 'text', required)
    .addColumn('subject', 'text', required)
    .addColumn('certificate', bytes, required)
    .addPrimaryKeyConstraint('chain_certificates_key', ['account_id', 'chain_id', 'sha256'])
    .addForeignKeyConstraint('chain_certificates_account', ['account_id'], 'accounts', ['id'])
    .modifyEnd(tableEnd)
    .execute();
  for (const column of ['sha256', 'public_key_sha256', 'subject'] as const) {
    await db.schema
      .createIndex(`chain_certificates_by_${column}`)
      .on('chain_certificates')
      .columns(['account_id', column, 'chain_id'])
      .execute();
  }

  await db.schema
    .createTable('device_labels')
    .addColumn('account_id', 'text', required)
    .addColumn('device_uuid', 'text', required)
    .addColumn('name', 'text', required)
    .addColumn('value', 'text', required)
    .addPrimaryKeyConstraint('device_labels_key', ['account_id', 'device_uuid', 'name'])
    .addForeignKeyConstraint(
      'device_labels_device',
      ['account_id', 'device_uuid'],
      'devices',
      ['account_id', 'uuid'],
      (key) => key.onDelete('cascade'),
    )
    .modifyEnd(tableEnd)
    .execute();
  await db.schema
    .createIndex('device_labels_by_value')
    .on('device_labels')
    .columns(['account_id', 'name', 'value', 'device_uuid'])
    .execute();

  await db.schema
    .createTable('allow_list_imports')
    .addColumn('account_id', 'text', required)
    .addColumn('id', 'text', required)
    .addColumn('state', 'text', required)
    .addColumn('started_at', instant, required)
    .addPrimaryKeyConstraint('allow_list_imports_key', ['account_id', 'id'])
    .addForeignKeyConstraint('allow_list_imports_account', ['account_id'], 'accounts', ['id'])
    .modifyEnd(tableEnd)
    .execute();
  await db.schema
    .createTable('staged_allow_list')
    .addColumn('account_id', 'text', required)
    .addColumn('import_id', 'text', required)
    .addColumn('device_id', 'text', required)
    .addColumn('labels', 'text')
    .addPrimaryKeyConstraint('staged_allow_list_key', ['account_id', 'import_id', 'device_id'])
    .addForeignKeyConstraint('staged_allow_list_import', ['account_id', 'import_id'], 'allow_list_imports', [
      'account_id',
      'id',
    ])
    .modifyEnd(tableEnd)
    .execute();
}
