// What is shown stays true: events of what is looked at have what they concern asked for again, unless the reader pauses it.

import { useDocumentVisibility, useSessionStorage } from '@mantine/hooks';
import { type QueryKey, useQueryClient } from '@tanstack/react-query';
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useEffectEvent,
  useMemo,
  useRef,
  useState,
} from 'react';
import { useMay, useSession } from '../api/session.tsx';
import { follow, type LiveEvent, type LiveState } from './stream.ts';

interface Live {
  readonly state: LiveState;
  /** Calls `taker` with each event from now on, until the function that it gives is called. */
  readonly listen: (taker: (event: LiveEvent) => void) => () => void;
  readonly onPause: (paused: boolean) => void;
}

const LiveContext = createContext<Live | null>(null);

/** Lists are asked for again at most so often, however many devices come, in milliseconds. */
const atMostEvery = 1_000;

/** What each family of events touches: the second member of the keys of queries, whose first is the account. */
const touched: Readonly<Record<string, readonly string[]>> = {
  device: [
    'devices',
    'device',
    'counts',
    'activity',
    'certificates',
    'allow-list',
    'provisioning-keys',
    'fleet-root-cas',
    'account',
    'accounts',
  ],
  'device.refused': ['refusals', 'activity'],
  certificate: ['devices', 'device', 'counts', 'certificates'],
  fleet_root_ca: ['fleet-root-cas', 'account', 'devices', 'device', 'custody'],
  factory: ['factory'],
  manifest: ['factory'],
  provisioning_key: ['provisioning-keys'],
  custody: ['custody', 'readiness', 'nodes'],
  gateway_certificate: ['account', 'readiness'],
  audit: ['audit'],
  backup: ['audit'],
  server: ['restoration', 'readiness', 'nodes', 'accounts'],
};
/** What any event may have touched: most of them come of something that is in the audit log. */
const always = ['newest-audit'];

const isPaused: LiveState = { is: 'paused' };

/** Follows the events of an account, by its name or ID; of the whole server where it is null. */
export function LiveProvider({ account, children }: { account: string | null; children: ReactNode }) {
  const client = useQueryClient();
  const { ended } = useSession();
  const may = useMay();
  const mayFollow = account === null ? may('listServerEvents') : may('listEvents', account);
  const [paused, onPause] = useSessionStorage({
    key: 'fleetroot-paused',
    defaultValue: false,
    getInitialValueInEffect: false,
  });
  const [followed, setState] = useState<LiveState>({ is: 'connecting' });
  const state = paused ? isPaused : followed;
  // Of the few connections that a browser has for a server (HTTP/1.1), a tab that nobody looks at takes none.
  const away = useDocumentVisibility() === 'hidden';
  const wasAway = useRef(false);
  const takers = useRef(new Set<(event: LiveEvent) => void>());
  useEffect(() => {
    // Nobody is signed in: it goes on when somebody is.
    if (ended || !mayFollow) return undefined;
    if (paused || away) {
      wasAway.current = true;
      return undefined;
    }
    const end = new AbortController();
    const waiting = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const scope = account ?? '/server';
    const askAgain = (): void => {
      timer = undefined;
      for (const part of waiting) void client.invalidateQueries({ queryKey: [scope, part] satisfies QueryKey });
      waiting.clear();
    };
    let wasCut = wasAway.current;
    wasAway.current = false;
    void follow(
      account === null ? '/api/v1/events' : `/api/v1/accounts/${encodeURIComponent(account)}/events`,
      {
        onState(state) {
          // A stream that was cut goes on where it was; what the console shows may come from before all the same.
          if (state.is === 'live' && wasCut) void client.invalidateQueries({ queryKey: [scope] });
          wasCut = state.is === 'live' ? false : wasCut || state.is === 'cut';
          setState(state);
        },
        onGap: () => void client.invalidateQueries({ queryKey: [scope] }),
        onEvent(event) {
          const parts = touched[event.type] ?? touched[event.type.split('.')[0]!] ?? [];
          for (const part of [...parts, ...always]) waiting.add(part);
          timer ??= setTimeout(askAgain, atMostEvery);
          for (const taker of takers.current) taker(event);
        },
      },
      end.signal,
    );
    return () => {
      clearTimeout(timer);
      end.abort();
    };
  }, [account, ended, mayFollow, paused, away, client]);
  const listen = useCallback((taker: (event: LiveEvent) => void) => {
    takers.current.add(taker);
    return () => void takers.current.delete(taker);
  }, []);
  const live = useMemo(() => (mayFollow ? { state, listen, onPause } : null), [mayFollow, state, listen, onPause]);
  return <LiveContext value={live}>{children}</LiveContext>;
}

/** How the stream is; null on pages that follow none. */
export function useLiveState(): LiveState | null {
  return useContext(LiveContext)?.state ?? null;
}

/** Pauses all that changes by itself, or lets it go on: then all is asked for again. */
export function usePause(): (paused: boolean) => void {
  return useContext(LiveContext)?.onPause ?? (() => undefined);
}

/** How often something is looked at anew that no event tells of, as `refetchInterval` takes it: not while the reader has paused. */
export const useEvery = (milliseconds: number): number | false =>
  useLiveState()?.is === 'paused' ? false : milliseconds;

/** Calls `taker` with each event that happens while the component is shown. */
export function useLiveEvents(taker: (event: LiveEvent) => void): void {
  const listen = useContext(LiveContext)?.listen;
  const take = useEffectEvent(taker);
  useEffect(() => listen?.((event) => take(event)), [listen]);
}
