// The guard before every route: who calls, may they, and whom a write is then recorded as made by.

import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../problem.ts';
import { type Actor, actAs, unconfirmedBy } from '../registry/acting.ts';
import { accountByRef } from '../registry/accounts.ts';
import type { Db } from '../registry/database.ts';
import type { Registry } from '../registry/writer.ts';
import { isOpenTo, type MetricsOpen } from './metrics-routes.ts';
import { noSuchAccount } from './named.ts';
import { actorOf, type Principal } from './principal.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whom its writes are recorded as made by. */
    actor: Actor | null;
    /** Whether it was about an account that whoever asks has no role in, or that is not there. */
    outsideOfRoles: boolean;
  }
}

/** Finds out who calls; null for nobody. Throws Problem `unauthenticated` for a login that does not count any more. */
export type Authenticate = (
  request: FastifyRequest,
  /** Whether it is looked at once more and nobody has called again: that keeps no idle session alive. */
  look?: { readonly again: boolean },
) => Promise<Principal | null>;

/** Names, in a reply, the nodes that have not said within two seconds that they act on what the call has changed. */
const unconfirmedHeader = 'fleetroot-unconfirmed';

/** Has every route of `app`, each with its rule (rule.ts), called only by those who may. */
export function guard(
  app: FastifyInstance,
  registry: Pick<Registry, 'read'>,
  { authenticate, metricsOpen }: { authenticate: Authenticate; metricsOpen: MetricsOpen },
): void {
  app.decorateRequest('principal', null);
  app.decorateRequest('actor', null);
  app.decorateRequest('outsideOfRoles', false);
  // Before the body is read: who may not call is told so, and not what else is wrong.
  app.addHook('onRequest', async (request) => {
    const { access } = request.routeOptions.config;
    // A path that is none: nothing is there to be guarded.
    if (access === undefined) return;
    request.principal = await authenticate(request);
    if (access === 'anyone' || (access === 'metrics' && isOpenTo(request, metricsOpen))) return;
    if (request.principal === null) throw new Problem('unauthenticated');
    await requireAccess(registry.read, request, request.principal);
  });
  app.addHook('preHandler', (request, _reply, done) => actAs((request.actor = actorOf(request)), done));
  app.addHook('onSend', async ({ actor }, reply) => {
    const nodes = actor === null ? [] : unconfirmedBy(actor);
    if (nodes.length > 0) reply.header(unconfirmedHeader, nodes.map(encodeURIComponent).join(', '));
  });
}

/** Whether whoever made a request, the answer to which goes on, still may: all that the guard goes by is looked at anew. */
export async function mayStill(
  request: FastifyRequest,
  registry: Pick<Registry, 'read'>,
  authenticate: Authenticate,
): Promise<boolean> {
  try {
    const principal = await authenticate(request, { again: true });
    if (principal === null) return false;
    await requireAccess(registry.read, request, principal);
    return true;
  } catch (error) {
    if (error instanceof Problem) return false;
    throw error;
  }
}

/** Whether who makes a request might make another one, by its rule, with the same parameters. */
export async function mayAlso(
  db: Db,
  request: FastifyRequest,
  config: FastifyContextConfig,
  principal: Principal,
): Promise<boolean> {
  const other = Object.create(request, { routeOptions: { value: { config } } }) as FastifyRequest;
  return requireAccess(db, other, principal).then(
    () => true,
    (error: unknown) => {
      if (error instanceof Problem) return false;
      throw error;
    },
  );
}

const whoMay = 'docs/roles.md has a table of who may do what; `whoami` shows the roles of this login.';

async function requireAccess(db: Db, request: FastifyRequest, principal: Principal): Promise<void> {
  const { access, grants = false } = request.routeOptions.config;
  if (principal.administrator || access === 'signed-in') return;
  if (access === 'metrics' && principal.metrics) return;
  const { account: ref } = request.params as { account?: string };
  if (ref === undefined) throw new Problem('forbidden', undefined, whoMay);
  // An account that one has no role in is as one that is not there.
  const account = await accountByRef(db, ref);
  const role = account && principal.roles.get(account.id);
  if (role === undefined) {
    request.outsideOfRoles = true;
    throw noSuchAccount(ref);
  }
  if (typeof access === 'string' || !access?.includes(role)) throw new Problem('forbidden', undefined, whoMay);
  if (grants && principal.kind === 'token') {
    throw new Problem(
      'forbidden',
      'A token gives nobody a way in, and no key out.',
      'Do this with a login of your own.',
    );
  }
}
