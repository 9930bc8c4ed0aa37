// The account that factories give of their certificates: lines, their mandates, what their manifests hold, and strangers.

import { type ColumnDefinitionBuilder, type CreateTableBuilder, sql } from 'kysely';
import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0011-manifests';

export async function up(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  const required = (column: ColumnDefinitionBuilder) => column.notNull();
  const ofAccount = <T extends string>(name: T): CreateTableBuilder<T, 'account_id'> =>
    db.schema
      .createTable(name)
      .addColumn('account_id', 'text', required)
      .addForeignKeyConstraint(`${name}_account`, ['account_id'], 'accounts', ['id'])
      .modifyEnd(tableEnd);

  await ofAccount('manifest_lines')
    .addColumn('id', 'text', required)
    .addColumn('fleet_root_ca_id', 'text', required)
    .addColumn('public_key_sha256', 'text', required)
    .addColumn('certificate', bytes, required)
    .addColumn('name', 'text', required)
    .addColumn('site', 'text')
    .addColumn('log_id', 'text', required)
    .addColumn('last_number', instant, required)
    .addColumn('last_hash', 'text', required)
    .addColumn('last_made_at', instant, required)
    .addColumn('imported_at', instant, required)
    .addColumn('added_at', instant, required)
    .addColumn('swept_to', instant)
    .addPrimaryKeyConstraint('manifest_lines_key', ['account_id', 'id'])
    .addUniqueConstraint('manifest_lines_same', ['account_id', 'public_key_sha256'])
    .addForeignKeyConstraint('manifest_lines_ca', ['account_id', 'fleet_root_ca_id'], 'fleet_root_cas', [
      'account_id',
      'id',
    ])
    .execute();

  await ofAccount('manifest_ranges')
    .addColumn('line_id', 'text', required)
    .addColumn('first', instant, required)
    .addColumn('last', instant, required)
    .addColumn('hashes', bytes, required)
    .addPrimaryKeyConstraint('manifest_ranges_key', ['account_id', 'line_id', 'last'])
    .addForeignKeyConstraint('manifest_ranges_line', ['account_id', 'line_id'], 'manifest_lines', ['account_id', 'id'])
    .execute();

  await ofAccount('manifest_mandates')
    .addColumn('line_id', 'text', required)
    .addColumn('id', 'text', required)
    .addColumn('jws', 'text', required)
    .addColumn('quota', 'integer', required)
    .addColumn('used', 'integer', required)
    .addColumn('not_after', instant, required)
    .addColumn('device_id_pattern', 'text', required)
    .addColumn('order_name', 'text')
    .addColumn('added_at', instant, required)
    .addPrimaryKeyConstraint('manifest_mandates_key', ['account_id', 'line_id', 'id'])
    .addForeignKeyConstraint('manifest_mandates_line', ['account_id', 'line_id'], 'manifest_lines', [
      'account_id',
      'id',
    ])
    .execute();

  await ofAccount('manifest_orders')
    .addColumn('line_id', 'text', required)
    .addColumn('order_name', 'text', required)
    .addColumn('made', 'integer', required)
    .addColumn('withdrawn', 'integer', required)
    .addColumn('seen', 'integer', required)
    .addColumn('missing', 'integer', required)
    .addPrimaryKeyConstraint('manifest_orders_key', ['account_id', 'line_id', 'order_name'])
    .addForeignKeyConstraint('manifest_orders_line', ['account_id', 'line_id'], 'manifest_lines', ['account_id', 'id'])
    .execute();

  await ofAccount('manifest_certificates')
    .addColumn('tbs_sha256', 'text', required)
    .addColumn('public_key_sha256', 'text', required)
    .addColumn('device_id', 'text', required)
    .addColumn('line_id', 'text', required)
    .addColumn('number', instant, required)
    .addColumn('order_name', 'text', required)
    .addColumn('batch', 'text')
    .addColumn('station', 'text', required)
    .addColumn('mandate_id', 'text', required)
    .addColumn('beyond', 'text')
    .addColumn('evidence', 'text', required)
    .addColumn('made_at', instant, required)
    .addColumn('withdrawn_at', instant)
    .addColumn('seen_at', instant)
    .addColumn('came_at', instant)
    .addColumn('shares', 'text')
    // A line that claims what another one makes keeps that one from nothing.
    .addPrimaryKeyConstraint('manifest_certificates_key', ['account_id', 'line_id', 'tbs_sha256'])
    .addForeignKeyConstraint('manifest_certificates_line', ['account_id', 'line_id'], 'manifest_lines', [
      'account_id',
      'id',
    ])
    .execute();
  for (const [index, columns] of [
    ['manifest_certificates_by_line', ['line_id', 'number']],
    ['manifest_certificates_by_order', ['order_name', 'line_id', 'number']],
  ] as const) {
    await db.schema
      .createIndex(index)
      .on('manifest_certificates')
      .columns(['account_id', ...columns])
      .execute();
  }
  // What is looked for by these is not withdrawn: of one device there may be many that are.
  for (const [index, column] of [
    ['manifest_certificates_by_device', 'device_id'],
    ['manifest_certificates_by_key', 'public_key_sha256'],
  ] as const) {
    await db.schema
      .createIndex(index)
      .on('manifest_certificates')
      .columns(['account_id', column])
      .where(sql.ref('withdrawn_at'), 'is', null)
      .execute();
  }
  // What reconciliation lists is few among millions.
  const few = (name: string) =>
    db.schema
      .createIndex(`manifest_certificates_${name}`)
      .on('manifest_certificates')
      .columns(['account_id', 'order_name', 'line_id', 'number']);
  await few('missing').where(sql.ref('seen_at'), 'is', null).where(sql.ref('withdrawn_at'), 'is', null).execute();
  for (const column of ['came_at', 'shares', 'beyond']) {
    await few(column).where(sql.ref(column), 'is not', null).execute();
  }

  await ofAccount('manifest_strangers')
    .addColumn('tbs_sha256', 'text', required)
    .addColumn('line_id', 'text', required)
    .addColumn('device_id', 'text', required)
    .addColumn('public_key_sha256', 'text', required)
    .addColumn('first_seen', instant, required)
    .addColumn('last_seen', instant, required)
    .addColumn('admitted', 'integer', required)
    .addColumn('told_at', instant)
    .addPrimaryKeyConstraint('manifest_strangers_key', ['account_id', 'tbs_sha256'])
    .addForeignKeyConstraint('manifest_strangers_line', ['account_id', 'line_id'], 'manifest_lines', [
      'account_id',
      'id',
    ])
    .execute();
  await db.schema
    .createIndex('manifest_strangers_by_line')
    .on('manifest_strangers')
    .columns(['account_id', 'line_id', 'first_seen', 'tbs_sha256'])
    .execute();
  await db.schema
    .createIndex('manifest_strangers_by_age')
    .on('manifest_strangers')
    .columns(['account_id', 'last_seen', 'tbs_sha256'])
    .execute();
}
