// Where one is signed in, and the end of that.

import { Badge, Button, Table } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { answerOf, api } from '../../api/client.ts';
import { useSession } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Ago } from '../../parts/instant.tsx';
import { Rows } from '../../parts/rows.tsx';
import { texts } from '../../texts.ts';
import { Section } from './section.tsx';

export function OwnSessions() {
  const said = texts.login;
  const client = useQueryClient();
  const { refresh } = useSession();
  const sessions = useQuery({
    queryKey: ['own', 'sessions'],
    queryFn: () => answerOf(api.GET('/api/v1/session/sessions')),
    staleTime: 0,
  });
  const ending = useMutation({
    mutationFn: (session: string) =>
      answerOf(api.DELETE('/api/v1/session/sessions/{session}', { params: { path: { session } } })),
    // Whoever ends the one that they work in has signed out.
    onSuccess: ({ present }) => (present ? refresh() : client.invalidateQueries({ queryKey: ['own', 'sessions'] })),
  });
  return (
    <Section title={said.sessions} about={said.sessionsAbout}>
      <Failure error={ending.error} />
      <Asked query={sessions} lines={2}>
        {(list) => (
          <Rows
            label={said.sessions}
            heads={[said.browser, said.address, said.how, said.lastUsed, said.ends, said.actions]}
          >
            {list.map(({ id, present, method, address, user_agent, last_used_at, expires_at }) => (
              <Table.Tr key={id}>
                <Table.Td miw="9rem">
                  {browserOf(user_agent)}{' '}
                  {present && (
                    <Badge variant="outline" color="teal" miw="max-content">
                      {said.present}
                    </Badge>
                  )}
                </Table.Td>
                <Table.Td className="mono" miw="7rem">
                  {address}
                </Table.Td>
                <Table.Td miw="8rem">{said.methods[method]}</Table.Td>
                <Table.Td miw="7rem">
                  <Ago at={last_used_at} />
                </Table.Td>
                <Table.Td miw="7rem">
                  <Ago at={expires_at} />
                </Table.Td>
                <Table.Td>
                  <Button
                    variant="default"
                    size="compact-sm"
                    onClick={() => ending.mutate(id)}
                    loading={ending.isPending && ending.variables === id}
                    aria-label={said.endOf(browserOf(user_agent))}
                  >
                    {said.end}
                  </Button>
                </Table.Td>
              </Table.Tr>
            ))}
          </Rows>
        )}
      </Asked>
    </Section>
  );
}

/** A browser's name, its version and its system, of all that it says of itself. */
function browserOf(agent: string | null): string {
  if (agent === null) return texts.login.unknownBrowser;
  const [, name, version] =
    /(Firefox|Edg|OPR|curl|fleetroot)\/(\d+)/.exec(agent) ?? /(Chrome|Version)\/(\d+)/.exec(agent) ?? [];
  const [, system] = /\(([^;)]+)/.exec(agent) ?? [];
  const known = name === 'Version' ? 'Safari' : name === 'Edg' ? 'Edge' : name === 'OPR' ? 'Opera' : name;
  return [known ? `${known} ${version}` : agent.slice(0, 40), known ? system : undefined].filter(Boolean).join(', ');
}
