// The webhooks of the server, for its administrators.

import { webhookCalls } from './webhook-calls.ts';
import { Webhooks } from './webhooks.tsx';

const calls = webhookCalls(null);

export function ServerWebhooks() {
  return <Webhooks calls={calls} />;
}
