// What there is on the whole server, counted page by page along an index: for the metrics, never for an account's people.

import type { Db } from './database.ts';
import type { DeviceTalliesTable } from './fleet-tables.ts';
import type { DeviceState, ProvisioningKey } from './tables.ts';

/** Where a walk has come to: the last row that was counted. */
export type ByKind = Omit<DeviceTalliesTable, 'devices'>;
export type ByEnd = { account_id: string; certificate_not_after: number; device_id: string };
/** A row of an account, by its own key. */
export type ById = { account_id: string; id: string };

/** One page of a walk; `next` is null at its end. */
export interface Page<Count, Cursor> {
  readonly counts: readonly Count[];
  readonly next: Cursor | null;
}

/** Before every row. */
const first = { account_id: '', device_id: '' };

const kind = ['account_id', 'state', 'method', 'fleet_root_ca_id', 'provisioning_key_id'] as const;

/** How many devices the accounts have in each state: `most` counts, of which several may be of one account and state. */
export async function countDevices(
  db: Db,
  after: ByKind | null,
  most: number,
): Promise<Page<{ account_id: string; state: DeviceState; devices: number }, ByKind>> {
  const { account_id = '', state = '', method = '', fleet_root_ca_id = '', provisioning_key_id = '' } = after ?? {};
  let query = db
    .selectFrom('device_tallies')
    .selectAll()
    .where(({ eb, refTuple, tuple }) =>
      eb(
        refTuple(...kind),
        '>',
        tuple(account_id, state as DeviceState, method as 'shared', fleet_root_ca_id, provisioning_key_id),
      ),
    );
  for (const column of kind) query = query.orderBy(column);
  return pageOf(await query.limit(most).execute(), most);
}

function pageOf<Row>(rows: readonly Row[], most: number): Page<Row, Row> {
  return { counts: rows, next: rows.length < most ? null : rows.at(-1)! };
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

/** The ends and uses of the provisioning keys of all accounts, `most` of them. */
export async function provisioningKeysAfter(
  db: Db,
  after: ById | null,
  most: number,
): Promise<Page<Pick<ProvisioningKey, 'account_id' | 'id' | 'not_after' | 'max_uses' | 'uses' | 'disabled_at'>, ById>> {
  const { account_id, id } = after ?? { account_id: '', id: '' };
  const rows = await db
    .selectFrom('provisioning_keys')
    .select(['account_id', 'id', 'not_after', 'max_uses', 'uses', 'disabled_at'])
    .where(({ eb, refTuple, tuple }) => eb(refTuple('account_id', 'id'), '>', tuple(account_id, id)))
    .orderBy('account_id')
    .orderBy('id')
    .limit(most)
    .execute();
  return pageOf(rows, most);
}

/** What certificates of the server's own, and of whom accounts trust, there are beside those of devices. */
export const authorityKinds = ['gateway', 'gateway_ca', 'provisioning_ca', 'fleet_root_ca'] as const;
export type AuthorityKind = (typeof authorityKinds)[number];

/** One of them that is in use; an intermediate stands among those of the Fleet Root CAs. */
export interface Authority extends ById {
  readonly kind: AuthorityKind | 'intermediate';
  readonly not_after: number;
}

/** Those of a kind, of all accounts, `most` rows of them at a time. */
export async function authoritiesAfter(
  db: Db,
  of: AuthorityKind,
  after: ById | null,
  most: number,
): Promise<Page<Authority, ById>> {
  const { account_id, id } = after ?? { account_id: '', id: '' };
  if (of === 'fleet_root_ca') return fleetRootsAfter(db, { account_id, id }, most);
  if (of === 'gateway_ca') {
    const rows = await db
      .selectFrom('gateway_cas')
      .select(['account_id', 'id', 'not_after', 'state'])
      .where(({ eb, refTuple, tuple }) => eb(refTuple('account_id', 'id'), '>', tuple(account_id, id)))
      .orderBy('account_id')
      .orderBy('id')
      .limit(most)
      .execute();
    const { counts, next } = pageOf(rows, most);
    return { counts: counts.filter(({ state }) => state !== 'retired').map((row) => ({ ...row, kind: of })), next };
  }
  const rows = await db
    .selectFrom(of === 'gateway' ? 'gateway_certificates' : 'provisioning_cas')
    .select(['account_id', 'id', 'not_after'])
    .where('id', '>', id)
    .orderBy('id')
    .limit(most)
    .execute();
  return pageOf(
    rows.map((row) => ({ ...row, kind: of })),
    most,
  );
}

/** A certificate's own key is the ID of its Fleet Root CA and its SHA-256. */
async function fleetRootsAfter(db: Db, { account_id, id }: ById, most: number): Promise<Page<Authority, ById>> {
  const [ca = '', sha256 = ''] = id.split(' ');
  const rows = await db
    .selectFrom('fleet_root_certificates')
    .innerJoin('fleet_root_cas', 'fleet_root_cas.id', 'fleet_root_certificates.fleet_root_ca_id')
    .select([
      'fleet_root_certificates.account_id',
      'fleet_root_certificates.fleet_root_ca_id',
      'fleet_root_certificates.sha256',
      'fleet_root_certificates.role',
      'fleet_root_certificates.not_after',
      'fleet_root_cas.state',
    ])
    .where(({ eb, refTuple, tuple }) =>
      eb(
        refTuple(
          'fleet_root_certificates.account_id',
          'fleet_root_certificates.fleet_root_ca_id',
          'fleet_root_certificates.sha256',
        ),
        '>',
        tuple(account_id, ca, sha256),
      ),
    )
    .orderBy('fleet_root_certificates.account_id')
    .orderBy('fleet_root_certificates.fleet_root_ca_id')
    .orderBy('fleet_root_certificates.sha256')
    .limit(most)
    .execute();
  const all = rows.map(({ account_id, fleet_root_ca_id, sha256, role, not_after, state }) => ({
    account_id,
    id: `${fleet_root_ca_id} ${sha256}`,
    kind: role === 'anchor' ? ('fleet_root_ca' as const) : role,
    not_after,
    state,
  }));
  const { counts, next } = pageOf(all, most);
  return { counts: counts.filter(({ state }) => state !== 'disabled'), next };
}

/** The accounts whose factories account for what they make. */
export async function accountsWithLines(db: Db): Promise<string[]> {
  const accounts: string[] = [];
  // From one account to the next in the index.
  for (let last = ''; ;) {
    const next = await db
      .selectFrom('manifest_lines')
      .select('account_id')
      .where('account_id', '>', last)
      .orderBy('account_id')
      .limit(1)
      .executeTakeFirst();
    if (!next) return accounts;
    accounts.push((last = next.account_id));
  }
}
