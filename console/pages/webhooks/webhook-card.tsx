// A webhook: where it leads, how it is, what can be done with it, what was sent to it.

import { Alert, Button, Group, Paper, Stack, Text, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Failure } from '../../parts/failure.tsx';
import { Ago, Instant } from '../../parts/instant.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import { Deliveries } from './deliveries.tsx';
import type { Webhook, WebhookCalls } from './webhook-calls.ts';

/** What is asked for before it is done. */
export type Grave = 'disable' | 'rotate' | 'delete';

export interface WebhookCardProps {
  readonly calls: WebhookCalls;
  readonly webhook: Webhook;
  readonly mayChange: boolean;
  readonly opened: boolean;
  readonly onOpen: (opened: boolean) => void;
  readonly onGrave: (act: Grave) => void;
  readonly onChanged: () => void;
}

export const hostOf = ({ url }: Webhook): string => new URL(url).host;

export function WebhookCard({ calls, webhook, mayChange, opened, onOpen, onGrave, onChanged }: WebhookCardProps) {
  const { id, url, description, types, ca, state, created_at } = webhook;
  const said = texts.webhooks;
  const enabling = useMutation({ mutationFn: () => calls.setState(id, 'active'), onSuccess: onChanged });
  const testing = useMutation({
    mutationFn: () => calls.test(id),
    onSuccess() {
      onOpen(true);
      onChanged();
    },
  });
  const button = (label: string, act: () => void, loading = false): ReactNode => (
    <Button variant="default" size="compact-sm" onClick={act} loading={loading}>
      {label}
    </Button>
  );
  return (
    <Paper withBorder p="md" component="section" aria-label={url}>
      <Stack gap="sm">
        <Group justify="space-between" align="flex-start">
          <div>
            <Title order={2} className="mono">
              {url}
            </Title>
            {description !== null && <Text>{description}</Text>}
          </div>
          <StateBadge state={state} />
        </Group>
        <Text size="sm" c="dimmed">
          {[types === null ? said.allEvents : types.join(', '), ...(ca === null ? [] : [said.caOwn])].join(' · ')} ·{' '}
          {said.made} <Instant at={created_at} />
        </Text>
        <Health webhook={webhook} />
        <Group gap="xs">
          {button(opened ? said.deliveriesHide : said.deliveries, () => onOpen(!opened))}
          {mayChange && (
            <>
              {state === 'active' && button(said.test, () => testing.mutate(), testing.isPending)}
              {button(said.rotate, () => onGrave('rotate'))}
              {state === 'active'
                ? button(said.disable, () => onGrave('disable'))
                : button(said.enable, () => enabling.mutate(), enabling.isPending)}
              {button(said.delete, () => onGrave('delete'))}
            </>
          )}
        </Group>
        {testing.isSuccess && (
          <Text size="sm" role="status">
            {said.testSent}
          </Text>
        )}
        <Failure error={testing.error ?? enabling.error} />
        {opened && <Deliveries calls={calls} webhook={webhook} host={hostOf(webhook)} />}
      </Stack>
    </Paper>
  );
}

function Health({ webhook: { state, failing_since, last_fault } }: { webhook: Webhook }) {
  const said = texts.webhooks;
  if (state === 'disabled') return <Text size="sm">{said.off}</Text>;
  if (failing_since === null) return <Text size="sm">{said.well}</Text>;
  return (
    <Alert
      color="red"
      variant="outline"
      title={
        <>
          {said.failing} <Instant at={failing_since} /> (<Ago at={failing_since} />)
        </>
      }
    >
      {last_fault !== null && (
        <Text size="sm">
          {said.lastFault} {last_fault}
        </Text>
      )}
    </Alert>
  );
}
