// Events, the webhooks that they are sent to, and what keeps either from being told too often.

import { type ColumnDefinitionBuilder, sql } from 'kysely';
import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0006-events';

/** What has no account belongs to the server as a whole. Deliveries outlive their webhook: time takes them away. */
export async function up(db: Db, { bytes, history, instant, tableEnd }: ColumnTypes): Promise<void> {
  const table = <T extends string>(name: T) => db.schema.createTable(name).modifyEnd(tableEnd);
  const index = (name: string) => db.schema.createIndex(name);
  const required = (column: ColumnDefinitionBuilder) => column.notNull();
  const identity = (column: ColumnDefinitionBuilder) => column.notNull().primaryKey();

  await history(db, { name: 'events', instant: 'at' }, (events) =>
    events
      .addColumn('account_id', 'text')
      .addColumn('at', instant, required)
      .addColumn('type', 'text', required)
      .addColumn('data', 'text', required),
  );
  await index('events_of_account').on('events').columns(['account_id', 'id']).execute();
  await index('events_by_time').on('events').column('at').execute();

  await table('event_prunings')
    .addColumn('account_id', 'text', identity)
    .addColumn('last_id', instant, required)
    .execute();

  await table('webhooks')
    .addColumn('id', 'text', identity)
    .addColumn('account_id', 'text')
    .addColumn('url', 'text', required)
    .addColumn('description', 'text')
    .addColumn('types', 'text')
    .addColumn('ca', 'text')
    .addColumn('state', 'text', required)
    .addColumn('position', instant, required)
    .addColumn('failing_since', instant)
    .addColumn('fault', 'text')
    .addColumn('created_at', instant, required)
    .addForeignKeyConstraint('webhooks_account', ['account_id'], 'accounts', ['id'])
    .execute();
  await index('webhooks_of_account').on('webhooks').columns(['account_id', 'created_at']).execute();
  await index('webhooks_active').on('webhooks').column('state').where('state', '=', 'active').execute();

  await table('webhook_secrets')
    .addColumn('id', 'text', identity)
    .addColumn('account_id', 'text')
    .addColumn('webhook_id', 'text', required)
    .addColumn('sealed', bytes, required)
    .addColumn('until', instant)
    .addColumn('created_at', instant, required)
    .addForeignKeyConstraint('webhook_secrets_webhook', ['webhook_id'], 'webhooks', ['id'], (key) =>
      key.onDelete('cascade'),
    )
    .execute();
  await index('webhook_secrets_of_webhook').on('webhook_secrets').columns(['webhook_id', 'created_at']).execute();
  await index('webhook_secrets_of_account').on('webhook_secrets').column('account_id').execute();

  await table('webhook_deliveries')
    .addColumn('id', 'text', identity)
    .addColumn('account_id', 'text')
    .addColumn('webhook_id', 'text', required)
    .addColumn('event_id', instant)
    .addColumn('type', 'text', required)
    .addColumn('body', 'text', required)
    .addColumn('state', 'text', required)
    .addColumn('attempts', 'integer', required)
    .addColumn('status', 'integer')
    .addColumn('fault', 'text')
    .addColumn('created_at', instant, required)
    .addColumn('give_up_at', instant, required)
    .addColumn('next_at', instant)
    .addColumn('leased', 'integer', required)
    .addColumn('settled_at', instant)
    .execute();
  await index('webhook_deliveries_of_webhook')
    .on('webhook_deliveries')
    .columns(['webhook_id', 'created_at', 'id'])
    .execute();
  await index('webhook_deliveries_by_state')
    .on('webhook_deliveries')
    .columns(['webhook_id', 'state', 'created_at', 'id'])
    .execute();
  await index('webhook_deliveries_due')
    .on('webhook_deliveries')
    .columns(['webhook_id', 'next_at'])
    .where(sql.ref('state'), '=', 'pending')
    .execute();
  await index('webhook_deliveries_leased')
    .on('webhook_deliveries')
    .column('leased')
    .where(sql.ref('leased'), '=', 1)
    .execute();
  await index('webhook_deliveries_by_time').on('webhook_deliveries').column('created_at').execute();
  await index('webhook_deliveries_of_account').on('webhook_deliveries').column('account_id').execute();

  await table('refusal_tallies')
    .addColumn('account_id', 'text', required)
    .addColumn('code', 'text', required)
    .addColumn('rule', 'text', required)
    .addColumn('told_at', instant, required)
    .addColumn('count', 'integer', required)
    .addColumn('first_at', instant, required)
    .addColumn('last_at', instant, required)
    .addColumn('device_ids', 'text', required)
    .addPrimaryKeyConstraint('refusal_tallies_key', ['account_id', 'code'])
    .execute();
  await index('refusal_tallies_untold')
    .on('refusal_tallies')
    .column('told_at')
    .where(sql.ref('count'), '>', 0)
    .execute();

  await table('expiry_marks')
    .addColumn('account_id', 'text', required)
    .addColumn('days', 'integer', required)
    .addColumn('not_after', instant, required)
    .addColumn('device_id', 'text', required)
    .addPrimaryKeyConstraint('expiry_marks_key', ['account_id', 'days'])
    .addForeignKeyConstraint('expiry_marks_account', ['account_id'], 'accounts', ['id'])
    .execute();
}
