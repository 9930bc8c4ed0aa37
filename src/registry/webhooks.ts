// Webhooks: where the events of an account, or of the whole server, are sent, and the secrets that sign them.

import { Problem } from '../problem.ts';
import { type Db, prepared, type Tx } from './database.ts';
import type { Webhook, WebhookSecret } from './event-tables.ts';
import { newestEventId } from './events.ts';
import { ofScope } from './scope.ts';
import { requireLivingMasterKey } from './sealed-values.ts';

/** What an operator says of a webhook. */
export type WebhookSettings = Pick<Webhook, 'url' | 'description' | 'types' | 'ca'>;

/** Webhooks of one account, and of the server: each event of an account is a row more for every one of them. */
const mostOfAccount = 20;
/** How long the secret that was replaced goes on signing beside the new one, in milliseconds. */
const rotationOverlap = 24 * 60 * 60 * 1000;

/**
 * Adds a webhook, which is sent what happens from now on; `secret` is its first, sealed. Throws `conflict` where the
 * account has as many as it may, `not_found` without the account.
 */
export async function insertWebhook(
  tx: Tx,
  {
    id,
    account_id,
    settings,
    secret,
  }: {
    id: string;
    account_id: string | null;
    settings: WebhookSettings;
    secret: Pick<WebhookSecret, 'id' | 'sealed'>;
  },
): Promise<void> {
  await requireLivingMasterKey(tx.db, secret.sealed);
  if ((await webhooksOf(tx.db, account_id)).length >= mostOfAccount) {
    throw new Problem('conflict', `There are ${mostOfAccount} webhooks already, which is as many as there may be.`);
  }
  const { url, description, types, ca } = settings;
  const row = { id, account_id, url, description, types, ca, state: 'active' as const, created_at: tx.now };
  const webhook = await tx.db
    .insertInto('webhooks')
    .values({ ...row, position: await newestEventId(tx.db), failing_since: null, fault: null })
    .returningAll()
    .executeTakeFirstOrThrow();
  await tx.db
    .insertInto('webhook_secrets')
    .values({ ...secret, account_id, webhook_id: id, until: null, created_at: tx.now })
    .execute();
  tx.audit({ action: 'webhook.create', ...itself(webhook), after: membersOf(webhook) });
}

/** Changes what is given of a webhook. One that is made active again begins with what happens from then on. Throws `not_found`. */
export async function updateWebhook(
  tx: Tx,
  {
    account_id,
    id,
    set,
  }: {
    account_id: string | null;
    id: string;
    set: { [Member in keyof WebhookSettings]?: WebhookSettings[Member] | undefined } & {
      state?: Webhook['state'] | undefined;
    };
  },
): Promise<Webhook> {
  const before = await requireWebhook(tx.db, account_id, id);
  const { url = before.url, description = before.description, types = before.types, ca = before.ca } = set;
  const state = set.state ?? before.state;
  const begins = state === 'active' && before.state === 'disabled';
  const webhook = await tx.db
    .updateTable('webhooks')
    .set({ url, description, types, ca, state, fault: null, failing_since: null })
    .where(ofScope<'webhooks'>(account_id))
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (begins) await skipToNewest(tx, webhook);
  if (state === 'disabled') await abandonDeliveries(tx, id);
  const after = { ...membersOf(webhook), url_changed: webhook.url !== before.url };
  tx.audit({ action: 'webhook.set', ...itself(webhook), before: membersOf(before), after });
  return requireWebhook(tx.db, account_id, id);
}

async function skipToNewest(tx: Tx, { id }: Webhook): Promise<void> {
  const position = await newestEventId(tx.db);
  await tx.db.updateTable('webhooks').set({ position }).where('id', '=', id).execute();
}

/** Gives up what waits to be sent to a webhook that is disabled: made active again, it is not sent what is old by then. */
async function abandonDeliveries(tx: Tx, webhook_id: string): Promise<void> {
  await tx.db
    .updateTable('webhook_deliveries')
    .set({ state: 'failed', fault: 'The webhook was disabled.', leased: 0, next_at: null, settled_at: tx.now })
    .where('webhook_id', '=', webhook_id)
    .where('state', '=', 'pending')
    .execute();
}

/** Disables a webhook whose receiver says that it is gone for good. */
export async function disableGoneWebhook(tx: Tx, id: string): Promise<void> {
  const before = await webhookById(tx.db, id);
  if (before?.state !== 'active') return;
  const after = { ...before, state: 'disabled' as const };
  await tx.db.updateTable('webhooks').set({ state: after.state }).where('id', '=', id).execute();
  await abandonDeliveries(tx, id);
  tx.audit({ action: 'webhook.set', ...itself(after), before: membersOf(before), after: membersOf(after) });
}

