// Long lists, page by page, by a cursor that stays right while rows come and go.

import type { FastifyReply, FastifyRequest } from 'fastify';

const standardLimit = 1000;

/** A page's place in a list that is ordered by device ID: so many after this one. */
export interface Place {
  readonly limit: number;
  readonly after?: string;
}

/** Reads `limit` and `cursor`. A cursor is the device ID that the page before ended with. */
export function placeOf({ limit = standardLimit, cursor }: { limit?: number; cursor?: string }): Place {
  return { limit, ...(cursor !== undefined && { after: Buffer.from(cursor, 'base64url').toString('utf8') }) };
}

/** Names the next page in the `Link` header (RFC 8288) where this one is full, with the same query but for the cursor. */
export function linkNext(
  request: FastifyRequest,
  reply: FastifyReply,
  { limit }: Place,
  deviceIds: readonly string[],
): void {
  const last = deviceIds.at(-1);
  if (last === undefined || deviceIds.length < limit) return;
  const [path, query] = request.url.split('?', 2);
  const next = new URLSearchParams(query);
  next.set('cursor', Buffer.from(last).toString('base64url'));
  reply.header('link', `<${path}?${next.toString()}>; rel="next"`);
}
