// Webhooks, of an account or of the server, with what was sent to them.

import { Button, Stack, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import type { Schema } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { useEvery } from '../../live/live.tsx';
import { useAddress } from '../../parts/address.ts';
import { Asked } from '../../parts/asked.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { Empty } from '../../parts/empty.tsx';
import { Page } from '../../parts/page.tsx';
import { ToldOnce } from '../../parts/told-once.tsx';
import { TypedConfirmation } from '../../parts/typed-confirmation.tsx';
import { texts } from '../../texts.ts';
import { NewWebhook } from './new-webhook.tsx';
import { type Grave, hostOf, WebhookCard } from './webhook-card.tsx';
import { impactOf, type Webhook, type WebhookCalls, webhookCalls } from './webhook-calls.ts';

/** Its health changes without an event, in milliseconds. */
const lookEvery = 10_000;

/** `account` is null for the server. */
export function Webhooks({ account }: { account: string | null }) {
  const calls = useMemo(() => webhookCalls(account), [account]);
  const { scope } = calls;
  const may = useMay();
  const client = useQueryClient();
  const [opened, open] = useAddress('webhook');
  const [creating, setCreating] = useState(false);
  const [told, setTold] = useState<Schema<'MadeWebhook'> | null>(null);
  const [grave, setGrave] = useState<{ act: Grave; webhook: Webhook } | null>(null);
  const said = texts.webhooks;
  const query = useQuery({ queryKey: [scope, 'webhooks'], queryFn: calls.list, refetchInterval: useEvery(lookEvery) });
  const askAgain = () => void client.invalidateQueries({ queryKey: [scope, 'webhooks'] });
  const mayChange = may(calls.making, account ?? undefined);
  const create = mayChange ? <Button onClick={() => setCreating(true)}>{said.create}</Button> : null;
  return (
    <Page
      title={account === null ? said.titleServer : said.title}
      about={account === null ? said.aboutServer : said.aboutAccount}
      actions={create}
    >
      <Asked query={query}>
        {(webhooks) =>
          webhooks.length === 0 ? (
            <Empty title={said.none} text={said.noneText}>
              {create}
            </Empty>
          ) : (
            <Stack>
              {webhooks.map((webhook) => (
                <WebhookCard
                  key={webhook.id}
                  calls={calls}
                  webhook={webhook}
                  mayChange={mayChange}
                  opened={opened === webhook.id}
                  onOpen={(is) => open(is ? webhook.id : null)}
                  onGrave={(act) => setGrave({ act, webhook })}
                  onChanged={askAgain}
                />
              ))}
            </Stack>
          )
        }
      </Asked>
      {creating && (
        <NewWebhook
          calls={calls}
          onClose={() => setCreating(false)}
          onMade={(webhook) => {
            setCreating(false);
            setTold(webhook);
            askAgain();
          }}
        />
      )}
      {told !== null && (
        <ToldOnce
          title={said.secret(told.url)}
          what={said.secretWhat}
          secret={told.secret}
          onClose={() => setTold(null)}
        >
          <Text size="sm">{said.secretAbout}</Text>
        </ToldOnce>
      )}
      {grave !== null && (
        <GraveAct
          calls={calls}
          {...grave}
          onTold={setTold}
          onDone={() => {
            // Nothing can be asked of one that is gone.
            if (grave.act === 'delete') open(null);
            askAgain();
          }}
          onClose={() => setGrave(null)}
        />
      )}
    </Page>
  );
}

interface GraveActProps {
  readonly calls: WebhookCalls;
  readonly act: Grave;
  readonly webhook: Webhook;
  readonly onTold: (webhook: Schema<'MadeWebhook'>) => void;
  readonly onDone: () => void;
  readonly onClose: () => void;
}

function GraveAct({ calls, act, webhook, onTold, onDone, onClose }: GraveActProps) {
  const said = texts.webhooks;
  const host = hostOf(webhook);
  const after = { typed: host, onDone, onClose };
  if (act === 'rotate') {
    return (
      <TypedConfirmation
        {...after}
        title={said.rotateOf(host)}
        about={said.rotateAbout}
        act={async () => onTold(await calls.rotate(webhook.id))}
      />
    );
  }
  if (act === 'disable') {
    return (
      <Destructive
        {...after}
        title={said.disableOf(host)}
        about={said.disableAbout}
        preview={() => impactOf(calls.setState(webhook.id, 'disabled', { dry_run: true }))}
        act={(confirm) => calls.setState(webhook.id, 'disabled', { confirm })}
      />
    );
  }
  return (
    <Destructive
      {...after}
      title={said.deleteOf(host)}
      about={said.deleteAbout}
      preview={() => impactOf(calls.remove(webhook.id, { dry_run: true }))}
      act={(confirm) => calls.remove(webhook.id, { confirm })}
    />
  );
}
