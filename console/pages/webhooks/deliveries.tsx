// What was sent to a webhook, and how it went.

import './deliveries.css';
import { Button, SegmentedControl, Stack, Table, Text } from '@mantine/core';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { useMay } from '../../api/session.tsx';
import { useEvery } from '../../live/live.tsx';
import { useAddress } from '../../parts/address.ts';
import { Asked } from '../../parts/asked.tsx';
import { Copy } from '../../parts/copy.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Ago } from '../../parts/instant.tsx';
import { More } from '../../parts/more.tsx';
import { Rows } from '../../parts/rows.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import type { Delivery, DeliveryState, Webhook, WebhookCalls } from './webhook-calls.ts';

const states = ['all', 'pending', 'delivered', 'failed'] as const;
const stateOf = (text: string | null): DeliveryState | null =>
  (states.slice(1) as readonly DeliveryState[]).find((state) => state === text) ?? null;
/** No event tells of deliveries: they are asked for again while somebody looks at them, in milliseconds. */
const lookEvery = 3_000;

export function Deliveries({
  calls,
  webhook: { id: webhook, state: on },
  host,
}: {
  calls: WebhookCalls;
  webhook: Webhook;
  host: string;
}) {
  const [chosen, choose] = useAddress('state');
  const state = stateOf(chosen);
  const client = useQueryClient();
  const may = useMay();
  const said = texts.webhooks;
  const key = [calls.scope, 'webhooks', webhook, 'deliveries'];
  const query = useInfiniteQuery({
    queryKey: [...key, state],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) => calls.deliveries(webhook, state, pageParam),
    getNextPageParam: ({ next }) => next,
    refetchInterval: useEvery(lookEvery),
  });
  const redelivering = useMutation({
    mutationFn: (delivery: string) => calls.redeliver(webhook, delivery),
    onSuccess: () => client.invalidateQueries({ queryKey: key }),
  });
  const maySend = on === 'active' && may(calls.making, calls.account ?? undefined);
  const heads = [
    said.event,
    said.state,
    said.attempts,
    said.answer,
    said.at,
    said.next,
    ...(maySend ? [texts.operators.actions] : []),
  ];
  return (
    <Stack gap="sm">
      <div>
        <SegmentedControl
          aria-label={said.state}
          size="xs"
          transitionDuration={0}
          value={state ?? 'all'}
          onChange={(value) => choose(value === 'all' ? null : value)}
          data={states.map((value) => ({ value, label: said.states[value] }))}
        />
      </div>
      <Failure error={redelivering.error} />
      <Asked query={query}>
        {({ pages }) => {
          const deliveries = pages.flatMap(({ rows }) => rows);
          if (deliveries.length === 0)
            return <Text c="dimmed">{state === null ? said.deliveriesNone : said.deliveriesNoneSo}</Text>;
          return (
            <>
              <Rows label={said.deliveriesOf(host)} heads={heads}>
                {deliveries.map((delivery) => (
                  <DeliveryRow
                    key={delivery.id}
                    delivery={delivery}
                    onRedeliver={maySend ? () => redelivering.mutate(delivery.id) : null}
                  />
                ))}
              </Rows>
              <More query={query} />
            </>
          );
        }}
      </Asked>
    </Stack>
  );
}

function DeliveryRow({ delivery, onRedeliver }: { delivery: Delivery; onRedeliver: (() => void) | null }) {
  const { id, type, state, attempts, status, fault, created_at, next_attempt_at } = delivery;
  const said = texts.webhooks;
  return (
    <Table.Tr>
      <Table.Td>
        <span className="mono deliveries-whole">{type}</span>
        <div className="deliveries-whole">
          <Copy value={id} what={said.id} shown={`${id.slice(0, 12)}…`} />
        </div>
      </Table.Td>
      <Table.Td>
        <StateBadge state={state} />
      </Table.Td>
      <Table.Td>{texts.number(attempts)}</Table.Td>
      <Table.Td>
        {status !== null && said.answered(status)}
        {fault !== null && <Text size="sm">{fault}</Text>}
      </Table.Td>
      <Table.Td>
        <Ago at={created_at} />
      </Table.Td>
      <Table.Td>
        <Ago at={next_attempt_at} absent={texts.common.none} />
      </Table.Td>
      {onRedeliver !== null && (
        <Table.Td>
          {state !== 'pending' && (
            <Button variant="default" size="compact-sm" onClick={onRedeliver} aria-label={said.redeliverOf(id)}>
              {said.redeliver}
            </Button>
          )}
        </Table.Td>
      )}
    </Table.Tr>
  );
}
