// Events of an account, or of the whole server: a page of them, or a stream that goes on.

import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { Problem } from '../problem.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { accountById } from '../registry/accounts.ts';
import { eventsAfter, latestEvents, newestEventId } from '../registry/events.ts';
import { type EventType, eventTypes } from '../registry/notes.ts';
import type { EventCursors } from './event-cursor.ts';
import type { EventFeed } from './event-feed.ts';
import { eventJson } from './event-json.ts';
import { EventHeaders, type EventJson, EventQuery, type EventQueryJson, EventSchema } from './event-schemas.ts';
import { EventStream } from './event-stream.ts';
import { namedAccount } from './named.ts';
import { linkCursor } from './paging.ts';
import { principalOf } from './principal.ts';
import { readers, rule } from './rule.ts';
import { AccountPath } from './schemas.ts';
import type { Api } from './typed-api.ts';

/** What the routes of events are made of. */
export interface Events {
  readonly feed: EventFeed;
  readonly cursors: EventCursors;
}

const standardLimit = 100;
const streamType = 'text/event-stream';

/** Adds the routes of events; `mayStill` says whether whoever made a request still may. */
export function eventRoutes(
  api: Api,
  { registry }: Provisioning,
  { feed, cursors }: Events,
  mayStill: (request: FastifyRequest) => Promise<boolean>,
): void {
  const response = { 200: Type.Array(EventSchema) };
  // Streams never end by themselves, and the listener waits for all that is under way.
  api.addHook('preClose', async () => feed[Symbol.dispose]());

  api.get(
    '/accounts/:account/events',
    {
      ...rule('listEvents', readers),
      schema: { params: AccountPath, querystring: EventQuery, headers: EventHeaders, response },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      if (!wantsStream(request)) return page(request, reply, account.id, request.query);
      return follow(request, reply, account.id, request.query);
    },
  );

  api.get(
    '/events',
    {
      ...rule('listServerEvents', 'administrator'),
      schema: { querystring: EventQuery, headers: EventHeaders, response },
    },
    async (request, reply) => {
      if (!wantsStream(request)) return page(request, reply, null, request.query);
      return follow(request, reply, null, request.query);
    },
  );

  /** The latest first; with `after` those that came after it, in their order. */
  async function page(
    request: FastifyRequest,
    reply: FastifyReply,
    account_id: string | null,
    { after, cursor, limit = standardLimit, ...query }: EventQueryJson,
  ): Promise<EventJson[]> {
    const types = typesOf(query.types);
    if (after !== undefined && cursor !== undefined) {
      throw new Problem('invalid_request', 'The query takes after or cursor, not both.');
    }
    const upTo = await newestEventId(registry.read);
    const events =
      after === undefined
        ? await latestEvents(registry.read, account_id, {
            before: cursor === undefined ? upTo + 1 : place(cursor),
            limit,
          })
        : await eventsAfter(registry.read, account_id, { after: place(after), upTo, limit });
    const last = events.at(-1);
    if (last && events.length === limit) {
      linkCursor(request, reply, cursors.write(account_id, last.id), after === undefined ? 'cursor' : 'after');
    }
    const wished = types === null ? events : events.filter(({ type }) => types.has(type));
    return wished.map((event) => eventJson(cursors, account_id, event));

    function place(text: string): number {
      return readPlace(cursors, account_id, text);
    }
  }

  async function follow(
    request: FastifyRequest,
    reply: FastifyReply,
    account_id: string | null,
    query: EventQueryJson,
  ): Promise<FastifyReply> {
    if (query.cursor !== undefined || query.limit !== undefined) {
      throw new Problem('invalid_request', 'A stream takes no cursor and no limit, but after.');
    }
    const { kind, id, session } = principalOf(request);
    // Whoever signs in once more is still the same: counted is whose streams they are.
    const holder = `${kind} ${id}`;
    feed.requireRoom(holder);
    const types = typesOf(query.types);
    const after = afterOf(request, account_id, query);
    const { raw } = reply.hijack();
    const stream = new EventStream({
      response: raw,
      account_id,
      types,
      cursors,
      reader: `${holder} ${session}`,
      holder,
      mayStill: async () => (await isThere(account_id)) && mayStill(request),
    });
    raw.on('error', () => {});
    raw.once('close', () => feed.leave(stream));
    raw.socket?.setKeepAlive(true, 30_000);
    raw.writeHead(200, { ...(reply.getHeaders() as Record<string, string>), 'content-type': streamType });
    stream.write(': events\n\n');
    await feed.follow(stream, after);
    return reply;
  }

  async function isThere(account_id: string | null): Promise<boolean> {
    return account_id === null || (await accountById(registry.read, account_id)) !== undefined;
  }

  /** Where to begin: what a browser knows comes before what the URL says, since it keeps the URL when it comes back. */
  function afterOf(request: FastifyRequest, account_id: string | null, { after }: EventQueryJson): number | null {
    const { 'last-event-id': last } = request.headers as { 'last-event-id'?: string };
    // A number that is none of ours is of a history that is gone: a browser would come back with it for ever.
    if (last) return cursors.read(account_id, last) ?? Number.POSITIVE_INFINITY;
    return after === undefined ? null : readPlace(cursors, account_id, after);
  }
}

/** What is asked for by name: whoever takes anything is given a page. */
function wantsStream({ headers }: FastifyRequest): boolean {
  return headers.accept?.toLowerCase().includes(streamType) ?? false;
}

function readPlace(cursors: EventCursors, account_id: string | null, text: string): number {
  const id = cursors.read(account_id, text);
  if (id !== null) return id;
  throw new Problem('invalid_request', 'There is no event with this ID here.', 'Begin anew without it.');
}

function typesOf(given: string | undefined): ReadonlySet<EventType> | null {
  if (given === undefined) return null;
  const types = given.split(',');
  const unknown = types.find((type) => !eventTypes.includes(type as EventType));
  if (unknown === undefined) return new Set(types as EventType[]);
  throw new Problem(
    'invalid_request',
    `types in the query is to hold types of events: ${JSON.stringify(unknown)} is none.`,
  );
}
