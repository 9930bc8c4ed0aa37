// `webhook …`: where events are sent, and what became of what was sent.

import type { DeliveryJson, MadeWebhookJson, WebhookJson } from '../operator/event-schemas.ts';
import { account } from './account-commands.ts';
import { at, queryOf } from './client.ts';
import { command } from './command.ts';
import { UsageError } from './failure.ts';
import { type Page, pages, sentences, sheet, table } from './page.ts';
import { choice, optional, repeated, required, text, textFile, wholeNumber } from './parameters.ts';

const named = repeated(text('ID', 'of the webhook, with the ACCOUNT that it is of before it'));
const oneOf = (words: readonly string[]): string =>
  words.length === 1 ? at`/webhooks/${words[0]!}` : at`/accounts/${words[0]!}/webhooks/${words[1]!}`;
const checkNamed = ({ words }: { readonly words: readonly string[] }): void => {
  if (words.length > 2) throw new UsageError('give ID, or ACCOUNT and ID');
};
const usageOf = (words: string): string[] => [`${words} ACCOUNT ID`, `${words} ID`];
const stateOf = ({ state, failing_since }: WebhookJson): string =>
  state === 'active' && failing_since !== null ? 'failing' : state;

const webhookSheet = (webhook: WebhookJson): Page =>
  sheet({
    ID: webhook.id,
    account: webhook.account,
    URL: webhook.url,
    description: webhook.description,
    types: webhook.types ?? 'all',
    'CA pinned': webhook.ca !== null,
    state: stateOf(webhook),
    'failing since': webhook.failing_since,
    'last fault': webhook.last_fault,
    created: webhook.created_at,
  });

const secretPage = (made: MadeWebhookJson): Page => ({
  ...pages(webhookSheet(made), sheet({ secret: made.secret })),
  note: 'The secret is not shown again: put it where the receiver checks signatures, and nowhere else.',
});

const deliveryTable = (deliveries: readonly DeliveryJson[]): Page =>
  table(deliveries, 'Nothing was sent.', {
    id: (row) => row.id,
    type: (row) => row.type,
    state: (row) => row.state,
    attempts: (row) => row.attempts,
    status: (row) => row.status,
    created: (row) => row.created_at,
    next: (row) => row.next_attempt_at,
    fault: (row) => row.fault,
  });

const deliveryLines = ({ id, type }: DeliveryJson): Page => sentences(`The message ${id} (${type}) is being sent.`);

export const webhookCommands = [
  command({
    words: 'webhook create',
    about: 'Have the events of an account, or of the whole server, sent to a URL; its secret is shown once.',
    arguments: { account: optional(account) },
    options: {
      to: required(text('URL', 'where they are sent; https')),
      type: repeated(text('TYPE', 'only events of this type; all unless given')),
      description: text('TEXT', 'what it is for'),
      'receiver-ca': textFile('FILE', 'certificates (PEM) that the receiver is checked against'),
    },
    call: ({ account: name, to, type, description, 'receiver-ca': ca }, { api }) =>
      api.post<MadeWebhookJson>(name === undefined ? '/webhooks' : at`/accounts/${name}/webhooks`, {
        url: to,
        ...(type.length > 0 && { types: type }),
        ...(description !== undefined && { description }),
        ...(ca !== undefined && { ca }),
      }),
    print: secretPage,
  }),
  command({
    words: 'webhook list',
    about: 'List the webhooks of an account, or of the whole server.',
    arguments: { account: optional(account) },
    call: (given, { api }) =>
      api.list<WebhookJson>(given.account === undefined ? '/webhooks' : at`/accounts/${given.account}/webhooks`),
    print: (webhooks) =>
      table(webhooks, 'There are no webhooks.', {
        id: (row) => row.id,
        url: (row) => row.url,
        types: (row) => row.types?.join(' ') ?? 'all',
        state: stateOf,
        fault: (row) => row.last_fault,
        description: (row) => row.description,
      }),
  }),
  command({
    words: 'webhook show',
    about: 'Show a webhook.',
    usage: usageOf('webhook show'),
    arguments: { words: named },
    check: checkNamed,
    call: ({ words }, { api }) => api.get<WebhookJson>(oneOf(words)),
    print: webhookSheet,
  }),
  command({
    words: 'webhook set',
    about: 'Disable a webhook, or make it active again; what happens meanwhile is not sent later.',
    usage: ['webhook set ACCOUNT ID --state active|disabled', 'webhook set ID --state active|disabled'],
    arguments: { words: named },
    options: { state: required(choice(['active', 'disabled'], 'whether it is sent anything')) },
    check: checkNamed,
    call: ({ words, state }, { api }) => api.patch<WebhookJson>(oneOf(words), { state }),
    print: webhookSheet,
  }),
  command({
    words: 'webhook delete',
    about: 'Delete a webhook; nothing more is sent there.',
    usage: usageOf('webhook delete'),
    arguments: { words: named },
    check: checkNamed,
    weighed: 'fleet',
    confirm: { question: ({ words }) => `Delete the webhook ${words.at(-1)!} and its deliveries?`, erases: false },
    call: ({ words }, { api }) => api.delete<WebhookJson>(oneOf(words)),
    print: ({ id, url }) => sentences(`The webhook ${id} to ${url} is deleted.`),
  }),
  command({
    words: 'webhook test',
    about: 'Send a webhook a message that tells of nothing.',
    usage: usageOf('webhook test'),
    arguments: { words: named },
    check: checkNamed,
    call: ({ words }, { api }) => api.post<DeliveryJson>(`${oneOf(words)}/test`),
    print: deliveryLines,
  }),
  command({
    words: 'webhook rotate-secret',
    about: 'Give a webhook another secret, shown once; the one before signs beside it for a day.',
    usage: usageOf('webhook rotate-secret'),
    arguments: { words: named },
    check: checkNamed,
    call: ({ words }, { api }) => api.post<MadeWebhookJson>(`${oneOf(words)}/rotate-secret`),
    print: secretPage,
  }),
  command({
    words: 'webhook deliveries',
    about: 'List what a webhook was sent, the latest first.',
    usage: usageOf('webhook deliveries'),
    arguments: { words: named },
    options: {
      state: choice(['pending', 'delivered', 'failed'], 'only those in this state'),
      limit: wholeNumber('N', 'how many at the most; 100 unless given', 1, 10_000),
    },
    check: checkNamed,
    call: ({ words, state, limit = 100 }, { api }) =>
      api.get<DeliveryJson[]>(`${oneOf(words)}/deliveries${queryOf({ limit, state })}`),
    print: deliveryTable,
  }),
  command({
    words: 'webhook redeliver',
    about: 'Send a message once more, with the same ID.',
    usage: ['webhook redeliver ACCOUNT ID --delivery ID', 'webhook redeliver ID --delivery ID'],
    arguments: { words: named },
    options: { delivery: required(text('ID', 'of the message, as `webhook deliveries` shows it')) },
    check: checkNamed,
    call: ({ words, delivery }, { api }) =>
      api.post<DeliveryJson>(oneOf(words) + at`/deliveries/${delivery}/redeliver`),
    print: deliveryLines,
  }),
];
