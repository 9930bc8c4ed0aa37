// How the value of a setting is read, whether TOML, a variable or an option has it: each throws what it is to be.

import { isIPv4 } from 'node:net';
import { parseDuration } from '../time.ts';

/** Reads one value. Throws Error with the rest of a sentence that begins with the setting. */
export type Parse = (value: unknown) => unknown;

/** A text that is not empty. */
export const text: Parse = (value) => {
  if (typeof value === 'string' && value !== '') return value;
  throw new Error('is to be a text');
};

/** A text that goes into headers and JSON as it is. */
export const asciiText: Parse = (value) => {
  if (typeof value === 'string' && /^[\x20-\x7E]+$/.test(value)) return value;
  throw new Error('is to be a text in ASCII');
};

/** A whole number; in a variable its digits. */
export const wholeNumber =
  (least: number, most: number): Parse =>
  (value) => {
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
    if (Number.isInteger(number) && (number as number) >= least && (number as number) <= most) return number;
    throw new Error(`is to be a whole number from ${least} to ${most}`);
  };

/** The longest that is waited for anything. */
const longestTimeout = 24 * 60 * 60 * 1000;

/** A time, which is given in milliseconds. */
export const milliseconds: Parse = (value) => {
  const time = typeof value === 'string' ? parseDuration(value) : null;
  if (time !== null && time <= longestTimeout) return time;
  throw new Error('is to be a time such as "500ms", "10s" or "2m", of a day at the most');
};

/** One of these words. */
export const oneOf =
  (...words: string[]): Parse =>
  (value) => {
    if (typeof value === 'string' && words.includes(value)) return value;
    throw new Error(`is to be one of ${words.join(', ')}`);
  };

/** Whether the host of a URL is this machine itself, whoever it asks. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIPv4(host) && host.startsWith('127.'));
}
