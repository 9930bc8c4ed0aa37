// Which devices of a fleet are meant: the filter of lists, counts, exports and bulk changes, as conditions of SQL.

import { type RawBuilder, sql } from 'kysely';
import type { Db } from './database.ts';
import type { DeviceState, ProvisioningMethod } from './tables.ts';

/** A span of time in milliseconds since 1970: from `from` on, until before `before`. What never was lies in none. */
export interface Span {
  readonly from?: number | undefined;
  readonly before?: number | undefined;
}

/** Each member that is there narrows it; one without any means every device of the account. */
export interface DeviceFilter {
  /** Any of them. */
  readonly states?: readonly DeviceState[] | undefined;
  readonly method?: ProvisioningMethod | undefined;
  readonly fleet_root_ca_id?: string | undefined;
  /** Those whose present certificate led through it: SHA-256 (hex) of its certificate or key, or its subject's text. */
  readonly intermediate?: string | undefined;
  readonly provisioning_key_id?: string | undefined;
  /** All of them; without a value any. */
  readonly labels?: readonly { readonly name: string; readonly value: string | null }[] | undefined;
  readonly certificate_ends?: Span | undefined;
  readonly last_seen?: Span | undefined;
  /** Those that have never connected with a certificate of their own, or only the others. */
  readonly never_seen?: boolean | undefined;
  readonly first_seen?: Span | undefined;
  /** How the device ID begins, exactly. */
  readonly prefix?: string | undefined;
  /** What stands anywhere in the device ID; A to Z as a to z. */
  readonly text?: string | undefined;
}

/** The filter in SQL: what holds for a device, and from where those few of one member can be looked up. */
export interface Resolved {
  /** Holds for `devices`, and gives the planner no index to take: which one is taken is decided here. */
  readonly condition: RawBuilder<unknown>;
  /** Each a table and the rows of it, named `driver`, whose devices are those of one member of the filter. */
  readonly drivers: readonly Driver[];
}

/** Where devices can be looked up by one member of a filter. */
export interface Driver {
  readonly table: RawBuilder<unknown>;
  readonly condition: RawBuilder<unknown>;
  readonly uuid: RawBuilder<unknown>;
}

/** Chains through one intermediate, at most. Every device of a line has the same one. */
const mostChains = 1_000;

/** Resolves a filter of an account. */
export async function resolveFilter(db: Db, account_id: string, filter: DeviceFilter): Promise<Resolved> {
  const conditions: RawBuilder<unknown>[] = [];
  const drivers: Driver[] = [];
  const both = (
    column: string,
    holds: (value: RawBuilder<unknown>) => RawBuilder<unknown>,
    kind: 'text' | 'number',
  ) => {
    const own = sql.ref(`devices.${column}`);
    // Of an expression no index is taken; the value is the same.
    conditions.push(holds(kind === 'text' ? sql`(${own} || '')` : sql`(${own} + 0)`));
    drivers.push(ofDevices(account_id, holds(sql.ref(`driver.${column}`))));
  };
  const equals = (column: string, value: string | undefined) => {
    if (value !== undefined) both(column, (own) => sql`${own} = ${value}`, 'text');
  };

  for (const { name, value } of filter.labels ?? []) {
    const holds = (own: RawBuilder<unknown>) => {
      const named = sql`${own}.account_id = ${account_id} and ${own}.name = ${name}`;
      return value === null ? named : sql`${named} and ${own}.value = ${value}`;
    };
    const label = sql.ref('label');
    conditions.push(
      sql`exists (select 1 from device_labels as label where ${holds(label)} and label.device_uuid = devices.uuid)`,
    );
    drivers.push({
      table: sql`device_labels`,
      condition: holds(sql.ref('driver')),
      uuid: sql.ref('driver.device_uuid'),
    });
  }
  equals('provisioning_key_id', filter.provisioning_key_id);
  if (filter.intermediate !== undefined) {
    const chains = await chainsThrough(db, account_id, filter.intermediate);
    if (chains.length === 0) conditions.push(sql`1 = 0`);
    else both('chain_id', (own) => sql`${own} in (${sql.join(chains)})`, 'text');
  }
  if (filter.prefix !== undefined) {
    const { prefix } = filter;
    const end = sql`${prefix + lastCharacter}`;
    both('device_id', (own) => sql`${own} >= ${prefix} and ${own} < ${end}`, 'text');
  }
  for (const [column, span] of [
    ['certificate_not_after', filter.certificate_ends],
    ['last_seen', filter.last_seen],
    ['first_seen', filter.first_seen],
  ] as const) {
    if (span?.from === undefined && span?.before === undefined) continue;
    const { from = 0, before } = span;
    both(
      column,
      (own) => (before === undefined ? sql`${own} >= ${from}` : sql`${own} >= ${from} and ${own} < ${before}`),
      'number',
    );
  }
  if (filter.never_seen === true) both('last_seen', (own) => sql`${own} is null`, 'number');
  if (filter.never_seen === false) conditions.push(sql`(devices.last_seen + 0) is not null`);
  equals('fleet_root_ca_id', filter.fleet_root_ca_id);
  if (filter.states) {
    const { states } = filter;
    if (states.length === 0) conditions.push(sql`1 = 0`);
    else both('state', (own) => sql`${own} in (${sql.join([...states])})`, 'text');
  }
  // Without an index: half of a fleet has either.
  if (filter.method !== undefined) conditions.push(sql`(devices.method || '') = ${filter.method}`);
  if (filter.text !== undefined) {
    conditions.push(sql`lower(devices.device_id) like ${anywhere(filter.text)} escape '\\'`);
  }
  return { condition: conditions.length === 0 ? sql`1 = 1` : sql.join(conditions, sql` and `), drivers };
}

/** The pattern of what has a text in it, with A to Z as a to z. */
function anywhere(text: string): string {
  const lower = text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  return `%${lower.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
}

/** The last of Unicode, which is in no device ID: what begins with a text comes before the text and this. */
const lastCharacter = '\u{10ffff}';

function ofDevices(account_id: string, condition: RawBuilder<unknown>): Driver {
  return {
    table: sql`devices`,
    condition: sql`driver.account_id = ${account_id} and ${condition}`,
    uuid: sql.ref('driver.uuid'),
  };
}

/** The chains that an intermediate is part of, however it is named. */
async function chainsThrough(db: Db, account_id: string, intermediate: string): Promise<string[]> {
  const digest = intermediate.toLowerCase().replaceAll(':', '');
  const chains = new Set<string>();
  for (const [column, value] of [
    ['sha256', digest],
    ['public_key_sha256', digest],
    ['subject', intermediate],
  ] as const) {
    const rows = await db
      .selectFrom('chain_certificates')
      .select('chain_id')
      .where('account_id', '=', account_id)
      .where(column, '=', value)
      .limit(mostChains)
      .execute();
    for (const { chain_id } of rows) chains.add(chain_id);
  }
  return [...chains];
}
