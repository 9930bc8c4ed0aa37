// Operators: their logins, roles, sessions, invitations, second factors and known browsers.

import type { ColumnDefinitionBuilder } from 'kysely';
import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0005-operators';

/** There are no operators yet: who opens the socket makes the first, or the link that the next start shows. */
export async function up(db: Db, { bytes, instant, tableEnd }: ColumnTypes): Promise<void> {
  const table = <T extends string>(name: T) => db.schema.createTable(name).modifyEnd(tableEnd);
  const required = (column: ColumnDefinitionBuilder) => column.notNull();
  const identity = (column: ColumnDefinitionBuilder) => column.notNull().primaryKey();
  /** A table of rows that belong to an operator and go with them. */
  const ofOperator = <T extends string>(name: T) =>
    table(name)
      .addColumn('operator_id', 'text', required)
      .addForeignKeyConstraint(`${name}_operator`, ['operator_id'], 'operators', ['id'], (key) =>
        key.onDelete('cascade'),
      );

  await table('operators')
    .addColumn('id', 'text', identity)
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('administrator', 'integer', required)
    .addColumn('password', 'text')
    .addColumn('disabled_at', instant)
    .addColumn('created_at', instant, required)
    .addColumn('last_sign_in_at', instant)
    .addColumn('made_for', 'text')
    .execute();
  await db.schema.createIndex('operators_by_rank').on('operators').columns(['administrator', 'disabled_at']).execute();
  await db.schema.createIndex('operators_made_for').on('operators').column('made_for').execute();

  await ofOperator('operator_roles')
    .addColumn('account_id', 'text', required)
    .addColumn('role', 'text', required)
    .addPrimaryKeyConstraint('operator_roles_key', ['operator_id', 'account_id'])
    .addForeignKeyConstraint('operator_roles_account', ['account_id'], 'accounts', ['id'])
    .execute();
  await db.schema.createIndex('operator_roles_of_account').on('operator_roles').column('account_id').execute();

  await ofOperator('sessions')
    .addColumn('id', 'text', identity)
    .addColumn('secret_sha256', 'text', (column) => column.notNull().unique())
    .addColumn('method', 'text', required)
    .addColumn('address', 'text')
    .addColumn('user_agent', 'text')
    .addColumn('created_at', instant, required)
    .addColumn('last_used_at', instant, required)
    .addColumn('expires_at', instant, required)
    .execute();
  await db.schema.createIndex('sessions_of_operator').on('sessions').columns(['operator_id', 'created_at']).execute();
  await db.schema.createIndex('sessions_by_end').on('sessions').column('expires_at').execute();

  await ofOperator('invitations')
    .addColumn('secret_sha256', 'text', identity)
    .addColumn('expires_at', instant, required)
    .addUniqueConstraint('invitations_one', ['operator_id'])
    .execute();

  await ofOperator('totp_secrets')
    .addColumn('state', 'text', required)
    .addColumn('sealed', bytes, required)
    .addColumn('last_step', instant)
    .addColumn('created_at', instant, required)
    .addPrimaryKeyConstraint('totp_secrets_key', ['operator_id', 'state'])
    .execute();

  await ofOperator('recovery_codes')
    .addColumn('code_sha256', 'text', required)
    .addPrimaryKeyConstraint('recovery_codes_key', ['operator_id', 'code_sha256'])
    .execute();

  await ofOperator('passkeys')
    .addColumn('id', 'text', identity)
    .addColumn('name', 'text', required)
    .addColumn('public_key', bytes, required)
    .addColumn('counter', instant, required)
    .addColumn('transports', 'text', required)
    .addColumn('backed_up', 'integer', required)
    .addColumn('created_at', instant, required)
    .addColumn('last_used_at', instant)
    .execute();
  await db.schema.createIndex('passkeys_of_operator').on('passkeys').columns(['operator_id', 'created_at']).execute();

  await ofOperator('known_browsers')
    .addColumn('secret_sha256', 'text', identity)
    .addColumn('last_used_at', instant, required)
    .execute();
  await db.schema
    .createIndex('known_browsers_of_operator')
    .on('known_browsers')
    .columns(['operator_id', 'last_used_at'])
    .execute();
}
