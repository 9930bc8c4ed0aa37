// Where one is signed in, and the end of that.

import { Badge, Button, Table } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Schema } from '../../api/client.ts';
import { useSession } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Ago } from '../../parts/instant.tsx';
import { Rows } from '../../parts/rows.tsx';
import { Section } from '../../parts/section.tsx';
import { TypedConfirmation } from '../../parts/typed-confirmation.tsx';
import { texts } from '../../texts.ts';

export function OwnSessions() {
  const said = texts.login;
  const client = useQueryClient();
  const { signedOut } = useSession();
  const sessions = useQuery({
    queryKey: ['own', 'sessions'],
    queryFn: () => answerOf(api.GET('/api/v1/session/sessions')),
    staleTime: 0,
  });
  const [ending, setEnding] = useState<Schema<'OwnSession'> | null>(null);
  return (
    <Section title={said.sessions} about={said.sessionsAbout}>
      <Asked query={sessions} lines={2}>
        {(list) => (
          <Rows
            label={said.sessions}
            heads={[said.browser, said.address, said.how, said.lastUsed, said.ends, said.actions]}
          >
            {list.map((session) => {
              const { id, present, method, address, user_agent, last_used_at, expires_at } = session;
              return (
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
                      onClick={() => setEnding(session)}
                      aria-label={said.endOf(browserOf(user_agent))}
                    >
                      {said.end}
                    </Button>
                  </Table.Td>
                </Table.Tr>
              );
            })}
          </Rows>
        )}
      </Asked>
      {ending !== null && (
        <TypedConfirmation
          title={said.endOf(browserOf(ending.user_agent))}
          about={ending.present ? said.endPresentAbout : said.endAbout}
          typed={browserOf(ending.user_agent)}
          act={() =>
            answerOf(api.DELETE('/api/v1/session/sessions/{session}', { params: { path: { session: ending.id } } }))
          }
          // Whoever ends the one that they work in has signed out.
          onDone={() =>
            ending.present ? signedOut() : void client.invalidateQueries({ queryKey: ['own', 'sessions'] })
          }
          onClose={() => setEnding(null)}
        />
      )}
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
