// The settings of how long histories are kept, beside that of events (notification.ts); the audit log is kept for ever.

import { parseDuration } from '../time.ts';
import type { Parse } from './value.ts';

/** How long each is kept, in milliseconds; null for ever. */
export interface RetentionSettings {
  /** Since a refusal was last the same again. */
  readonly refusals: number | null;
  /** Since a device has reported it. */
  readonly reports: number | null;
}

const day = 24 * 60 * 60 * 1000;

const kept: Parse = (value) => {
  if (value === 'forever') return null;
  const time = typeof value === 'string' ? parseDuration(value) : null;
  if (time !== null && time >= day) return time;
  throw new Error('is to be "forever" or a time of a day at least, such as "90d"');
};

/** Each setting: its key, how it is read, and its default. */
export const retentionSettings = {
  'retention.refusals': [kept, 90 * day],
  'retention.reports': [kept, null],
} as const satisfies Record<string, readonly [Parse, unknown]>;

/** Gathers them, as `read` gives each. */
export function readRetention(read: (key: keyof typeof retentionSettings) => unknown): RetentionSettings {
  return {
    refusals: read('retention.refusals') as number | null,
    reports: read('retention.reports') as number | null,
  };
}
