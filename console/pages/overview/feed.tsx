// What happens in the account, as it happens: a sentence for each event.

import { Anchor, Group, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import { answerOf, api } from '../../api/client.ts';
import { useLiveEvents, useLiveState } from '../../live/live.tsx';
import type { LiveEvent } from '../../live/stream.ts';
import { Asked } from '../../parts/asked.tsx';
import { Ago } from '../../parts/instant.tsx';
import { Said } from '../../parts/said.tsx';
import { texts } from '../../texts.ts';
import { Card } from './card.tsx';
import { addressOf, sentenceOf } from './event-sentence.ts';

const said = texts.overview;
const mostShown = 25;
/** However many events come, they are shown at most so often, in milliseconds. */
const atMostEvery = 250;

export function Feed({ account }: { account: string }) {
  const listed = useQuery({
    queryKey: [account, 'newest-events'],
    queryFn: () =>
      answerOf(
        api.GET('/api/v1/accounts/{account}/events', { params: { path: { account }, query: { limit: mostShown } } }),
      ) as Promise<readonly LiveEvent[]>,
  });
  const live = useGathered();
  // What came between the answer and the beginning of the stream, and while it was cut.
  const isLive = useLiveState()?.is === 'live';
  const { refetch } = listed;
  useEffect(() => {
    if (isLive) void refetch();
  }, [isLive, refetch]);
  return (
    <Card title={said.feed} about={said.feedAbout} tall>
      <Asked query={listed}>
        {(data) => {
          const events = [...new Map([...live, ...data].map((event) => [event.id, event])).values()]
            .toSorted((one, other) => Date.parse(other.at) - Date.parse(one.at))
            .slice(0, mostShown);
          if (events.length === 0) return <Text size="sm">{said.noEvents}</Text>;
          return (
            // What scrolls has to be reachable by keyboard (WCAG 2.1.1). Read out, a fleet's events would leave no time for anything else.
            <div className="feed" role="log" aria-live="off" aria-label={said.newest} tabIndex={0}>
              <ol className="lines">
                {events.map((event) => (
                  <Happened key={event.id} event={event} account={account} />
                ))}
              </ol>
            </div>
          );
        }}
      </Asked>
    </Card>
  );
}

function Happened({ event, account }: { event: LiveEvent; account: string }) {
  const address = addressOf(event, account);
  const sentence = <Said text={sentenceOf(event)} />;
  return (
    <li>
      <Group justify="space-between" wrap="nowrap" gap="md" align="baseline">
        {address === null ? (
          <Text size="sm" className="feed-line">
            {sentence}
          </Text>
        ) : (
          <Anchor component={Link} href={address} size="sm" className="feed-line">
            {sentence}
          </Anchor>
        )}
        <Text size="xs" c="dimmed" ta="right" className="feed-instant">
          <Ago at={event.at} />
        </Text>
      </Group>
    </li>
  );
}

/** The events since the page is shown, the latest of them. */
function useGathered(): readonly LiveEvent[] {
  const [events, setEvents] = useState<readonly LiveEvent[]>([]);
  const waiting = useRef<LiveEvent[]>([]);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useLiveEvents((event) => {
    waiting.current = [event, ...waiting.current].slice(0, mostShown);
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      const came = waiting.current;
      waiting.current = [];
      setEvents((before) => [...came, ...before].slice(0, mostShown));
    }, atMostEvery);
  });
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
  return events;
}
