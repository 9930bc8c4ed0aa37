// Whether the server is well: its keys' custodians, its database, and what else it says of itself.

import { Anchor, Group, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { IconAlertTriangle, IconCircleCheck } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { answerOf, api } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Ago } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';
import { Card } from './card.tsx';

/** What /readyz tells (src/operator/readiness.ts). */
interface Readiness {
  readonly status: string;
  readonly faults?: readonly {
    readonly part: string;
    readonly reason: string;
    readonly since: string;
    readonly custodian?: string;
    readonly account?: string;
  }[];
}

const said = texts.overview.health;
/** What is said to be well where nothing is said of it. */
const always = ['custody', 'database'] as const;
const nameOf = (part: string): string => said.parts[part as keyof typeof said.parts] ?? part;

export function Health({ account }: { account: string }) {
  const may = useMay();
  const readiness = useQuery({
    queryKey: [account, 'readiness'],
    refetchInterval: 15_000,
    queryFn: () => answerOf(api.GET('/readyz')) as unknown as Promise<Readiness>,
  });
  const custody = may('listKeys') ? '/server/custody' : null;
  return (
    <Card title={said.title}>
      <Asked query={readiness}>
        {({ faults = [] }) => (
          <ul className="lines">
            {always
              .filter((part) => !faults.some((fault) => fault.part === part))
              .map((part) => (
                <Part key={part} well to={part === 'custody' ? custody : null} name={nameOf(part)}>
                  {said.well}
                </Part>
              ))}
            {faults.map(({ part, reason, since, custodian, account: whose }) => (
              <Part
                key={`${part} ${custodian} ${whose} ${since}`}
                well={false}
                to={part === 'custody' || part === 'master_key' ? custody : null}
                name={[nameOf(part), custodian, whose].filter(Boolean).join(' · ')}
              >
                {reason} ({said.since} <Ago at={since} />)
              </Part>
            ))}
          </ul>
        )}
      </Asked>
    </Card>
  );
}

function Part({ well, name, to, children }: { well: boolean; name: string; to: string | null; children: ReactNode }) {
  return (
    <li>
      <Group gap="xs" wrap="nowrap" align="flex-start">
        {well ? (
          <IconCircleCheck size={20} aria-hidden className="health-well" />
        ) : (
          <IconAlertTriangle size={20} aria-hidden className="health-amiss" />
        )}
        <Text size="sm" className="feed-line">
          {to === null ? (
            name
          ) : (
            <Anchor component={Link} href={to} inherit underline="always">
              {name}
            </Anchor>
          )}
          {': '}
          {children}
        </Text>
      </Group>
    </li>
  );
}
