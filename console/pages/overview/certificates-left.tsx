// Devices whose certificate has ended, or ends soon.

import type { Answer } from '../../api/client.ts';
import { texts } from '../../texts.ts';
import type { Activity } from './activity.ts';
import { Card, Line, Lines } from './card.tsx';

const said = texts.overview;
const day = 86_400_000;

/** `at` is when they were counted. */
export function CertificatesLeft({
  account,
  counts,
  activity,
  at,
}: {
  account: string;
  counts: Answer<'countDevices'>;
  activity: Activity | undefined;
  at: number;
}) {
  const list = (from: number | null, before: number): string => {
    const filter = new URLSearchParams();
    if (from !== null) filter.set('certificate_expires_after', new Date(from).toISOString());
    filter.set('certificate_expires_before', new Date(before).toISOString());
    return `/accounts/${account}/devices?${filter.toString()}`;
  };
  return (
    <Card title={said.certificates} about={said.certificatesAbout}>
      <Lines>
        <Line to={list(null, at)} label={said.expired} number={counts.expired} />
        {activity && (
          <>
            <Line to={list(at, at + day)} label={said.expiringIn(1)} number={activity.expiring_1_day} />
            <Line to={list(at, at + 7 * day)} label={said.expiringIn(7)} number={activity.expiring_7_days} />
          </>
        )}
        <Line to={list(at, at + 30 * day)} label={said.expiringIn(30)} number={counts.expiring} />
      </Lines>
    </Card>
  );
}
