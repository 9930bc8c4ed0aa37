// The operators of an account: who may do what in it.

import { Alert, Badge, Button, Group, Table, Text } from '@mantine/core';
import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Impact, pageOf, type Schema } from '../../api/client.ts';
import { useMay, useSession } from '../../api/session.tsx';
import type { OfAccount } from '../../app.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Destructive, type DestructiveProps } from '../../parts/destructive.tsx';
import { Empty } from '../../parts/empty.tsx';
import { More } from '../../parts/more.tsx';
import { Page } from '../../parts/page.tsx';
import { Rows } from '../../parts/rows.tsx';
import { texts } from '../../texts.ts';
import { InvitationLink, type Invited } from './invitation-link.tsx';
import { InviteMember } from './invite-member.tsx';
import { type AccountRole, accountRoles } from './role-choice.tsx';
import { RowMenu } from './row-menu.tsx';

type Member = Schema<'Member'>;
type Grave = Omit<DestructiveProps, 'onClose' | 'onDone'>;

export function Members({ account }: OfAccount) {
  const may = useMay();
  const client = useQueryClient();
  const { session, refresh } = useSession();
  const [inviting, setInviting] = useState(false);
  const [invited, setInvited] = useState<Invited | null>(null);
  const [known, setKnown] = useState<Member | null>(null);
  const [grave, setGrave] = useState<(Grave & { operator: string }) | null>(null);
  const said = texts.operators;
  const query = useInfiniteQuery({
    queryKey: [account, 'operators'],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam: cursor }) =>
      pageOf(
        api.GET('/api/v1/accounts/{account}/operators', {
          params: { path: { account }, query: { limit: 200, ...(cursor !== null && { cursor }) } },
        }),
      ),
    getNextPageParam: ({ next }) => next,
  });
  const askAgain = () => client.invalidateQueries({ queryKey: [account, 'operators'] });

  const invite = may('inviteAccountOperator', account) ? (
    <Button onClick={() => setInviting(true)}>{said.invite}</Button>
  ) : null;
  const actionsFor = (member: Member) => [
    ...(may('grantAccountRole', account)
      ? accountRoles
          .filter((role) => role !== member.role)
          .map((role) => ({
            label: said.change(said.roleNames[role]),
            act: () => setGrave({ operator: member.id, ...changeOf(account, member, role) }),
          }))
      : []),
    ...(may('withdrawAccountRole', account)
      ? [
          {
            label: said.withdraw,
            grave: true,
            act: () => setGrave({ operator: member.id, ...withdrawalOf(account, member) }),
          },
        ]
      : []),
  ];
  const mayChange = may('grantAccountRole', account) || may('withdrawAccountRole', account);

  return (
    <Page title={said.title} about={said.aboutAccount} actions={invite}>
      {known !== null && (
        <Alert
          color="teal"
          variant="outline"
          role="status"
          withCloseButton
          closeButtonLabel={texts.common.close}
          onClose={() => setKnown(null)}
        >
          {said.known(known.name, said.roleNames[known.role])}
        </Alert>
      )}
      <Asked query={query}>
        {({ pages }) => {
          const members = pages.flatMap(({ rows }) => rows);
          if (members.length === 0) {
            return (
              <Empty title={said.none} text={said.noneText}>
                {invite}
              </Empty>
            );
          }
          return (
            <>
              <Rows label={said.list} heads={[said.name, said.role, said.state, ...(mayChange ? [said.actions] : [])]}>
                {members.map((member) => (
                  <Table.Tr key={member.id}>
                    <Table.Td>
                      {member.name}
                      {member.id === session?.id && (
                        <Text span size="sm" c="dimmed">
                          {` (${said.you})`}
                        </Text>
                      )}
                    </Table.Td>
                    <Table.Td>
                      {said.roleNames[member.role]}
                      <Text size="sm" c="dimmed">
                        {said.roleAbout[member.role]}
                      </Text>
                    </Table.Td>
                    <Table.Td>
                      <Group gap={4}>
                        <Badge variant="outline" color={member.disabled ? 'red' : 'teal'}>
                          {member.disabled ? said.states.disabled : said.states.active}
                        </Badge>
                        {member.single_sign_on && (
                          <Badge variant="outline" color="gray">
                            {said.singleSignOn}
                          </Badge>
                        )}
                      </Group>
                      {member.single_sign_on && <Text size="sm">{said.singleSignOnAbout}</Text>}
                    </Table.Td>
                    {mayChange && (
                      <Table.Td>
                        {!member.single_sign_on && (
                          <RowMenu label={said.actionsFor(member.name)} actions={actionsFor(member)} />
                        )}
                      </Table.Td>
                    )}
                  </Table.Tr>
                ))}
              </Rows>
              <More query={query} />
            </>
          );
        }}
      </Asked>
      {inviting && (
        <InviteMember
          account={account}
          onClose={() => setInviting(false)}
          onInvited={({ invitation, ...member }) => {
            setInviting(false);
            if (invitation === null) setKnown(member);
            else setInvited({ name: member.name, invitation });
            void askAgain();
          }}
        />
      )}
      {invited !== null && <InvitationLink invited={invited} onClose={() => setInvited(null)} />}
      {grave !== null && (
        <Destructive
          {...grave}
          onClose={() => setGrave(null)}
          onDone={() => {
            void askAgain();
            // What one may oneself may be another thing from now on.
            if (grave.operator === session?.id) void refresh();
          }}
        />
      )}
    </Page>
  );
}

function changeOf(account: string, { id, name }: Member, role: AccountRole): Grave {
  const said = texts.operators;
  const call = (query: { dry_run?: boolean; confirm?: number }) =>
    answerOf(
      api.PUT('/api/v1/accounts/{account}/operators/{operator}', {
        params: { path: { account, operator: id }, query },
        body: { role },
      }),
    );
  return {
    title: said.make(name, said.roleNames[role]),
    about: said.makeAbout(said.roleAbout[role]),
    typed: name,
    preview: () => call({ dry_run: true }) as Promise<Impact>,
    act: (confirm) => call({ confirm }),
  };
}

function withdrawalOf(account: string, { id, name }: Member): Grave {
  const call = (query: { dry_run?: boolean; confirm?: number }) =>
    answerOf(
      api.DELETE('/api/v1/accounts/{account}/operators/{operator}', {
        params: { path: { account, operator: id }, query },
      }),
    );
  return {
    title: texts.operators.withdrawOf(name),
    about: texts.operators.withdrawAbout,
    typed: name,
    preview: () => call({ dry_run: true }) as Promise<Impact>,
    act: (confirm) => call({ confirm }),
  };
}
