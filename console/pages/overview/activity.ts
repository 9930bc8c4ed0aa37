// What the account has been doing lately, asked for again as time goes on and as events come.

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { type Answer, answerOf, api } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { useEvery } from '../../live/live.tsx';
import type { Step } from '../../parts/chart.tsx';

export type Activity = Answer<'getActivity'>;

export const steps = ['minute', 'hour', 'day'] as const satisfies readonly Step[];
const spans: Readonly<Record<Step, number>> = { minute: 60, hour: 48, day: 30 };
/** Spans of time go by without an event, in milliseconds. */
const askAgain: Readonly<Record<Step, number>> = { minute: 10_000, hour: 60_000, day: 60_000 };

/** The activity of an account; nothing where the operator may not see it. */
export function useActivity(account: string, step: Step) {
  const may = useMay();
  return useQuery({
    queryKey: [account, 'activity', step],
    enabled: may('getActivity', account),
    refetchInterval: useEvery(askAgain[step]),
    placeholderData: keepPreviousData,
    queryFn: () =>
      answerOf(
        api.GET('/api/v1/accounts/{account}/activity', {
          params: { path: { account }, query: { step, buckets: spans[step] } },
        }),
      ),
  });
}
