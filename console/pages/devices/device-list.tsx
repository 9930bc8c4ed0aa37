// The devices of an account: found among a million in a moment, and changed together.

import { Button, Group, Text } from '@mantine/core';
import { useMemo } from 'react';
import { Link } from 'wouter';
import { api, type Answer, pageOf } from '../../api/client.ts';
import type { OfAccount } from '../../app.tsx';
import { DeviceId } from '../../parts/device-id.tsx';
import { drawn } from '../../parts/drawn.ts';
import { Empty } from '../../parts/empty.tsx';
import { sayInstant, useZone } from '../../parts/instant.tsx';
import { type Column, LongList } from '../../parts/long-list.tsx';
import { Page } from '../../parts/page.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import { BulkActions } from './bulk-actions.tsx';
import { ExportMenu } from './export-menu.tsx';
import { FilterBar } from './filter-bar.tsx';
import { type Filtering, useCounted, useDeviceFilter } from './filter.ts';

type Listed = Answer<'listDevices'>[number];
/** Rows of a page: enough for some screens, and little to ask for again when something happens. */
const rowsAtOnce = 250;

export function DeviceList({ account }: OfAccount) {
  const filtering = useDeviceFilter();
  const { filter, sort, order, setSort } = filtering;
  const counts = useCounted(account, filter);
  const columns = useColumns(account);
  const total = counts.data?.devices;
  const said = texts.devices;
  return (
    <Page title={said.title} about={said.about} actions={<ExportMenu account={account} filter={filter} />}>
      <FilterBar account={account} filtering={filtering} />
      <Group justify="space-between">
        <Text role="status" fw={600}>
          {total === undefined ? texts.common.loading : said.found(total, filtering.size > 0)}
        </Text>
        <BulkActions account={account} filter={filter} filtered={filtering.size > 0} devices={total ?? 0} />
      </Group>
      <LongList
        label={said.title}
        queryKey={[account, 'devices', 'list', filter, sort, order]}
        ask={(cursor, signal) =>
          pageOf(
            api.GET('/api/v1/accounts/{account}/devices', {
              params: {
                path: { account },
                query: { ...filter, sort, order, limit: rowsAtOnce, ...(cursor !== null && { cursor }) },
              },
              signal,
            }),
          )
        }
        columns={columns}
        total={counts.isPlaceholderData ? undefined : total}
        sorting={{ by: sort, descending: order === 'desc', onSort: setSort }}
        minWidth="74rem"
        empty={<Nothing account={account} filtering={filtering} />}
      />
    </Page>
  );
}

function useColumns(account: string): readonly Column<Listed>[] {
  const [zone] = useZone();
  return useMemo(() => {
    const said = texts.devices;
    const instant = (at: string | null, absent: string = texts.common.none) =>
      at === null ? <span className="none">{absent}</span> : <time dateTime={at}>{sayInstant(at, zone)}</time>;
    return [
      {
        name: 'device_id',
        head: said.deviceId,
        width: 'minmax(12rem, 2fr)',
        sort: 'device_id',
        cell: ({ device_id, uuid }) => (
          <Link href={`/accounts/${account}/devices/${uuid}`} title={drawn(device_id)}>
            <DeviceId id={device_id} />
          </Link>
        ),
      },
      { name: 'state', head: said.state, width: '7.5rem', cell: ({ state }) => <StateBadge state={state} /> },
      { name: 'method', head: said.method, width: '8rem', cell: ({ method }) => said.methods[method] },
      { name: 'root', head: said.fleetRootCa, width: 'minmax(8rem, 1fr)', cell: (row) => row.fleet_root_ca_name },
      {
        name: 'last_seen',
        head: said.lastSeen,
        width: '11.5rem',
        sort: 'last_seen',
        cell: ({ last_seen }) => instant(last_seen, texts.common.never),
      },
      {
        name: 'first_seen',
        head: said.firstSeen,
        width: '11.5rem',
        sort: 'first_seen',
        cell: (row) => instant(row.first_seen),
      },
      {
        name: 'ends',
        head: said.certificateEnds,
        width: '11.5rem',
        sort: 'certificate_not_after',
        cell: (row) => instant(row.certificate_not_after),
      },
      {
        name: 'labels',
        head: said.labels,
        width: 'minmax(8rem, 1fr)',
        cell: ({ labels }) =>
          Object.entries(labels)
            .map(([name, value]) => `${name}: ${value}`)
            .join(', '),
      },
    ];
  }, [account, zone]);
}

/** Where there is no device: none at all, or none that fits. */
function Nothing({ account, filtering: { size, clear } }: { account: string; filtering: Filtering }) {
  const said = texts.devices;
  if (size > 0) {
    return (
      <Empty title={said.noneFits} text={said.noneFitsText}>
        <Button variant="default" onClick={clear}>
          {said.clear}
        </Button>
      </Empty>
    );
  }
  return (
    <Empty title={said.none} text={said.noneText}>
      <Group justify="center">
        <Button component={Link} href={`/accounts/${account}/credentials`}>
          {said.toCredentials}
        </Button>
        <Button component={Link} href={`/accounts/${account}/fleet-root-cas`} variant="default">
          {said.toFleetRootCas}
        </Button>
      </Group>
    </Empty>
  );
}
