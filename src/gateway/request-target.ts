// The request target: origin-form only, and no segment by which a path could lead somewhere else at a back end.

import { Problem } from '../problem.ts';

/** A target in origin form (RFC 9112 §3.2.1), in its two parts. */
export interface RequestTarget {
  /** As sent, percent-encoding kept; begins with a slash. */
  readonly path: string;
  /** `?` and what follows, or empty. */
  readonly query: string;
}

/**
 * Splits a request target. A URL parser would resolve `.` and `..` (also written `%2e`), and a device that climbs out
 * of its own UUID at a back end is another device there: so these are refused, not resolved.
 * Throws `invalid_request`.
 */
export function parseRequestTarget(target: string): RequestTarget {
  if (!target.startsWith('/')) throw malformed('is not in origin form (a path that begins with "/")');
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark);
  if (target.includes('#')) throw malformed('contains a fragment');
  // Whatever else is refused has one of these in it.
  if (!/[%\\]|\/[/.]/.test(path)) return { path, query };
  if (path.includes('\\') || /%5c/i.test(path)) throw malformed('contains a backslash');
  if (/%2f/i.test(path)) throw malformed('contains an encoded slash');
  if (path.includes('//')) throw malformed('contains an empty segment');
  if (/%(?![0-9a-f]{2})/i.test(path)) throw malformed('contains a "%" that encodes nothing');
  if (/%[01][0-9a-f]|%7f/i.test(path)) throw malformed('contains an encoded control character');
  // RFC 3986 §6.2.2.2: the back end would take "/%64evice" for "/device", which is never passed on.
  if (/%(2d|3\d|4[1-9a-f]|5[\daf]|6[1-9a-f]|7[\da])/i.test(path))
    throw malformed('encodes a letter, a digit, "-" or "_"');
  for (const segment of path.split('/')) {
    const plain = segment.replaceAll(/%2e/gi, '.').split(';')[0];
    if (plain === '.' || plain === '..') throw malformed('contains a "." or ".." segment');
  }
  return { path, query };
}

function malformed(what: string): Problem {
  return new Problem('invalid_request', `The request target ${what}.`);
}
