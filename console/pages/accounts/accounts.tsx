// The accounts that one may see: their kind, where their devices call, how many those are; and another account.

import { Anchor, Badge, Button, Group, Modal, Table } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useLocation } from 'wouter';
import { api, pageOf, type Schema } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Copy } from '../../parts/copy.tsx';
import { Empty } from '../../parts/empty.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Instant } from '../../parts/instant.tsx';
import { Page } from '../../parts/page.tsx';
import { Rows } from '../../parts/rows.tsx';
import { texts } from '../../texts.ts';
import { AccountForm } from './account-form.tsx';

type Account = Schema<'Account'>;
/** How many are asked for at once. */
const limit = 100;

export function Accounts() {
  const said = texts.accounts;
  const may = useMay();
  const [, go] = useLocation();
  const [making, { open, close }] = useDisclosure();
  const { data, error, isPending, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: ['/server', 'accounts'],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) =>
      pageOf(
        api.GET('/api/v1/accounts', { params: { query: { limit, ...(pageParam !== null && { cursor: pageParam }) } } }),
      ),
    getNextPageParam: ({ next }) => next,
  });
  const accounts = data?.pages.flatMap(({ rows }) => rows) ?? [];
  const none = !isPending && error === null && accounts.length === 0;
  return (
    <Page
      title={said.title}
      about={said.about}
      actions={may('createAccount') && !none && <Button onClick={open}>{said.create}</Button>}
    >
      <Failure error={error} title={texts.common.notRead} />
      {none &&
        (may('createAccount') ? (
          <Empty title={said.none} text={said.noneText}>
            <Button onClick={open}>{said.createFirst}</Button>
          </Empty>
        ) : (
          <Empty title={said.noneMine} text={said.noneMineText} />
        ))}
      {accounts.length > 0 && (
        <Rows label={said.list} heads={[said.name, said.kind, said.devices, said.gateway, said.madeAt]}>
          {accounts.map((account) => (
            <AccountRow key={account.id} account={account} />
          ))}
        </Rows>
      )}
      {hasNextPage && (
        <Group>
          <Button variant="default" onClick={() => void fetchNextPage()} loading={isFetchingNextPage}>
            {texts.common.more}
          </Button>
        </Group>
      )}
      <Modal opened={making} onClose={close} title={said.create} size="lg">
        <AccountForm onMade={(name) => go(`/welcome/${name}`)}>
          <Button variant="default" onClick={close}>
            {texts.common.cancel}
          </Button>
        </AccountForm>
      </Modal>
    </Page>
  );
}

function AccountRow({ account: { name, kind, gateway_url, created_at, fleet_root_cas } }: { account: Account }) {
  const said = texts.accounts;
  const may = useMay();
  // To the factory's people the list has no Fleet Root CAs, by which devices are counted.
  const devices = may('getAccount', name) ? fleet_root_cas.reduce((sum, { devices: some }) => sum + some, 0) : null;
  return (
    <Table.Tr>
      <Table.Td miw="9rem">
        <Anchor component={Link} href={`/accounts/${name}`} fw={600}>
          {name}
        </Anchor>
      </Table.Td>
      <Table.Td>
        <Badge variant="outline" color={kind === 'production' ? 'cyan' : 'gray'} miw="max-content">
          {said.kinds[kind]}
        </Badge>
      </Table.Td>
      <Table.Td>
        <Anchor component={Link} href={`/accounts/${name}/devices`} aria-label={said.devicesOf(name, devices)}>
          {devices === null ? said.devices : texts.number(devices)}
        </Anchor>
      </Table.Td>
      <Table.Td miw="20rem">
        <Copy value={gateway_url} what={said.gatewayWhat(name)} />
      </Table.Td>
      <Table.Td miw="8rem">
        <Instant at={created_at} />
      </Table.Td>
    </Table.Tr>
  );
}
