// What operators do with webhooks: made, changed, tested, given another secret.

import { randomUUID, X509Certificate } from 'node:crypto';
import type { Seal } from '../custody/seal.ts';
import type { Outbound } from '../outbound.ts';
import { Problem } from '../problem.ts';
import type { Webhook, WebhookDelivery } from '../registry/event-tables.ts';
import { type EventType, eventTypes } from '../registry/notes.ts';
import { requireWebhook } from '../registry/webhooks.ts';
import type { Registry } from '../registry/writer.ts';
import type { Secret } from '../secret.ts';
import type { Deliverer } from './deliverer.ts';
import { createWebhookSecret } from './webhook-secret.ts';

const longestUrl = 2048;

/** What webhooks are kept and served with. */
export interface Webhooks {
  readonly registry: Registry;
  readonly seal: Seal;
  readonly outbound: Outbound;
  readonly deliverer: Pick<Deliverer, 'reload' | 'wake'>;
}

/** A webhook as an operator describes it. */
export interface WebhookWish {
  readonly url?: string | undefined;
  readonly description?: string | null | undefined;
  /** The types that it is to be sent; null for all. */
  readonly types?: readonly string[] | null | undefined;
  /** PEM: who may have signed the receiver's certificate; null for the public roots. */
  readonly ca?: string | null | undefined;
  readonly state?: Webhook['state'] | undefined;
}

export type { Webhook, WebhookDelivery };

/**
 * Adds a webhook to an account, or to the server where it is null. Gives its secret, which is told once. Throws
 * `invalid_request`, `destination_not_allowed`, `conflict`.
 */
export async function createWebhook(
  webhooks: Webhooks,
  account_id: string | null,
  wish: WebhookWish & { readonly url: string },
): Promise<{ webhook: Webhook; secret: Secret }> {
  const { registry, seal, deliverer } = webhooks;
  const { url, description = null, types = null, ca = null } = wish;
  const settings = { url: checkUrl(webhooks, url), description, types: checkTypes(types), ca: checkCa(ca) };
  const id = randomUUID();
  const { told, ...secret } = createWebhookSecret(seal, randomUUID());
  await registry.write('insertWebhook', { id, account_id, settings, secret });
  deliverer.reload();
  return { webhook: await requireWebhook(registry.read, account_id, id), secret: told };
}

/** Changes what is given of a webhook, or only tries it. Throws `not_found`, `invalid_request`, `destination_not_allowed`. */
export async function changeWebhook(
  webhooks: Webhooks,
  account_id: string | null,
  id: string,
  { url, description, types, ca, state }: WebhookWish,
  { rehearsal = false }: { rehearsal?: boolean } = {},
): Promise<Webhook> {
  const set = {
    ...(url !== undefined && { url: checkUrl(webhooks, url) }),
    ...(description !== undefined && { description }),
    ...(types !== undefined && { types: checkTypes(types) }),
    ...(ca !== undefined && { ca: checkCa(ca) }),
    ...(state !== undefined && { state }),
  };
  if (rehearsal) return webhooks.registry.rehearse('updateWebhook', { account_id, id, set });
  const changed = await webhooks.registry.write('updateWebhook', { account_id, id, set });
  webhooks.deliverer.reload();
  return changed;
}

/** Removes a webhook. Throws `not_found`. */
export async function deleteWebhook(webhooks: Webhooks, account_id: string | null, id: string): Promise<Webhook> {
  const removed = await webhooks.registry.write('removeWebhook', { account_id, id });
  webhooks.deliverer.reload();
  return removed;
}

/** Gives a webhook another secret, told once; the one before signs beside it for a day. Throws `not_found`. */
export async function rotateSecret(
  { registry, seal }: Webhooks,
  account_id: string | null,
  id: string,
): Promise<{ webhook: Webhook; secret: Secret }> {
  const { told, ...secret } = createWebhookSecret(seal, randomUUID());
  return { webhook: await registry.write('rotateWebhookSecret', { account_id, id, secret }), secret: told };
}

/** Has a webhook sent a message that says nothing. Throws `not_found`, `conflict`. */
export async function testWebhook(
  { registry, deliverer }: Webhooks,
  account_id: string | null,
  webhook_id: string,
): Promise<WebhookDelivery> {
  const delivery = await registry.write('queueTest', { account_id, webhook_id });
  deliverer.wake(webhook_id);
  return delivery;
}

/** Has a message sent once more. Throws `not_found`, `conflict`. */
export async function redeliver(
  { registry, deliverer }: Webhooks,
  account_id: string | null,
  webhook_id: string,
  id: string,
): Promise<WebhookDelivery> {
  const delivery = await registry.write('redeliver', { account_id, webhook_id, id });
  deliverer.wake(webhook_id);
  return delivery;
}

function checkUrl({ outbound }: Webhooks, url: string): string {
  if (url.length > longestUrl) throw new Problem('invalid_request', `The URL has more than ${longestUrl} characters.`);
  return outbound.requireUrl(url).href;
}

/** The types as they are kept: JSON, each once. */
function checkTypes(types: readonly string[] | null): string | null {
  if (types === null) return null;
  const unknown = types.find((type) => !eventTypes.includes(type as EventType));
  if (unknown !== undefined || types.length === 0) {
    throw new Problem(
      'invalid_request',
      `types is to hold types of events: ${JSON.stringify(unknown ?? null)} is none.`,
    );
  }
  return JSON.stringify([...new Set(types)]);
}

function checkCa(ca: string | null): string | null {
  if (ca === null) return null;
  try {
    // Throws where it is none; what comes after the first is not for us to judge.
    void new X509Certificate(ca);
    return ca;
  } catch (cause) {
    throw new Problem('invalid_request', 'ca is to hold certificates in PEM.', null, { cause });
  }
}
