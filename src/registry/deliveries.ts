// What webhooks are sent: each event a message of its own, attempted until it arrives or a day is over.

import { randomUUID } from 'node:crypto';
import { Problem } from '../problem.ts';
import { type Db, prepared, type Tx } from './database.ts';
import type { DeliveryState, EventRecord, WebhookDelivery } from './event-tables.ts';
import { eventsAfter, newestEventId } from './events.ts';
import { ofScope } from './scope.ts';
import { disableGoneWebhook, requireWebhook, webhookById } from './webhooks.ts';

/** How long a message is attempted, in milliseconds. */
const deliveryPeriod = 24 * 60 * 60 * 1000;
/** Messages of one webhook that may wait; beyond it further events wait to become messages. */
const mostWaiting = 10_000;
/** Events that become messages in one write. */
const batch = 200;

/** A message's body: what the receiver reads, written once. */
function bodyOf({ at, type, account_id, data }: EventRecord): string {
  const timestamp = new Date(at).toISOString();
  return JSON.stringify({ type, timestamp, account: account_id, data: JSON.parse(data) });
}

/**
 * Makes messages of the next events that a webhook has not been sent, each exactly once however often this is called.
 * Gives whether there may be more.
 */
export async function queueDeliveries(tx: Tx, { webhook_id }: { webhook_id: string }): Promise<{ more: boolean }> {
  const webhook = await webhookById(tx.db, webhook_id);
  if (!webhook || webhook.state !== 'active') return { more: false };
  if (!(await hasRoom(tx.db, webhook_id))) return { more: false };
  const upTo = await newestEventId(tx.db);
  const events = await eventsAfter(tx.db, webhook.account_id, { after: webhook.position, upTo, limit: batch });
  const more = events.length === batch;
  const wished = webhook.types === null ? null : new Set(JSON.parse(webhook.types) as string[]);
  for (const event of events) {
    if (wished !== null && !wished.has(event.type)) continue;
    await insert(tx, { ...webhook, event_id: event.id, type: event.type, body: bodyOf(event) });
  }
  const position = more ? events.at(-1)!.id : upTo;
  await tx.db.updateTable('webhooks').set({ position }).where('id', '=', webhook_id).execute();
  return { more };
}

async function hasRoom(db: Db, webhook_id: string): Promise<boolean> {
  const { waiting } = await db
    .selectFrom('webhook_deliveries')
    .select((select) => select.fn.countAll<number | string>().as('waiting'))
    .where('webhook_id', '=', webhook_id)
    .where('state', '=', 'pending')
    .executeTakeFirstOrThrow();
  return Number(waiting) < mostWaiting;
}

async function insert(
  tx: Tx,
  {
    id: webhook_id,
    account_id,
    event_id,
    type,
    body,
  }: { id: string; account_id: string | null } & Pick<WebhookDelivery, 'event_id' | 'type' | 'body'>,
): Promise<WebhookDelivery> {
  return tx.db
    .insertInto('webhook_deliveries')
    .values({
      id: `msg_${randomUUID()}`,
      account_id,
      webhook_id,
      event_id,
      type,
      body,
      state: 'pending',
      attempts: 0,
      status: null,
      fault: null,
      created_at: tx.now,
      give_up_at: tx.now + deliveryPeriod,
      next_at: tx.now,
      leased: 0,
      settled_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Has a webhook sent a message that tells of no event. Throws `not_found`, `conflict` for one that is disabled or for which too many wait. */
export async function queueTest(
  tx: Tx,
  { account_id, webhook_id }: { account_id: string | null; webhook_id: string },
): Promise<WebhookDelivery> {
  const webhook = await requireActive(tx.db, account_id, webhook_id);
  if (!(await hasRoom(tx.db, webhook_id))) {
    const hint = '`webhook deliveries` shows why they wait.';
    throw new Problem('conflict', `${mostWaiting} messages wait for the webhook's receiver already.`, hint);
  }
  const timestamp = new Date(tx.now).toISOString();
  const type = 'webhook.test';
  const body = JSON.stringify({ type, timestamp, account: webhook.account_id, data: { webhook: webhook.id } });
  const { id, url } = webhook;
  tx.audit({ action: 'webhook.test', account_id, object: { kind: 'webhook', id, name: url } });
  return insert(tx, { ...webhook, event_id: null, type, body });
}

/**
 * Has a message that has arrived or was given up sent once more, with the same ID and for another day. Throws
 * `not_found`, `conflict` where it is under way anyway.
 */
export async function redeliver(
  tx: Tx,
  { account_id, webhook_id, id }: { account_id: string | null; webhook_id: string; id: string },
): Promise<WebhookDelivery> {
  const { url } = await requireActive(tx.db, account_id, webhook_id);
  const delivery = await requireDelivery(tx.db, account_id, webhook_id, id);
  if (delivery.leased) throw new Problem('conflict', 'The delivery is under way.');
  tx.audit({
    action: 'webhook.redeliver',
    account_id,
    object: { kind: 'webhook', id: webhook_id, name: url },
    after: { delivery: id },
  });
  return tx.db
    .updateTable('webhook_deliveries')
    .set({ state: 'pending', attempts: 0, next_at: tx.now, give_up_at: tx.now + deliveryPeriod, settled_at: null })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

async function requireActive(db: Db, account_id: string | null, webhook_id: string) {
  const webhook = await requireWebhook(db, account_id, webhook_id);
  if (webhook.state === 'active') return webhook;
  throw new Problem('conflict', 'The webhook is disabled.', 'Make it active first.');
}

/** One delivery to a webhook. Throws `not_found`. */
async function requireDelivery(
  db: Db,
  account_id: string | null,
  webhook_id: string,
  id: string,
): Promise<WebhookDelivery> {
  const found = await db
    .selectFrom('webhook_deliveries')
    .selectAll()
    .where('id', '=', id)
    .where('webhook_id', '=', webhook_id)
    .where(ofScope<'webhook_deliveries'>(account_id))
    .executeTakeFirst();
  if (found) return found;
  throw new Problem(
    'not_found',
    `The webhook has no delivery ${JSON.stringify(id)}.`,
    '`webhook deliveries` shows them.',
  );
}

/** The place of a delivery in the list of them. */
export type DeliveryPlace = Pick<WebhookDelivery, 'created_at' | 'id'>;

/** The deliveries to a webhook, the newest first, `limit` of them after a place in that order. */
export async function deliveriesOf(
  db: Db,
  account_id: string | null,
  webhook_id: string,
  { state, limit, after }: { state?: DeliveryState | undefined; limit: number; after?: DeliveryPlace | undefined },
): Promise<WebhookDelivery[]> {
  let query = db
    .selectFrom('webhook_deliveries')
    .selectAll()
    .where('webhook_id', '=', webhook_id)
    .where(ofScope<'webhook_deliveries'>(account_id))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit);
  if (state) query = query.where('state', '=', state);
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('created_at', 'id'), '<', tuple(after.created_at, after.id)),
    );
  }
  return query.execute();
}

