// Whether the server is well: its keys' custodians, its database, and what else it says of itself.

import { Anchor, Group, Text } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { type ReadinessFault, useReadiness, whichOf } from '../../api/readiness.ts';
import { useMay } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Ago } from '../../parts/instant.tsx';
import { Said } from '../../parts/said.tsx';
import { texts } from '../../texts.ts';
import { Card } from './card.tsx';

const said = texts.overview.health;
/** What is said to be well where nothing is said of it. */
const always = ['custody', 'database'] as const;
const nameOf = (part: string): string => said.parts[part as keyof typeof said.parts] ?? part;

export function Health({ account }: { account: string }) {
  const may = useMay();
  const readiness = useReadiness(account);
  const server = may('listKeys') ? '/server/custody' : null;
  /** Where more is said of a part. */
  const placeOf = ({ part, account: whose = account }: Pick<ReadinessFault, 'part' | 'account'>): string | null =>
    part === 'owner_trust' ? (may('listFleetRootCas', whose) ? `/accounts/${whose}/fleet-root-cas` : null) : server;
  return (
    <Card title={said.title}>
      <Asked query={readiness}>
        {({ notServing, faults }) => (
          <ul className="lines">
            {notServing !== null ? (
              <Part well={false} to={server} name={said.notServing}>
                <Said text={notServing} />
              </Part>
            ) : (
              always
                .filter((part) => !faults.some((fault) => fault.part === part))
                .map((part) => (
                  <Part key={part} well to={server} name={nameOf(part)}>
                    {said.well}
                  </Part>
                ))
            )}
            {faults.map((fault) => (
              <Part
                key={JSON.stringify(fault)}
                well={false}
                to={placeOf(fault)}
                name={[nameOf(fault.part), whichOf(fault)].filter((text) => text !== null).join(' · ')}
              >
                <Said text={fault.reason} /> ({said.since} <Ago at={fault.since} />)
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
