// What several pages ask of the API. Keys begin with the account, or with '/server', which none can be
// called, and the part that events touch (live/live.tsx).

import { useQuery } from '@tanstack/react-query';
import { answerOf, api } from './client.ts';
import { useSession } from './session.tsx';

/** The account of a name or ID. */
export function useAccount(account: string) {
  return useQuery({
    queryKey: [account, 'account'],
    queryFn: () => answerOf(api.GET('/api/v1/accounts/{account}', { params: { path: { account } } })),
  });
}

/** The names of the accounts that the operator may see, in their order. An administrator sees all: the first thousand. */
export function useAccountNames() {
  const { session } = useSession();
  return useQuery({
    queryKey: ['accounts', session?.id ?? null],
    enabled: session != null,
    queryFn: async () =>
      (await answerOf(api.GET('/api/v1/accounts', { params: { query: { limit: 1_000 } } }))).map(
        ({ id, name, kind }) => ({
          id,
          name,
          kind,
        }),
      ),
  });
}

/** The Fleet Root CAs of an account. */
export function useFleetRootCas(account: string) {
  return useQuery({
    queryKey: [account, 'fleet-root-cas'],
    queryFn: () => answerOf(api.GET('/api/v1/accounts/{account}/fleet-root-cas', { params: { path: { account } } })),
  });
}

/** How many devices there are, by state and more; of those of a filter. */
export function useDeviceCounts(account: string, filter: Record<string, string> = {}) {
  return useQuery({
    queryKey: [account, 'counts', filter],
    queryFn: () =>
      answerOf(api.GET('/api/v1/accounts/{account}/device-counts', { params: { path: { account }, query: filter } })),
  });
}
