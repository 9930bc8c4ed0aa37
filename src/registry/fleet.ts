// The fleet page by page, in any order and by any filter: never more than a few thousand rows are read in one go.

import { setImmediate } from 'node:timers/promises';
import { type RawBuilder, sql } from 'kysely';
import type { Db } from './database.ts';
import { deviceTalliesOf } from './device-tallies.ts';
import type { DeviceView } from './devices.ts';
import { type DeviceFilter, resolveFilter } from './fleet-filter.ts';

/** What a list of devices can be sorted by. Devices of one instant are in the order of their IDs. */
export const deviceSorts = ['device_id', 'first_seen', 'last_seen', 'certificate_not_after'] as const;
export type DeviceSort = (typeof deviceSorts)[number];

/**
 * Where a page ended: the ID of its last device, and what it was sorted by there (null where it has none, or where the
 * list is sorted by IDs).
 */
export interface FleetPlace {
  readonly device_id: string;
  readonly value: number | null;
}

/** Which devices, in which order. What has no value comes before all that has one, and after it where `descending`. */
export interface FleetQuery {
  readonly filter?: DeviceFilter;
  readonly sort?: DeviceSort;
  readonly descending?: boolean;
  readonly after?: FleetPlace | undefined;
  /** Aborted once nobody waits for the answer any more: what was read until then is given. */
  readonly gone?: AbortSignal | undefined;
}

/** Rows that are read at once: the devices get their turn in between. */
const rowsAtOnce = 4_000;

/** A part of the devices asked for: they come one after the other in the order asked for. */
interface Part {
  readonly from: RawBuilder<unknown>;
  readonly where: RawBuilder<unknown>;
  readonly order: RawBuilder<unknown>;
}

/**
 * Devices of an account, `limit` of them after a place. One that is there all the time is listed once, whatever comes
 * and goes between the pages, unless what the list is sorted by changes meanwhile.
 */
export async function fleetPage(
  db: Db,
  account_id: string,
  { limit = 1_000, ...query }: FleetQuery & { limit?: number } = {},
): Promise<DeviceView[]> {
  const page: DeviceView[] = [];
  for await (const { from, where, order } of parts(db, account_id, query)) {
    const { rows } = await sql<DeviceView>`
      select devices.*, (
        select name from fleet_root_cas
        where fleet_root_cas.account_id = ${account_id} and fleet_root_cas.id = devices.fleet_root_ca_id
      ) as fleet_root_ca_name
      from ${from} where ${where} order by ${order} limit ${limit - page.length}`.execute(db);
    for (const row of rows) page.push(row);
    if (page.length >= limit) break;
  }
  return page;
}

/** The UUIDs and IDs of devices in the order of their IDs, `limit` of them after the device ID `after`. */
export async function fleetUuids(
  db: Db,
  account_id: string,
  { filter, limit, after }: { filter: DeviceFilter; limit: number; after?: string | undefined },
): Promise<{ uuid: string; device_id: string }[]> {
  const page: { uuid: string; device_id: string }[] = [];
  const place = after === undefined ? undefined : { device_id: after, value: null };
  for await (const { from, where, order } of parts(db, account_id, { filter, after: place })) {
    const { rows } = await sql<{ uuid: string; device_id: string }>`
      select devices.uuid, devices.device_id from ${from} where ${where}
      order by ${order} limit ${limit - page.length}`.execute(db);
    for (const row of rows) page.push(row);
    if (page.length >= limit) break;
  }
  return page;
}

/** How many devices are alike. */
export interface FleetKind {
  readonly state: DeviceView['state'];
  readonly method: DeviceView['method'];
  readonly fleet_root_ca_id: string;
  readonly provisioning_key_id: string | null;
  readonly devices: number;
}

/** How many devices there are: by what they have in common, and all of them by time. */
export interface FleetCounts {
  readonly kinds: readonly FleetKind[];
  readonly seen_last_day: number;
  readonly never_seen: number;
  readonly expired: number;
  readonly expiring: number;
}

const day = 24 * 60 * 60 * 1000;
/** What counts as expiring: within so many milliseconds. */
const soon = 30 * day;

