// The record of the windows that people open for orders.

import { randomUUID } from 'node:crypto';
import { Problem } from '../../problem.ts';
import { formatInstant } from '../../time.ts';
import { addOrder, orderByName } from './orders.ts';
import type { FactoryDb, FactoryTx, FactoryWindow, Order } from './tables.ts';

/** A window as a person asks for it. */
export interface NewWindow extends Pick<FactoryWindow, 'order_name' | 'quota' | 'closes_at' | 'station_id'> {
  /** Of the order: what it has to be where it is there (null: whatever it is), and what it gets where it is not. */
  readonly batch?: string | null;
  readonly proof?: Order['proof'] | null;
}

/**
 * Opens a window, and makes its order where it is not there. Throws Problem('conflict') for an order that has another
 * batch or wants another proof, and as `addOrder` does.
 */
export async function openWindow(
  tx: FactoryTx,
  { order_name, quota, closes_at, station_id, batch = null, proof = null }: NewWindow,
): Promise<FactoryWindow & { order_made: boolean }> {
  const known = await orderByName(tx.db, order_name);
  const order = known ?? (await addOrder(tx, { name: order_name, batch, proof: proof ?? 'station', devices: null }));
  for (const [name, wanted] of Object.entries({ batch, proof }) as ['batch' | 'proof', string | null][]) {
    if (wanted === null || order[name] === wanted) continue;
    const has = order[name] === null ? `no ${name}` : `the ${name} "${order[name]}"`;
    throw new Problem('conflict', `The order "${order_name}" is there already, and has ${has}.`);
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
  return { ...window, order_made: known === undefined };
}

/** Closes a window before its end. Throws Problem('not_found'). */
export async function closeWindow(tx: FactoryTx, { id }: { id: string }): Promise<FactoryWindow> {
  const window = await tx.db.selectFrom('windows').selectAll().where('id', '=', id).executeTakeFirst();
  if (!window || window.closed_at !== null || window.closes_at <= tx.now) {
    throw new Problem('not_found', `There is no open window ${id}.`, '`factory window list` shows those that are.');
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
    .where('closed_at', 'is', null)
    .where('closes_at', '>', now)
    .orderBy('closes_at')
    .orderBy('id')
    .execute();
}

/** The windows that there are and were, the latest first. */
export async function windowsOf(db: FactoryDb, limit: number): Promise<FactoryWindow[]> {
  return db.selectFrom('windows').selectAll().orderBy('opened_at', 'desc').orderBy('id').limit(limit).execute();
}
