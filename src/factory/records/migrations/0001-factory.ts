// The factory's whole first schema.

import { type ColumnDefinitionBuilder, sql } from 'kysely';
import type { ColumnTypes } from '../../../registry/column-types.ts';
import type { Db } from '../../../registry/database.ts';

export const name = '0001-factory';

const required = (column: ColumnDefinitionBuilder) => column.notNull();
const primary = (column: ColumnDefinitionBuilder) => column.notNull().primaryKey();

export async function up(db: Db, types: ColumnTypes): Promise<void> {
  await keysAndLog(db, types);
  await line(db, types);
  await fleetRoot(db, types);
  await ordersAndStations(db, types);
  await certificates(db, types);
}

async function keysAndLog(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('facts')
    .addColumn('key', 'text', primary)
    .addColumn('value', bytes, required)
    .modifyEnd(tableEnd)
    .execute();
  await db.schema
    .createTable('keys')
    .addColumn('id', 'text', primary)
    .addColumn('account_id', 'text', required)
    .addColumn('purpose', 'text', required)
    .addColumn('custodian', 'text', required)
    .addColumn('key_type', 'text', required)
    .addColumn('public_key', bytes, required)
    .addColumn('public_key_sha256', 'text', (column) => column.notNull().unique())
    .addColumn('remembered', bytes, required)
    .addColumn('exportable', 'integer', required)
    .addColumn('created_at', instant, required)
    .addColumn('destroyed_at', instant)
    .modifyEnd(tableEnd)
    .execute();
  await db.schema
    .createTable('log')
    .addColumn('number', instant, primary)
    .addColumn('at', instant, required)
    .addColumn('action', 'text', required)
    .addColumn('object_kind', 'text', required)
    .addColumn('object_id', 'text', required)
    .addColumn('body', 'text', required)
    .addColumn('previous_hash', 'text', required)
    .addColumn('hash', 'text', required)
    .addColumn('latest', instant, required)
    .modifyEnd(tableEnd)
    .execute();
  // Without statistics SQLite would look for an action and an object by the action's index, and read the whole log.
  await db.schema.createIndex('log_by_object').on('log').columns(['object_id', 'action', 'number']).execute();
  await db.schema.createIndex('log_by_action').on('log').columns(['action', 'number']).execute();
}

async function line(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('lines')
    .addColumn('id', 'text', primary)
    .addColumn('name', 'text', required)
    .addColumn('site', 'text')
    .addColumn('key_id', 'text', required)
    .addColumn('ca_certificate', bytes)
    .addColumn('root_certificate', bytes)
    .addColumn('created_at', instant, required)
    .addForeignKeyConstraint('lines_key', ['key_id'], 'keys', ['id'])
    .modifyEnd(tableEnd)
    .execute();
  await db.schema
    .createTable('mandates')
    .addColumn('id', 'text', primary)
    .addColumn('jws', 'text', required)
    .addColumn('quota', 'integer', required)
    .addColumn('used', 'integer', required)
    .addColumn('not_after', instant, required)
    .addColumn('device_id_pattern', 'text', required)
    .addColumn('order_name', 'text')
    .addColumn('received_at', instant, required)
    .modifyEnd(tableEnd)
    .execute();
}

async function fleetRoot(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('fleet_roots')
    .addColumn('id', 'text', primary)
    .addColumn('name', 'text', required)
    .addColumn('key_id', 'text', required)
    .addColumn('certificate', bytes, required)
    .addColumn('created_at', instant, required)
    .addForeignKeyConstraint('fleet_roots_key', ['key_id'], 'keys', ['id'])
    .modifyEnd(tableEnd)
    .execute();
  await db.schema
    .createTable('root_lines')
    .addColumn('public_key_sha256', 'text', primary)
    // It is in the subject of the line's CA, by which clients tell one CA from another.
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('site', 'text')
    .addColumn('certificate', bytes, required)
    .addColumn('created_at', instant, required)
    .modifyEnd(tableEnd)
    .execute();
  await db.schema
    .createTable('root_mandates')
    .addColumn('id', 'text', primary)
    .addColumn('line', 'text', required)
    .addColumn('jws', 'text', required)
    .addColumn('quota', 'integer', required)
    .addColumn('not_after', instant, required)
    .addColumn('device_id_pattern', 'text', required)
    .addColumn('order_name', 'text')
    .addColumn('created_at', instant, required)
    .addForeignKeyConstraint('root_mandates_line', ['line'], 'root_lines', ['public_key_sha256'])
    .modifyEnd(tableEnd)
    .execute();
}