/** Removes a webhook and its secrets; nothing more is sent. Throws `not_found`. */
export async function removeWebhook(
  tx: Tx,
  { account_id, id }: { account_id: string | null; id: string },
): Promise<Webhook> {
  const webhook = await requireWebhook(tx.db, account_id, id);
  await tx.db.deleteFrom('webhook_secrets').where('webhook_id', '=', id).execute();
  await tx.db.deleteFrom('webhooks').where('id', '=', id).execute();
  tx.audit({ action: 'webhook.delete', ...itself(webhook), before: membersOf(webhook) });
  tx.purge();
  return webhook;
}

/**
 * Gives a webhook another secret. The one before signs too for a day, those before that no more. Throws `not_found`.
 */
export async function rotateWebhookSecret(
  tx: Tx,
  { account_id, id, secret }: { account_id: string | null; id: string; secret: Pick<WebhookSecret, 'id' | 'sealed'> },
): Promise<Webhook> {
  await requireLivingMasterKey(tx.db, secret.sealed);
  const webhook = await requireWebhook(tx.db, account_id, id);
  await tx.db.deleteFrom('webhook_secrets').where('webhook_id', '=', id).where('until', 'is not', null).execute();
  await tx.db
    .updateTable('webhook_secrets')
    .set({ until: tx.now + rotationOverlap })
    .where('webhook_id', '=', id)
    .execute();
  await tx.db
    .insertInto('webhook_secrets')
    .values({ ...secret, account_id: webhook.account_id, webhook_id: id, until: null, created_at: tx.now })
    .execute();
  tx.audit({ action: 'webhook.rotate_secret', ...itself(webhook) });
  tx.purge();
  return webhook;
}

/** The webhooks of an account, or of the server where it is null, the oldest first. */
export async function webhooksOf(db: Db, account_id: string | null): Promise<Webhook[]> {
  return db
    .selectFrom('webhooks')
    .selectAll()
    .where(ofScope<'webhooks'>(account_id))
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/** One webhook of an account, or of the server where it is null. Throws `not_found`. */
export async function requireWebhook(db: Db, account_id: string | null, id: string): Promise<Webhook> {
  const found = await db
    .selectFrom('webhooks')
    .selectAll()
    .where(ofScope<'webhooks'>(account_id))
    .where('id', '=', id)
    .executeTakeFirst();
  if (found) return found;
  throw new Problem('not_found', `There is no webhook ${JSON.stringify(id)} here.`, '`webhook list` shows them.');
}

/** The webhooks of all accounts, and of the server, that are sent anything. */
export async function activeWebhooks(db: Db): Promise<Webhook[]> {
  return db.selectFrom('webhooks').selectAll().where('state', '=', 'active').execute();
}

const byId = prepared((db, given: { id: string }) => db.selectFrom('webhooks').selectAll().where('id', '=', given.id));

/** A webhook by its ID alone, for who delivers; undefined once it is gone. */
export async function webhookById(db: Db, id: string): Promise<Webhook | undefined> {
  const [webhook] = await byId(db, { id });
  return webhook;
}

const secretsOfWebhook = prepared((db, given: { webhook_id: string }) =>
  db
    .selectFrom('webhook_secrets')
    .selectAll()
    .where('webhook_id', '=', given.webhook_id)
    .orderBy('created_at', 'desc')
    .orderBy('until'),
);

/** What a delivery to a webhook is signed with at `now`, the newest first. */
export async function webhookSecrets(db: Db, webhook_id: string, now: number): Promise<WebhookSecret[]> {
  return (await secretsOfWebhook(db, { webhook_id })).filter(({ until }) => until === null || until > now);
}

/** A webhook as the object of an entry. */
function itself({ id, account_id, url }: Webhook) {
  return { account_id, object: { kind: 'webhook', id, name: inLog(url) } };
}

/** A receiver's URL as the log has it: what comes after its host is mostly a secret by which the receiver knows its senders. */
function inLog(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return pathname === '/' && search === '' ? `${origin}/` : `${origin}/…`;
}

function membersOf({ url, description, types, ca, state }: Webhook) {
  return {
    url: inLog(url),
    description,
    types: types === null ? null : (JSON.parse(types) as string[]),
    has_ca: ca !== null,
    state,
  };
}
