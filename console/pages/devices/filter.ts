// Which devices are looked at: a filter of the API, by the API's own names in the address.

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useSearchParams } from 'wouter';
import { answerOf, api, type Schema } from '../../api/client.ts';
import type { operations } from '../../api/generated/openapi.d.ts';

export type DeviceFilter = Schema<'DeviceFilter'>;
type ListQuery = NonNullable<operations['listDevices']['parameters']['query']>;
export type SortBy = NonNullable<ListQuery['sort']>;

const texts = [
  'method',
  'fleet_root_ca',
  'intermediate',
  'provisioning_key',
  'certificate_expires_before',
  'certificate_expires_after',
  'last_seen_before',
  'last_seen_after',
  'first_seen_before',
  'first_seen_after',
  'prefix',
  'text',
  'never_seen',
] as const satisfies readonly (keyof DeviceFilter)[];
const lists = ['state', 'label'] as const satisfies readonly (keyof DeviceFilter)[];

/** A member of a filter that holds one text, as the address has it. */
export type FilterName = (typeof texts)[number];
/** One that holds several. */
export type FilterList = (typeof lists)[number];

/** The filter of an address. What is wrong in it, the API says. */
function filterOf(params: URLSearchParams): DeviceFilter {
  const filter: Record<string, unknown> = {};
  for (const name of texts) {
    const value = params.get(name);
    if (value !== null && value !== '') filter[name] = name === 'never_seen' ? value === 'true' : value;
  }
  for (const name of lists) {
    const values = params.getAll(name).filter((value) => value !== '');
    if (values.length > 0) filter[name] = values;
  }
  return filter;
}

/** The filter and order that the address has, and how to change them. Changing them adds no step to the history. */
export function useDeviceFilter() {
  const [params, setParams] = useSearchParams();
  const written = params.toString();
  const filter = useMemo(() => filterOf(new URLSearchParams(written)), [written]);
  const change = (how: (params: URLSearchParams) => void): void =>
    setParams(
      (before) => {
        const next = new URLSearchParams(before);
        how(next);
        return next;
      },
      { replace: true },
    );
  return {
    filter,
    /** How many members of it say something. */
    size: Object.keys(filter).length,
    sort: (params.get('sort') ?? 'device_id') as SortBy,
    order: params.get('order') === 'desc' ? ('desc' as const) : ('asc' as const),
    /** Sets one text, or takes it away. */
    set: (name: FilterName, value: string | null): void =>
      change((next) => {
        if (value === null || value === '') next.delete(name);
        else next.set(name, value);
      }),
    /** Sets several at once. */
    setList: (name: FilterList, values: readonly string[]): void =>
      change((next) => {
        next.delete(name);
        for (const value of values) next.append(name, value);
      }),
    setSearch: (how: 'text' | 'prefix', value: string): void =>
      change((next) => {
        next.delete('text');
        next.delete('prefix');
        if (value !== '') next.set(how, value);
      }),
    setSort: (by: string, descending: boolean): void =>
      change((next) => {
        next.set('sort', by);
        next.set('order', descending ? 'desc' : 'asc');
      }),
    clear: (): void =>
      change((next) => {
        for (const name of [...texts, ...lists]) next.delete(name);
      }),
  };
}

export type Filtering = ReturnType<typeof useDeviceFilter>;

/** How many devices a filter finds. What was counted before stays until it is counted anew. */
export function useCounted(account: string, filter: DeviceFilter) {
  return useQuery({
    queryKey: [account, 'counts', filter],
    // Who types on waits for it no longer: it is broken off, and the server counts no further.
    queryFn: ({ signal }) =>
      answerOf(
        api.GET('/api/v1/accounts/{account}/device-counts', { params: { path: { account }, query: filter }, signal }),
      ),
    placeholderData: keepPreviousData,
  });
}

/** A filter as a query, for links to files. */
export function searchOf(filter: DeviceFilter): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) {
    for (const each of Array.isArray(value) ? value : [value]) search.append(name, String(each));
  }
  return search.toString();
}

/** The day of an instant as an input of the type `date` has it; and the instant at which a day begins. */
export function dayOf(at: string | null | undefined, zone: 'local' | 'utc'): string {
  if (at == null) return '';
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '';
  if (zone === 'utc') return date.toISOString().slice(0, 10);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

export function beginningOf(day: string, zone: 'local' | 'utc'): string | null {
  const date = new Date(zone === 'utc' ? `${day}T00:00:00Z` : `${day}T00:00:00`);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
