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
  /** What people know the object by, such as a device ID. */
  object_name: string | null;
  /** `done`, or the code of the problem. */
  result: string;
  /** JSON. */
  body: string;
  /** Given within a second of the commit, without gaps, from 1; null until then. */
  number: number | null;
  /** SHA-256 over the hash of the entry before and this one, hex. */
  hash: string | null;
}

/** Checkpoints: what was signed of the log, and by which key. */
export interface AuditCheckpointsTable {
  /** Of the last entry that it covers. */
  number: number;
  hash: string;
  at: number;
  key_id: string;
  /** SubjectPublicKeyInfo, DER: kept here, so that a checkpoint can be verified whatever becomes of the key. */
  public_key: Uint8Array;
  signature: Uint8Array;
}

export interface AuditTables {
  audit_entries: AuditEntriesTable;
  audit_checkpoints: AuditCheckpointsTable;
}

export type AuditEntry = Selectable<AuditEntriesTable>;
export type AuditCheckpoint = Selectable<AuditCheckpointsTable>;
