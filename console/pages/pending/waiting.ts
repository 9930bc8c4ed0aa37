// What waits in an account: newcomers, and known devices that came with a new key; and from where each came.

import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { type Answer, answerOf, api, pageOf, type Schema } from '../../api/client.ts';
import { useDeviceCounts } from '../../api/queries.ts';
import { useMay } from '../../api/session.tsx';

export interface Waiting {
  readonly uuid: string;
  readonly deviceId: string;
  /** A device, or a new key of one that is known. */
  readonly what: 'device' | 'key';
  /** The Fleet Root CA that it is under, by its ID. */
  readonly root: string | null;
  readonly since: string | null;
  /** The address that it came from last. */
  readonly address: string | null;
  /** How often it was turned away meanwhile. */
  readonly attempts: number;
  readonly provisioningKey: string | null;
}

/** How many wait; that many at least, where more is not known. */
export interface Total {
  readonly count: number;
  readonly atLeast: boolean;
}

type Device = Answer<'listDevices'>[number];
type Came = ReadonlyMap<string, Schema<'Refusal'>>;

const pageSize = 200;
const codes = ['admission_pending', 'rekey_pending'] as const;

/** The queue: new devices, the longest waiting first, then devices with new keys. */
export function useWaiting(account: string) {
  const may = useMay();
  const path = { account };
  const devices = useInfiniteQuery({
    queryKey: [account, 'devices', 'waiting'],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      pageOf<Device>(
        api.GET('/api/v1/accounts/{account}/devices', {
          params: {
            path,
            query: {
              state: ['pending'],
              sort: 'first_seen',
              order: 'asc',
              limit: pageSize,
              ...(pageParam && { cursor: pageParam }),
            },
          },
          signal,
        }),
      ),
    getNextPageParam: ({ next }) => next,
  });
  const keys = useInfiniteQuery({
    queryKey: [account, 'certificates', 'waiting'],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      pageOf<Schema<'ListedCertificate'>>(
        api.GET('/api/v1/accounts/{account}/certificates', {
          params: { path, query: { state: ['pending'], limit: pageSize, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    getNextPageParam: ({ next }) => next,
  });
  const refusals = useQuery({
    queryKey: [account, 'refusals', 'waiting'],
    enabled: may('listRefusals', account),
    queryFn: async () => {
      const asked = codes.map((code) =>
        answerOf(api.GET('/api/v1/accounts/{account}/refusals', { params: { path, query: { code, limit: 1_000 } } })),
      );
      return (await Promise.all(asked)).flat();
    },
  });
  const data =
    devices.data && keys.data
      ? queueOf(
          devices.data.pages.flatMap(({ rows }) => rows),
          keys.data.pages.flatMap(({ rows }) => rows),
          refusals.data ?? [],
        )
      : undefined;
  const hasMore = devices.hasNextPage || keys.hasNextPage;
  const newcomers = useDeviceCounts(account, { state: 'pending' }).data?.devices;
  return {
    data,
    error: devices.error ?? keys.error,
    total: data && totalOf(data, hasMore, newcomers, keys.hasNextPage),
    hasMore,
    loadsMore: devices.isFetchingNextPage || keys.isFetchingNextPage,
    loadMore: () => {
      if (devices.hasNextPage) void devices.fetchNextPage();
      else void keys.fetchNextPage();
    },
  };
}

/** How many wait in all: of known devices with new keys the API has no number, and they come page by page. */
function totalOf(rows: readonly Waiting[], hasMore: boolean, newcomers: number | undefined, moreKeys: boolean): Total {
  if (!hasMore) return { count: rows.length, atLeast: false };
  if (newcomers === undefined) return { count: rows.length, atLeast: true };
  const keys = rows.filter(({ what }) => what === 'key').length;
  return { count: Math.max(newcomers + keys, rows.length), atLeast: moreKeys };
}

function queueOf(
  devices: readonly Device[],
  keys: readonly Schema<'ListedCertificate'>[],
  refusals: readonly Schema<'Refusal'>[],
): readonly Waiting[] {
  // The latest of each device comes first.
  const came = (code: string): Came =>
    new Map(
      refusals
        .filter((each) => each.code === code && each.device_id !== null)
        .map((each) => [each.device_id!, each] as const)
        .reverse(),
    );
  const [newcomers, rekeys] = [came('admission_pending'), came('rekey_pending')];
  const queue = new Map<string, Waiting>();
  for (const {
    uuid,
    device_id: deviceId,
    fleet_root_ca: root,
    first_seen: since,
    provisioning_key: provisioningKey,
  } of devices) {
    queue.set(uuid, {
      uuid,
      deviceId,
      what: 'device',
      root,
      since,
      provisioningKey,
      ...cameFrom(newcomers.get(deviceId)),
    });
  }
  for (const { device_uuid: uuid, device_id: deviceId, fleet_root_ca: root } of keys) {
    // Several keys of one device are one decision; those of a newcomer wait for it to be accepted first.
    if (uuid === null || queue.has(uuid)) continue;
    const refusal = rekeys.get(deviceId);
    queue.set(uuid, {
      ...{ uuid, deviceId, what: 'key', root, since: refusal?.first_at ?? null, provisioningKey: null },
      ...cameFrom(refusal),
    });
  }
  return [...queue.values()];
}

const cameFrom = (refusal: Schema<'Refusal'> | undefined): Pick<Waiting, 'address' | 'attempts'> => ({
  address: refusal?.address ?? null,
  attempts: refusal?.count ?? 0,
});