async function ordersAndStations(db: Db, { instant, bytes, tableEnd }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('orders')
    .addColumn('name', 'text', primary)
    .addColumn('batch', 'text')
    .addColumn('proof', 'text', required)
    .addColumn('listed', 'integer', required)
    .addColumn('created_at', instant, required)
    .modifyEnd(tableEnd)
    .execute();
  await db.schema
    .createTable('order_devices')
    .addColumn('order_name', 'text', required)
    .addColumn('device_id', 'text', required)
    .addPrimaryKeyConstraint('order_devices_key', ['order_name', 'device_id'])
    .addForeignKeyConstraint('order_devices_order', ['order_name'], 'orders', ['name'])
    .modifyEnd(tableEnd)
    .execute();
  await db.schema
    .createTable('stations')
    .addColumn('id', 'text', primary)
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('tbs_sha256', 'text', (column) => column.unique())
    .addColumn('public_key_sha256', 'text')
    .addColumn('public_key', 'text')
    .addColumn('password_sha256', 'text')
    .addColumn('networks', 'text', required)
    .addColumn('address', 'text')
    .addColumn('not_after', instant)
    .addColumn('created_at', instant, required)
    .addColumn('removed_at', instant)
    .modifyEnd(tableEnd)
    .execute();
  await db.schema.createIndex('stations_by_public_key_sha256').on('stations').column('public_key_sha256').execute();
  await db.schema
    .createTable('windows')
    .addColumn('id', 'text', primary)
    .addColumn('order_name', 'text', required)
    .addColumn('quota', 'integer', required)
    .addColumn('used', 'integer', required)
    .addColumn('station_id', 'text')
    .addColumn('opened_at', instant, required)
    .addColumn('opened_by', 'text', required)
    .addColumn('closes_at', instant, required)
    .addColumn('closed_at', instant)
    .addForeignKeyConstraint('windows_order', ['order_name'], 'orders', ['name'])
    .addForeignKeyConstraint('windows_station', ['station_id'], 'stations', ['id'])
    .modifyEnd(tableEnd)
    .execute();
  await db.schema.createIndex('windows_by_end').on('windows').columns(['closes_at', 'closed_at']).execute();
  await db.schema
    .createTable('tpm_roots')
    .addColumn('sha256', 'text', primary)
    .addColumn('public_key_sha256', 'text', required)
    .addColumn('certificate', bytes, required)
    .addColumn('added_at', instant, required)
    .modifyEnd(tableEnd)
    .execute();
  await db.schema.createIndex('tpm_roots_by_public_key_sha256').on('tpm_roots').column('public_key_sha256').execute();
}

async function certificates(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('certificates')
    .addColumn('tbs_sha256', 'text', primary)
    .addColumn('state', 'text', required)
    .addColumn('device_id', 'text', required)
    // A key is certified once and for one device, also after that certificate has been withdrawn.
    .addColumn('public_key_sha256', 'text', (column) => column.notNull().unique())
    .addColumn('serial', 'text', required)
    .addColumn('not_before', instant, required)
    .addColumn('not_after', instant, required)
    .addColumn('order_name', 'text', required)
    .addColumn('window_id', 'text', required)
    .addColumn('mandate_id', 'text', required)
    .addColumn('station_id', 'text', required)
    .addColumn('evidence', 'text', required)
    .addColumn('der', bytes, required)
    .addColumn('created_at', instant, required)
    .addColumn('withdrawn_at', instant)
    .addForeignKeyConstraint('certificates_window', ['window_id'], 'windows', ['id'])
    .addForeignKeyConstraint('certificates_mandate', ['mandate_id'], 'mandates', ['id'])
    .addForeignKeyConstraint('certificates_station', ['station_id'], 'stations', ['id'])
    .modifyEnd(tableEnd)
    .execute();
  await db.schema
    .createIndex('certificates_of_device')
    .unique()
    .on('certificates')
    .column('device_id')
    .where(sql.ref('state'), '=', sql.lit('made'))
    .execute();
  await db.schema.createIndex('certificates_by_device').on('certificates').columns(['device_id', 'state']).execute();
  await db.schema.createIndex('certificates_by_state').on('certificates').columns(['state', 'created_at']).execute();
  // A mandate's certificates are counted again at each start.
  await db.schema.createIndex('certificates_by_mandate').on('certificates').column('mandate_id').execute();
  await db.schema
    .createIndex('certificates_by_order')
    .on('certificates')
    .columns(['order_name', 'state', 'created_at'])
    .execute();
  await db.schema.createIndex('certificates_by_window').on('certificates').column('window_id').execute();
}
