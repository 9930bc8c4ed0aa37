// The devices of an account as a file that is written while it is read: CSV or JSON, one device a line.

import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { Db } from '../registry/database.ts';
import { fleetPage, type FleetPlace } from '../registry/fleet.ts';
import type { DeviceFilter } from '../registry/fleet-filter.ts';
import { labelNamesOf } from '../registry/labels.ts';
import { deviceJson } from './representations.ts';
import type { DeviceJson } from './schemas.ts';

/** Devices that are in memory at once. */
const devicesAtOnce = 1_000;

export type ExportFormat = 'csv' | 'jsonl';

/** Their media types: RFC 4180, and what JSON Lines are sent as. */
export const exportTypes: Readonly<Record<ExportFormat, string>> = {
  csv: 'text/csv; charset=utf-8; header=present',
  jsonl: 'application/jsonl; charset=utf-8',
};

/**
 * The devices of a filter in the order of their IDs. A page is read when the one before has been taken, and nothing is held
 * open in between: a reader that is slow, or gone, costs one page.
 */
export function exportDevices(db: Db, account_id: string, filter: DeviceFilter, format: ExportFormat): Readable {
  return Readable.from(format === 'csv' ? csv(db, account_id, filter) : jsonLines(db, account_id, filter), {
    objectMode: true,
    highWaterMark: 1,
  });
}

async function* jsonLines(db: Db, account_id: string, filter: DeviceFilter): AsyncGenerator<string> {
  for await (const page of pagesOf(db, account_id, filter)) {
    yield page.map((device) => `${JSON.stringify(device)}\n`).join('');
  }
}

const columns = [
  'device_id',
  'uuid',
  'state',
  'method',
  'fleet_root_ca',
  'fleet_root_ca_name',
  'provisioning_key',
  'certificate_not_after',
  'first_seen',
  'last_seen',
] as const satisfies (keyof DeviceJson)[];

async function* csv(db: Db, account_id: string, filter: DeviceFilter): AsyncGenerator<string> {
  const labels = await labelNamesOf(db, account_id);
  yield line([...columns, ...labels.map((name) => `label:${name}`)]);
  for await (const page of pagesOf(db, account_id, filter)) {
    yield page
      .map((device) =>
        line([
          ...columns.map((name) => device[name] ?? ''),
          ...labels.map((name) => (Object.hasOwn(device.labels, name) ? device.labels[name]! : '')),
        ]),
      )
      .join('');
  }
}

async function* pagesOf(db: Db, account_id: string, filter: DeviceFilter): AsyncGenerator<DeviceJson[]> {
  for (let after: FleetPlace | undefined; ;) {
    const page = await fleetPage(db, account_id, { filter, after, limit: devicesAtOnce });
    if (page.length > 0) yield page.map(deviceJson);
    const last = page.at(-1);
    if (!last || page.length < devicesAtOnce) return;
    after = { device_id: last.device_id, value: null };
    // Reads do not leave this thread: the devices get their turn in between.
    await setImmediate();
  }
}

/** A line of RFC 4180. */
function line(fields: readonly string[]): string {
  return `${fields.map(field).join(',')}\r\n`;
}

/** A device chose its ID: what a spreadsheet would take for a formula is made a text of, by the quote that means one. */
function field(value: string): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
