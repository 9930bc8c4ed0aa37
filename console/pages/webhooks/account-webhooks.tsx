// The webhooks of an account.

import { useMemo } from 'react';
import type { OfAccount } from '../../app.tsx';
import { webhookCalls } from './webhook-calls.ts';
import { Webhooks } from './webhooks.tsx';

export function AccountWebhooks({ account }: OfAccount) {
  const calls = useMemo(() => webhookCalls(account), [account]);
  return <Webhooks calls={calls} />;
}
