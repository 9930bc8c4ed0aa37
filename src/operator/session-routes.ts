// Signing in and out, and who one is.

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import type { Caller, Login } from '../login/login.ts';
import { acceptInvitation, createFirstAdministrator } from '../login/operators.ts';
import { passkeyToSignIn, signInByPasskey, siteOf } from '../login/passkeys.ts';
import { endOf, type NewlySignedIn } from '../login/session.ts';
import { signIn } from '../login/sign-in.ts';
import { Problem } from '../problem.ts';
import { accountById } from '../registry/accounts.ts';
import { sessionsOf } from '../registry/sessions.ts';
import { formatInstant } from '../time.ts';
import {
  AcceptedInvitation,
  type BegunSessionJson,
  BegunSessionSchema,
  DoneSchema,
  NewFirstAdministrator,
  OperatorSchema,
  PasskeyOptionsSchema,
  PasskeySignInBody,
  PasswordSignInBody,
  type RoleJson,
  type SessionJson,
  SessionSchema,
} from './login-schemas.ts';
import { begunSessionJson, operatorJson } from './operator-representations.ts';
import { type Principal, principalOf } from './principal.ts';
import { rule } from './rule.ts';
import { browserCookieOf, clearSessionCookie, setCookies } from './session-cookies.ts';
import type { Api } from './typed-api.ts';

/** Where a call comes from. */
export function callerOf(login: Login, request: FastifyRequest): Caller {
  return {
    address: request.ip || null,
    userAgent: request.headers['user-agent'] ?? null,
    browser: browserCookieOf(login, request),
  };
}

/** Gives whoever has just signed in their cookies, and tells who they are. */
async function answerSignIn(
  login: Login,
  request: FastifyRequest,
  reply: FastifyReply,
  signedIn: NewlySignedIn,
): Promise<BegunSessionJson> {
  setCookies(login, request, reply, signedIn);
  return begunSessionJson(login, signedIn);
}

/** Adds the routes of signing in and out, and those that make a first password. */
export function sessionRoutes(api: Api, login: Login): void {
  const begun = { 200: BegunSessionSchema };

  api.post(
    '/first-administrator',
    {
      ...rule('createFirstAdministrator', 'anyone', { ownFailures: true }),
      schema: { body: NewFirstAdministrator, response: { 201: OperatorSchema } },
    },
    async (request, reply) => {
      const row = await createFirstAdministrator(login, request.body, callerOf(login, request));
      return reply.code(201).send(await operatorJson(login, row));
    },
  );

  api.post(
    '/invitation',
    {
      ...rule('acceptInvitation', 'anyone', { ownFailures: true }),
      schema: { body: AcceptedInvitation, response: { 200: OperatorSchema } },
    },
    async (request) => operatorJson(login, await acceptInvitation(login, request.body, callerOf(login, request))),
  );

  api.post(
    '/session',
    { ...rule('signIn', 'anyone', { ownFailures: true }), schema: { body: PasswordSignInBody, response: begun } },
    async (request, reply) =>
      answerSignIn(login, request, reply, await signIn(login, request.body, callerOf(login, request))),
  );

  api.post(
    '/session/passkey/options',
    { ...rule('beginPasskeySignIn', 'anyone'), schema: { response: { 200: PasskeyOptionsSchema } } },
    async (request) => ({ ...(await passkeyToSignIn(login, siteOf(login, request))) }),
  );

  api.post(
    '/session/passkey',
    {
      ...rule('signInByPasskey', 'anyone', { ownFailures: true }),
      schema: { body: PasskeySignInBody, response: begun },
    },
    async (request, reply) => {
      const response = request.body.credential as AuthenticationResponseJSON;
      const shown = { response, site: siteOf(login, request) };
      return answerSignIn(login, request, reply, await signInByPasskey(login, shown, callerOf(login, request)));
    },
  );

  api.get(
    '/session',
    { ...rule('getSession', 'signed-in'), schema: { response: { 200: SessionSchema } } },
    async (request) => whoJson(login, principalOf(request)),
  );

  api.delete(
    '/session',
    { ...rule('signOut', 'signed-in'), schema: { response: { 200: DoneSchema } } },
    async (request, reply) => {
      const { id, session } = principalOf(request);
      if (id === null || session === null) throw new Problem('forbidden', 'There is no session to sign out of.');
      await login.registry.write('endSession', { operator_id: id, id: session });
      clearSessionCookie(login, request, reply);
      return { done: true as const };
    },
  );
}

async function whoJson(login: Login, principal: Principal): Promise<SessionJson> {
  const { kind, id, name, administrator, session } = principal;
  const row = id === null ? undefined : (await sessionsOf(login.registry.read, id)).find((each) => each.id === session);
  const roles: RoleJson[] = [];
  for (const [account, role] of principal.roles) {
    const found = await accountById(login.registry.read, account);
    if (found) roles.push({ account, account_name: found.name, role });
  }
  return {
    kind,
    id,
    name,
    administrator,
    roles,
    method: row?.method ?? null,
    session,
    signed_in_at: row ? formatInstant(row.created_at) : null,
    expires_at: row ? formatInstant(endOf(login, row)) : null,
  };
}
