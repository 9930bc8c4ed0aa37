// Who calls over TCP: whoever shows a token, or the cookie of a session, which counts only for a call of this site itself.

import type { FastifyRequest } from 'fastify';
import type { Login } from '../login/login.ts';
import { type SignedIn, signedIn } from '../login/session.ts';
import type { Tokens } from '../login/tokens.ts';
import { Problem } from '../problem.ts';
import type { Authenticate } from './guard.ts';
import type { Principal } from './principal.ts';
import { sessionCookieOf } from './session-cookies.ts';
import { principalOfToken } from './token-principal.ts';

/** What every call that changes something must carry beside a session's cookie: no page of another site can send it. */
const ownHeader = 'x-fleetroot';
/** What a page sends that asks by itself while nobody is at it: such a call keeps no session from ending unused. */
const unattendedHeader = 'x-fleetroot-unattended';
const safeMethods = ['GET', 'HEAD', 'OPTIONS'];

/**
 * Finds out who calls. With a token and a cookie the token counts. Throws `unauthenticated` for a token or session that
 * does not count any more, and `cross_site`; a route for anyone is open to who has such a cookie too.
 */
export function authenticator({ login, tokens }: { login: Login; tokens: Tokens }): Authenticate {
  return async (request, { again } = { again: false }) => {
    const open = request.routeOptions.config.access === 'anyone';
    const byToken = await principalOfToken(tokens, request);
    if (byToken !== null) return byToken;
    requireSameOrigin(login, request);
    const secret = sessionCookieOf(login, request);
    if (secret === null) return null;
    const used = !again && request.headers[unattendedHeader] === undefined;
    const found = await signedIn(login, secret, { used });
    if (found === null && !open) {
      throw new Problem('unauthenticated', 'The session has ended.', 'Sign in again.');
    }
    if (!open) requireOwnHeader(request);
    return found && principalOf(found);
  };
}

/** A session as whoever calls. */
function principalOf({ operator, roles, session }: SignedIn): Principal {
  const administrator = operator.administrator === 1;
  return {
    kind: 'operator',
    id: operator.id,
    name: operator.name,
    administrator,
    metrics: administrator,
    roles: new Map(roles.map(({ account_id, role }) => [account_id, role])),
    session: session.id,
  };
}

/**
 * Browsers say of themselves which site a call is from: by `Sec-Fetch-Site` and `Origin`, which no page can change. What
 * says that it is from elsewhere changes nothing here, also where it needs no login: to be signed in as somebody else is
 * an attack too. Another host of the same site is elsewhere, though SameSite lets its cookies come.
 */
function requireSameOrigin({ settings }: Login, { method, headers, protocol, host }: FastifyRequest): void {
  if (safeMethods.includes(method)) return;
  const { origin, 'sec-fetch-site': from } = headers;
  const own = [`${protocol}://${host}`, settings.publicUrl?.origin];
  if ((from === undefined || from === 'same-origin') && (origin === undefined || own.includes(origin))) return;
  throw new Problem('cross_site', 'The call comes from a page of another site.');
}

/** What is no browser's sends neither: a header of our own, which a page of another site cannot send unasked. */
function requireOwnHeader({ method, headers }: FastifyRequest): void {
  if (safeMethods.includes(method) || headers[ownHeader] !== undefined) return;
  throw new Problem(
    'cross_site',
    'A call with the cookie of a session that changes something needs the header X-Fleetroot.',
    'Send "X-Fleetroot: 1".',
  );
}
