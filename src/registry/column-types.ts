// What columns and tables are called in the database at hand, for the migrations to use.

import type { ColumnDefinitionBuilderCallback, RawBuilder } from 'kysely';

export interface ColumnTypes {
  bytes: 'blob' | 'bytea';
  /** Milliseconds since 1970: more than 32 bits. */
  instant: 'integer' | 'bigint';
  /** A row's own number, which rises and is never given again. */
  counter: { type: 'integer' | 'bigserial'; build: ColumnDefinitionBuilderCallback };
  /** What stands after a table's closing bracket. */
  tableEnd: RawBuilder<unknown>;
}
