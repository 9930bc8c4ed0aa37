// ETag on what is read alone, and If-Match on what changes it (RFC 9110 §8.8.3, §13.1.1).

import { hash } from 'node:crypto';
import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify';
import { Problem } from '../problem.ts';
import type { Registry } from '../registry/writer.ts';
import { mayAlso } from './guard.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Lets the next change of the same thing go on; null where none waits for this one. */
    release: (() => void) | null;
  }
}

/** What a thing's state is not: what devices, and the clock, change of it by themselves. */
const volatile = new Set([
  'last_seen',
  'last_used_at',
  'last_address',
  'first_used_at',
  'uses',
  'devices',
  'device_count',
  'reports',
  'certificate_not_after',
  'failing_since',
  'last_fault',
]);

/** How the present representation of a thing is had: by the handler of its GET. */
interface Resource {
  readonly url: string;
  readonly handler: RouteHandlerMethod;
  /** Who may read it. */
  readonly config: FastifyContextConfig;
}

/** The changes that are under way, by what they change; the same for every app over one registry. */
export type ChangesUnderWay = Map<string, Promise<void>>;

/**
 * Gives every thing that is read alone an ETag, and has every change of it obey If-Match. What is read alone is what a GET
 * answers whose path ends in a parameter, or that is marked so; a change of it is whatever else stands at its path or
 * below. To be added before the routes.
 *
 * Two changes with If-Match of the same thing are done one after the other: of those that name one state, one is done. A
 * change that comes without it may fall between the look and the write of one that has it.
 */
export function honourPreconditions(
  app: FastifyInstance,
  registry: Pick<Registry, 'read'>,
  underWay: ChangesUnderWay,
): void {
  const resources = new Map<string, Resource>();
  app.decorateRequest('release', null);

  app.addHook('onRoute', ({ method, url, handler, config }) => {
    if (method !== 'GET' || config === undefined || !(/\/:\w+$/.test(url) || config.entityTag === true)) return;
    resources.set(url, { url, handler, config });
  });

  app.addHook('preSerialization', async ({ method, routeOptions }, reply, value) => {
    const isThing = (method === 'GET' || method === 'HEAD') && resources.has(routeOptions.url ?? '');
    if (isThing && reply.statusCode === 200) reply.header('etag', entityTagOf(value));
    return value;
  });

  app.addHook('preHandler', async (request, reply) => {
    const wanted = request.headers['if-match'];
    if (wanted === undefined || request.method === 'GET' || request.method === 'HEAD') return;
    const resource = resourceAt(request.routeOptions.url ?? '', resources);
    const { principal } = request;
    // Who may not read it has no ETag of it, and is not told one.
    const readable =
      resource !== null && principal !== null && (await mayAlso(registry.read, request, resource.config, principal));
    if (!readable) throw failed('Nothing that you may read at this path has an ETag.');
    const value = await represent(resource, request, reply);
    request.release = await turnOf(`${resource.url} ${identityOf(value)}`, underWay);
    const now = entityTagOf(await represent(resource, request, reply));
    if (!matches(wanted, now)) throw failed('It was changed since it was read.', now);
  });

  app.addHook('onSend', async (request) => {
    request.release?.();
    request.release = null;
  });
}

/** The thing nearest to a path: at it, or above it. */
function resourceAt(url: string, resources: ReadonlyMap<string, Resource>): Resource | null {
  for (let path = url; path !== ''; path = path.slice(0, path.lastIndexOf('/'))) {
    const resource = resources.get(path);
    if (resource) return resource;
  }
  return null;
}

/** Calls the handler of its GET for whoever calls, at the path of the call, without a query. */
async function represent({ handler }: Resource, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const asked = Object.create(request, { query: { value: {} }, body: { value: undefined } }) as FastifyRequest;
  return handler.call(request.server, asked, reply);
}

/** Waits for the changes of the same thing that came before; gives what lets the next one go on. */
async function turnOf(key: string, underWay: ChangesUnderWay): Promise<() => void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const before = underWay.get(key) ?? Promise.resolve();
  const mine = before.then(() => promise);
  underWay.set(key, mine);
  await before;
  return () => {
    resolve();
    if (underWay.get(key) === mine) underWay.delete(key);
  };
}

function identityOf(value: unknown): string {
  const { uuid, id } = (value ?? {}) as { uuid?: string; id?: string };
  return uuid ?? id ?? '';
}

/** Strong, over the state alone: it stays while nothing of that changes, whatever devices do. */
function entityTagOf(value: unknown): string {
  const state = JSON.stringify(value, (name, member: unknown) => (volatile.has(name) ? undefined : member));
  return `"${hash('sha256', state ?? '', 'base64url')}"`;
}

/** Strong comparison (RFC 9110 §8.8.3.2): what is weak matches nothing. */
function matches(wanted: string, present: string): boolean {
  if (wanted.trim() === '*') return true;
  return wanted.split(',').some((tag) => tag.trim() === present);
}

function failed(message: string, present?: string): Problem {
  const hint = present === undefined ? 'Leave If-Match out.' : `Read it again: its ETag is ${present} now.`;
  return new Problem('precondition_failed', message, hint);
}
