// Webhooks: of an account, by its owners; of the whole server, by its administrators.

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { Type } from 'typebox';
import {
  changeWebhook,
  createWebhook,
  deleteWebhook,
  redeliver,
  rotateSecret,
  testWebhook,
  type Webhook,
  type WebhookDelivery,
  type Webhooks,
} from '../notification/webhooks.ts';
import { deliveriesOf } from '../registry/deliveries.ts';
import { requireWebhook, webhooksOf } from '../registry/webhooks.ts';
import { formatInstant } from '../time.ts';
import {
  AccountDeliveryPath,
  AccountWebhookPath,
  type DeliveryJson,
  DeliveryPath,
  DeliveryQuery,
  DeliverySchema,
  type MadeWebhookJson,
  MadeWebhookSchema,
  NewWebhook,
  WebhookChange,
  type WebhookJson,
  WebhookPath,
  WebhookSchema,
} from './event-schemas.ts';
import { destructive, removalOf, weighed } from './impact.ts';
import { DestructiveQuery as querystring, type DestructiveQueryJson, orImpact } from './impact-schemas.ts';
import { namedAccount } from './named.ts';
import { cursorOf, linkCursor, readCursor, standardLimit } from './paging.ts';
import { owners, readers, rule } from './rule.ts';
import { AccountPath } from './schemas.ts';
import type { Api } from './typed-api.ts';

const one = { 200: WebhookSchema };
const many = { 200: Type.Array(WebhookSchema) };
const made = { 201: MadeWebhookSchema };
const renewed = { 200: MadeWebhookSchema };
const delivery = { 200: DeliverySchema };
const deliveries = { 200: Type.Array(DeliverySchema) };

/** Adds the routes of webhooks. */
export function webhookRoutes(api: Api, webhooks: Webhooks): void {
  accountRoutes(api, webhooks);
  serverRoutes(api, webhooks);
}

/** How a webhook, of an account or of the whole server, is changed; or said which would be sent nothing more. */
function changeBy(webhooks: Webhooks) {
  return (
    { operation, query, body }: { operation: string; query: DestructiveQueryJson; body: Static<typeof WebhookChange> },
    account_id: string | null,
    id: string,
  ) =>
    weighed(query, operation, {
      async weigh() {
        const { url, state } = await changeWebhook(webhooks, account_id, id, body, { rehearsal: true });
        return removalOf(['webhooks', state === 'disabled' ? [url] : []]);
      },
      act: async () => webhookJson(await changeWebhook(webhooks, account_id, id, body)),
    });
}

/** How one is deleted; or said which would be. */
function removalBy(webhooks: Webhooks) {
  return (operation: string, query: DestructiveQueryJson, account_id: string | null, id: string) =>
    weighed(query, operation, {
      async weigh() {
        const { url } = await webhooks.registry.rehearse('removeWebhook', { account_id, id });
        return removalOf(['webhooks', [url]]);
      },
      act: async () => webhookJson(await deleteWebhook(webhooks, account_id, id)),
    });
}

function accountRoutes(api: Api, webhooks: Webhooks): void {
  const { registry } = webhooks;
  const [change, remove] = [changeBy(webhooks), removalBy(webhooks)];
  const idOf = async ({ account }: { account: string }) => (await namedAccount(registry.read, account)).id;

  api.get(
    '/accounts/:account/webhooks',
    { ...rule('listWebhooks', readers), schema: { params: AccountPath, response: many } },
    async ({ params }) => (await webhooksOf(registry.read, await idOf(params))).map(webhookJson),
  );
  api.post(
    '/accounts/:account/webhooks',
    {
      ...rule('createWebhook', owners, { secretReply: true }),
      schema: { params: AccountPath, body: NewWebhook, response: made },
    },
    async ({ params, body }, reply) =>
      reply.code(201).send(toldOnce(await createWebhook(webhooks, await idOf(params), body))),
  );
  api.get(
    '/accounts/:account/webhooks/:webhook',
    { ...rule('getWebhook', readers), schema: { params: AccountWebhookPath, response: one } },
    async ({ params }) => webhookJson(await requireWebhook(registry.read, await idOf(params), params.webhook)),
  );
  api.patch(
    '/accounts/:account/webhooks/:webhook',
    {
      ...rule('changeWebhook', owners),
      ...destructive,
      schema: { params: AccountWebhookPath, querystring, body: WebhookChange, response: orImpact(WebhookSchema) },
    },
    async ({ params, query, body }) =>
      change({ operation: 'changeWebhook', query, body }, await idOf(params), params.webhook),
  );
  api.delete(
    '/accounts/:account/webhooks/:webhook',
    {
      ...rule('deleteWebhook', owners),
      ...destructive,
      schema: { params: AccountWebhookPath, querystring, response: orImpact(WebhookSchema) },
    },
    async ({ params, query }) => remove('deleteWebhook', query, await idOf(params), params.webhook),
  );
  api.post(
    '/accounts/:account/webhooks/:webhook/rotate-secret',
    {
      ...rule('rotateWebhookSecret', owners, { secretReply: true }),
      schema: { params: AccountWebhookPath, response: renewed },
    },
    async ({ params }) => toldOnce(await rotateSecret(webhooks, await idOf(params), params.webhook)),
  );
  api.post(
    '/accounts/:account/webhooks/:webhook/test',
    { ...rule('testWebhook', owners), schema: { params: AccountWebhookPath, response: delivery } },
    async ({ params }) => deliveryJson(await testWebhook(webhooks, await idOf(params), params.webhook)),
  );
  api.get(
    '/accounts/:account/webhooks/:webhook/deliveries',
    {
      ...rule('listDeliveries', readers),
      schema: { params: AccountWebhookPath, querystring: DeliveryQuery, response: deliveries },
    },
    async (request, reply) => {
      const { params, query } = request;
      return page(webhooks, { request, reply, query }, await idOf(params), params.webhook);
    },
  );
  api.post(
    '/accounts/:account/webhooks/:webhook/deliveries/:delivery/redeliver',
    { ...rule('redeliver', owners), schema: { params: AccountDeliveryPath, response: delivery } },
    async ({ params }) => deliveryJson(await redeliver(webhooks, await idOf(params), params.webhook, params.delivery)),
  );
}

