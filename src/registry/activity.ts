// What an account has been doing lately: devices that came, devices that are here, refusals, each counted by an index.

import { setImmediate } from 'node:timers/promises';
import { type RawBuilder, sql } from 'kysely';
import type { Db } from './database.ts';

/** So many spans of time of the same length, one after the other. */
interface Spans {
  /** When the first begins, in milliseconds since 1970. */
  readonly from: number;
  /** In milliseconds. */
  readonly length: number;
  readonly spans: number;
}

/** Instants of devices that there is an index of. */
type Column = 'first_seen' | 'last_seen' | 'certificate_not_after';

/** How many devices and refusals there were in each span, and some counts up to now. */
export interface Activity {
  /** Devices that were not there before. */
  readonly added: readonly number[];
  /** Refusals, by when each was last the same. */
  readonly refused: readonly number[];
  /** Devices that connected within five minutes. */
  readonly seen_5_minutes: number;
  /** Devices whose certificate ends within a day, and within seven. */
  readonly expiring_1_day: number;
  readonly expiring_7_days: number;
  /** The refusals of the last day, those with most first. */
  readonly refusals_by_code: readonly { readonly code: string; readonly rule: string; readonly refusals: number }[];
}

const recently = 5 * 60 * 1000;
const day = 24 * 60 * 60 * 1000;
/** Codes that are told of: there are fewer. */
const mostCodes = 100;

/** Counts what was in spans of time until now. */
export async function activityOf(
  db: Db,
  account_id: string,
  { now, ...spans }: Spans & { now: number },
): Promise<Activity> {
  const seen = { from: now - recently, length: recently, spans: 1 };
  const week = { from: now, length: day, spans: 7 };
  const ending = await countDevices(db, account_id, 'certificate_not_after', week, now + 7 * day);
  return {
    added: await countDevices(db, account_id, 'first_seen', spans),
    refused: await countRefusals(db, account_id, spans),
    seen_5_minutes: (await countDevices(db, account_id, 'last_seen', seen))[0]!,
    expiring_1_day: ending[0]!,
    expiring_7_days: ending.reduce((sum, devices) => sum + devices, 0),
    refusals_by_code: await refusalsByCode(db, account_id, now - day),
  };
}

/** Entries of an index that are counted at once: a few milliseconds. The devices get their turn in between. */
const entriesAtOnce = 20_000;

/** Counts the devices of each span by the index alone: up to `before`, and what is later than the last span as of the last. */
async function countDevices(
  db: Db,
  account_id: string,
  column: Column,
  spans: Spans,
  before: number = Number.MAX_SAFE_INTEGER,
): Promise<number[]> {
  const counts = noneIn(spans);
  const value = sql.ref(column);
  // Of each bound of a range SQLite takes one condition, so that there is to be one.
  for (let begin = sql`${value} >= ${spans.from}`; ;) {
    const { rows: ahead } = await sql<{ value: number; device_id: string }>`
      select ${value} as value, device_id from devices
      where account_id = ${account_id} and ${begin} and ${value} < ${before}
      order by ${value}, device_id limit 1 offset ${entriesAtOnce - 1}`.execute(db);
    const [last] = ahead;
    const end = last ? sql`(${value}, device_id) <= (${last.value}, ${last.device_id})` : sql`${value} < ${before}`;
    const { rows } = await sql<SpanRow>`
      select ${spanOf(value, spans)} as span, count(*) as counted from devices
      where account_id = ${account_id} and ${begin} and ${end} group by 1`.execute(db);
    addTo(counts, rows);
    if (!last) return counts;
    begin = sql`(${value}, device_id) > (${last.value}, ${last.device_id})`;
    await setImmediate();
  }
}

/** Of each account so many refusals stay as can be counted in one go. */
async function countRefusals(db: Db, account_id: string, spans: Spans): Promise<number[]> {
  const { rows } = await sql<SpanRow>`
    select ${spanOf(sql.ref('at'), spans)} as span, count(*) as counted from refusals
    where account_id = ${account_id} and at >= ${spans.from} group by 1`.execute(db);
  const counts = noneIn(spans);
  addTo(counts, rows);
  return counts;
}

async function refusalsByCode(db: Db, account_id: string, since: number): Promise<Activity['refusals_by_code']> {
  const { rows } = await sql<Activity['refusals_by_code'][number]>`
    select code, max(rule) as rule, count(*) as refusals from refusals
    where account_id = ${account_id} and at >= ${since}
    group by code order by 3 desc, 1 limit ${mostCodes}`.execute(db);
  return rows;
}

interface SpanRow {
  readonly span: number;
  readonly counted: number;
}

/** Which span an instant is in: SQLite divides what it is given as fractions, PostgreSQL as integers. */
function spanOf(instant: RawBuilder<unknown>, { from, length }: Spans): RawBuilder<number> {
  return sql<number>`cast((${instant} - ${from}) / ${length} as integer)`;
}

const noneIn = ({ spans }: Spans): number[] => Array.from({ length: spans }, () => 0);

function addTo(counts: number[], rows: readonly SpanRow[]): void {
  for (const { span, counted } of rows) {
    const at = Math.min(span, counts.length - 1);
    counts[at] = counts[at]! + counted;
  }
}
