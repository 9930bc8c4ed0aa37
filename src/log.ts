// The server's log: structured lines on stderr, each with the request it is of, and no secrets in them.

import { AsyncLocalStorage } from 'node:async_hooks';
import { type DestinationStream, pino, type Logger } from 'pino';
import { Secret } from './secret.ts';

export type Log = Logger;

const asking = new AsyncLocalStorage<string>();

/** Runs `work`, and all that it awaits, as part of a request: its ID is in every line that is logged meanwhile. */
export function inRequest<T>(id: string, work: () => T): T {
  return asking.run(id, work);
}

/** The ID of the request that this is part of, or null. */
export function presentRequest(): string | null {
  return asking.getStore() ?? null;
}

/**
 * Opens the log. It writes to stderr, since a command's stdout belongs to what it was asked for, unless another place is
 * given.
 */
export function openLog(
  level: string,
  destination: DestinationStream = pino.destination({ dest: 2, sync: false }),
): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      mixin: () => {
        const request = presentRequest();
        return request === null ? {} : { request };
      },
      formatters: { log: withoutSecretMembers },
      // By then an error has been made plain.
      serializers: { err: (plain: unknown) => plain },
      hooks: { streamWrite: escapeUnprintable },
    },
    destination,
  );
}

/** Levels of what is logged; below them nothing is told. */
const deepest = 6;
const hidden = '[secret]';
/** Header fields that hold what logs somebody in. */
const secretFields = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie']);

function withoutSecretMembers(members: object): Record<string, unknown> {
  return withoutSecrets(members, deepest) as Record<string, unknown>;
}

/** The same to be written: a Secret wherever it is, a field that logs in, and bytes, which may be anything, are not. */
function withoutSecrets(value: unknown, levels: number): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (value instanceof Secret) return hidden;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (levels === 0) return '[deeper]';
  if (value instanceof Error) return withoutSecrets(pino.stdSerializers.err(value), levels - 1);
  if (Array.isArray(value)) return value.map((member) => withoutSecrets(member, levels - 1));
  if (value instanceof Map || value instanceof Set) return withoutSecrets([...value], levels - 1);
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      secretFields.has(name.toLowerCase()) ? hidden : withoutSecrets(member, levels - 1),
    ]),
  );
}

/**
 * JSON escapes the control characters below U+0020 alone. Those above can drive a terminal too, and others turn a line
 * around or end it: they stand in strings only, so that each can be written as JSON's own escape.
 */
function escapeUnprintable(line: string): string {
  return line.replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