function serverRoutes(api: Api, webhooks: Webhooks): void {
  const [change, remove] = [changeBy(webhooks), removalBy(webhooks)];
  const { registry } = webhooks;

  api.get('/webhooks', { ...rule('listServerWebhooks', 'administrator'), schema: { response: many } }, async () =>
    (await webhooksOf(registry.read, null)).map(webhookJson),
  );
  api.post(
    '/webhooks',
    {
      ...rule('createServerWebhook', 'administrator', { secretReply: true }),
      schema: { body: NewWebhook, response: made },
    },
    async ({ body }, reply) => reply.code(201).send(toldOnce(await createWebhook(webhooks, null, body))),
  );
  api.get(
    '/webhooks/:webhook',
    { ...rule('getServerWebhook', 'administrator'), schema: { params: WebhookPath, response: one } },
    async ({ params }) => webhookJson(await requireWebhook(registry.read, null, params.webhook)),
  );
  api.patch(
    '/webhooks/:webhook',
    {
      ...rule('changeServerWebhook', 'administrator'),
      ...destructive,
      schema: { params: WebhookPath, querystring, body: WebhookChange, response: orImpact(WebhookSchema) },
    },
    async ({ params, query, body }) => change({ operation: 'changeServerWebhook', query, body }, null, params.webhook),
  );
  api.delete(
    '/webhooks/:webhook',
    {
      ...rule('deleteServerWebhook', 'administrator'),
      ...destructive,
      schema: { params: WebhookPath, querystring, response: orImpact(WebhookSchema) },
    },
    async ({ params, query }) => remove('deleteServerWebhook', query, null, params.webhook),
  );
  api.post(
    '/webhooks/:webhook/rotate-secret',
    {
      ...rule('rotateServerWebhookSecret', 'administrator', { secretReply: true }),
      schema: { params: WebhookPath, response: renewed },
    },
    async ({ params }) => toldOnce(await rotateSecret(webhooks, null, params.webhook)),
  );
  api.post(
    '/webhooks/:webhook/test',
    { ...rule('testServerWebhook', 'administrator'), schema: { params: WebhookPath, response: delivery } },
    async ({ params }) => deliveryJson(await testWebhook(webhooks, null, params.webhook)),
  );
  api.get(
    '/webhooks/:webhook/deliveries',
    {
      ...rule('listServerDeliveries', 'administrator'),
      schema: { params: WebhookPath, querystring: DeliveryQuery, response: deliveries },
    },
    async (request, reply) => page(webhooks, { request, reply, query: request.query }, null, request.params.webhook),
  );
  api.post(
    '/webhooks/:webhook/deliveries/:delivery/redeliver',
    { ...rule('redeliverOfServer', 'administrator'), schema: { params: DeliveryPath, response: delivery } },
    async ({ params }) => deliveryJson(await redeliver(webhooks, null, params.webhook, params.delivery)),
  );
}

interface Asked {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly query: Static<typeof DeliveryQuery>;
}

async function page(
  { registry }: Webhooks,
  { request, reply, query: { state, limit = standardLimit, cursor } }: Asked,
  account_id: string | null,
  webhook_id: string,
): Promise<DeliveryJson[]> {
  const webhook = await requireWebhook(registry.read, account_id, webhook_id);
  const list = ['deliveries', webhook.id, state];
  const place = cursor === undefined ? undefined : readCursor(list, cursor, ['number', 'text']);
  const after = place && { created_at: place[0], id: place[1] };
  const rows = await deliveriesOf(registry.read, account_id, webhook.id, { state, limit, after });
  const last = rows.at(-1);
  if (last && rows.length === limit) linkCursor(request, reply, cursorOf(list, [last.created_at, last.id]));
  return rows.map(deliveryJson);
}

function webhookJson({ account_id, state, failing_since, types, created_at, ...row }: Webhook): WebhookJson {
  const { id, url, description, ca, fault } = row;
  return {
    id,
    account: account_id,
    url,
    description,
    types: types === null ? null : (JSON.parse(types) as string[]),
    ca,
    state,
    failing_since: formatInstant(failing_since),
    last_fault: fault,
    created_at: formatInstant(created_at),
  };
}

function toldOnce({ webhook, secret }: Awaited<ReturnType<typeof createWebhook>>): MadeWebhookJson {
  using told = secret;
  return { ...webhookJson(webhook), secret: told.reveal().toString() };
}

function deliveryJson({ id, type, state, attempts, status, fault, ...row }: WebhookDelivery): DeliveryJson {
  return {
    id,
    type,
    state,
    attempts,
    status,
    fault,
    created_at: formatInstant(row.created_at),
    next_attempt_at: formatInstant(row.next_at),
    settled_at: formatInstant(row.settled_at),
  };
}
