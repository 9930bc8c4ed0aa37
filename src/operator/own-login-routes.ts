// What operators do with their own login: password, second factors, sessions.

import type { RegistrationResponseJSON } from '@simplewebauthn/server';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Login } from '../login/login.ts';
import { changePassword, confirmPassword, requirePassword } from '../login/operators.ts';
import { addPasskey, passkeyToAdd, siteOf } from '../login/passkeys.ts';
import { newRecoveryCodes } from '../login/recovery-codes.ts';
import { endOf } from '../login/session.ts';
import { beginTotp, confirmTotp } from '../login/totp.ts';
import { Problem } from '../problem.ts';
import type { OperatorRow, SessionRow } from '../registry/operator-tables.ts';
import { operatorById } from '../registry/operators.ts';
import { passkeysOf, secondFactorsOf } from '../registry/second-factors.ts';
import { sessionsOf } from '../registry/sessions.ts';
import {
  AddedPasskeySchema,
  ConfirmedTotpSchema,
  DoneSchema,
  NewPasskey,
  NewPassword,
  PasskeyOptionsSchema,
  PasskeyPath,
  PasskeySchema,
  PresentPassword,
  RecoveryCodesSchema,
  SessionPath,
  OwnSessionSchema,
  TotpCode,
  TotpSchema,
} from './login-schemas.ts';
import { passkeyJson, sessionJson } from './operator-representations.ts';
import { principalOf } from './principal.ts';
import { rule } from './rule.ts';
import type { Api } from './typed-api.ts';

/** How old a session may be that changes by which factors its operator signs in, in milliseconds. */
const fresh = 15 * 60_000;
const done = { done: true } as const;
const ok = { 200: DoneSchema };

interface Own {
  readonly operator: OperatorRow;
  readonly session: SessionRow;
}

/** Adds the routes of one's own login. */
export function ownLoginRoutes(api: Api, login: Login): void {
  const { registry } = login;

  /** Who calls by a session of their own. Throws `forbidden` for who has none. */
  async function own(request: FastifyRequest): Promise<Own> {
    const { id, session: session_id } = principalOf(request);
    const operator = id === null || session_id === null ? undefined : await operatorById(registry.read, id);
    const session =
      operator && (await sessionsOf(registry.read, operator.id)).find(({ id: one }) => one === session_id);
    if (operator && session) return { operator, session };
    throw new Problem('forbidden', 'This is for operators who have signed in, about their own login.');
  }

  /**
   * The same, with a password here, and signed in just now. What begins a way in, and what stands in for one, asks for
   * the password too: a session that was stolen is not to become a login, however fresh it is.
   */
  async function justSignedIn(request: FastifyRequest): Promise<Own> {
    const found = await own(request);
    requirePassword(found.operator);
    if (login.clock() - found.session.created_at < fresh) return found;
    throw new Problem('sign_in_again', 'This needs a session that began in the last 15 minutes.', 'Sign in again.');
  }

  api.put(
    '/session/password',
    { ...rule('changePassword', 'signed-in'), schema: { body: NewPassword, response: ok } },
    async (request) => {
      const { operator, session } = await own(request);
      const { old, new: wanted } = request.body;
      await changePassword(login, operator, { old, fresh: wanted, session: session.id });
      return done;
    },
  );

  api.post(
    '/session/totp',
    {
      ...rule('beginTotp', 'signed-in', { secretReply: true }),
      schema: { body: PresentPassword, response: { 201: TotpSchema } },
    },
    async (request, reply) => {
      const { operator } = await justSignedIn(request);
      await confirmPassword(login, operator, request.body.password);
      return reply.code(201).send({ uri: await beginTotp(login, operator) });
    },
  );

  api.post(
    '/session/totp/confirm',
    {
      ...rule('confirmTotp', 'signed-in', { secretReply: true }),
      schema: { body: TotpCode, response: { 200: ConfirmedTotpSchema } },
    },
    async (request) => confirmTotp(login, (await justSignedIn(request)).operator, request.body.code),
  );

  api.delete(
    '/session/totp',
    { ...rule('removeTotp', 'signed-in'), schema: { body: PresentPassword, response: ok } },
    async (request) => {
      const { operator } = await own(request);
      await confirmPassword(login, operator, request.body.password);
      await registry.write('removeTotp', { operator_id: operator.id });
      return done;
    },
  );

  api.post(
    '/session/recovery-codes',
    {
      ...rule('renewRecoveryCodes', 'signed-in', { secretReply: true }),
      schema: { body: PresentPassword, response: { 201: RecoveryCodesSchema } },
    },
    async (request, reply) => {
      const { operator } = await justSignedIn(request);
      await confirmPassword(login, operator, request.body.password);
      const { totp, passkeys } = await secondFactorsOf(registry.read, operator.id);
      if (totp === null && passkeys.length === 0) {
        throw new Problem('conflict', 'Recovery codes stand in for a second factor, and you have none.');
      }
      const { codes, hashes } = newRecoveryCodes();
      await registry.write('replaceRecoveryCodes', { operator_id: operator.id, codes: hashes });
      return reply.code(201).send({ recovery_codes: codes });
    },
  );

  api.get(
    '/session/passkeys',
    { ...rule('listPasskeys', 'signed-in'), schema: { response: { 200: Type.Array(PasskeySchema) } } },
    async (request) => (await passkeysOf(registry.read, (await own(request)).operator.id)).map(passkeyJson),
  );

  api.post(
    '/session/passkeys/options',
    {
      ...rule('beginPasskey', 'signed-in'),
      schema: { body: PresentPassword, response: { 200: PasskeyOptionsSchema } },
    },
    async (request) => {
      const { operator } = await justSignedIn(request);
      await confirmPassword(login, operator, request.body.password);
      return { ...(await passkeyToAdd(login, operator, siteOf(login, request))) };
    },
  );

  api.post(
    '/session/passkeys',
    {
      ...rule('addPasskey', 'signed-in', { secretReply: true }),
      schema: { body: NewPasskey, response: { 201: AddedPasskeySchema } },
    },
    async (request, reply) => {
      const { operator } = await justSignedIn(request);
      const { name, credential } = request.body;
      const response = credential as RegistrationResponseJSON;
      const added = await addPasskey(login, operator, { name, response, site: siteOf(login, request) });
      return reply.code(201).send({ ...passkeyJson(added.passkey), recovery_codes: added.recovery_codes });
    },
  );

  api.delete(
    '/session/passkeys/:passkey',
    { ...rule('removePasskey', 'signed-in'), schema: { params: PasskeyPath, response: { 200: PasskeySchema } } },
    async (request) => {
      const { operator } = await justSignedIn(request);
      return passkeyJson(
        await registry.write('removePasskey', { operator_id: operator.id, id: request.params.passkey }),
      );
    },
  );

  api.get(
    '/session/sessions',
    { ...rule('listSessions', 'signed-in'), schema: { response: { 200: Type.Array(OwnSessionSchema) } } },
    async (request) => {
      const { operator, session } = await own(request);
      const now = login.clock();
      return (await sessionsOf(registry.read, operator.id))
        .filter((row) => endOf(login, row) > now)
        .map((row) => sessionJson(login, row, session.id));
    },
  );

  api.delete(
    '/session/sessions/:session',
    { ...rule('endSession', 'signed-in'), schema: { params: SessionPath, response: { 200: OwnSessionSchema } } },
    async (request) => {
      const { operator, session } = await own(request);
      const { session: id } = request.params;
      return sessionJson(login, await registry.write('endSession', { operator_id: operator.id, id }), session.id);
    },
  );
}
