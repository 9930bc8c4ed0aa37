// The calls of webhooks, of an account or of the server: the same to whoever shows them.

import { answerOf, api, type Impact, type Page, pageOf, type Schema } from '../../api/client.ts';
import type { OperationName } from '../../api/session.tsx';
import type { EventType } from './event-types.ts';

export type Webhook = Schema<'Webhook'>;
export type Delivery = Schema<'Delivery'>;
export type DeliveryState = Delivery['state'];
export interface NewWebhookBody {
  readonly url: string;
  readonly description: string | null;
  readonly types: EventType[] | null;
  readonly ca: string | null;
}
interface Weighing {
  readonly dry_run?: boolean;
  readonly confirm?: number;
}

export interface WebhookCalls {
  /** Null for the server. */
  readonly account: string | null;
  readonly scope: string;
  /** Whoever may make one may change one: the name of the operation. */
  readonly making: OperationName;
  readonly list: () => Promise<Webhook[]>;
  readonly make: (body: NewWebhookBody) => Promise<Schema<'MadeWebhook'>>;
  /** Answers an Impact with `dry_run`. */
  readonly setState: (webhook: string, state: Webhook['state'], query?: Weighing) => Promise<unknown>;
  readonly remove: (webhook: string, query: Weighing) => Promise<unknown>;
  readonly rotate: (webhook: string) => Promise<Schema<'MadeWebhook'>>;
  readonly test: (webhook: string) => Promise<Delivery>;
  readonly deliveries: (webhook: string, state: DeliveryState | null, cursor: string | null) => Promise<Page<Delivery>>;
  readonly redeliver: (webhook: string, delivery: string) => Promise<Delivery>;
}

/** A dry run's answer. */
export const impactOf = (call: Promise<unknown>): Promise<Impact> => call as Promise<Impact>;

const limit = 50;
const pageQuery = (state: DeliveryState | null, cursor: string | null) => ({
  limit,
  ...(state !== null && { state }),
  ...(cursor !== null && { cursor }),
});

export function webhookCalls(account: string | null): WebhookCalls {
  return account === null ? serverWebhooks : webhooksOf(account);
}

function webhooksOf(account: string): WebhookCalls {
  return {
    account,
    scope: account,
    making: 'createWebhook',
    list: () => answerOf(api.GET('/api/v1/accounts/{account}/webhooks', { params: { path: { account } } })),
    make: (body) => answerOf(api.POST('/api/v1/accounts/{account}/webhooks', { params: { path: { account } }, body })),
    setState: (webhook, state, query = {}) =>
      answerOf(
        api.PATCH('/api/v1/accounts/{account}/webhooks/{webhook}', {
          params: { path: { account, webhook }, query },
          body: { state },
        }),
      ),
    remove: (webhook, query) =>
      answerOf(
        api.DELETE('/api/v1/accounts/{account}/webhooks/{webhook}', { params: { path: { account, webhook }, query } }),
      ),
    rotate: (webhook) =>
      answerOf(
        api.POST('/api/v1/accounts/{account}/webhooks/{webhook}/rotate-secret', {
          params: { path: { account, webhook } },
        }),
      ),
    test: (webhook) =>
      answerOf(
        api.POST('/api/v1/accounts/{account}/webhooks/{webhook}/test', { params: { path: { account, webhook } } }),
      ),
    deliveries: (webhook, state, cursor) =>
      pageOf(
        api.GET('/api/v1/accounts/{account}/webhooks/{webhook}/deliveries', {
          params: { path: { account, webhook }, query: pageQuery(state, cursor) },
        }),
      ),
    redeliver: (webhook, delivery) =>
      answerOf(
        api.POST('/api/v1/accounts/{account}/webhooks/{webhook}/deliveries/{delivery}/redeliver', {
          params: { path: { account, webhook, delivery } },
        }),
      ),
  };
}

const serverWebhooks: WebhookCalls = {
  account: null,
  scope: '/server',
  making: 'createServerWebhook',
  list: () => answerOf(api.GET('/api/v1/webhooks')),
  make: (body) => answerOf(api.POST('/api/v1/webhooks', { body })),
  setState: (webhook, state, query = {}) =>
    answerOf(api.PATCH('/api/v1/webhooks/{webhook}', { params: { path: { webhook }, query }, body: { state } })),
  remove: (webhook, query) =>
    answerOf(api.DELETE('/api/v1/webhooks/{webhook}', { params: { path: { webhook }, query } })),
  rotate: (webhook) =>
    answerOf(api.POST('/api/v1/webhooks/{webhook}/rotate-secret', { params: { path: { webhook } } })),
  test: (webhook) => answerOf(api.POST('/api/v1/webhooks/{webhook}/test', { params: { path: { webhook } } })),
  deliveries: (webhook, state, cursor) =>
    pageOf(
      api.GET('/api/v1/webhooks/{webhook}/deliveries', {
        params: { path: { webhook }, query: pageQuery(state, cursor) },
      }),
    ),
  redeliver: (webhook, delivery) =>
    answerOf(
      api.POST('/api/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver', {
        params: { path: { webhook, delivery } },
      }),
    ),
};
