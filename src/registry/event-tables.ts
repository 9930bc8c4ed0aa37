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

/** The number of the last event that has been taken away: of an account, and under the empty name of any at all. */
export interface EventPruningsTable {
  account_id: string;
  last_id: number;
}

/** `disabled`: by an operator, or by a receiver that answered that it is gone. */
export type WebhookState = 'active' | 'disabled';
export type DeliveryState = 'pending' | 'delivered' | 'failed';

/** Where events are sent; without an account it is the server's, and has the events of every account. */
export interface WebhooksTable {
  id: string;
  account_id: string | null;
  url: string;
  description: string | null;
  /** The types that it is sent, as a JSON array; null for all. */
  types: string | null;
  /** PEM: who may have signed the receiver's certificate; the public roots where it is null. */
  ca: string | null;
  state: WebhookState;
  /** The last event that was looked at. */
  position: number;
  /** Since when no attempt has succeeded, or null. */
  failing_since: number | null;
  /** Why the last attempt failed, or why it is disabled. */
  fault: string | null;
  created_at: number;
}

/** What deliveries are signed with: the one in use, and the one before until it ends. */
export interface WebhookSecretsTable {
  id: string;
  account_id: string | null;
  webhook_id: string;
  sealed: Uint8Array;
  until: number | null;
  created_at: number;
}

/** One message to one webhook: the same bytes and the same ID at every attempt. */
export interface WebhookDeliveriesTable {
  /** The `webhook-id` that the receiver knows it by. */
  id: string;
  account_id: string | null;
  webhook_id: string;
  /** Null for a test. */
  event_id: number | null;
  type: string;
  body: string;
  state: DeliveryState;
  attempts: number;
  /** Of the last answer; null where there was none. */
  status: number | null;
  fault: string | null;
  created_at: number;
  /** No attempt begins after it. */
  give_up_at: number;
  /** When it is to be attempted; null once it is settled. While an attempt is under way, when that one counts as lost. */
  next_at: number | null;
  /** Whether an attempt is under way. */
  leased: 0 | 1;
  settled_at: number | null;
}

/** Refusals of one account and code, as events are to tell of them: one a minute at the most. */
export interface RefusalTalliesTable {
  /** Empty for those that belong to no account. */
  account_id: string;
  code: string;
  rule: string;
  told_at: number;
  /** Not told yet. */
  count: number;
  first_at: number;
  last_at: number;
  /** Some of those that were refused, as a JSON array. */
  device_ids: string;
}

/** How far an account has been told of certificates that end within so many days: all that end before this place. */
export interface ExpiryMarksTable {
  account_id: string;
  days: number;
  not_after: number;
  device_id: string;
}

export interface EventTables {
  events: EventsTable;
  event_prunings: EventPruningsTable;
  webhooks: WebhooksTable;
  webhook_secrets: WebhookSecretsTable;
  webhook_deliveries: WebhookDeliveriesTable;
  refusal_tallies: RefusalTalliesTable;
  expiry_marks: ExpiryMarksTable;
}

export type EventRecord = Selectable<EventsTable>;
export type Webhook = Selectable<WebhooksTable>;
export type WebhookSecret = Selectable<WebhookSecretsTable>;
export type WebhookDelivery = Selectable<WebhookDeliveriesTable>;
