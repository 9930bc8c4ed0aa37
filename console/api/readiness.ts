// How the server is, as /readyz tells it to whoever asks.

import { useQuery } from '@tanstack/react-query';
import { askServer, Refused } from './client.ts';
import { useEvery } from '../live/live.tsx';

/** Something that is amiss while devices are served (src/operator/readiness.ts). */
export interface ReadinessFault {
  readonly part: string;
  readonly reason: string;
  readonly since: string;
  readonly custodian?: string;
  readonly account?: string;
  readonly worker?: number;
}
export interface Readiness {
  /** What it says where it does not serve devices; null where it does. */
  readonly notServing: string | null;
  readonly faults: readonly ReadinessFault[];
}

/** A server that does not serve devices answers 503, which is an answer like another here. */
async function readiness(): Promise<Readiness> {
  try {
    const { faults = [] } = (await (await askServer('/readyz')).json()) as { faults?: ReadinessFault[] };
    return { notServing: null, faults };
  } catch (error) {
    if (error instanceof Refused && error.status === 503) return { notServing: error.message, faults: [] };
    throw error;
  }
}

/** Looked at anew now and then, and when events of an account, or of the server where it is null, touch it. */
export const useReadiness = (account: string | null) =>
  useQuery({ queryKey: [account ?? '/server', 'readiness'], queryFn: readiness, refetchInterval: useEvery(15_000) });

/** Which of several a fault is of; null where there is one alone. */
export const whichOf = ({ custodian, account, worker }: ReadinessFault): string | null =>
  custodian ?? account ?? worker?.toString() ?? null;
