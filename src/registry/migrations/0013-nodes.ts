// Several processes on one database: which there are, what each is making, and what they tell each other.

import { type ColumnDefinitionBuilder, sql } from 'kysely';
import type { ColumnTypes } from '../column-types.ts';
import type { Db } from '../database.ts';

export const name = '0013-nodes';

/** `instance` names one run of one process. What is intended from before has none: no process of now is making it. */
export async function up(db: Db, { counter, instant, tableEnd }: ColumnTypes): Promise<void> {
  const table = <T extends string>(name: T) => db.schema.createTable(name).modifyEnd(tableEnd);
  const required = (column: ColumnDefinitionBuilder) => column.notNull();

  await table('nodes')
    .addColumn('instance', 'text', (column) => column.notNull().primaryKey())
    .addColumn('node_id', 'text', required)
    .addColumn('name', 'text', required)
    .addColumn('version', 'text', required)
    .addColumn('started_at', instant, required)
    .addColumn('heard_at', instant, required)
    .execute();

  await table('lanes')
    .addColumn('instance', 'text', required)
    .addColumn('lane', 'integer', required)
    .addColumn('batch', instant, required)
    .addPrimaryKeyConstraint('lanes_key', ['instance', 'lane'])
    .execute();

  await table('changes')
    .addColumn('sequence', counter.type, counter.build)
    .addColumn('instance', 'text', required)
    .addColumn('at', instant, required)
    .addColumn('change', 'text', required)
    .addColumn('confirm', 'integer', required)
    .execute();
  await db.schema.createIndex('changes_by_time').on('changes').column('at').execute();

  await db.schema.alterTable('certificates').addColumn('instance', 'text').execute();
  await db.schema.alterTable('migrations').addColumn('needs', 'integer').execute();
  await db.schema
    .createIndex('certificates_being_made')
    .on('certificates')
    .column('instance')
    .where(sql<boolean>`state = 'intended' or reply = 'open'`)
    .execute();
}
