// The device IDs that may join an account whose admission policy is `allow-list`.

import { setImmediate } from 'node:timers/promises';
import { sql } from 'kysely';
import { type Db, prepared, type Tx } from './database.ts';
import { type Labels, mostLabels, readLabels, withLabels } from './label-values.ts';
import { storeLabels } from './labels.ts';
import type { AllowListTable, Device, DeviceState } from './tables.ts';

/** Rows in one statement: far below what SQLite (32,766) and PostgreSQL (65,535) take as parameters. */
const rowsAtOnce = 500;

/** A device ID as it is imported, and what the device is to be labelled with when it joins. */
export interface AllowListEntry {
  readonly device_id: string;
  readonly labels: Labels | null;
}

/** What came of an import: `already` counts those that had been there, `updated` those of them with other labels now. */
export interface Imported {
  readonly added: number;
  readonly already: number;
  readonly updated: number;
}

/** The same with the device IDs that were passed over, since there would be more labels than there may be. */
export interface ImportedRows extends Imported {
  readonly overfull: readonly string[];
}

/**
 * Adds device IDs. Of those that are there already the labels are set, and others of them kept; a device that has joined
 * gets those that are not as its entry had them. The writer does nothing else meanwhile: who has very many brings them by
 * the 10,000.
 */
export async function importAllowList(
  tx: Tx,
  { account_id, entries }: { account_id: string; entries: readonly AllowListEntry[] },
): Promise<ImportedRows> {
  const sum = { added: 0, updated: 0 };
  const overfull: string[] = [];
  for (const some of inParts(lastOfEach(entries))) {
    const found = await compare(tx.db, account_id, some);
    await importSome(tx, account_id, found);
    sum.added += found.added;
    sum.updated += found.changes.length - found.added;
    overfull.push(...found.overfull);
  }
  if (sum.added + sum.updated > 0) tx.audit({ action: 'allow_list.import', ...listOf(account_id), after: { ...sum } });
  return { ...sum, already: entries.length - sum.added - overfull.length, overfull };
}

/** Of device IDs that stand twice the last counts, as if they had come one after the other. */
function lastOfEach(entries: readonly AllowListEntry[]): AllowListEntry[] {
  return [...new Map(entries.map((each) => [each.device_id, each])).values()];
}

async function importSome(tx: Tx, account_id: string, { changes }: Comparison): Promise<void> {
  if (changes.length === 0) return;
  const rows = changes.map(({ device_id, labels }) => ({ account_id, added_at: tx.now, device_id, labels }));
  await tx.db
    .insertInto('allow_list')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(['account_id', 'device_id']).doUpdateSet((set) => ({ labels: set.ref('excluded.labels') })),
    )
    .execute();
  for (const { joined } of changes) {
    if (joined === null || joined.labels === joined.device.labels) continue;
    const { device, labels } = joined;
    await storeLabels(tx.db, device, labels);
    tx.audit({
      action: 'device.label',
      account_id,
      object: { kind: 'device', id: device.uuid, name: device.device_id },
      before: { labels: readLabels(device.labels) },
      after: { labels: readLabels(labels) },
    });
  }
}

type Labelled = Pick<Device, 'account_id' | 'uuid' | 'device_id' | 'labels'>;

/** What is not on the list as it is imported. */
interface Comparison {
  readonly changes: (Pick<AllowListTable, 'device_id' | 'labels'> & {
    /** The device that has joined under this ID, where there is one, and the labels that it gets. */
    readonly joined: { readonly device: Labelled; readonly labels: string | null } | null;
  })[];
  readonly added: number;
  readonly overfull: readonly string[];
}

async function compare(db: Db, account_id: string, some: readonly AllowListEntry[]): Promise<Comparison> {
  const device_ids = some.map(({ device_id }) => device_id);
  const present = await db
    .selectFrom('allow_list')
    .select(['device_id', 'labels'])
    .where('account_id', '=', account_id)
    .where('device_id', 'in', device_ids)
    .execute();
  const before = new Map(present.map(({ device_id, labels }) => [device_id, labels]));
  const joined = some.some(({ labels }) => labels !== null) ? await labelledOf(db, account_id, device_ids) : null;
  const overfull: string[] = [];
  const changes = some.flatMap(({ device_id, labels }) => {
    const known = before.get(device_id);
    const present = readLabels(known ?? null);
    const merged = withLabels(present, labels ?? {});
    if (known === merged) return [];
    // What an operator has set at the device meanwhile stays, where the row says nothing new of it.
    const news = Object.entries(labels ?? {}).filter(([name, value]) => present[name] !== value);
    const device = joined?.get(device_id);
    const of = device && { device, labels: withLabels(readLabels(device.labels), Object.fromEntries(news)) };
    if (isOverfull(merged) || (of && isOverfull(of.labels))) {
      overfull.push(device_id);
      return [];
    }
    return [{ device_id, labels: merged, joined: of ?? null }];
  });
  return { changes, added: changes.filter(({ device_id }) => !before.has(device_id)).length, overfull };
}

async function labelledOf(
  db: Db,
  account_id: string,
  device_ids: readonly string[],
): Promise<ReadonlyMap<string, Labelled>> {
  const devices = await db
    .selectFrom('devices')
    .select(['account_id', 'uuid', 'device_id', 'labels'])
    .where('account_id', '=', account_id)
    .where('device_id', 'in', device_ids)
    .execute();
  return new Map(devices.map((device) => [device.device_id, device]));
}

