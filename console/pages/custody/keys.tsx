// The keys in custody: what for, where each lies, what uses it; and whether each of them signs.

import { Alert, Button, Group, List, Stack, Table, Text, TextInput, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Schema } from '../../api/client.ts';
import { useAddress } from '../../parts/address.ts';
import { Asked } from '../../parts/asked.tsx';
import { Copy } from '../../parts/copy.tsx';
import { Empty } from '../../parts/empty.tsx';
import { Failure } from '../../parts/failure.tsx';
import { More } from '../../parts/more.tsx';
import { Rows } from '../../parts/rows.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { Said } from '../../parts/said.tsx';
import { texts } from '../../texts.ts';

type Key = Schema<'Key'>;
/** How many are shown at first, and more at a time: the API tells all of them at once. */
const shownAtOnce = 100;

const accountOf = ({ account, account_name }: Key): string =>
  account === '' ? texts.custody.accountNone : (account_name ?? texts.custody.accountGone);

/** Of a Fleet Root CA or a gateway CA. */
const stateOf = (state: string): string =>
  ({ ...texts.states, ...texts.settings.gatewayCas.states } as Readonly<Record<string, string>>)[state] ?? state;

export function Keys() {
  const [wanted, want] = useAddress('key');
  const [shown, setShown] = useState(shownAtOnce);
  const query = useQuery({
    queryKey: ['/server', 'custody', 'keys'],
    queryFn: () => answerOf(api.GET('/api/v1/custody/keys')),
  });
  const said = texts.custody;
  const fits = (key: Key): boolean =>
    [accountOf(key), key.custodian, key.purpose, said.purposes[key.purpose], key.public_key_sha256].some((text) =>
      text.toLowerCase().includes((wanted ?? '').trim().toLowerCase()),
    );
  return (
    <Stack gap="md">
      <Title order={2}>{said.keys}</Title>
      <Check />
      <TextInput
        label={said.keysFilter}
        description={said.keysFilterAbout}
        value={wanted ?? ''}
        onChange={({ currentTarget: { value } }) => want(value)}
        spellCheck={false}
        maw={480}
      />
      <Asked query={query}>
        {(keys) => {
          if (keys.length === 0) return <Empty title={said.keysNone} text={said.keysNoneText} />;
          const found = keys.filter(fits);
          if (found.length === 0) return <Text c="dimmed">{said.keysNoneSo}</Text>;
          return (
            <>
              <Rows
                label={said.keys}
                heads={[
                  said.account,
                  said.purpose,
                  said.custodian,
                  said.state,
                  said.exportable,
                  said.usedBy,
                  said.publicKey,
                ]}
              >
                {found.slice(0, shown).map((key) => (
                  <KeyRow key={key.id} of={key} />
                ))}
              </Rows>
              <More
                query={{
                  hasNextPage: found.length > shown,
                  isFetchingNextPage: false,
                  fetchNextPage: () => setShown(shown + shownAtOnce),
                }}
              />
            </>
          );
        }}
      </Asked>
    </Stack>
  );
}

function KeyRow({ of: key }: { of: Key }) {
  const { purpose, custodian, key_type, state, exportable, used_by, public_key_sha256 } = key;
  const said = texts.custody;
  return (
    <Table.Tr>
      <Table.Td>{accountOf(key)}</Table.Td>
      <Table.Td>{said.purposes[purpose]}</Table.Td>
      <Table.Td>
        <span className="mono">{custodian}</span>
        <Text size="sm" c="dimmed">
          {key_type}
        </Text>
      </Table.Td>
      <Table.Td>
        <StateBadge state={state} />
      </Table.Td>
      <Table.Td>{exportable ? said.yes : said.no}</Table.Td>
      <Table.Td>
        {used_by === null ? (
          <Text span inherit c="dimmed">
            {said.unused}
          </Text>
        ) : (
          [said.users[used_by.kind], used_by.name, used_by.state && `(${stateOf(used_by.state)})`]
            .filter(Boolean)
            .join(' ')
        )}
      </Table.Td>
      <Table.Td>
        <Copy value={public_key_sha256} what={said.publicKeyWhat} shown={`${public_key_sha256.slice(0, 16)}…`} />
      </Table.Td>
    </Table.Tr>
  );
}

/** Has every key sign, and says which does not. */
function Check() {
  const checking = useMutation({ mutationFn: () => answerOf(api.POST('/api/v1/custody/check', { body: {} })) });
  const said = texts.custody;
  return (
    <Stack gap="xs">
      <Group>
        <Button variant="default" onClick={() => checking.mutate()} loading={checking.isPending}>
          {said.check}
        </Button>
        <Text size="sm" c="dimmed">
          {said.checkAbout}
        </Text>
      </Group>
      <Failure error={checking.error} />
      {checking.data !== undefined && <CheckSaid check={checking.data} />}
    </Stack>
  );
}

function CheckSaid({ check: { ok, custodians, keys } }: { check: Schema<'CustodyCheck'> }) {
  const said = texts.custody;
  if (ok) {
    return (
      <Alert color="teal" variant="outline" role="status">
        {said.checkOk(keys.length)}
      </Alert>
    );
  }
  return (
    <Alert color="red" variant="outline" role="alert" title={said.checkNotOk}>
      <List size="sm">
        {custodians
          .filter(({ fault }) => fault !== null)
          .map(({ custodian, fault, reason }) => (
            <List.Item key={custodian}>
              <span className="mono">{`${custodian}: ${fault}`}</span> <Said text={reason ?? ''} />
            </List.Item>
          ))}
        {keys
          .filter(({ fault }) => fault !== null)
          .map((key) => (
            <List.Item key={key.id}>
              {accountOf(key)}, {said.purposes[key.purpose]}{' '}
              <span className="mono">{`${key.custodian}: ${key.fault}`}</span> <Said text={key.reason ?? ''} />
            </List.Item>
          ))}
      </List>
    </Alert>
  );
}
