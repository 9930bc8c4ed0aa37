// The waiting place: it turns green, and says so, when the account's first device is there.

import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { IconCircleCheck, IconHourglass } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { answerOf, api } from '../../api/client.ts';
import { useLiveEvents } from '../../live/live.tsx';
import { drawn } from '../../parts/drawn.ts';
import { texts } from '../../texts.ts';

interface Arrived {
  readonly device_id: string;
  readonly uuid: string;
  readonly state: string;
}

/** Below a LiveProvider of the account. */
export function Arrival({ account }: { account: string }) {
  const said = texts.firstStart;
  const [told, setTold] = useState<Arrived | null>(null);
  const [refused, setRefused] = useState<string | null>(null);
  // It may have been there before the page, or while the stream was cut.
  const there = useQuery({
    queryKey: [account, 'devices', 'first'],
    queryFn: async () =>
      (
        await answerOf(
          api.GET('/api/v1/accounts/{account}/devices', {
            params: { path: { account }, query: { limit: 1, sort: 'first_seen' } },
          }),
        )
      )[0] ?? null,
  });
  useLiveEvents(({ type, data }) => {
    if (type === 'device.added') setTold((before) => before ?? (data as unknown as Arrived));
    if (type === 'device.refused') setRefused(String(data['rule']));
  });
  const device = there.data ?? told;
  return (
    <Stack gap="md">
      <Alert
        role="status"
        color={device === null ? 'gray' : 'teal'}
        variant={device === null ? 'default' : 'filled'}
        icon={device === null ? <IconHourglass aria-hidden /> : <IconCircleCheck aria-hidden />}
        title={device === null ? said.waiting : said.here(drawn(device.device_id))}
        data-arrived={device !== null}
      >
        {device === null ? said.waitingText : device.state === 'pending' ? said.herePending : said.hereText}
      </Alert>
      {device === null && refused !== null && (
        <Alert role="alert" color="red" variant="outline" title={said.turnedAway}>
          <Stack gap="sm" align="flex-start">
            <Text size="sm">{refused}</Text>
            <Button component={Link} href={`/accounts/${account}/refusals`} variant="default" size="compact-md">
              {said.why}
            </Button>
          </Stack>
        </Alert>
      )}
      <Group>
        {device !== null && (
          <Button component={Link} href={`/accounts/${account}/devices/${encodeURIComponent(device.uuid)}`}>
            {said.toDevice}
          </Button>
        )}
        {device?.state === 'pending' && (
          <Button component={Link} href={`/accounts/${account}/pending`} variant="default">
            {said.toPending}
          </Button>
        )}
        <Button component={Link} href={`/accounts/${account}`} variant="default">
          {said.toOverview}
        </Button>
      </Group>
    </Stack>
  );
}
