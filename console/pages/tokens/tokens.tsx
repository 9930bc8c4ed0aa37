// Tokens, of an account or of the server: what for, what they may, when they were last used, when they end.

import { Alert, Badge, Button, List, Stack, Table, Text } from '@mantine/core';
import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import type { Schema } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { Empty } from '../../parts/empty.tsx';
import { Ago } from '../../parts/instant.tsx';
import { More } from '../../parts/more.tsx';
import { Page } from '../../parts/page.tsx';
import { Rows } from '../../parts/rows.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import { MadeToken } from './made-token.tsx';
import { NewToken } from './new-token.tsx';
import { type Token, tokenCalls } from './token-calls.ts';

/** Tokens that end so soon are told of, in milliseconds. */
const soon = 14 * 86_400_000;
const endsSoon = ({ state, not_after }: Token): boolean =>
  state === 'active' && Date.parse(not_after) - Date.now() < soon;

/** `account` is null for the server, with the tokens of all accounts. */
export function Tokens({ account }: { account: string | null }) {
  const calls = useMemo(() => tokenCalls(account), [account]);
  const { key } = calls;
  const may = useMay();
  const client = useQueryClient();
  const [creating, setCreating] = useState(false);
  const [made, setMade] = useState<Schema<'MadeToken'> | null>(null);
  const [revoking, setRevoking] = useState<Token | null>(null);
  const said = texts.tokens;
  const query = useInfiniteQuery({
    queryKey: key,
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) => calls.list(pageParam),
    getNextPageParam: ({ next }) => next,
  });
  const askAgain = () => client.invalidateQueries({ queryKey: key });
  const mayRevoke = may(calls.revoking, account ?? undefined);
  const create = may(calls.making, account ?? undefined) ? (
    <Button onClick={() => setCreating(true)}>{said.create}</Button>
  ) : null;
  const heads = [
    said.description,
    ...(account === null ? [said.account] : []),
    said.role,
    said.state,
    said.lastUsed,
    said.ends,
    said.madeBy,
    ...(mayRevoke ? [texts.operators.actions] : []),
  ];

  return (
    <Page
      title={account === null ? said.titleServer : said.title}
      about={account === null ? said.aboutServer : said.aboutAccount}
      actions={create}
    >
      <Asked query={query}>
        {({ pages }) => {
          const tokens = pages.flatMap(({ rows }) => rows);
          if (tokens.length === 0) {
            return (
              <Empty title={said.none} text={account === null ? said.noneServerText : said.noneText}>
                {create}
              </Empty>
            );
          }
          return (
            <>
              <Ending tokens={tokens.filter(endsSoon)} />
              <Rows label={said.list} heads={heads}>
                {tokens.map((token) => (
                  <TokenRow
                    key={token.id}
                    token={token}
                    ofServer={account === null}
                    onRevoke={mayRevoke ? () => setRevoking(token) : null}
                  />
                ))}
              </Rows>
              <More query={query} />
            </>
          );
        }}
      </Asked>
      {creating && (
        <NewToken
          calls={calls}
          onClose={() => setCreating(false)}
          onMade={(token) => {
            setCreating(false);
            setMade(token);
            void askAgain();
          }}
        />
      )}
      {made !== null && <MadeToken made={made} onClose={() => setMade(null)} />}
      {revoking !== null && (
        <Destructive
          title={said.revokeOf(revoking.description)}
          about={said.revokeAbout}
          typed={revoking.description}
          preview={() => calls.weigh(revoking.id)}
          act={(confirm) => calls.revoke(revoking.id, confirm)}
          onClose={() => setRevoking(null)}
          onDone={() => void askAgain()}
        />
      )}
    </Page>
  );
}

function Ending({ tokens }: { tokens: readonly Token[] }) {
  const said = texts.tokens;
  if (tokens.length === 0) return null;
  return (
    <Alert color="yellow" variant="outline" title={said.endingTitle(tokens.length)}>
      <Stack gap="xs">
        <Text size="sm">{said.endingText}</Text>
        <List size="sm">
          {tokens.map(({ id, description, not_after }) => (
            <List.Item key={id}>
              {description}: <Ago at={not_after} />
            </List.Item>
          ))}
        </List>
      </Stack>
    </Alert>
  );
}

function TokenRow({ token, ofServer, onRevoke }: { token: Token; ofServer: boolean; onRevoke: (() => void) | null }) {
  const { description, account_name, role, state, last_used_at, last_address, not_after, made_by } = token;
  const said = texts.tokens;
  return (
    <Table.Tr>
      <Table.Td>{description}</Table.Td>
      {ofServer && <Table.Td>{account_name ?? said.server}</Table.Td>}
      <Table.Td>{texts.operators.roleNames[role]}</Table.Td>
      <Table.Td>
        <StateBadge state={state} />
      </Table.Td>
      <Table.Td>
        <Ago at={last_used_at} />
        {last_address !== null && (
          <Text size="sm" className="mono">
            {said.from(last_address)}
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        <Ago at={not_after} />{' '}
        {endsSoon(token) && (
          <Badge color="yellow" variant="outline" className="state-badge">
            {said.endsSoon}
          </Badge>
        )}
      </Table.Td>
      <Table.Td>{made_by.name}</Table.Td>
      {onRevoke !== null && (
        <Table.Td>
          <Button variant="default" size="compact-sm" onClick={onRevoke} aria-label={said.revokeOf(description)}>
            {said.revoke}
          </Button>
        </Table.Td>
      )}
    </Table.Tr>
  );
}
