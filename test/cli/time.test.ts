import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, formatInstant, parseDuration, parseInstant } from '../../src/time.ts';

const day = 86_400_000;

test('a duration is a whole number and a unit, a year has 365 days', () => {
  assert.equal(parseDuration('500ms'), 500);
  assert.equal(parseDuration('30s'), 30_000);
  assert.equal(parseDuration('5m'), 300_000);
  assert.equal(parseDuration('12h'), day / 2);
  assert.equal(parseDuration('90d'), 90 * day);
  assert.equal(parseDuration('2w'), 14 * day);
  assert.equal(parseDuration('10y'), 3650 * day);
});

test('what is no duration, lasts no time, or longer than a date can tell is refused', () => {
  for (const text of [
    '',
    '5',
    'd',
    '-1d',
    '+1d',
    '1.5h',
    '1 d',
    '1d ',
    '1D',
    '0s',
    '1h30m',
    '9000y',
    `${'9'.repeat(30)}s`,
  ]) {
    assert.equal(parseDuration(text), null, text);
  }
});

test('a duration is written in the largest unit that divides it, and read back as the same', () => {
  assert.equal(formatDuration(365 * day), '1y');
  assert.equal(formatDuration(14 * day), '14d');
  assert.equal(formatDuration(1500), '1500ms');
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 40 }),
      (duration) => parseDuration(formatDuration(duration)) === duration,
    ),
  );
});

test('an instant is an RFC 3339 date-time, in whatever zone', () => {
  assert.equal(parseInstant('2027-01-31T12:00:00Z'), Date.UTC(2027, 0, 31, 12));
  assert.equal(parseInstant('2027-01-31T12:00:00.250+02:00'), Date.UTC(2027, 0, 31, 10, 0, 0, 250));
  assert.equal(parseInstant('2027-01-31t12:00:00z'), Date.UTC(2027, 0, 31, 12));
  assert.equal(parseInstant('2028-02-29T00:00:00Z'), Date.UTC(2028, 1, 29));
});

test('a day that the calendar does not have is no instant, nor is a date without a time or a zone', () => {
  const none = ['2027-02-29T00:00:00Z', '2027-04-31T00:00:00Z', '2027-13-01T00:00:00Z', '2027-01-01T24:00:00Z'];
  for (const text of [
    ...none,
    '2027-01-31',
    '2027-01-31T12:00Z',
    '2027-01-31T12:00:00',
    'tomorrow',
    '1969-12-31T23:59:59Z',
  ]) {
    assert.equal(parseInstant(text), null, text);
  }
});

test('an instant is written in UTC and read back as the same', () => {
  assert.equal(formatInstant(Date.UTC(2027, 0, 31, 12)), '2027-01-31T12:00:00.000Z');
  assert.equal(formatInstant(null), null);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) }), (at) => parseInstant(formatInstant(at)) === at),
  );
});
