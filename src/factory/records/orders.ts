// The record of orders: what is made for somebody, and where one says so, which device IDs that is.

import { sql } from 'kysely';
import { Problem } from '../../problem.ts';
import { unseen } from '../../provisioning/device-id.ts';
import type { FactoryDb, FactoryTx, Order } from './tables.ts';

/** Rows in one statement: far below what SQLite takes as parameters (32,766). */
const rowsAtOnce = 5_000;

/** The order of this name. */
export async function orderByName(db: FactoryDb, name: string): Promise<Order | undefined> {
  return db.selectFrom('orders').selectAll().where('name', '=', name).executeTakeFirst();
}

/** An order as it is added; its device IDs are distinct, null for one that takes any. */
export type NewOrder = Pick<Order, 'name' | 'batch' | 'proof'> & { devices: readonly string[] | null };

/** Records an order. Throws Problem('name_taken'), and `invalid_request` for a name that none can have. */
export async function addOrder(tx: FactoryTx, { name, batch, proof, devices }: NewOrder): Promise<Order> {
  if (await orderByName(tx.db, name)) throw new Problem('name_taken', `There is an order "${name}" already.`);
  checkOrderName(name);
  if (batch !== null) checkBatch(batch);
  const order = { name, batch, proof, listed: devices === null ? 0 : 1, created_at: tx.now } as const;
  await tx.db.insertInto('orders').values(order).execute();
  for (let at = 0; at < (devices?.length ?? 0); at += rowsAtOnce) {
    const rows = devices!.slice(at, at + rowsAtOnce).map((device_id) => ({ order_name: name, device_id }));
    await tx.db.insertInto('order_devices').values(rows).execute();
  }
  const after = { batch, proof, devices: devices?.length ?? null };
  tx.audit({ action: 'order.add', account_id: null, object: { kind: 'order', id: name, name }, after });
  return order;
}

/**
 * An order's name is the label of an EST path (RFC 7030 §3.2.2) and stands in lists between commas.
 * Throws Problem('invalid_request').
 */
export function checkOrderName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return;
  throw new Problem(
    'invalid_request',
    `${JSON.stringify(name.slice(0, 80))} is no name of an order.`,
    'It has 1 to 64 letters, digits, dots, hyphens and underscores, and begins with a letter or digit.',
  );
}

function checkBatch(batch: string): void {
  if (batch.trim() !== '' && batch.length <= 64 && batch.isWellFormed() && !unseen.test(batch)) {
    return;
  }
  throw new Problem(
    'invalid_request',
    `${JSON.stringify(batch.slice(0, 80))} is no name of a batch.`,
    'It has 1 to 64 characters that can be seen.',
  );
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

/** An order and what has become of it. */
export interface OrderProgress extends Order {
  /** Device IDs on its list; null where it takes any. */
  readonly devices: number | null;
  /** Certificates that count, and those that were withdrawn. */
  readonly made: number;
  readonly withdrawn: number;
  /** Device IDs on its list that have no certificate; null where it takes any. */
  readonly left: number | null;
}

/** All orders by name, or the one of this name. */
export async function ordersOf(db: FactoryDb, name: string | null = null): Promise<OrderProgress[]> {
  const rows = await db
    .selectFrom('orders')
    .selectAll()
    .$if(name !== null, (query) => query.where('name', '=', name!))
    .select((each) => [
      each
        .selectFrom('order_devices')
        .select(({ fn }) => fn.countAll<number>().as('all'))
        .whereRef('order_name', '=', 'orders.name')
        .as('on_list'),
      each
        .selectFrom('order_devices')
        .innerJoin('certificates', 'certificates.device_id', 'order_devices.device_id')
        .select(({ fn }) => fn.countAll<number>().as('all'))
        .whereRef('order_devices.order_name', '=', 'orders.name')
        // Written out, since only so SQLite sees that the index of such rows is enough.
        .where('certificates.state', '=', sql.lit('made'))
        .as('made_of_list'),
      ...(['made', 'withdrawn'] as const).map((state) =>
        each
          .selectFrom('certificates')
          .select(({ fn }) => fn.countAll<number>().as('all'))
          .whereRef('certificates.order_name', '=', 'orders.name')
          .where('state', '=', state)
          .as(state),
      ),
    ])
    .orderBy('name')
    .execute();
  return rows.map(({ on_list, made_of_list, made, withdrawn, ...order }) => ({
    ...order,
    devices: order.listed === 1 ? on_list! : null,
    made: made!,
    withdrawn: withdrawn!,
    left: order.listed === 1 ? on_list! - made_of_list! : null,
  }));
}

/** Device IDs on an order's list that have no certificate, in their order. */
export async function notMadeOf(db: FactoryDb, order_name: string): Promise<string[]> {
  const rows = await db
    .selectFrom('order_devices')
    .select('device_id')
    .where('order_name', '=', order_name)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('certificates')
            .select('tbs_sha256')
            .whereRef('certificates.device_id', '=', 'order_devices.device_id')
            .where('state', '=', sql.lit('made')),
        ),
      ),
    )
    .orderBy('device_id')
    .execute();
  return rows.map(({ device_id }) => device_id);
}
