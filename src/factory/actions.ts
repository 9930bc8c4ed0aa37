// What people ask of a factory, by name: each takes plain arguments and gives plain data, in this process or over its socket.

import { parseDuration } from '../time.ts';
import { Problem } from '../problem.ts';
import type { Factory } from './factory.ts';
import { stationByName } from './records/stations.ts';
import type { FactoryWindow, MadeCertificate, Order } from './records/tables.ts';
import { openWindows, ordersOf, windowsOf } from './records/windows.ts';

/** One of them. Throws Problem. */
export type Action = (factory: Factory, args: never) => Promise<unknown>;

/** Records of windows that are shown at the most. */
const mostWindows = 1_000;

/** By name. */
export const actions = {
  addOrder: ({ records }: Factory, args: Pick<Order, 'name' | 'batch' | 'proof'> & { devices: string[] | null }) =>
    records.write('addOrder', args),

  listOrders: ({ records }: Factory, _: object) => ordersOf(records.read),

  async openWindow(
    { records, clock }: Factory,
    { order, quota, lasts, station }: { order: string; quota: number; lasts: string; station: string | null },
  ): Promise<FactoryWindow> {
    const lifetime = parseDuration(lasts);
    if (lifetime === null) throw new Problem('invalid_request', `"${lasts}" is no time such as "8h".`);
    const named = station === null ? null : await stationByName(records.read, station);
    if (named === undefined) throw new Problem('not_found', `There is no station "${station}".`);
    const window = { order_name: order, quota, closes_at: clock() + lifetime, station_id: named?.id ?? null };
    return records.write('openWindow', window);
  },

  closeWindow: ({ records }: Factory, { id }: { id: string }) => records.write('closeWindow', { id }),

  listWindows: async ({ records, clock }: Factory, { all }: { all: boolean }) =>
    all ? windowsOf(records.read, mostWindows) : openWindows(records.read, clock()),

  async rework({ records }: Factory, { device_id }: { device_id: string }): Promise<Omit<MadeCertificate, 'der'>> {
    const { der: _der, ...withdrawn } = await records.write('reworkDevice', { device_id });
    return withdrawn;
  },
} as const satisfies Record<string, Action>;

export type Actions = typeof actions;
export type ActionName = keyof Actions;
export type ActionArguments<N extends ActionName> = Parameters<Actions[N]>[1];
export type ActionResult<N extends ActionName> = Awaited<ReturnType<Actions[N]>>;
