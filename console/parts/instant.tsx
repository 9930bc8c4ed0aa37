// An instant in the reader's zone, or in UTC if they like; the other is at hand.

import { Text, Tooltip } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { createContext, type ReactNode, useContext, useSyncExternalStore } from 'react';
import { language, texts } from '../texts.ts';

export type Zone = 'local' | 'utc';
const ZoneContext = createContext<readonly [Zone, (zone: Zone) => void]>(['local', () => {}]);

/** Remembers in which zone this browser's reader wants to read. */
export function ZoneProvider({ children }: { children: ReactNode }) {
  const [zone, setZone] = useLocalStorage<Zone>({
    key: 'fleetroot-zone',
    defaultValue: 'local',
    getInitialValueInEffect: false,
  });
  return <ZoneContext value={[zone, setZone]}>{children}</ZoneContext>;
}

export const useZone = () => useContext(ZoneContext);

const local = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' });
const utc = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' });
const said = { local: (at: Date) => local.format(at), utc: (at: Date) => `${utc.format(at)} UTC` };

/** An instant as text, for lists of so many that each cannot have a hint of its own. */
export const sayInstant = (at: string, zone: Zone): string => said[zone](new Date(at));

/** An RFC 3339 instant as a field for dates and times has it (`datetime-local`), in the zone; empty for what is none. */
export function fieldOf(at: string | null | undefined, zone: Zone): string {
  const instant = new Date(at ?? Number.NaN);
  if (Number.isNaN(instant.getTime())) return '';
  const offset = zone === 'utc' ? 0 : instant.getTimezoneOffset();
  return new Date(instant.getTime() - offset * 60_000).toISOString().replace(/(:00)?\.\d+Z$/, '');
}

/** What such a field has as an RFC 3339 instant; null for what is none. An instant, as it stands in a link, is one already. */
export function instantOf(field: string | null | undefined, zone: Zone): string | null {
  if (!field) return null;
  const instant = new Date(zone === 'utc' && !/(Z|[+-]\d\d:\d\d)$/i.test(field) ? `${field}Z` : field);
  return Number.isNaN(instant.getTime()) ? null : instant.toISOString();
}

/** So that the keyboard reaches what is at hand of an instant; not each of a list of many, nor within what it reaches anyway. */
const reachable = (time: HTMLElement | null): void => {
  if (time !== null && time.closest('table, ol, ul, a, button, [role=listbox]') === null) time.tabIndex = 0;
};

/** Shows an RFC 3339 instant; what is absent is said as `absent`. */
export function Instant({ at, absent = texts.common.never }: { at: string | null | undefined; absent?: string }) {
  const [zone] = useZone();
  if (at == null)
    return (
      <Text span inherit c="dimmed">
        {absent}
      </Text>
    );
  const date = new Date(at);
  return (
    <Tooltip label={said[zone === 'utc' ? 'local' : 'utc'](date)}>
      <time ref={reachable} dateTime={at}>
        {said[zone](date)}
      </time>
    </Tooltip>
  );
}

const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
const steps = [
  ['second', 1_000, 60_000],
  ['minute', 60_000, 3_600_000],
  ['hour', 3_600_000, 86_400_000],
  ['day', 86_400_000, Number.POSITIVE_INFINITY],
] as const;

/** The clock by which "3 minutes ago" stays true, in milliseconds: read anew every so often, for all that is shown at once. */
const clock = { now: Date.now(), every: 10_000, watchers: new Set<() => void>() };
setInterval(() => {
  clock.now = Date.now();
  for (const watcher of clock.watchers) watcher();
}, clock.every);
function watchClock(watcher: () => void): () => void {
  clock.watchers.add(watcher);
  return () => clock.watchers.delete(watcher);
}

/** How long ago, or until, such as "3 minutes ago"; the instant itself is at hand. */
export function Ago({ at, absent = texts.common.never }: { at: string | null | undefined; absent?: string }) {
  const [zone] = useZone();
  const now = useSyncExternalStore(watchClock, () => clock.now);
  if (at == null)
    return (
      <Text span inherit c="dimmed">
        {absent}
      </Text>
    );
  const date = new Date(at);
  const ahead = date.getTime() - now;
  // What has just happened is not to come, though the clock was read before.
  const away = ahead > 0 && ahead < clock.every ? 0 : ahead;
  const [unit, length] = steps.find(([, , upTo]) => Math.abs(away) < upTo)!;
  return (
    <Tooltip label={`${said[zone](date)}${zone === 'utc' ? '' : ` · ${said.utc(date)}`}`}>
      <time ref={reachable} dateTime={at}>
        {relative.format(Math.trunc(away / length), unit)}
      </time>
    </Tooltip>
  );
}

/** How many days are left until an instant; less than none after it. */
export const daysUntil = (at: string): number => (Date.parse(at) - Date.now()) / 86_400_000;
