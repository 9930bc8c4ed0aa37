// Input that a schema cannot check wholly: durations and instants.

import { Problem } from '../problem.ts';
import { parseDuration, parseInstant } from '../time.ts';

/** The milliseconds of a duration in a body. Throws `invalid_request`. */
export function readDuration(member: string, text: string): number {
  const duration = parseDuration(text);
  if (duration === null) {
    throw new Problem('invalid_request', `${member} in the body is to be a duration such as 12h, 90d or 10y.`);
  }
  return duration;
}

/** An instant in a body, in milliseconds since 1970. Throws `invalid_request`. */
export function readInstant(member: string, text: string): number {
  const instant = parseInstant(text);
  if (instant === null) {
    throw new Problem('invalid_request', `${member} in the body is to be an RFC 3339 instant from 1970 to 9999.`);
  }
  return instant;
}

/** An instant in a query or a filter, in milliseconds since 1970. Throws `invalid_request`. */
export function readQueryInstant(member: string, text: string): number {
  const instant = parseInstant(text);
  if (instant !== null) return instant;
  throw new Problem('invalid_request', `${member} is to be an RFC 3339 instant from 1970 to 9999.`);
}
