// How many devices came, by the minute, hour or day.

import { SegmentedControl } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import { useMemo } from 'react';
import { Asked } from '../../parts/asked.tsx';
import { Chart, type Step } from '../../parts/chart.tsx';
import { texts } from '../../texts.ts';
import { type Activity, steps } from './activity.ts';
import { Card } from './card.tsx';

const said = texts.overview;

export function Provisioned({
  account,
  activity,
  step,
  onStep,
}: {
  account: string;
  activity: UseQueryResult<Activity>;
  step: Step;
  onStep: (step: Step) => void;
}) {
  return (
    <Card
      title={said.provisioned}
      about={said.spans[step]}
      beside={
        <SegmentedControl
          aria-label={said.step}
          data={steps.map((each) => ({ value: each, label: said.steps[each] }))}
          value={step}
          onChange={onStep}
          transitionDuration={0}
        />
      }
    >
      <Asked query={activity} lines={8}>
        {(data) => <ActivityChart account={account} activity={data} />}
      </Asked>
    </Card>
  );
}

function ActivityChart({ account, activity: { step, buckets } }: { account: string; activity: Activity }) {
  const { at, added, refused } = useMemo(
    () => ({
      at: buckets.map((bucket) => Date.parse(bucket.at)),
      added: buckets.map((bucket) => bucket.added),
      refused: buckets.map((bucket) => bucket.refused),
    }),
    [buckets],
  );
  const sum = (counts: readonly number[]): number => counts.reduce((all, each) => all + each, 0);
  return (
    <Chart
      summary={said.chart.summary(said.spans[step], sum(added), sum(refused))}
      step={step}
      at={at}
      bars={{
        name: said.chart.added,
        counts: added,
        list: (from, until) =>
          `/accounts/${account}/devices?${spanOf(['first_seen_after', from], ['first_seen_before', until])}`,
      }}
      line={{
        name: said.chart.refused,
        counts: refused,
        list: (from, until) => `/accounts/${account}/refusals?${spanOf(['since', from], ['until', until])}`,
      }}
    />
  );
}

/** A span of time as an address has it. */
const spanOf = (...ends: readonly (readonly [name: string, at: number])[]): string =>
  new URLSearchParams(ends.map(([name, at]) => [name, new Date(at).toISOString()])).toString();
