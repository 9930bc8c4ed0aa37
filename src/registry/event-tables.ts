// The tables of events and of the webhooks that they are sent to, as types.

import type { Generated, Selectable } from 'kysely';
import type { EventType } from './notes.ts';

/** What happened, for those who follow; kept for a while. */
export interface EventsTable {
  id: Generated<number>;
  account_id: string | null;
  at: number;
  type: EventType;
  /** JSON. */
  data: string;
}

export interface EventTables {
  events: EventsTable;
}

export type EventRecord = Selectable<EventsTable>;