/** Counts the devices of a filter. Those of the whole account are counted without reading any of them. `gone` is as in a FleetQuery. */
export async function countFleet(
  db: Db,
  account_id: string,
  { filter = {}, now, gone }: { filter?: DeviceFilter; now: number; gone?: AbortSignal },
): Promise<FleetCounts> {
  if (Object.values(filter).every((member) => member === undefined)) return countAll(db, account_id, now);
  const all = new Map<string, FleetKind>();
  const times = { seen_last_day: 0, never_seen: 0, expired: 0, expiring: 0 };
  for await (const { from, where } of parts(db, account_id, { filter, gone })) {
    // Expressions, since for plain columns SQLite would read the index of the state from end to end at every part.
    const { rows } = await sql<FleetKind & typeof times>`
      select (devices.state || '') as state, (devices.method || '') as method,
        (devices.fleet_root_ca_id || '') as fleet_root_ca_id,
        (devices.provisioning_key_id || '') as provisioning_key_id,
        count(*) as devices,
        sum(case when devices.last_seen >= ${now - day} then 1 else 0 end) as seen_last_day,
        sum(case when devices.last_seen is null then 1 else 0 end) as never_seen,
        sum(case when devices.certificate_not_after < ${now} then 1 else 0 end) as expired,
        sum(case when devices.certificate_not_after between ${now} and ${now + soon} then 1 else 0 end) as expiring
      from ${from} where ${where}
      group by 1, 2, 3, 4`.execute(db);
    for (const { state, method, fleet_root_ca_id, provisioning_key_id, devices, ...row } of rows) {
      const kind = { state, method, fleet_root_ca_id, provisioning_key_id };
      const alike = Object.values(kind).join(' ');
      all.set(alike, { ...kind, devices: (all.get(alike)?.devices ?? 0) + devices });
      for (const name of Object.keys(times) as (keyof typeof times)[]) times[name] += row[name];
    }
  }
  return { kinds: [...all.values()], ...times };
}

/** Of all devices the kinds are counted by the database itself; what time alone decides is a stretch of an index. */
async function countAll(db: Db, account_id: string, now: number): Promise<FleetCounts> {
  const kinds = (await deviceTalliesOf(db, account_id)).map((tally) => ({
    ...tally,
    provisioning_key_id: tally.provisioning_key_id || null,
  }));
  const last_seen = sql.ref('last_seen');
  const end = sql.ref('certificate_not_after');
  return {
    kinds,
    seen_last_day: await countStretch(db, account_id, 'last_seen', sql`${last_seen} >= ${now - day}`),
    never_seen: await countStretch(db, account_id, 'last_seen', sql`${last_seen} is null`),
    expired: await countStretch(db, account_id, 'certificate_not_after', sql`${end} > -1 and ${end} < ${now}`),
    expiring: await countStretch(
      db,
      account_id,
      'certificate_not_after',
      sql`${end} >= ${now} and ${end} <= ${now + soon}`,
    ),
  };
}

/** Entries of an index that are counted at once: about a millisecond. */
const entriesAtOnce = 20_000;

/** Counts the devices in a stretch of an order, by its index alone. */
async function countStretch(
  db: Db,
  account_id: string,
  column: 'last_seen' | 'certificate_not_after',
  within: RawBuilder<unknown>,
): Promise<number> {
  const value = sql.ref(column);
  for (let [counted, rest] = [0, sql`1 = 1`]; ; counted += entriesAtOnce) {
    const stretch = sql`from devices where account_id = ${account_id} and ${within} and ${rest}`;
    const { rows: ahead } = await sql<{ value: number | null; device_id: string }>`
      select ${value} as value, device_id ${stretch} order by ${value}, device_id limit 1 offset ${entriesAtOnce - 1}`.execute(
      db,
    );
    const [last] = ahead;
    if (!last) {
      const { rows } = await sql<{ devices: number }>`select count(*) as devices ${stretch}`.execute(db);
      return counted + rows[0]!.devices;
    }
    rest =
      last.value === null
        ? sql`device_id > ${last.device_id}`
        : sql`(${value}, device_id) > (${last.value}, ${last.device_id})`;
    await setImmediate();
  }
}

/**
 * Takes the devices of a query in parts, each read through an index. Where one member of the filter leaves few devices,
 * these are looked up and sorted; else the order's own index is walked, so many rows at a time, and what does not fit is
 * passed over.
 */
async function* parts(db: Db, account_id: string, query: FleetQuery): AsyncGenerator<Part> {
  const { filter = {}, sort = 'device_id', descending = false, after, gone } = query;
  const { condition, drivers } = await resolveFilter(db, account_id, filter);
  const order = orderOf(sort, descending);
  const driver = await firstOfFew(db, drivers);
  for (const segment of segmentsOf(sort, descending, after)) {
    if (driver) {
      yield {
        // What comes first in a cross join, SQLite reads first.
        from: sql`${driver.table} as driver cross join devices`,
        where: sql`${driver.condition} and devices.account_id = ${account_id} and devices.uuid = ${driver.uuid}
          and ${segment.hidden(segment.after)} and ${condition}`,
        order,
      };
      continue;
    }
    let place = segment.after;
    for (;;) {
      const begin = sql`devices.account_id = ${account_id} and ${segment.shown(place, undefined)}`;
      const end = await placeAhead(db, { sort, begin, order });
      yield {
        from: sql`devices`,
        where: sql`devices.account_id = ${account_id} and ${segment.shown(place, end)} and ${condition}`,
        order,
      };
      if (end === undefined) break;
      place = end;
      await setImmediate();
      if (gone?.aborted) return;
    }
  }
}

