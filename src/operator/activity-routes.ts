// What an account has been doing lately, for who watches it.

import type { Provisioning } from '../provisioning/provisioning.ts';
import { type Activity, activityOf } from '../registry/activity.ts';
import { formatInstant } from '../time.ts';
import { ActivityQuery, ActivitySchema } from './fleet-schemas.ts';
import { namedAccount } from './named.ts';
import { readers, rule } from './rule.ts';
import { AccountPath } from './schemas.ts';
import type { Api } from './typed-api.ts';

const minute = 60_000;
const lengths = { minute, hour: 60 * minute, day: 24 * 60 * minute } as const;

/** For how many times of what it took to count, what was counted serves whoever asks the same. */
const servesFor = 10;

/**
 * What is counted walks through an index, which for a large fleet takes a second of a core: one call counts at a time,
 * and those that ask for the same meanwhile, and soon afterwards, are given the same.
 */
function sharedCounts(): (wanted: string, count: () => Promise<Activity>) => Promise<Activity> {
  const known = new Map<string, Promise<Activity>>();
  let turn: Promise<unknown> = Promise.resolve();
  const counted = async (wanted: string, count: () => Promise<Activity>, before: Promise<unknown>) => {
    await before;
    const began = performance.now();
    try {
      return await count();
    } finally {
      setTimeout(() => known.delete(wanted), (performance.now() - began) * servesFor).unref();
    }
  };
  return (wanted, count) => {
    const activity = known.get(wanted) ?? counted(wanted, count, turn);
    known.set(wanted, activity);
    turn = Promise.allSettled([turn, activity]);
    return activity;
  };
}

/** Adds the route of an account's activity. */
export function activityRoutes(api: Api, { registry, clock }: Provisioning): void {
  const shared = sharedCounts();
  api.get(
    '/accounts/:account/activity',
    {
      ...rule('getActivity', readers),
      schema: { params: AccountPath, querystring: ActivityQuery, response: { 200: ActivitySchema } },
    },
    async ({ params, query: { step = 'minute', buckets: spans = 60 } }) => {
      const account = await namedAccount(registry.read, params.account);
      const length = lengths[step];
      const from = (Math.floor(clock() / length) - spans + 1) * length;
      const { added, refused, refusals_by_code, ...counts } = await shared(`${account.id} ${from} ${step}`, () =>
        activityOf(registry.read, account.id, { from, length, spans, now: clock() }),
      );
      return {
        step,
        buckets: added.map((devices, at) => ({
          at: formatInstant(from + at * length),
          added: devices,
          refused: refused[at]!,
        })),
        ...counts,
        refusals_by_code: refusals_by_code.map(({ code, rule: sentence, refusals }) => ({
          code,
          rule: sentence,
          count: refusals,
        })),
      };
    },
  );
}
