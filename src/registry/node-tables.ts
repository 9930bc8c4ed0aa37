// The tables of several processes on one database, as types.

import type { Generated } from 'kysely';

/** A process that serves, from its start to its end in order, or until it is given up. */
export interface NodesTable {
  /** One run of one process. */
  instance: string;
  /** The node's own, kept in its data directory. */
  node_id: string;
  name: string;
  version: string;
  started_at: number;
  /** When it was last heard of, by the database's clock. */
  heard_at: number;
}

/** What one process changed and the others are to hear of; gone after an hour. */
export interface ChangesTable {
  /** Rises in the order in which changes are committed. */
  sequence: Generated<number>;
  /** The process that made it. */
  instance: string;
  at: number;
  /** A `Change`, as JSON. */
  change: string;
  /** 1 where somebody waits for the others to say that they have acted on it. */
  confirm: 0 | 1;
}

/** One of the transactions that a process on PostgreSQL has under way at a time. */
export interface LanesTable {
  instance: string;
  /** Counted from 0. */
  lane: number;
  /** The last batch of writes that was done on it: written by the batch itself. */
  batch: number;
}

export interface NodeTables {
  nodes: NodesTable;
  lanes: LanesTable;
  changes: ChangesTable;
}