/** The first of the drivers that has few rows. */
async function firstOfFew<D extends { table: RawBuilder<unknown>; condition: RawBuilder<unknown> }>(
  db: Db,
  drivers: readonly D[],
): Promise<D | undefined> {
  for (const driver of drivers) {
    const { rows } = await sql`
      select 1 as one from ${driver.table} as driver where ${driver.condition} limit 1 offset ${rowsAtOnce}`.execute(
      db,
    );
    if (rows.length === 0) return driver;
  }
  return undefined;
}

/** The place of the last row that is to be read at once; none where all that is left may be. */
async function placeAhead(
  db: Db,
  { sort, begin, order }: { sort: DeviceSort; begin: RawBuilder<unknown>; order: RawBuilder<unknown> },
): Promise<FleetPlace | undefined> {
  const value = sort === 'device_id' ? sql`null` : sql.ref(`devices.${sort}`);
  const { rows } = await sql<FleetPlace>`
    select devices.device_id, ${value} as value from devices where ${begin}
    order by ${order} limit 1 offset ${rowsAtOnce - 1}`.execute(db);
  return rows[0];
}

function orderOf(sort: DeviceSort, descending: boolean): RawBuilder<unknown> {
  const direction = descending ? sql`desc` : sql`asc`;
  const byId = sql`devices.device_id ${direction}`;
  return sort === 'device_id' ? byId : sql`${sql.ref(`devices.${sort}`)} ${direction}, ${byId}`;
}

/** A stretch of an order in which rows can be compared: those that have no value, or those that have one. */
interface Segment {
  /** Where it goes on; undefined for its beginning. */
  readonly after: FleetPlace | undefined;
  /**
   * What comes after a place and up to an end, that one included, for the order's own index to be read: of each bound of a
   * range SQLite takes one condition, so that there is to be one.
   */
  shown(place: FleetPlace | undefined, end: FleetPlace | undefined): RawBuilder<unknown>;
  /** The same, for no index to be taken. */
  hidden(place: FleetPlace | undefined): RawBuilder<unknown>;
}

/** The segments of an order from a place on. */
function segmentsOf(sort: DeviceSort, descending: boolean, after: FleetPlace | undefined): Segment[] {
  const further = descending ? sql`<` : sql`>`;
  const notBeyond = descending ? sql`>=` : sql`<=`;
  const own = sql.ref('devices.device_id');
  const hiddenOwn = sql`(devices.device_id || '')`;
  const upTo = (id: RawBuilder<unknown>, place: FleetPlace | undefined, end: FleetPlace | undefined) =>
    sql.join(
      [
        ...(place ? [sql`${id} ${further} ${place.device_id}`] : []),
        ...(end ? [sql`${id} ${notBeyond} ${end.device_id}`] : []),
        ...(place || end ? [] : [sql`1 = 1`]),
      ],
      sql` and `,
    );
  if (sort === 'device_id') {
    return [
      {
        after,
        shown: (place, end) => upTo(own, place, end),
        hidden: (place) => upTo(hiddenOwn, place, undefined),
      },
    ];
  }
  const column = sql.ref(`devices.${sort}`);
  const hiddenColumn = sql`(${column} + 0)`;
  const without: Segment = {
    after,
    shown: (place, end) => sql`${column} is null and ${upTo(own, place, end)}`,
    hidden: (place) => sql`${hiddenColumn} is null and ${upTo(hiddenOwn, place, undefined)}`,
  };
  const withValue: Segment = {
    after,
    shown: (place, end) =>
      sql.join(
        [
          ...(place ? [sql`(${column}, ${own}) ${further} (${place.value}, ${place.device_id})`] : []),
          ...(end ? [sql`(${column}, ${own}) ${notBeyond} (${end.value}, ${end.device_id})`] : []),
          // Instants are after 1970: this leads an index past what has no value, as either of the others does.
          ...((descending ? end : place) ? [] : [sql`${column} > -1`]),
        ],
        sql` and `,
      ),
    hidden: (place) =>
      place
        ? sql`(${hiddenColumn}, ${hiddenOwn}) ${further} (${place.value}, ${place.device_id})`
        : sql`${hiddenColumn} > -1`,
  };
  const all = sort === 'first_seen' ? [withValue] : descending ? [withValue, without] : [without, withValue];
  if (after === undefined) return all;
  const present = after.value === null ? without : withValue;
  const index = all.indexOf(present);
  // A value in a list that has none for it ends there: such a place is none of this order.
  return all
    .slice(index === -1 ? all.length : index)
    .map((segment) => (segment === present ? segment : begun(segment)));
}

/** A segment from its beginning. */
function begun(segment: Segment): Segment {
  return { ...segment, after: undefined };
}
