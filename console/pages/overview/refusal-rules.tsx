// Why devices were turned away in the last day.

import { Text } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import { Asked } from '../../parts/asked.tsx';
import { Said } from '../../parts/said.tsx';
import { texts } from '../../texts.ts';
import type { Activity } from './activity.ts';
import { Card, Line, Lines } from './card.tsx';

const said = texts.overview;

export function RefusalRules({ account, activity }: { account: string; activity: UseQueryResult<Activity> }) {
  return (
    <Card title={said.refusals} about={said.refusalsAbout}>
      <Asked query={activity}>
        {({ refusals_by_code: codes }) =>
          codes.length === 0 ? (
            <Text size="sm">{said.noRefusals}</Text>
          ) : (
            <Lines>
              {codes.map(({ code, rule, count }) => (
                <Line
                  key={code}
                  to={`/accounts/${account}/refusals?code=${encodeURIComponent(code)}&within=day`}
                  label={
                    <>
                      <span className="mono">{code}</span> <Said text={said.rule(rule, count)} />
                    </>
                  }
                  number={count}
                />
              ))}
            </Lines>
          )
        }
      </Asked>
    </Card>
  );
}
