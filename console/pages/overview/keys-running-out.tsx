// Provisioning keys that will soon make no device any more, or no longer do.

import { Anchor, Group, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';
import { answerOf, api, type Schema } from '../../api/client.ts';
import { useEvery, useLiveEvents } from '../../live/live.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Ago } from '../../parts/instant.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import { Card } from './card.tsx';

type ProvisioningKey = Schema<'ProvisioningKey'>;
const said = texts.overview;
const soon = 30 * 86_400_000;
/** A tenth of the uses, or fewer, are few. */
const few = 0.1;
const mostShown = 6;

/** How much of a key is left, 0 to 1, by uses and by time; null for one that does not run out soon, or is not in use. */
function leftOf({ state, max_uses, uses, not_after }: ProvisioningKey, now: number): number | null {
  const ends = Date.parse(not_after) - now;
  if (state === 'disabled' || (state === 'expired' && ends < -soon)) return null;
  const byUses = max_uses === null ? 1 : (max_uses - uses) / max_uses;
  if (byUses > few && ends > soon) return null;
  return Math.max(0, Math.min(byUses, ends / soon));
}

export function KeysRunningOut({ account }: { account: string }) {
  const client = useQueryClient();
  // Their list is long to write, so that it is not asked for again with each device that comes.
  const queryKey = [account, 'keys-running-out'];
  const keys = useQuery({
    queryKey,
    refetchInterval: useEvery(30_000),
    queryFn: () =>
      answerOf(
        api.GET('/api/v1/accounts/{account}/provisioning-keys', {
          params: { path: { account }, query: { devices: 0 } },
        }),
      ),
  });
  useLiveEvents(({ type }) => {
    if (type.startsWith('provisioning_key.')) void client.invalidateQueries({ queryKey });
  });
  const credentials = `/accounts/${account}/credentials`;
  return (
    <Card title={said.keys} about={said.keysAbout}>
      <Asked query={keys}>
        {(all) => {
          const short = all
            .flatMap((key) => {
              const left = leftOf(key, keys.dataUpdatedAt);
              return left === null ? [] : [{ key, left }];
            })
            .toSorted((one, other) => one.left - other.left);
          if (short.length === 0) return <Text size="sm">{said.noKeys(all.length)}</Text>;
          return (
            <ul className="lines">
              {short.slice(0, mostShown).map(({ key }) => (
                <li key={key.id}>
                  <Group justify="space-between" gap="xs">
                    <Anchor component={Link} href={credentials} size="sm" className="feed-line">
                      {key.description ?? key.id}
                    </Anchor>
                    <StateBadge state={key.state} />
                  </Group>
                  <Text size="sm" c="dimmed">
                    {key.max_uses !== null && `${said.usesLeft(key.max_uses - key.uses, key.max_uses)} · `}
                    {said.ends} <Ago at={key.not_after} />
                  </Text>
                </li>
              ))}
              {short.length > mostShown && (
                <li>
                  <Anchor component={Link} href={credentials} size="sm">
                    {said.moreKeys(short.length - mostShown)}
                  </Anchor>
                </li>
              )}
            </ul>
          );
        }}
      </Asked>
    </Card>
  );
}
