// The cookies of a browser: its session, that it has been here before, and a sign-in that it has begun elsewhere.

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Login } from '../login/login.ts';

/** Names of the session's cookie, of the one by which a browser is known, and of the one of a sign-in under way. */
const names = { session: 'fleetroot', browser: 'fleetroot-browser', signOn: 'fleetroot-sign-on' } as const;
/** How long a browser stays known after a sign-in, in seconds. */
const known = 365 * 24 * 60 * 60;

/**
 * Whether the browser speaks TLS: to us, or to what stands before us where the configuration says so. Then the cookies
 * have the prefix `__Host-`, which no other host, and nobody over plain HTTP, can set.
 */
function isOverTls({ settings: { publicUrl } }: Login, { protocol, host }: FastifyRequest): boolean {
  return protocol === 'https' || (publicUrl?.protocol === 'https:' && host === publicUrl.host);
}

function nameOf(login: Login, request: FastifyRequest, which: keyof typeof names): string {
  return (isOverTls(login, request) ? '__Host-' : '') + names[which];
}

/** The secret in the session's cookie; null where there is none. */
export function sessionCookieOf(login: Login, request: FastifyRequest): string | null {
  return request.cookies[nameOf(login, request, 'session')] ?? null;
}

/** The secret by which the browser is known; null where there is none. */
export function browserCookieOf(login: Login, request: FastifyRequest): string | null {
  return request.cookies[nameOf(login, request, 'browser')] ?? null;
}

/** Gives the browser both cookies. The session's goes when the browser ends; the server ends it before. */
export function setCookies(
  login: Login,
  request: FastifyRequest,
  reply: FastifyReply,
  { secret, browser }: { secret: string; browser: string },
): void {
  const kind = kindOf(login, request, 'strict');
  reply.setCookie(nameOf(login, request, 'session'), secret, kind);
  reply.setCookie(nameOf(login, request, 'browser'), browser, { ...kind, maxAge: known });
}

/** Takes the session's cookie from the browser. */
export function clearSessionCookie(login: Login, request: FastifyRequest, reply: FastifyReply): void {
  reply.clearCookie(nameOf(login, request, 'session'), kindOf(login, request, 'strict'));
}

/** What a sign-in by the identity provider was begun with; null where there is none. */
export function signOnCookieOf(login: Login, request: FastifyRequest): string | null {
  return request.cookies[nameOf(login, request, 'signOn')] ?? null;
}

/** Has the browser keep what a sign-in was begun with, for so many seconds: it comes back by a link of another site. */
export function setSignOnCookie(
  login: Login,
  request: FastifyRequest,
  reply: FastifyReply,
  { cookie, maxAge }: { cookie: string; maxAge: number },
): void {
  reply.setCookie(nameOf(login, request, 'signOn'), cookie, { ...kindOf(login, request, 'lax'), maxAge });
}

/** A sign-in is finished once, whatever came of it. */
export function clearSignOnCookie(login: Login, request: FastifyRequest, reply: FastifyReply): void {
  reply.clearCookie(nameOf(login, request, 'signOn'), kindOf(login, request, 'lax'));
}

function kindOf(login: Login, request: FastifyRequest, sameSite: 'strict' | 'lax') {
  return { path: '/', httpOnly: true, sameSite, secure: isOverTls(login, request) } as const;
}
