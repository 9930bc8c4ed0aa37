// The allow-list: the device IDs that may join, who of them has, more of them from a file, and their removal.

import {
  Anchor,
  Button,
  Checkbox,
  Group,
  Paper,
  SegmentedControl,
  SimpleGrid,
  Stack,
  Table,
  Text,
} from '@mantine/core';
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { answerOf, api, type Answer, type Impact, pageOf } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { useAddress } from '../../parts/address.ts';
import { Asked } from '../../parts/asked.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { DeviceId } from '../../parts/device-id.tsx';
import { drawn } from '../../parts/drawn.ts';
import { Empty } from '../../parts/empty.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Ago } from '../../parts/instant.tsx';
import { More } from '../../parts/more.tsx';
import { Rows } from '../../parts/rows.tsx';
import { Section } from '../../parts/section.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import { AllowListImport } from './allow-list-import.tsx';

type Entry = Answer<'listAllowedDevices'>[number];
const whiches = ['all', 'never', 'seen', 'joined'] as const;
const atOnce = 100;

const said = texts.factory.allowList;

export function AllowList({ account }: { account: string }) {
  const may = useMay();
  const [importing, setImporting] = useState(false);
  const counts = useQuery({
    queryKey: [account, 'allow-list', 'counts'],
    queryFn: () => answerOf(api.GET('/api/v1/accounts/{account}/allow-list/counts', { params: { path: { account } } })),
  });
  const add = may('importAllowList', account) && <Button onClick={() => setImporting(true)}>{said.import}</Button>;
  return (
    <Asked query={counts}>
      {({ entries, joined, never_seen }) => (
        <Stack gap="lg">
          {entries === 0 ? (
            <Empty title={said.none} text={said.noneText}>
              {add}
            </Empty>
          ) : (
            <>
              <SimpleGrid cols={{ base: 2, sm: 3 }}>
                {(
                  [
                    [said.entries, entries],
                    [said.joined, joined],
                    [said.neverSeen, never_seen],
                  ] as const
                ).map(([name, count]) => (
                  <Paper key={name} withBorder p="md">
                    <Text fz="1.75rem" fw={600} lh={1.2}>
                      {texts.number(count)}
                    </Text>
                    <Text size="sm">{name}</Text>
                  </Paper>
                ))}
              </SimpleGrid>
              <Section title={said.title} about={said.about} actions={add}>
                <List account={account} />
              </Section>
            </>
          )}
          {importing && <AllowListImport account={account} onClose={() => setImporting(false)} />}
        </Stack>
      )}
    </Asked>
  );
}

function List({ account }: { account: string }) {
  const may = useMay();
  const client = useQueryClient();
  const [asked, setWhich] = useAddress('seen');
  const which = whiches.find((each) => each === asked) ?? 'all';
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [removing, setRemoving] = useState(false);
  const list = useInfiniteQuery({
    queryKey: [account, 'allow-list', 'list', which],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam: cursor }) =>
      pageOf<Entry>(
        api.GET('/api/v1/accounts/{account}/allow-list', {
          params: {
            path: { account },
            query: { limit: atOnce, ...(which !== 'all' && { seen: which }), ...(cursor !== null && { cursor }) },
          },
        }),
      ),
    getNextPageParam: ({ next }) => next,
    placeholderData: (before) => before,
  });
  const rows = list.data?.pages.flatMap((page) => page.rows) ?? [];
  const mayRemove = may('removeAllowedDevices', account);
  const choose = (id: string, is: boolean) =>
    setChosen((before) => new Set(is ? [...before, id] : [...before].filter((each) => each !== id)));
  return (
    <Stack>
      <Group justify="space-between">
        <SegmentedControl
          // Its letters would fade where the colour scheme changes.
          transitionDuration={0}
          aria-label={said.which}
          data={whiches.map((value) => ({ value, label: said.whiches[value] }))}
          value={which}
          onChange={(to) => setWhich(to === 'all' ? null : to)}
        />
        {mayRemove && chosen.size > 0 && (
          <Button variant="outline" color="red" onClick={() => setRemoving(true)}>
            {said.removeCount(chosen.size)}
          </Button>
        )}
      </Group>
      <Failure error={list.error} title={texts.common.notRead} />
      {list.data !== undefined && rows.length === 0 && <Text>{said.noneSo}</Text>}
      {rows.length > 0 && (
        <Rows
          label={said.title}
          heads={[
            ...(mayRemove ? [said.choose] : []),
            said.deviceId,
            said.device,
            said.lastSeen,
            said.labels,
            said.added,
          ]}
        >
          {rows.map((entry) => (
            <Table.Tr key={entry.device_id}>
              {mayRemove && (
                <Table.Td>
                  <Checkbox
                    aria-label={said.chooseOne(drawn(entry.device_id))}
                    checked={chosen.has(entry.device_id)}
                    onChange={({ currentTarget: { checked } }) => choose(entry.device_id, checked)}
                  />
                </Table.Td>
              )}
              <EntryCells account={account} of={entry} />
            </Table.Tr>
          ))}
        </Rows>
      )}
      <More query={list} />
      {removing && (
        <Removal
          account={account}
          ids={[...chosen]}
          onDone={() => {
            setChosen(new Set());
            void client.invalidateQueries({ queryKey: [account, 'allow-list'] });
          }}
          onClose={() => setRemoving(false)}
        />
      )}
    </Stack>
  );
}

function EntryCells({ account, of: { device_id, device, labels, added_at } }: { account: string; of: Entry }) {
  const mayLook = useMay()('getDevice', account);
  return (
    <>
      <Table.Td>
        {device !== null && mayLook ? (
          <Anchor component={Link} href={`/accounts/${account}/devices/${device.uuid}`}>
            <DeviceId id={device_id} />
          </Anchor>
        ) : (
          <DeviceId id={device_id} />
        )}
      </Table.Td>
      <Table.Td>{device === null ? said.notJoined : <StateBadge state={device.state} />}</Table.Td>
      <Table.Td>
        <Ago at={device?.last_seen} />
      </Table.Td>
      <Table.Td>
        <Text size="sm">
          {Object.entries(labels)
            .map(([name, value]) => `${name}: ${value}`)
            .join(', ')}
        </Text>
      </Table.Td>
      <Table.Td>
        <Ago at={added_at} />
      </Table.Td>
    </>
  );
}

/** Devices that have joined stay; the rest may not join any more. */
function Removal({
  account,
  ids,
  onDone,
  onClose,
}: {
  account: string;
  ids: readonly string[];
  onDone: () => void;
  onClose: () => void;
}) {
  const call = (query: { dry_run: true } | { confirm: number }) =>
    answerOf(
      api.POST('/api/v1/accounts/{account}/allow-list/remove', {
        params: { path: { account }, query },
        body: { device_ids: [...ids] },
      }),
    );
  return (
    <Destructive
      title={said.removeCount(ids.length)}
      about={said.removeAbout}
      typed={ids.length === 1 ? ids[0]! : String(ids.length)}
      preview={() => call({ dry_run: true }) as Promise<Impact>}
      act={(confirm) => call({ confirm })}
      onDone={onDone}
      onClose={onClose}
    />
  );
}
