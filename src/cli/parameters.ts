// The kinds of values that stand on a command line.

import { readFileSync } from 'node:fs';
import { formatInstant, parseDuration, parseInstant } from '../time.ts';
import type { Parameter } from './command.ts';
import { Failure, UsageError } from './failure.ts';

/** A text as it is. */
export function text(shown: string, about: string): Parameter<string, 'once'> {
  return { shown, about, occurs: 'once', read: (given) => given };
}

/** A whole number from `least` on, up to `most` where there is such. */
export function wholeNumber(
  shown: string,
  about: string,
  least: number,
  most = Number.POSITIVE_INFINITY,
): Parameter<number, 'once'> {
  const range = most === Number.POSITIVE_INFINITY ? `from ${least} on` : `from ${least} to ${most}`;
  const read = (given: string): number => {
    const number = /^\d{1,15}$/.test(given) ? Number(given) : -1;
    if (number < least || number > most) throw new UsageError(`${quoted(given)} is no whole number ${range}`);
    return number;
  };
  return { shown, about, occurs: 'once', read };
}

/** One of some words. */
export function choice<const Word extends string>(words: readonly Word[], about: string): Parameter<Word, 'once'> {
  const read = (given: string): Word => {
    const word = words.find((candidate) => candidate === given);
    if (word === undefined) throw new UsageError(`${quoted(given)} is none of ${words.join(', ')}`);
    return word;
  };
  return { shown: words.join('|'), about, occurs: 'once', read };
}

/** A length of time as the API takes it: a duration, or from `now` until an instant. */
export function duration(shown: string, about: string): Parameter<string, 'once'> {
  const read = (given: string): string => {
    if (parseDuration(given) !== null) return given;
    const seconds = Math.floor(((parseInstant(given) ?? 0) - Date.now()) / 1000);
    if (seconds <= 0) throw notInTime(given);
    return `${seconds}s`;
  };
  return { shown, about, occurs: 'once', read };
}

/** An instant as the API takes it: RFC 3339, or a duration from now. */
export function instant(shown: string, about: string): Parameter<string, 'once'> {
  const read = (given: string): string => {
    const length = parseDuration(given);
    const at = length === null ? parseInstant(given) : Date.now() + length;
    if (at === null) throw notInTime(given);
    return formatInstant(at);
  };
  return { shown, about, occurs: 'once', read };
}

/** An instant that has passed, as the API takes it: RFC 3339, or a duration before now. */
export function past(shown: string, about: string): Parameter<string, 'once'> {
  const read = (given: string): string => {
    const length = parseDuration(given);
    const at = length === null ? parseInstant(given) : Math.max(Date.now() - length, 0);
    if (at !== null) return formatInstant(at);
    throw new UsageError(`${quoted(given)} is neither a duration nor an instant`, instantsAndDurations);
  };
  return { shown, about, occurs: 'once', read };
}

const instantsAndDurations = 'durations are like 12h, 90d or 10y, instants like 2031-01-31T12:00:00Z';

function notInTime(given: string): UsageError {
  return new UsageError(`${quoted(given)} is neither a duration nor an instant to come`, instantsAndDurations);
}

/** A file's content, read here: the server opens no path that a client names. */
export function file(shown: string, about: string): Parameter<Uint8Array, 'once'> {
  return { shown, about, occurs: 'once', read: readFile };
}

/** A text file's content. */
export function textFile(shown: string, about: string): Parameter<string, 'once'> {
  return { shown, about, occurs: 'once', read: (given) => readFile(given).toString('utf8') };
}

/** Reads a file that the command line names. Throws Failure. */
export function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Failure(`cannot read ${path}: ${reasonOf(error)}`);
  }
}

/** What the system says of a file that it does not open, without the path and the call. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return message.replace(/^[A-Z0-9]+: /, '').replace(/, \w+(?: '.*')?$/s, '') || String(code);
}

/** An option that is there or not. */
export function flag(about: string): Parameter<true, 'flag'> {
  return { shown: '', about, occurs: 'flag', read: () => true };
}

/** An argument that may be left out. */
export function optional<Value>(parameter: Parameter<Value, 'once'>): Parameter<Value, 'optional'> {
  return { ...parameter, occurs: 'optional' };
}

/** An option that must be given. */
export function required<Value>(parameter: Parameter<Value, 'once'>): Parameter<Value, 'required'> {
  return { ...parameter, occurs: 'required' };
}

/** Arguments of which there may be several, at least one; an option that may be given several times. */
export function repeated<Value>(parameter: Parameter<Value, 'once'>): Parameter<Value, 'repeated'> {
  return { ...parameter, occurs: 'repeated' };
}

/** With one letter that stands for the option's name. */
export function short<P extends Parameter<unknown>>(letter: string, parameter: P): P {
  return { ...parameter, short: letter };
}

function quoted(given: string): string {
  return `"${given}"`;
}
