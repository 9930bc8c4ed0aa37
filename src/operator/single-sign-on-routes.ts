// Signing in by an identity provider: to it, and back from it.

import { Type } from 'typebox';
import type { Login } from '../login/login.ts';
import { type SingleSignOn, ssoLifetime } from '../login/single-sign-on.ts';
import { Problem } from '../problem.ts';
import { rule } from './rule.ts';
import { clearSignOnCookie, setCookies, setSignOnCookie, signOnCookieOf } from './session-cookies.ts';
import { callerOf } from './session-routes.ts';
import type { Api } from './typed-api.ts';

/** Whatever the provider sends back; its own words are checked where they are used. */
const Answer = Type.Record(Type.String(), Type.Unknown());
const Page = Type.String({ description: 'A page that leads on.' });

/**
 * Where somebody is led on who has signed in. By a page, and not by a redirect: that would be a step of the provider's
 * site still, on which no browser sends the session's SameSite=Strict cookie.
 */
const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="refresh" content="0; url=/">
    <title>Fleetroot</title>
  </head>
  <body><p>You are signed in. <a href="/">Go on</a></p></body>
</html>
`;

/** Adds the routes of single sign-on; `sso` is null where no identity provider is configured. */
export function singleSignOnRoutes(api: Api, login: Login, sso: SingleSignOn | null): void {
  api.get(
    '/session/sso',
    { ...rule('beginSingleSignOn', 'anyone'), schema: { response: { 303: Type.Null() } } },
    async (request, reply) => {
      const { url, cookie } = await configured(sso).begin();
      setSignOnCookie(login, request, reply, { cookie, maxAge: ssoLifetime / 1000 });
      return reply.redirect(url.href, 303);
    },
  );

  api.get(
    '/session/sso/callback',
    {
      ...rule('finishSingleSignOn', 'anyone'),
      schema: { querystring: Answer, response: { 200: Page } },
    },
    async (request, reply) => {
      const cookie = signOnCookieOf(login, request);
      clearSignOnCookie(login, request, reply);
      const answer = new URLSearchParams(request.url.split('?', 2)[1]);
      const signedIn = await configured(sso).finish(answer, cookie, callerOf(login, request));
      setCookies(login, request, reply, signedIn);
      return reply.type('text/html; charset=utf-8').send(page);
    },
  );
}

function configured(sso: SingleSignOn | null): SingleSignOn {
  if (sso !== null) return sso;
  throw new Problem(
    'not_found',
    'This server has no identity provider.',
    'The settings oidc.… name one: docs/single-sign-on.md.',
  );
}
