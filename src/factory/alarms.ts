// What somebody should see to before the line stops: alarms, told when they begin and when they end.

import { statfs } from 'node:fs/promises';
import { CustodyProblem } from '../custody/custodian.ts';
import { formatInstant } from '../time.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { Factory } from './factory.ts';
import { keyFor } from './records/keys.ts';
import { mandatesOf, theLine } from './records/lines.ts';
import { faultsOfMandates } from './records/mandate-check.ts';
import { faultOfClock, logHead } from './records/log.ts';
import type { FactoryWindow, MandateRow } from './records/tables.ts';
import { openWindows } from './records/windows.ts';

/** An alarm. `stops` says that nothing is certified (or nothing of what it names) as long as it lasts. */
export interface Alarm {
  /** The same as long as it lasts: its kind, then what of several it is of. */
  readonly id: string;
  readonly level: 'warns' | 'stops';
  /** One sentence. */
  readonly message: string;
}

const minute = 60_000;
const day = 24 * 60 * minute;
const mebibyte = 1024 * 1024;

/** Octets that are left on the disk: a certificate takes about 4 KiB with its entry. */
const littleSpace = 256 * mebibyte;
const hardlyAnySpace = 16 * mebibyte;
/** How long before their ends the line's CA and its mandates are told of, in days; the shortest first. */
const caNotices = [7, 30, 90];
const mandateNotices = [1, 7, 30];
const windowNotice = 30 * minute;
/** From this part of a quota on it is told of. */
export const nearlyUsedUp = 0.8;

/** All there are at this moment. Asks the custodian for a signature. */
export async function alarms(factory: Factory): Promise<Alarm[]> {
  const { records, clock, config } = factory;
  const now = clock();
  const { bavail, bsize } = await statfs(config.dataDir);
  const line = await theLine(records.read);
  const ends = line?.ca_certificate ? parseCertificate(line.ca_certificate).notAfter : null;
  const clockFault = faultOfClock(now, (await logHead(records.read)).latest);
  return [
    ...alarmsOfSpace(bavail * bsize),
    ...(clockFault === null ? [] : [alarm('clock_went_back', 'stops', clockFault.sentence)]),
    ...(await alarmsOfKey(factory)),
    ...(ends === null ? [] : alarmsOfCa(ends, now)),
    ...(await faultsOfMandates(records.read)).map(({ id, fault }) => alarm(`mandate_changed/${id}`, 'stops', fault)),
    ...(ends === null ? [] : alarmsOfMandates(await mandatesOf(records.read), now)),
    ...(await openWindows(records.read, now)).flatMap((window) => alarmsOfWindow(window, now)),
  ];
}

function alarm(id: string, level: Alarm['level'], message: string): Alarm {
  return { id, level, message };
}

/** `free` is in octets. */
export function alarmsOfSpace(free: number): Alarm[] {
  const left = `The disk has ${Math.floor(free / mebibyte)} MiB left`;
  if (free < hardlyAnySpace) return [alarm('disk_full', 'stops', `${left}: soon nothing can be recorded, nor made.`)];
  return free < littleSpace ? [alarm('disk_nearly_full', 'warns', `${left}.`)] : [];
}

async function alarmsOfKey({ records, keys }: Factory): Promise<Alarm[]> {
  const key = await keyFor(records.read, 'line');
  if (!key) return [];
  try {
    await keys.check(key);
    return [];
  } catch (error) {
    if (!(error instanceof CustodyProblem)) throw error;
    return [alarm('key_away', 'stops', `The line's key cannot be used: ${error.message}`)];
  }
}

function alarmsOfCa(ends: number, now: number): Alarm[] {
  if (ends <= now) return [alarm('ca_ended', 'stops', `The line's CA ended ${formatInstant(ends)}.`)];
  const days = noticeOf(ends, now, caNotices);
  return days === null ? [] : [alarm(`ca_ends/${days}d`, 'warns', `The line's CA ends ${formatInstant(ends)}.`)];
}

/** The shortest notice that an end is within; null for none. */
function noticeOf(ends: number, now: number, notices: readonly number[]): number | null {
  return notices.find((days) => ends - now <= days * day) ?? null;
}

