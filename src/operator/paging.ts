// Long lists, page by page, by a cursor that stays right while rows come and go.

import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../problem.ts';

/** Rows of a page where nothing is said. */
export const standardLimit = 1000;

/** A page's place in a list that is ordered by one text, such as a name: so many after this one. */
export interface Place {
  readonly limit: number;
  readonly after?: string;
}

/** Reads `limit` and `cursor`. A cursor is the text that the page before ended with. */
export function placeOf({ limit = standardLimit, cursor }: { limit?: number; cursor?: string }): Place {
  return { limit, ...(cursor !== undefined && { after: Buffer.from(cursor, 'base64url').toString('utf8') }) };
}

/** Names the next page, as `linkCursor` does, where this one is full; `texts` are what the list is ordered by. */
export function linkNext(
  request: FastifyRequest,
  reply: FastifyReply,
  { limit }: Place,
  texts: readonly string[],
): void {
  const last = texts.at(-1);
  if (last === undefined || texts.length < limit) return;
  linkCursor(request, reply, Buffer.from(last).toString('base64url'));
}

/**
 * A cursor as the next page is asked for by it: where this one ended, and of which list, so that one of another filter or
 * order is not taken for one of this. `list` is everything that makes the list, the page's own limit and cursor apart.
 */
export function cursorOf(list: unknown, place: readonly (string | number | null)[]): string {
  return Buffer.from(JSON.stringify([listMark(list), ...place])).toString('base64url');
}

/** The place that a cursor of this list names, by the kinds of its parts. Throws `invalid_request` for any other cursor. */
export function readCursor<const Kinds extends readonly ('text' | 'number' | 'number?')[]>(
  list: unknown,
  cursor: string,
  kinds: Kinds,
): {
  -readonly [K in keyof Kinds]: Kinds[K] extends 'text' ? string : Kinds[K] extends 'number' ? number : number | null;
} {
  const [mark, ...place] = parts(cursor);
  const fits = kinds.every((kind, index) => {
    const part = place[index];
    if (kind === 'number?' && part === null) return true;
    return kind === 'text' ? typeof part === 'string' && part.isWellFormed() : Number.isSafeInteger(part);
  });
  if (mark !== listMark(list) || place.length !== kinds.length || !fits) {
    throw new Problem(
      'invalid_request',
      'The cursor in the query is none of this list in this order with this filter.',
      'Follow the `next` link of the page before as it is, or begin anew without a cursor.',
    );
  }
  return place as never;
}

function parts(cursor: string): unknown[] {
  try {
    const read: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    return Array.isArray(read) ? read : [];
  } catch {
    return [];
  }
}

function listMark(list: unknown): string {
  return createHash('sha256').update(JSON.stringify(list)).digest('base64url').slice(0, 16);
}

/** Names the next page in the `Link` header (RFC 8288), with the same query but for the `member` that says where it begins. */
export function linkCursor(
  request: FastifyRequest,
  reply: FastifyReply,
  cursor: string,
  member: 'cursor' | 'after' = 'cursor',
): void {
  const [path, query] = request.url.split('?', 2);
  const next = new URLSearchParams(query);
  next.set(member, cursor);
  reply.header('link', `<${path}?${next.toString()}>; rel="next"`);
}
