// The tables of the audit log, as types.

import type { Generated, Selectable } from 'kysely';
import type { ActorKind } from './acting.ts';

/** What was done, refused, issued, and by whom. `body` is what is hashed; the columns beside it are for looking it up. */
export interface AuditEntriesTable {
  /** The order of writing, with gaps: `number` is the log's own. */
  sequence: Generated<number>;
  account_id: string | null;
  at: number;
  action: string;
  actor_kind: ActorKind;
  actor_id: string | null;
  object_kind: string;
  object_id: string;
  /** `done`, or the code of the problem. */
  result: string;
  /** JSON. */
  body: string;
  /** Given within a second of the commit, without gaps, from 1; null until then. */
  number: number | null;
  /** SHA-256 over the hash of the entry before and this one, hex. */
  hash: string | null;
}

export interface AuditTables {
  audit_entries: AuditEntriesTable;
}

export type AuditEntry = Selectable<AuditEntriesTable>;
