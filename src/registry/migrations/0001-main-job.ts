// The tables of the main job: accounts, their CAs and trust, devices, certificates, and what is told about them.

import { type ColumnDefinitionBuilder, type CreateTableBuilder, sql } from 'kysely';
import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0001-main-job';

/**
 * Makes every table of tables.ts as of this migration. Foreign keys that name the account beside the thing keep a row
 * from ever pointing into another account. Keys and refusals have none: they outlive their account, or have none.
 */
export async function up(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  const table = <T extends string>(name: T) => db.schema.createTable(name).modifyEnd(tableEnd);
  const index = (name: string) => db.schema.createIndex(name);
  const required = (column: ColumnDefinitionBuilder) => column.notNull();
  const identity = (column: ColumnDefinitionBuilder) => column.notNull().primaryKey();
  /** A table of rows that belong to an account and go with it. */
  const ofAccount = <T extends string>(name: T): CreateTableBuilder<T, 'account_id'> =>
    table(name)
      .addColumn('account_id', 'text', required)
      .addForeignKeyConstraint(`${name}_account`, ['account_id'], 'accounts', ['id']);

  await table('server').addColumn('key', 'text', identity).addColumn('value', bytes, required).execute();

  await table('accounts')
    .addColumn('id', 'text', identity)
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('kind', 'text', required)
    .addColumn('admission', 'text', required)
    .addColumn('rekey', 'text', required)
    .addColumn('key_type', 'text', required)
    .addColumn('validity_seconds', instant, required)
    .addColumn('device_id_pattern', 'text')
    .addColumn('namespace', 'text', required)
    .addColumn('created_at', instant, required)
    .addColumn('ready_at', instant)
    .execute();

  await ofAccount('account_hosts')
    .addColumn('host', 'text', identity)
    .addColumn('kind', 'text', required)
    .addColumn('added_at', instant, required)
    .execute();
  await index('account_hosts_of_account').on('account_hosts').columns(['account_id', 'added_at']).execute();

  await table('keys')
    .addColumn('id', 'text', identity)
    .addColumn('account_id', 'text', required)
    .addColumn('purpose', 'text', required)
    .addColumn('custodian', 'text', required)
    .addColumn('key_type', 'text', required)
    .addColumn('public_key', bytes, required)
    .addColumn('public_key_sha256', 'text', required)
    .addColumn('remembered', bytes)
    .addColumn('created_at', instant, required)
    .addColumn('destroyed_at', instant)
    .addUniqueConstraint('keys_of_account', ['account_id', 'id'])
    .execute();
  await index('keys_by_public_key').on('keys').column('public_key_sha256').execute();

  await ofAccount('gateway_cas')
    .addColumn('id', 'text', identity)
    .addColumn('key_id', 'text', required)
    .addColumn('state', 'text', required)
    .addColumn('certificate', bytes, required)
    .addColumn('sha256', 'text', required)
    .addColumn('not_after', instant, required)
    .addColumn('created_at', instant, required)
    .addUniqueConstraint('gateway_cas_of_account', ['account_id', 'id'])
    .addForeignKeyConstraint('gateway_cas_key_held', ['account_id', 'key_id'], 'keys', ['account_id', 'id'])
    .execute();
  for (const state of ['active', 'standby']) {
    await index(`gateway_cas_one_${state}`)
      .on('gateway_cas')
      .column('account_id')
      .unique()
      .where(sql.ref('state'), '=', state)
      .execute();
  }

  await ofAccount('gateway_certificates')
    .addColumn('id', 'text', identity)
    .addColumn('gateway_ca_id', 'text', required)
    .addColumn('certificate', bytes, required)
    .addColumn('sealed_key', bytes, required)
    .addColumn('hosts', 'text', required)
    .addColumn('not_after', instant, required)
    .addColumn('created_at', instant, required)
    .addForeignKeyConstraint('gateway_certificates_ca', ['account_id', 'gateway_ca_id'], 'gateway_cas', [
      'account_id',
      'id',
    ])
    .execute();
  await index('gateway_certificates_of_account')
    .on('gateway_certificates')
    .columns(['account_id', 'created_at'])
    .execute();
  await index('gateway_certificates_by_end').on('gateway_certificates').column('not_after').execute();

  await ofAccount('provisioning_cas')
    .addColumn('id', 'text', identity)
    .addColumn('key_id', 'text', required)
    .addColumn('certificate', bytes, required)
    .addColumn('not_after', instant, required)
    .addColumn('created_at', instant, required)
    .addForeignKeyConstraint('provisioning_cas_key_held', ['account_id', 'key_id'], 'keys', ['account_id', 'id'])
    .execute();
  await index('provisioning_cas_of_account').on('provisioning_cas').columns(['account_id', 'created_at']).execute();

  await ofAccount('fleet_root_cas')
    .addColumn('id', 'text', identity)
    .addColumn('name', 'text', required)
    .addColumn('kind', 'text', required)
    .addColumn('state', 'text', required)
    .addColumn('key_id', 'text')
    .addColumn('subject', bytes, required)
    .addColumn('public_key_sha256', 'text', required)
    .addColumn('successor_id', 'text')
    .addColumn('created_at', instant, required)
    .addUniqueConstraint('fleet_root_cas_of_account', ['account_id', 'id'])
    .addUniqueConstraint('fleet_root_cas_name', ['account_id', 'name'])
    .addUniqueConstraint('fleet_root_cas_same', ['account_id', 'public_key_sha256', 'subject'])
    .addForeignKeyConstraint('fleet_root_cas_key_held', ['account_id', 'key_id'], 'keys', ['account_id', 'id'])
    .addForeignKeyConstraint('fleet_root_cas_successor', ['account_id', 'successor_id'], 'fleet_root_cas', [
      'account_id',
      'id',
    ])
    .execute();

  await ofAccount('fleet_root_certificates')
    .addColumn('fleet_root_ca_id', 'text', required)
    .addColumn('role', 'text', required)
    .addColumn('sha256', 'text', required)
    .addColumn('public_key_sha256', 'text', required)
    .addColumn('certificate', bytes, required)
    .addColumn('not_after', instant, required)
    .addColumn('added_at', instant, required)
    .addPrimaryKeyConstraint('fleet_root_certificates_key', ['account_id', 'fleet_root_ca_id', 'sha256'])
    .addForeignKeyConstraint('fleet_root_certificates_ca', ['account_id', 'fleet_root_ca_id'], 'fleet_root_cas', [
      'account_id',
      'id',
    ])
    .execute();
  await index('fleet_root_certificates_one_anchor')
    .on('fleet_root_certificates')
    .columns(['account_id', 'sha256'])
    .unique()
    .where(sql.ref('role'), '=', 'anchor')
    .execute();

  await ofAccount('distrusted_keys')
    .addColumn('public_key_sha256', 'text', required)
    .addColumn('certificate', bytes, required)
    .addColumn('added_at', instant, required)
    .addPrimaryKeyConstraint('distrusted_keys_key', ['account_id', 'public_key_sha256'])
    .execute();

  await ofAccount('provisioning_keys')
    .addColumn('id', 'text', identity)
    .addColumn('description', 'text')
    .addColumn('tbs_sha256', 'text', required)
    .addColumn('public_key_sha256', 'text', required)
    .addColumn('certificate', bytes, required)
    .addColumn('not_after', instant, required)
    .addColumn('max_uses', 'integer')
    .addColumn('uses', 'integer', required)
    .addColumn('device_id_pattern', 'text')
    .addColumn('networks', 'text', required)
    .addColumn('disabled_at', instant)
    .addColumn('created_at', instant, required)
    .addUniqueConstraint('provisioning_keys_of_account', ['account_id', 'id'])
    .addUniqueConstraint('provisioning_keys_certificate', ['account_id', 'tbs_sha256'])
    .execute();

  await ofAccount('devices')
    .addColumn('uuid', 'text', required)
    .addColumn('device_id', 'text', required)
    .addColumn('state', 'text', required)
    .addColumn('method', 'text', required)
    .addColumn('fleet_root_ca_id', 'text', required)
    .addColumn('provisioning_key_id', 'text')
    .addColumn('allowed_root_id', 'text')
    .addColumn('reprovision_until', instant)
    .addColumn('first_seen', instant, required)
    .addColumn('last_seen', instant)
    .addPrimaryKeyConstraint('devices_key', ['account_id', 'uuid'])
    .addUniqueConstraint('devices_id', ['account_id', 'device_id'])
    .addForeignKeyConstraint('devices_fleet_root_ca', ['account_id', 'fleet_root_ca_id'], 'fleet_root_cas', [
      'account_id',
      'id',
    ])
    .addForeignKeyConstraint('devices_allowed_root', ['account_id', 'allowed_root_id'], 'fleet_root_cas', [
      'account_id',
      'id',
    ])
    .addForeignKeyConstraint('devices_provisioning_key', ['account_id', 'provisioning_key_id'], 'provisioning_keys', [
      'account_id',
      'id',
    ])
    .execute();
  await index('devices_by_state').on('devices').columns(['account_id', 'state', 'device_id']).execute();
  await index('devices_by_fleet_root_ca').on('devices').columns(['account_id', 'fleet_root_ca_id', 'state']).execute();
  await index('devices_by_provisioning_key')
    .on('devices')
    .columns(['account_id', 'provisioning_key_id', 'first_seen'])
    .execute();

  await ofAccount('certificates')
    .addColumn('tbs_sha256', 'text', required)
    .addColumn('sha256', 'text')
    .addColumn('profile', 'text', required)
    .addColumn('state', 'text', required)
    .addColumn('serial', 'text', required)
    .addColumn('public_key_sha256', 'text', required)
    .addColumn('not_before', instant, required)
    .addColumn('not_after', instant, required)
    .addColumn('device_uuid', 'text')
    .addColumn('subject_name', 'text', required)
    .addColumn('fleet_root_ca_id', 'text')
    .addColumn('provisioning_key_id', 'text')
    .addColumn('der', bytes, required)
    .addColumn('created_at', instant, required)
    .addColumn('first_used_at', instant)
    .addColumn('reply', 'text')
    .addColumn('counted_use', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('certificates_key', ['account_id', 'tbs_sha256'])
    .addForeignKeyConstraint('certificates_device', ['account_id', 'device_uuid'], 'devices', ['account_id', 'uuid'])
    .execute();
  await index('certificates_of_device')
    .on('certificates')
    .columns(['account_id', 'device_uuid', 'created_at'])
    .execute();
  await index('certificates_by_sha256').on('certificates').columns(['account_id', 'sha256']).execute();
  await index('certificates_by_provisioning_key')
    .on('certificates')
    .columns(['account_id', 'provisioning_key_id'])
    .execute();
  // What a killed server left half done is found at the start among millions.
  await index('certificates_intended').on('certificates').column('state').where('state', '=', 'intended').execute();
  await index('certificates_reply_open').on('certificates').column('reply').where('reply', '=', 'open').execute();

  await ofAccount('reports')
    .addColumn('device_uuid', 'text', required)
    .addColumn('kind', 'text', required)
    .addColumn('content_type', 'text', required)
    .addColumn('body', bytes, required)
    .addColumn('received_at', instant, required)
    .addPrimaryKeyConstraint('reports_key', ['account_id', 'device_uuid', 'kind'])
    .addForeignKeyConstraint(
      'reports_device',
      ['account_id', 'device_uuid'],
      'devices',
      ['account_id', 'uuid'],
      (key) => key.onDelete('cascade'),
    )
    .execute();

  await ofAccount('allow_list')
    .addColumn('device_id', 'text', required)
    .addColumn('added_at', instant, required)
    .addPrimaryKeyConstraint('allow_list_key', ['account_id', 'device_id'])
    .execute();

  await ofAccount('account_files')
    .addColumn('entry', 'text', required)
    .addColumn('sealed_content', bytes, required)
    .addColumn('updated_at', instant, required)
    .addPrimaryKeyConstraint('account_files_key', ['account_id', 'entry'])
    .execute();

  await ofAccount('upstreams')
    .addColumn('prefix', 'text', required)
    .addColumn('url', 'text', required)
    .addColumn('rewrite', 'text')
    .addColumn('ca', 'text')
    .addColumn('certificate', 'text')
    .addColumn('sealed_key', bytes)
    .addColumn('host', 'text')
    .addColumn('timeout_ms', 'integer', required)
    .addPrimaryKeyConstraint('upstreams_key', ['account_id', 'prefix'])
    .execute();

  await table('refusals')
    .addColumn('id', 'text', identity)
    .addColumn('account_id', 'text', required)
    .addColumn('sameness', 'text', required)
    .addColumn('first_at', instant, required)
    .addColumn('at', instant, required)
    .addColumn('count', 'integer', required)
    .addColumn('code', 'text', required)
    .addColumn('rule', 'text', required)
    .addColumn('remedy', 'text', required)
    .addColumn('device_id', 'text')
    .addColumn('address', 'text')
    .addColumn('sni', 'text')
    .addColumn('certificates', 'text', required)
    .addUniqueConstraint('refusals_same', ['account_id', 'sameness'])
    .execute();
  await index('refusals_by_time').on('refusals').columns(['account_id', 'at']).execute();
}
