// Who was turned away at the device gateway and why, by device and rule, with what mends it.

import { Button, Stack, Tabs, Text } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'wouter';
import { useMay } from '../../api/session.tsx';
import type { OfAccount } from '../../app.tsx';
import { useLiveEvents } from '../../live/live.tsx';
import { useAddress } from '../../parts/address.ts';
import { Asked } from '../../parts/asked.tsx';
import { Empty } from '../../parts/empty.tsx';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { RefusalFilterBar, useRefusalFilters } from './refusal-filter-bar.tsx';
import { grouped, useRefusals } from './refusal-list.ts';
import { type LetIn, RefusalsOfOneCard } from './refusals-of-one.tsx';

export function Refusals({ account }: OfAccount) {
  const said = texts.refusals;
  const may = useMay();
  const [of, setOf] = useAddress('of');
  const seesAll = may('listUnassignedRefusals');
  return (
    <Page
      title={said.title}
      about={said.about}
      actions={
        <Button component={Link} href={`/accounts/${account}/explain`} variant="default">
          {said.explain}
        </Button>
      }
    >
      {seesAll ? (
        <Tabs
          value={of === 'none' ? 'none' : 'account'}
          onChange={(tab) => setOf(tab === 'none' ? 'none' : null)}
          keepMounted={false}
        >
          <Tabs.List mb="md">
            <Tabs.Tab value="account">{said.ofAccount}</Tabs.Tab>
            <Tabs.Tab value="none">{said.ofNone}</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="account">
            <RefusalList account={account} of={account} />
          </Tabs.Panel>
          <Tabs.Panel value="none">
            <Stack>
              <Text c="dimmed" maw={720}>
                {said.ofNoneAbout}
              </Text>
              <RefusalList account={account} of={null} />
            </Stack>
          </Tabs.Panel>
        </Tabs>
      ) : (
        <RefusalList account={account} of={account} />
      )}
    </Page>
  );
}

/** `of` is the account whose refusals these are; null for those of none. */
function RefusalList({ account, of }: OfAccount & { of: string | null }) {
  const said = texts.refusals;
  const { filters, filtered, clear } = useRefusalFilters();
  const list = useRefusals(of, filters);
  const [letIn, setLetIn] = useState<ReadonlyMap<string, LetIn | undefined>>(new Map());
  useLiveEvents(({ type, data }) => {
    const { device_id: id, state, to } = data as { device_id?: string; state?: string; to?: string };
    const note = (how?: LetIn) => id !== undefined && setLetIn((before) => new Map(before).set(id, how));
    if (type === 'device.added' && state === 'active') note('cameIn');
    if (type === 'device.state_changed') note(to === 'active' ? 'mayComeIn' : undefined);
  });
  return (
    <Stack>
      <RefusalFilterBar />
      <Asked query={list}>
        {({ pages }) => {
          const groups = grouped(pages.flatMap(({ rows }) => rows));
          if (groups.length === 0) {
            return filtered ? (
              <Empty title={said.emptyFiltered} text={said.emptyFilteredText}>
                <Button variant="default" onClick={clear}>
                  {said.clear}
                </Button>
              </Empty>
            ) : (
              <Empty title={said.empty} text={said.emptyText} />
            );
          }
          return (
            <Stack component="section" aria-label={said.list}>
              {groups.map((group) => (
                <RefusalsOfOneCard
                  key={group.key}
                  account={account}
                  of={of}
                  group={group}
                  letIn={group.deviceId === null ? undefined : letIn.get(group.deviceId)}
                />
              ))}
            </Stack>
          );
        }}
      </Asked>
      {list.hasNextPage && (
        <div>
          <Button variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {texts.common.more}
          </Button>
        </div>
      )}
    </Stack>
  );
}
