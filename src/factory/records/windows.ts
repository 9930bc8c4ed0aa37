// The record of orders, and of the windows that people open for them.

import { randomUUID } from 'node:crypto';
import { Problem } from '../../problem.ts';
import { formatInstant } from '../../time.ts';
import type { FactoryDb, FactoryTx, FactoryWindow, Order } from './tables.ts';

/** The order of this name. */
export async function orderByName(db: FactoryDb, name: string): Promise<Order | undefined> {
  return db.selectFrom('orders').selectAll().where('name', '=', name).executeTakeFirst();
}

/** All orders, by name. */
export async function ordersOf(db: FactoryDb): Promise<Order[]> {
  return db.selectFrom('orders').selectAll().orderBy('name').execute();
}

/** Records an order. Throws Problem('name_taken'). */
export async function addOrder(
  tx: FactoryTx,
  { name, batch, proof, devices }: Pick<Order, 'name' | 'batch' | 'proof'> & { devices: readonly string[] | null },
): Promise<Order> {
  if (await orderByName(tx.db, name)) throw new Problem('name_taken', `There is an order "${name}" already.`);
  const order = { name, batch, proof, listed: devices === null ? 0 : 1, created_at: tx.now } as const;
  await tx.db.insertInto('orders').values(order).execute();
  for (const device_id of devices ?? []) {
    await tx.db
      .insertInto('order_devices')
      .values({ order_name: name, device_id })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  const after = { batch, proof, devices: devices?.length ?? null };
  tx.audit({ action: 'order.add', account_id: null, object: { kind: 'order', id: name, name }, after });
  return order;
}

/** Whether a listed order has this device ID. */
export async function isListed(db: FactoryDb, order_name: string, device_id: string): Promise<boolean> {
  const row = await db
    .selectFrom('order_devices')
    .select('device_id')
    .where('order_name', '=', order_name)
    .where('device_id', '=', device_id)
    .executeTakeFirst();
  return row !== undefined;
}

/** Opens a window for an order that is there. Throws Problem('not_found'). */
export async function openWindow(
  tx: FactoryTx,
  {
    order_name,
    quota,
    closes_at,
    station_id,
  }: Pick<FactoryWindow, 'order_name' | 'quota' | 'closes_at' | 'station_id'>,
): Promise<FactoryWindow> {
  if (!(await orderByName(tx.db, order_name))) {
    throw new Problem('not_found', `There is no order "${order_name}".`, '`factory order add` makes one.');
  }
  const window = {
    id: randomUUID(),
    order_name,
    quota,
    used: 0,
    station_id,
    opened_at: tx.now,
    opened_by: tx.by.name,
    closes_at,
    closed_at: null,
  };
  await tx.db.insertInto('windows').values(window).execute();
  const after = { order: order_name, quota, closes_at: formatInstant(closes_at), station: station_id };
  const object = { kind: 'window', id: window.id, name: order_name };
  tx.audit({ action: 'window.open', account_id: null, object, after });
  return window;
}

/** Closes a window before its end. Throws Problem('not_found'). */
export async function closeWindow(tx: FactoryTx, { id }: { id: string }): Promise<FactoryWindow> {
  const window = await tx.db.selectFrom('windows').selectAll().where('id', '=', id).executeTakeFirst();
  if (!window || window.closed_at !== null || window.closes_at <= tx.now) {
    throw new Problem('not_found', `There is no open window ${id}.`);
  }
  await tx.db.updateTable('windows').set({ closed_at: tx.now }).where('id', '=', id).execute();
  const object = { kind: 'window', id, name: window.order_name };
  tx.audit({ action: 'window.close', account_id: null, object, after: { used: window.used } });
  return { ...window, closed_at: tx.now };
}

/** The windows that are open at `now`, the one that closes soonest first. */
export async function openWindows(db: FactoryDb, now: number): Promise<FactoryWindow[]> {
  return db
    .selectFrom('windows')
    .selectAll()
    .where('closes_at', '>', now)
    .where('closed_at', 'is', null)
    .orderBy('closes_at')
    .orderBy('id')
    .execute();
}

/** The windows that there are and were, the latest first. */
export async function windowsOf(db: FactoryDb, limit: number): Promise<FactoryWindow[]> {
  return db.selectFrom('windows').selectAll().orderBy('opened_at', 'desc').limit(limit).execute();
}
