// The server's log: structured lines on stderr.

import { pino, type Logger } from 'pino';

export type Log = Logger;

/** Opens the log. It writes to stderr, since a command's stdout belongs to what it was asked for. */
export function openLog(level: string): Log {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: false }),
  );
}