const isOverfull = (labels: string | null): boolean => Object.keys(readLabels(labels)).length > mostLabels;

/** What an import of these entries would come to. */
export async function weighAllowList(
  db: Db,
  account_id: string,
  entries: readonly AllowListEntry[],
): Promise<ImportedRows> {
  let added = 0;
  let updated = 0;
  const overfull: string[] = [];
  for (const some of inParts(lastOfEach(entries))) {
    const found = await compare(db, account_id, some);
    added += found.added;
    updated += found.changes.length - found.added;
    overfull.push(...found.overfull);
  }
  return { added, already: entries.length - added - overfull.length, updated, overfull };
}

/** Takes device IDs off the list; devices that have joined stay. Those that were not on it are not counted. */
export async function removeFromAllowList(
  tx: Tx,
  { account_id, device_ids }: { account_id: string; device_ids: readonly string[] },
): Promise<{ removed: number }> {
  let removed = 0;
  for (const some of inParts(device_ids)) {
    const deleted = await tx.db
      .deleteFrom('allow_list')
      .where('account_id', '=', account_id)
      .where('device_id', 'in', some)
      .executeTakeFirst();
    removed += Number(deleted.numDeletedRows);
  }
  if (removed > 0) tx.audit({ action: 'allow_list.remove', ...listOf(account_id), before: { removed } });
  return { removed };
}

/** An account's list as the object of an entry, which counts the device IDs and does not repeat them. */
function listOf(account_id: string) {
  return { account_id, object: { kind: 'allow_list', id: account_id, name: null } };
}

const entry = prepared((db, given: { account_id: string; device_id: string }) =>
  db
    .selectFrom('allow_list')
    .select('device_id')
    .where('account_id', '=', given.account_id)
    .where('device_id', '=', given.device_id),
);

/** Whether this exact device ID is on the account's list. */
export async function isAllowed(db: Db, account_id: string, device_id: string): Promise<boolean> {
  return (await entry(db, { account_id, device_id })).length > 0;
}

/** Which entries are meant: whose device has never connected (or not even joined), or has, or has joined. */
export const allowListStandings = ['never', 'seen', 'joined'] as const;
export type AllowListStanding = (typeof allowListStandings)[number];

/** An entry with the device that has joined under its ID; its members are null where none has. */
export type AllowListView = AllowListTable & {
  uuid: string | null;
  state: DeviceState | null;
  first_seen: number | null;
  last_seen: number | null;
};

/** Rows that are read at once: the devices get their turn in between. */
const rowsInATurn = 4_000;

const standing = {
  never: sql`devices.last_seen is null`,
  seen: sql`devices.last_seen is not null`,
  joined: sql`devices.uuid is not null`,
} as const;

/** The entries of the list in the order of their device IDs, `limit` of them after the device ID `after`. */
export async function allowListOf(
  db: Db,
  account_id: string,
  { limit = 1_000, after = '', seen }: { limit?: number; after?: string; seen?: AllowListStanding | undefined } = {},
): Promise<AllowListView[]> {
  const page: AllowListView[] = [];
  for await (const part of partsOf(db, account_id, after)) {
    const { rows } = await sql<AllowListView>`
      select allow_list.*, devices.uuid, devices.state, devices.first_seen, devices.last_seen
      from ${part} and ${seen ? standing[seen] : sql`1 = 1`}
      order by allow_list.device_id limit ${limit - page.length}`.execute(db);
    for (const row of rows) page.push(row);
    if (page.length >= limit) break;
  }
  return page;
}

/** How many entries the list has, how many of them have joined, and how many were never seen. */
export async function countAllowList(
  db: Db,
  account_id: string,
): Promise<{ entries: number; joined: number; never_seen: number }> {
  const counts = { entries: 0, joined: 0, never_seen: 0 };
  for await (const part of partsOf(db, account_id, '')) {
    const { rows } = await sql<Record<keyof typeof counts, number | string>>`
      select count(*) as entries, count(devices.uuid) as joined, count(*) - count(devices.last_seen) as never_seen
      from ${part}`.execute(db);
    for (const name of Object.keys(counts) as (keyof typeof counts)[]) counts[name] += Number(rows[0]![name]);
  }
  return counts;
}

/** The list with the devices that have joined, so many rows at a time. */
async function* partsOf(db: Db, account_id: string, from: string) {
  for (let after = from; ;) {
    const begin = sql`allow_list.account_id = ${account_id} and allow_list.device_id > ${after}`;
    const { rows } = await sql<{ device_id: string }>`
      select allow_list.device_id from allow_list where ${begin}
      order by allow_list.device_id limit 1 offset ${rowsInATurn - 1}`.execute(db);
    const end = rows[0]?.device_id;
    yield sql`allow_list left join devices
      on devices.account_id = ${account_id} and devices.device_id = allow_list.device_id
      where ${begin} and ${end === undefined ? sql`1 = 1` : sql`allow_list.device_id <= ${end}`}`;
    if (end === undefined) return;
    after = end;
    await setImmediate();
  }
}

function* inParts<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let at = 0; at < items.length; at += rowsAtOnce) yield items.slice(at, at + rowsAtOnce);
}
