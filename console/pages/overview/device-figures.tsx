// Devices by state and by when they were here, each number leading to its list.

import { Title } from '@mantine/core';
import type { Answer } from '../../api/client.ts';
import { texts } from '../../texts.ts';
import { Figure } from './card.tsx';

const said = texts.overview;
const states = ['active', 'pending', 'suspended', 'revoked'] as const;

/** `at` is when `seen`, how many were here within five minutes, was counted. */
export function DeviceFigures({
  account,
  counts,
  seen,
  at,
}: {
  account: string;
  counts: Answer<'countDevices'>;
  seen: number | undefined;
  at: number;
}) {
  const devices = `/accounts/${account}/devices`;
  const since = encodeURIComponent(new Date(at - 5 * 60_000).toISOString());
  return (
    <section aria-labelledby="overview-devices">
      <Title order={2} id="overview-devices" className="visually-hidden">
        {said.devices}
      </Title>
      <ul className="figures">
        <Figure label={said.allDevices} number={counts.devices} to={devices} />
        {seen !== undefined && (
          <Figure
            label={said.online}
            about={said.onlineAbout}
            number={seen}
            to={`${devices}?last_seen_after=${since}`}
          />
        )}
        {states.map((state) => (
          <Figure
            key={state}
            label={texts.states[state]}
            number={counts.states[state]}
            to={`${devices}?state=${state}`}
          />
        ))}
        <Figure label={said.neverSeen} number={counts.never_seen} to={`${devices}?never_seen=true`} />
      </ul>
    </section>
  );
}
