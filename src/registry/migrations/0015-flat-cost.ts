// What keeps the cost flat: devices counted by the database as they come and go, indexes for what timers look for.

import { sql } from 'kysely';
import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';
import { lacksGateway } from '../gateway-standing.ts';

export const name = '0015-flat-cost';

/** What devices are counted by; a provisioning key that is none counts under the empty name. */
const alike = ['account_id', 'state', 'method', 'fleet_root_ca_id', 'provisioning_key_id'] as const;

/** The columns of `alike` as a device has them, of which one may be null. */
const of = (device: string): string =>
  alike
    .map((each) => (each === 'provisioning_key_id' ? `coalesce(${device}.${each}, '')` : `${device}.${each}`))
    .join(', ');

/**
 * The counting is the database's, by triggers, so that a node of the version before, which knows nothing of it, counts too.
 */
export async function up(db: Db, { instant, tableEnd, trigger }: ColumnTypes): Promise<void> {
  await db.schema.alterTable('accounts').addColumn('deleted_at', instant).execute();
  await db.schema.alterTable('accounts').addColumn('gateway_incomplete', 'integer').execute();
  await sql`update accounts set gateway_incomplete = 1 where ${lacksGateway}`.execute(db);
  await db.schema
    .createIndex('accounts_lacking_gateway')
    .on('accounts')
    .column('id')
    .where(sql.ref('gateway_incomplete'), '=', 1)
    .execute();
  await db.schema
    .createIndex('accounts_unready')
    .on('accounts')
    .column('id')
    .where(sql.ref('ready_at'), 'is', null)
    .execute();
  await db.schema
    .createIndex('accounts_owned')
    .on('accounts')
    .column('id')
    .where(sql.ref('owner_key'), 'is not', null)
    .execute();

  await db.schema
    .createTable('device_tallies')
    .addColumn('account_id', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('method', 'text', (column) => column.notNull())
    .addColumn('fleet_root_ca_id', 'text', (column) => column.notNull())
    .addColumn('provisioning_key_id', 'text', (column) => column.notNull())
    .addColumn('devices', instant, (column) => column.notNull())
    .addPrimaryKeyConstraint('device_tallies_key', [...alike])
    .addForeignKeyConstraint('device_tallies_account', ['account_id'], 'accounts', ['id'])
    .modifyEnd(tableEnd)
    .execute();
  await sql`
    insert into device_tallies (${sql.raw(alike.join(', '))}, devices)
    select ${sql.raw(of('devices'))}, count(*) from devices group by 1, 2, 3, 4, 5`.execute(db);
  const more = `insert into device_tallies (${alike.join(', ')}, devices) values (${of('new')}, 1)
    on conflict (${alike.join(', ')}) do update set devices = device_tallies.devices + 1`;
  const fewer = `update device_tallies set devices = devices - 1 where (${alike.join(', ')}) = (${of('old')})`;
  for (const [name, after, does] of [
    ['device_tallies_insert', 'insert', [more]],
    ['device_tallies_update', { update: alike }, [fewer, more]],
    ['device_tallies_delete', 'delete', [fewer]],
  ] as const) {
    for (const statement of trigger({ name, table: 'devices', after, does })) await statement.execute(db);
  }

  // What lies with which custodian, without the keys of accounts that are gone.
  await db.schema
    .createIndex('keys_in_custody')
    .on('keys')
    .column('custodian')
    .where(sql.ref('remembered'), 'is not', null)
    .where(sql.ref('destroyed_at'), 'is', null)
    .execute();
  for (const [index, table, columns] of [
    ['refusals_by_age', 'refusals', ['at']],
    ['reports_by_age', 'reports', ['received_at']],
    ['gateway_cas_by_end', 'gateway_cas', ['account_id', 'not_after']],
    ['fleet_root_certificates_by_end', 'fleet_root_certificates', ['account_id', 'not_after']],
    ['provisioning_keys_by_end', 'provisioning_keys', ['account_id', 'not_after']],
  ] as const) {
    await db.schema
      .createIndex(index)
      .on(table)
      .columns([...columns])
      .execute();
  }
}
