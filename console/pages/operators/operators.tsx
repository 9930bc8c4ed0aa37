// The operators of the server, for its administrators: who can sign in, and by what.

import { Button } from '@mantine/core';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, pageOf, type Schema } from '../../api/client.ts';
import { useMay, useSession } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Destructive, type DestructiveProps } from '../../parts/destructive.tsx';
import { Failure } from '../../parts/failure.tsx';
import { More } from '../../parts/more.tsx';
import { Page } from '../../parts/page.tsx';
import { Rows } from '../../parts/rows.tsx';
import { texts } from '../../texts.ts';
import { InvitationLink, type Invited } from './invitation-link.tsx';
import { NewOperator } from './new-operator.tsx';
import { changeOperator, deletion, demotion, disabling, promotion, reset, sessionsEnd } from './operator-acts.ts';
import { OperatorRow } from './operator-row.tsx';
import type { RowAction } from './row-menu.tsx';

type Operator = Schema<'Operator'>;

export function Operators() {
  const may = useMay();
  const client = useQueryClient();
  const { session, refresh } = useSession();
  const [creating, setCreating] = useState(false);
  const [invited, setInvited] = useState<Invited | null>(null);
  const [grave, setGrave] = useState<(Omit<DestructiveProps, 'onClose'> & { operator: string }) | null>(null);
  const said = texts.operators;
  const query = useInfiniteQuery({
    queryKey: ['/server', 'operators'],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam: cursor }) =>
      pageOf(api.GET('/api/v1/operators', { params: { query: { limit: 200, ...(cursor !== null && { cursor }) } } })),
    getNextPageParam: ({ next }) => next,
  });
  const askAgain = () => client.invalidateQueries({ queryKey: ['/server', 'operators'] });
  const enabling = useMutation({
    mutationFn: (operator: Operator) => changeOperator(operator, { disabled: false }),
    onSuccess: askAgain,
  });

  const tell = ({ name, invitation }: Schema<'InvitedOperator'>) => {
    if (invitation !== null) setInvited({ name, invitation });
  };
  const actionsFor = (operator: Operator): RowAction[] => {
    const item = (label: string, act: Omit<DestructiveProps, 'onClose' | 'onDone'>): RowAction => ({
      label,
      grave: true,
      act: () => setGrave({ operator: operator.id, ...act }),
    });
    return [
      ...(may('updateOperator')
        ? [
            operator.administrator
              ? item(said.demote, demotion(operator))
              : { ...item(said.promote, promotion(operator)), grave: false },
            operator.disabled
              ? { label: said.enable, act: () => enabling.mutate(operator) }
              : item(said.disable, disabling(operator)),
          ]
        : []),
      ...(may('resetOperator') ? [item(said.reset, reset(operator, tell))] : []),
      ...(may('endSessionsOfOperator') ? [item(said.endSessions, sessionsEnd(operator))] : []),
      ...(may('deleteOperator') ? [item(said.delete, deletion(operator))] : []),
    ];
  };

  return (
    <Page
      title={said.titleServer}
      about={said.aboutServer}
      actions={may('createOperator') ? <Button onClick={() => setCreating(true)}>{said.create}</Button> : null}
    >
      <Failure error={enabling.error} />
      <Asked query={query}>
        {({ pages }) => (
          <>
            <Rows
              label={said.list}
              heads={[said.name, said.state, said.roles, said.factors, said.lastSignIn, said.actions]}
            >
              {pages
                .flatMap(({ rows }) => rows)
                .map((operator) => (
                  <OperatorRow
                    key={operator.id}
                    operator={operator}
                    own={operator.id === session?.id}
                    actions={actionsFor(operator)}
                  />
                ))}
            </Rows>
            <More query={query} />
          </>
        )}
      </Asked>
      {creating && (
        <NewOperator
          onClose={() => setCreating(false)}
          onMade={(operator) => {
            setCreating(false);
            tell(operator);
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
            if (grave.operator === session?.id) void refresh();
          }}
        />
      )}
    </Page>
  );
}
