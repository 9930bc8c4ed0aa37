// The refusals of an account, or of none, by the filters of the address, and put together by device and rule.

import { useInfiniteQuery } from '@tanstack/react-query';
import { api, pageOf, type Schema } from '../../api/client.ts';
import { useEvery } from '../../live/live.tsx';
import { instantOf } from '../../parts/instant.tsx';

export type Refusal = Schema<'Refusal'>;
/** What of a refusal decides how it is mended. */
export type ToMend = Pick<Refusal, 'code' | 'rule' | 'device_id' | 'certificates'>;

/** As the address has them; `within` is a span that ends now, in place of `since` and `until`. */
export interface RefusalFilters {
  readonly code: string | null;
  readonly device: string | null;
  readonly address: string | null;
  readonly within: string | null;
  readonly since: string | null;
  readonly until: string | null;
}

/** The lengths of `within`, in milliseconds. */
export const spans: Readonly<Record<string, number>> = { hour: 3_600_000, day: 86_400_000, week: 604_800_000 };

const pageSize = 100;
/** What belongs to no account is in no account's events: it is looked at anew so often, in milliseconds. */
const lookAgain = 10_000;

/** Of `account`; of none where that is null. The latest first. */
export function useRefusals(account: string | null, filters: RefusalFilters) {
  const every = useEvery(lookAgain);
  return useInfiniteQuery({
    queryKey: [account ?? '/server', 'refusals', filters],
    initialPageParam: null as { cursor: string; since: string | undefined } | null,
    // A cursor counts with the filters that it was given for.
    async queryFn({ pageParam, signal }) {
      const span = filters.within === null ? undefined : spans[filters.within];
      const since =
        pageParam === null
          ? span === undefined
            ? (instantOf(filters.since, 'local') ?? undefined)
            : new Date(Date.now() - span).toISOString()
          : pageParam.since;
      const until = span === undefined ? (instantOf(filters.until, 'local') ?? undefined) : undefined;
      const query = {
        limit: pageSize,
        ...(pageParam && { cursor: pageParam.cursor }),
        ...(filters.code !== null && { code: filters.code }),
        ...(filters.device !== null && { device_id: filters.device }),
        ...(filters.address !== null && { address: filters.address }),
        ...(since !== undefined && { since }),
        ...(until !== undefined && { until }),
      };
      const page = await pageOf<Refusal>(
        account === null
          ? api.GET('/api/v1/refusals', { params: { query }, signal })
          : api.GET('/api/v1/accounts/{account}/refusals', { params: { path: { account }, query }, signal }),
      );
      return { ...page, since };
    },
    getNextPageParam: ({ next, since }) => (next === null ? null : { cursor: next, since }),
    refetchInterval: account === null && every,
  });
}

/** Refusals of one device by one rule. */
export interface RefusalsByRule {
  readonly code: string;
  /** The latest first; there are several where it came with different keys, or for different hosts. */
  readonly refusals: readonly [Refusal, ...Refusal[]];
  readonly count: number;
  readonly first: string;
}

/** Refusals of a device; of an address where no device ID is known. */
export interface RefusalsOfOne {
  readonly key: string;
  readonly deviceId: string | null;
  readonly address: string | null;
  readonly rules: readonly RefusalsByRule[];
}

/** Puts refusals together; who was turned away last comes first. */
export function grouped(refusals: readonly Refusal[]): readonly RefusalsOfOne[] {
  const ofOne = ({ device_id, address }: Refusal): string =>
    device_id === null ? `address ${address}` : `device ${device_id}`;
  return [...Map.groupBy(refusals, ofOne)].map(([key, all]) => {
    const { device_id: deviceId, address } = all[0]!;
    const rules = [...Map.groupBy(all, ({ code }) => code)].map(([code, some]) => ({
      code,
      refusals: some as [Refusal, ...Refusal[]],
      count: some.reduce((sum, { count }) => sum + count, 0),
      first: some.map(({ first_at }) => first_at).reduce((one, other) => (one < other ? one : other)),
    }));
    return { key, deviceId, address, rules };
  });
}
