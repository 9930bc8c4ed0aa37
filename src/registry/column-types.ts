// What columns and tables are called in the database at hand, for the migrations to use.

import type { ColumnDefinitionBuilderCallback, CreateTableBuilder, Kysely, RawBuilder } from 'kysely';
import type { History } from './history-days.ts';
import type { Tables } from './tables.ts';

type HistoryTable = CreateTableBuilder<History, string>;

export interface ColumnTypes {
  bytes: 'blob' | 'bytea';
  /** Milliseconds since 1970: more than 32 bits. */
  instant: 'integer' | 'bigint';
  /** A row's own number, which rises and is never given again. */
  counter: { type: 'integer' | 'bigserial'; build: ColumnDefinitionBuilderCallback };
  /**
   * Makes a table whose rows have a number of their own, `id`, and the columns that are added to it, and divides it by the
   * day of the instant in one of them where the database can (history-days.ts).
   */
  history: (
    db: Kysely<Tables>,
    history: { readonly name: History; readonly instant: string },
    columns: (table: HistoryTable) => HistoryTable,
  ) => Promise<void>;
  /** What stands after a table's closing bracket. */
  tableEnd: RawBuilder<unknown>;
  /** The statements that make a trigger. */
  trigger: (trigger: Trigger) => readonly RawBuilder<unknown>[];
}

/** What the database does by itself, in the transaction of whoever writes a row. */
export interface Trigger {
  readonly name: string;
  readonly table: string;
  /** After which change of a row; of an update, of which columns. */
  readonly after: 'insert' | 'delete' | { readonly update: readonly string[] };
  /** Statements with `new.column` or `old.column`, in words that every database has. */
  readonly does: readonly string[];
}

/** The beginning that the triggers of all databases have in common. */
export function triggerHead({ name, table, after }: Trigger): string {
  const head = `create trigger ${name} after`;
  if (typeof after === 'string') return `${head} ${after} on ${table} for each row`;
  // A column that is set to what it was is none that has changed.
  const changed = after.update.map((column) => `old.${column} is distinct from new.${column}`).join(' or ');
  return `${head} update of ${after.update.join(', ')} on ${table} for each row when (${changed})`;
}
