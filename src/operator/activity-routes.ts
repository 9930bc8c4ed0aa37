// What an account has been doing lately, for who watches it.

import type { Provisioning } from '../provisioning/provisioning.ts';
import { activityOf } from '../registry/activity.ts';
import { formatInstant } from '../time.ts';
import { ActivityQuery, ActivitySchema } from './fleet-schemas.ts';
import { namedAccount } from './named.ts';
import { readers, rule } from './rule.ts';
import { AccountPath } from './schemas.ts';
import type { Api } from './typed-api.ts';

const minute = 60_000;
const lengths = { minute, hour: 60 * minute, day: 24 * 60 * minute } as const;

/** Adds the route of an account's activity. */
export function activityRoutes(api: Api, { registry, clock }: Provisioning): void {
  api.get(
    '/accounts/:account/activity',
    {
      ...rule('getActivity', readers),
      schema: { params: AccountPath, querystring: ActivityQuery, response: { 200: ActivitySchema } },
    },
    async ({ params, query: { step = 'minute', buckets: spans = 60 } }) => {
      const account = await namedAccount(registry.read, params.account);
      const now = clock();
      const length = lengths[step];
      const from = (Math.floor(now / length) - spans + 1) * length;
      const { added, refused, refusals_by_code, ...counts } = await activityOf(registry.read, account.id, {
        from,
        length,
        spans,
        now,
      });
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
