// Migrations of a database: forward only, numbered by their place in the list, each recorded with what it made.

import { Problem } from '../problem.ts';
import type { ColumnTypes } from './column-types.ts';
import type { Db } from './database.ts';

/** One step. */
export interface Migration {
  name: string;
  up(db: Db, types: ColumnTypes): Promise<void>;
}

/**
 * Brings the database to what this program expects: all that is missing, in one transaction. `now` in milliseconds.
 * Throws Problem `conflict` when a newer program has been at it: what that one made, this one cannot know.
 */
export async function migrate(
  db: Db,
  types: ColumnTypes,
  migrations: readonly Migration[],
  now: number,
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await transaction.schema
      .createTable('migrations')
      .ifNotExists()
      .addColumn('number', 'integer', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('applied_at', types.instant, (column) => column.notNull())
      .modifyEnd(types.tableEnd)
      .execute();
    const last = await transaction
      .selectFrom('migrations')
      .select(['number', 'name'])
      .orderBy('number', 'desc')
      .limit(1)
      .executeTakeFirst();
    const done = last?.number ?? 0;
    if (last && done > migrations.length) {
      throw new Problem(
        'conflict',
        `The database was last opened by a newer Fleetroot: it has migration ${last.name}, and this program's last ` +
          `one is ${migrations.at(-1)!.name}.`,
        'Start the newer program, or restore a back-up that was made before the upgrade.',
      );
    }
    for (const [index, { name, up }] of migrations.entries()) {
      if (index < done) continue;
      await up(transaction, types);
      await transaction
        .insertInto('migrations')
        .values({ number: index + 1, name, applied_at: now })
        .execute();
    }
  });
}