const nextOf = prepared((db, given: { webhook_id: string }) =>
  db
    .selectFrom('webhook_deliveries')
    .select('next_at')
    .where('webhook_id', '=', given.webhook_id)
    .where('state', '=', 'pending')
    .orderBy('next_at')
    .limit(1),
);

/** When a webhook's next attempt is due; null where nothing waits. */
export async function nextAttemptAt(db: Db, webhook_id: string): Promise<number | null> {
  const [row] = await nextOf(db, { webhook_id });
  return row?.next_at ?? null;
}

/**
 * Takes up to `limit` messages of a webhook that are due, for an attempt that counts as lost at `until`: nobody else
 * takes them before.
 */
export async function leaseDeliveries(
  tx: Tx,
  { webhook_id, limit, until }: { webhook_id: string; limit: number; until: number },
): Promise<WebhookDelivery[]> {
  const due = await tx.db
    .selectFrom('webhook_deliveries')
    .select('id')
    .where('webhook_id', '=', webhook_id)
    .where('state', '=', 'pending')
    .where('next_at', '<=', tx.now)
    .orderBy('next_at')
    .limit(limit)
    .execute();
  if (due.length === 0) return [];
  return tx.db
    .updateTable('webhook_deliveries')
    .set((set) => ({ leased: 1, next_at: until, attempts: set('attempts', '+', 1) }))
    .where(
      'id',
      'in',
      due.map(({ id }) => id),
    )
    .returningAll()
    .execute();
}

/** What came of an attempt. */
export interface AttemptResult {
  readonly delivered: boolean;
  readonly status: number | null;
  /** Why it failed; null where it arrived. */
  readonly fault: string | null;
  /** Whether the receiver says that it is gone for good. */
  readonly gone: boolean;
  /** When to try again; null to give up. */
  readonly retry_at: number | null;
}

/** Records what came of an attempt, and how the webhook fares. One that is gone is disabled and sent nothing more. */
export async function settleDelivery(tx: Tx, { id, result }: { id: string; result: AttemptResult }): Promise<void> {
  const { delivered, status, fault, gone } = result;
  const retry_at = gone ? null : result.retry_at;
  const waits = !delivered && retry_at !== null;
  const settled = await tx.db
    .updateTable('webhook_deliveries')
    .set({
      state: delivered ? 'delivered' : waits ? 'pending' : 'failed',
      status,
      fault,
      leased: 0,
      next_at: waits ? retry_at : null,
      settled_at: waits ? null : tx.now,
    })
    .where('id', '=', id)
    .returning('webhook_id')
    .executeTakeFirst();
  if (!settled) return;
  await tx.db
    .updateTable('webhooks')
    .set(({ fn, val }) => ({
      fault,
      failing_since: delivered ? null : fn.coalesce('failing_since', val(tx.now)),
    }))
    .where('id', '=', settled.webhook_id)
    .execute();
  if (gone) await disableGoneWebhook(tx, settled.webhook_id);
}

/** At the start of the only one who delivers: attempts that were under way are due again. */
export async function releaseDeliveries(tx: Tx, _args: Record<string, never>): Promise<void> {
  await tx.db.updateTable('webhook_deliveries').set({ leased: 0, next_at: tx.now }).where('leased', '=', 1).execute();
}

/** Takes deliveries from before an instant away, the oldest first, `limit` of them at most. Gives how many there were. */
export async function pruneDeliveries(tx: Tx, { before, limit }: { before: number; limit: number }): Promise<number> {
  const old = await tx.db
    .selectFrom('webhook_deliveries')
    .select('id')
    .where('created_at', '<', before)
    .orderBy('created_at')
    .limit(limit)
    .execute();
  for (const { id } of old) await tx.db.deleteFrom('webhook_deliveries').where('id', '=', id).execute();
  return old.length;
}
