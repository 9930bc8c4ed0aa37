// Migrations of a database: forward only, numbered by their place in the list, each recorded with what it made.

import { Problem } from '../problem.ts';
import type { ColumnTypes } from './column-types.ts';
import type { Db } from './database.ts';

/** One step. */
export interface Migration {
  name: string;
  /**
   * How many migrations a program must know to work on what this one makes, where older programs may do so: as one that
   * only adds what they need not know. Where it is not given, a program must know this one.
   */
  needs?: number;
  up(db: Db, types: ColumnTypes): Promise<void>;
}

/**
 * Brings the database to what this program expects: all that is missing, in one transaction. `now` in milliseconds.
 * Throws Problem `conflict` when a newer program has been at it whose migrations need one that this program does not
 * know: what those made, this one cannot know. `alone` waits in the transaction until no other process migrates.
 */
export async function migrate(
  db: Db,
  types: ColumnTypes,
  migrations: readonly Migration[],
  now: number,
  alone: (transaction: Db) => Promise<unknown> = async () => undefined,
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await alone(transaction);
    await transaction.schema
      .createTable('migrations')
      .ifNotExists()
      .addColumn('number', 'integer', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('applied_at', types.instant, (column) => column.notNull())
      .modifyEnd(types.tableEnd)
      .execute();
    const rows = await transaction.selectFrom('migrations').selectAll().orderBy('number').execute();
    const known = migrations.length;
    const beyond = rows.find(({ number, needs }) => number > known && (needs ?? number) > known);
    if (beyond) {
      throw new Problem(
        'conflict',
        `The database was last opened by a newer Fleetroot: it has migration ${beyond.name}, and this program's last ` +
          `one is ${migrations.at(-1)!.name}.`,
        'Start the newer program, or restore a back-up that was made before the upgrade.',
      );
    }
    const done = rows.at(-1)?.number ?? 0;
    for (const [index, { name, needs, up }] of migrations.entries()) {
      if (index < done) continue;
      await up(transaction, types);
      await transaction
        .insertInto('migrations')
        .values({ number: index + 1, name, applied_at: now, ...(needs !== undefined && { needs }) })
        .execute();
    }
  });
}
