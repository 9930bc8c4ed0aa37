// What people ask of a factory about orders, windows and the devices made for them.

import { Problem } from '../problem.ts';
import { formatInstant, parseDuration } from '../time.ts';
import type { Factory } from './factory.ts';
import { notMadeOf, type NewOrder, type OrderProgress, ordersOf } from './records/orders.ts';
import { stationByName, stationsOf } from './records/stations.ts';
import type { FactoryWindow, Order } from './records/tables.ts';
import { openWindows, windowsOf } from './records/windows.ts';

/** Windows that are shown at the most. */
const mostWindows = 1_000;
/** The longest that a window is open: somebody opened it for a shift, and forgets it. */
const longestWindow = 31 * 24 * 60 * 60_000;

/** An order as people and `--json` are told of it. */
export interface OrderJson extends Omit<OrderProgress, 'listed' | 'created_at'> {
  readonly created_at: string;
}

/** A window as people and `--json` are told of it. */
export interface WindowJson {
  readonly id: string;
  readonly order: string;
  /** The one station that it is for, by its name, or null. */
  readonly station: string | null;
  readonly quota: number;
  readonly used: number;
  readonly state: 'open' | 'closed' | 'ended';
  readonly opened_at: string;
  readonly opened_by: string;
  readonly closes_at: string;
  readonly closed_at: string | null;
}

/** A window as a command asks for it; `lasts` is a duration such as `8h`. */
export interface WindowAsked {
  readonly order: string;
  readonly quota: number;
  readonly lasts: string;
  readonly station: string | null;
  readonly batch: string | null;
  readonly proof: Order['proof'] | null;
}

function orderJson({ listed: _listed, created_at, ...rest }: OrderProgress): OrderJson {
  return { ...rest, created_at: formatInstant(created_at) };
}

function windowJson(window: FactoryWindow, station: string | null, now: number): WindowJson {
  const { id, order_name: order, quota, used, opened_by, opened_at, closes_at, closed_at } = window;
  return {
    id,
    order,
    station,
    quota,
    used,
    state: closed_at !== null ? 'closed' : closes_at <= now ? 'ended' : 'open',
    opened_at: formatInstant(opened_at),
    opened_by,
    closes_at: formatInstant(closes_at),
    closed_at: formatInstant(closed_at),
  };
}

async function orderNamed({ records }: Factory, name: string): Promise<OrderProgress> {
  const [order] = await ordersOf(records.read, name);
  if (order) return order;
  throw new Problem('not_found', `There is no order "${name}".`, '`factory order list` shows them.');
}

/** Windows as they are shown, the one that closes soonest first, or all there were, the latest first. */
export async function windowsShown({ records, clock }: Factory, { all }: { all: boolean }): Promise<WindowJson[]> {
  const now = clock();
  const stations = new Map((await stationsOf(records.read)).map(({ id, name }) => [id, name]));
  const windows = await (all ? windowsOf(records.read, mostWindows) : openWindows(records.read, now));
  return windows.map((window) => windowJson(window, stations.get(window.station_id ?? '') ?? null, now));
}

/** By name. */
export const orderActions = {
  async addOrder(factory: Factory, order: NewOrder): Promise<OrderJson> {
    await factory.records.write('addOrder', order);
    return orderJson(await orderNamed(factory, order.name));
  },

  listOrders: async ({ records }: Factory, _: object): Promise<OrderJson[]> =>
    (await ordersOf(records.read)).map(orderJson),

  /** `not_made` are the device IDs of its list that have no certificate; null for an order that takes any. */
  async showOrder(factory: Factory, { name }: { name: string }): Promise<OrderJson & { not_made: string[] | null }> {
    const order = await orderNamed(factory, name);
    const not_made = order.devices === null ? null : await notMadeOf(factory.records.read, name);
    return { ...orderJson(order), not_made };
  },

  /** Gives the window, and whether its order was made by this. */
  async openWindow(
    { records, clock }: Factory,
    { order, quota, lasts, station, batch, proof }: WindowAsked,
  ): Promise<WindowJson & { order_made: boolean }> {
    const lifetime = parseDuration(lasts);
    if (lifetime === null) throw new Problem('invalid_request', `"${lasts}" is no time such as "8h".`);
    if (lifetime > longestWindow) {
      throw new Problem('invalid_request', `A window is open for 31 days at the most, and not for ${lasts}.`);
    }
    const named = station === null ? null : await stationByName(records.read, station);
    if (named === undefined || (named && named.removed_at !== null)) {
      throw new Problem('not_found', `There is no station "${station}".`, '`factory station list` shows them.');
    }
    const asked = { order_name: order, quota, closes_at: clock() + lifetime, station_id: named?.id ?? null };
    const { order_made, ...window } = await records.write('openWindow', { ...asked, batch, proof });
    return { ...windowJson(window, station, clock()), order_made };
  },

  async closeWindow({ records, clock }: Factory, { id }: { id: string }): Promise<WindowJson> {
    const window = await records.write('closeWindow', { id });
    const station = (await stationsOf(records.read)).find((each) => each.id === window.station_id);
    return windowJson(window, station?.name ?? null, clock());
  },

  listWindows: windowsShown,

  /** Withdraws the certificate of a device, so that a new key of it may be certified. */
  async rework(
    { records }: Factory,
    { device_id }: { device_id: string },
  ): Promise<{ device_id: string; tbs_sha256: string; serial: string; order: string }> {
    const { tbs_sha256, serial, order_name: order } = await records.write('reworkDevice', { device_id });
    return { device_id, tbs_sha256, serial, order };
  },
} as const;
