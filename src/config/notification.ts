// The settings of what is told to others: how long events are kept, who may follow them, where the server may connect to.

import { parseAllowed } from '../outbound.ts';
import { parseDuration } from '../time.ts';
import { type Parse, wholeNumber } from './value.ts';

/** How long events are kept and how many may follow them at once. */
export interface EventSettings {
  /** In milliseconds; deliveries to webhooks are kept as long. */
  readonly kept: number;
  /** Streams open at once, of everybody. */
  readonly streams: number;
  /** Streams open at once, of one operator or token. */
  readonly streamsEach: number;
}

/** Where the server may connect to beyond what is public: addresses, networks, host names. */
export interface OutboundSettings {
  readonly allow: readonly string[];
}

const day = 24 * 60 * 60 * 1000;
/** Shorter, and a webhook that is away for a day would miss some. */
const shortestKept = 2 * day;
const longestKept = 365 * day;

const kept: Parse = (value) => {
  const time = typeof value === 'string' ? parseDuration(value) : null;
  if (time !== null && time >= shortestKept && time <= longestKept) return time;
  throw new Error('is to be a time from "2d" to "1y"');
};

const streams = wholeNumber(1, 1_000_000);

const destinations: Parse = (value) => {
  const all = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [value];
  const entries = all.map((one) => (typeof one === 'string' ? one.trim() : ''));
  const wrong = entries.find((entry) => parseAllowed(entry) === null);
  if (wrong === undefined) return entries;
  throw new Error(
    `is to be addresses, networks such as "10.1.0.0/16", or host names: ${JSON.stringify(wrong)} is none`,
  );
};

/** Each setting: its key, how it is read, and its default. */
export const notificationSettings = {
  'events.kept': [kept, 7 * day],
  'events.streams': [streams, 10_000],
  'events.streams_each': [streams, 100],
  'outbound.allow': [destinations, []],
} as const satisfies Record<string, readonly [Parse, unknown]>;

/** Gathers them, as `read` gives each. */
export function readNotification(read: (key: keyof typeof notificationSettings) => unknown): {
  readonly events: EventSettings;
  readonly outbound: OutboundSettings;
} {
  return {
    events: {
      kept: read('events.kept') as number,
      streams: read('events.streams') as number,
      streamsEach: read('events.streams_each') as number,
    },
    outbound: { allow: read('outbound.allow') as readonly string[] },
  };
}
