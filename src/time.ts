// Durations and instants as the outside writes them: `90d`, `10y`, RFC 3339.

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000 } as const;
/** Largest first; weeks are understood but not written, since nobody reads `2w` as quickly as `14d`. */
const written = ['y', 'd', 'h', 'm', 's', 'ms'] as const;
const lastInstant = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
/** The beginning of the year 0. */
const firstInstant = -62_167_219_200_000;

/**
 * The milliseconds of a duration such as `30s`, `12h`, `90d` or `10y` (a year is 365 days: commands.md), or null where
 * the text is none. Nothing lasts zero, or longer than a date of four digits can tell.
 */
export function parseDuration(text: string): number | null {
  const [, digits, unit] = /^(\d{1,15})(ms|[smhdwy])$/.exec(text) ?? [];
  if (!digits || !unit) return null;
  const duration = Number(digits) * units[unit as keyof typeof units];
  return duration > 0 && duration <= lastInstant ? duration : null;
}

/** A duration in milliseconds, in the largest unit that divides it: `10y`, `90d`, `1500ms`. */
export function formatDuration(duration: number): string {
  const unit = written.find((candidate) => duration % units[candidate] === 0) ?? 'ms';
  return `${duration / units[unit]}${unit}`;
}

/** The instant (ms since 1970) of an RFC 3339 §5.6 date-time of 1970 to 9999, or null where the text is none. */
export function parseInstant(text: string): number | null {
  const [, day, hour, zone] =
    /^(\d{4}-\d{2}-\d{2})[Tt ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/.exec(
      text,
    ) ?? [];
  if (!day || !hour || !zone) return null;
  const midnight = Date.parse(`${day}T00:00:00Z`);
  // Date.parse takes a 30th of February for the 2nd of March.
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return null;
  const instant = Date.parse(`${day}T${text.slice(11).toUpperCase()}`);
  return instant >= 0 && instant <= lastInstant ? instant : null;
}

/** An instant (ms since 1970) as RFC 3339 in UTC, null as null; one that four digits of a year cannot tell as the nearest. */
export function formatInstant(instant: number): string;
export function formatInstant(instant: number | null): string | null;
export function formatInstant(instant: number | null): string | null {
  return instant === null ? null : new Date(Math.min(Math.max(instant, firstInstant), lastInstant)).toISOString();
}
