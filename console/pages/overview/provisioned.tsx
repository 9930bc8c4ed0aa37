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
  activity,
  step,
  onStep,
}: {
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
        {(data) => <ActivityChart activity={data} />}
      </Asked>
    </Card>
  );
}

function ActivityChart({ activity: { step, buckets } }: { activity: Activity }) {
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
      bars={{ name: said.chart.added, counts: added }}
      line={{ name: said.chart.refused, counts: refused }}
    />
  );
}
