// What there is on the whole server, counted page by page along an index: for the metrics, never for an account's people.

import type { Db } from './database.ts';
import type { DeviceState, ProvisioningKey } from './tables.ts';

/** Where a walk has come to: the last row that was counted. */
export type ByState = { account_id: string; state: string; device_id: string };
export type ByEnd = { account_id: string; certificate_not_after: number; device_id: string };

/** One page of a walk; `next` is null at its end. */
export interface Page<Count, Cursor> {
  readonly counts: readonly Count[];
  readonly next: Cursor | null;
}

/** Before every row. */
const first = { account_id: '', device_id: '' };

/** Counts the next `most` devices of all accounts by account and state. */
export async function countDevices(
  db: Db,
  after: ByState | null,
  most: number,
): Promise<Page<{ account_id: string; state: DeviceState; devices: number }, ByState>> {
  const { account_id, state, device_id } = after ?? { ...first, state: '' };
  const rest = db
    .selectFrom('devices')
    .where((where) =>
      where(
        where.refTuple('account_id', 'state', 'device_id'),
        '>',
        where.tuple(account_id, state as DeviceState, device_id),
      ),
    );
  const next = await rest
    .select(['account_id', 'state', 'device_id'])
    .orderBy('account_id')
    .orderBy('state')
    .orderBy('device_id')
    .offset(most - 1)
    .limit(1)
    .executeTakeFirst();
  const page = next
    ? rest.where((where) =>
        where(
          where.refTuple('account_id', 'state', 'device_id'),
          '<=',
          where.tuple(next.account_id, next.state, next.device_id),
        ),
      )
    : rest;
  const rows = await page
    .select((select) => ['account_id', 'state', select.fn.countAll<number | string>().as('devices')])
    .groupBy(['account_id', 'state'])
    .execute();
  return { counts: rows.map((row) => ({ ...row, devices: Number(row.devices) })), next: next ?? null };
}

/** Counts the next `most` devices that have a certificate in use, of all accounts: how many end before each of `ends`. */
export async function countDevicesByEnd(
  db: Db,
  after: ByEnd | null,
  most: number,
  ends: readonly number[],
): Promise<Page<{ account_id: string; all: number; before: number[] }, ByEnd>> {
  const { account_id, certificate_not_after, device_id } = after ?? { ...first, certificate_not_after: 0 };
  const rest = db
    .selectFrom('devices')
    .where('certificate_not_after', 'is not', null)
    .where((where) =>
      where(
        where.refTuple('account_id', 'certificate_not_after', 'device_id'),
        '>',
        where.tuple(account_id, certificate_not_after, device_id),
      ),
    );
  const found = await rest
    .select(['account_id', 'certificate_not_after', 'device_id'])
    .orderBy('account_id')
    .orderBy('certificate_not_after')
    .orderBy('device_id')
    .offset(most - 1)
    .limit(1)
    .executeTakeFirst();
  const next = found ? { ...found, certificate_not_after: found.certificate_not_after ?? 0 } : null;
  const page = next
    ? rest.where((where) =>
        where(
          where.refTuple('account_id', 'certificate_not_after', 'device_id'),
          '<=',
          where.tuple(next.account_id, next.certificate_not_after, next.device_id),
        ),
      )
    : rest;
  const rows = await page
    .select((select) => [
      'account_id',
      select.fn.countAll<number | string>().as('all'),
      ...ends.map((end, index) =>
        select.fn
          .sum<number | string>(select.case().when('certificate_not_after', '<', end).then(1).else(0).end())
          .as(`before_${index}`),
      ),
    ])
    .groupBy('account_id')
    .execute();
  const counts = rows.map((row) => {
    const sums = row as unknown as Record<string, number | string>;
    return {
      account_id: row.account_id,
      all: Number(sums['all']),
      before: ends.map((_, i) => Number(sums[`before_${i}`])),
    };
  });
  return { counts, next };
}

/** The ends and uses of an account's provisioning keys, `most` of them after the ID `after`. */
export async function provisioningKeysAfter(
  db: Db,
  account_id: string,
  after: string,
  most: number,
): Promise<Pick<ProvisioningKey, 'id' | 'not_after' | 'max_uses' | 'uses' | 'disabled_at'>[]> {
  return db
    .selectFrom('provisioning_keys')
    .select(['id', 'not_after', 'max_uses', 'uses', 'disabled_at'])
    .where('account_id', '=', account_id)
    .where('id', '>', after)
    .orderBy('id')
    .limit(most)
    .execute();
}