function alarmsOfMandates(mandates: readonly MandateRow[], now: number): Alarm[] {
  const present = mandates.filter(({ not_after }) => not_after > now);
  const usable = present.filter(({ used, quota }) => used < quota);
  if (usable.length === 0) {
    const why = present.length === 0 ? 'No mandate of the Fleet Root is in force' : 'The mandates are used up';
    return [alarm('no_mandate', 'stops', `${why}: nothing new is certified.`)];
  }
  const usedUp = present.filter(
    (mandate) => !usable.includes(mandate) && !usable.some((other) => covers(other, mandate)),
  );
  const warnings = usable.flatMap((mandate) => {
    const { id, used, quota, not_after } = mandate;
    // One that another stands in for when it is over concerns nobody.
    const others = usable.filter((other) => other !== mandate && other.not_after > not_after && covers(other, mandate));
    const days = noticeOf(not_after, now, mandateNotices);
    return [
      ...(days === null || others.length > 0
        ? []
        : [alarm(`mandate_ends/${id}/${days}d`, 'warns', `The mandate ${id} ends ${formatInstant(not_after)}.`)]),
      ...(used < quota * nearlyUsedUp || others.length > 0
        ? []
        : [alarm(`mandate_quota/${id}`, 'warns', `Of the mandate ${id} ${used} of ${quota} are used.`)]),
    ];
  });
  return [
    ...usedUp.map(({ id, quota }) =>
      alarm(
        `mandate_used_up/${id}`,
        'stops',
        `The mandate ${id} for ${quota} is used up, and no other covers the same.`,
      ),
    ),
    ...warnings,
  ];
}

/** Whether a mandate is for all that another one is for. */
function covers(other: MandateRow, mandate: MandateRow): boolean {
  return (
    other.device_id_pattern === mandate.device_id_pattern &&
    (other.order_name === null || other.order_name === mandate.order_name)
  );
}

function alarmsOfWindow({ id, order_name, used, quota, closes_at }: FactoryWindow, now: number): Alarm[] {
  const named = `the window ${id} of the order "${order_name}"`;
  const quotas = `${used} of ${quota} are used of ${named}`;
  return [
    ...(closes_at - now <= windowNotice
      ? [alarm(`window_closes/${id}`, 'warns', `${formatInstant(closes_at)} closes ${named}.`)]
      : []),
    ...(used >= quota
      ? [alarm(`window_used_up/${id}`, 'stops', `${quotas}: it takes nothing new.`)]
      : used >= quota * nearlyUsedUp
        ? [alarm(`window_quota/${id}`, 'warns', `${quotas}.`)]
        : []),
  ];
}

/** Looks for alarms again and again, and tells the log of each once when it begins, and when it ends. */
export class AlarmWatch implements AsyncDisposable {
  readonly #factory: Factory;
  readonly #timer: NodeJS.Timeout;
  #present: readonly Alarm[] = [];
  #looking: Promise<void> | null = null;

  /** `every` is in milliseconds. Looks a first time at once. */
  constructor(factory: Factory, { every = 30_000 }: { every?: number } = {}) {
    this.#factory = factory;
    this.#timer = setInterval(() => void this.look(), every).unref();
    void this.look();
  }

  /** Those of the last look. */
  get present(): readonly Alarm[] {
    return this.#present;
  }

  /** Looks now, or waits for the look that is under way. Never rejects. */
  look(): Promise<void> {
    return (this.#looking ??= this.#look().finally(() => (this.#looking = null)));
  }

  async #look(): Promise<void> {
    const { log } = this.#factory;
    try {
      const found = await alarms(this.#factory);
      const before = new Set(this.#present.map(({ id }) => id));
      for (const { id, level, message } of found) {
        if (!before.has(id)) log[level === 'stops' ? 'error' : 'warn']({ alarm: id }, message);
      }
      const after = new Set(found.map(({ id }) => id));
      for (const { id } of this.#present) if (!after.has(id)) log.info({ alarm: id }, 'the alarm is over');
      this.#present = found;
    } catch (error) {
      log.error({ err: error }, 'alarms could not be looked for');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }
}
