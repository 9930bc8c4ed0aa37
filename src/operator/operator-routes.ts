// Operators, as administrators of the server make and change them.

import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Login } from '../login/login.ts';
import { changeOperator, createOperator, loginsOf, rehearseReset, resetOperator } from '../login/operators.ts';
import { Problem } from '../problem.ts';
import type { OperatorRow } from '../registry/operator-tables.ts';
import { listOperators, operatorById, operatorByName } from '../registry/operators.ts';
import type { Db } from '../registry/database.ts';
import { destructive, removalOf, weighed } from './impact.ts';
import { DestructiveQuery as querystring, orImpact } from './impact-schemas.ts';
import {
  EndedSchema,
  InvitedOperatorSchema,
  NewOperator,
  OperatorChange,
  OperatorPath,
  OperatorSchema,
} from './login-schemas.ts';
import { invitedOperatorJson, operatorJson } from './operator-representations.ts';
import { linkNext, placeOf } from './paging.ts';
import { rule } from './rule.ts';
import { PageQuery } from './schemas.ts';
import type { Api } from './typed-api.ts';

/** The operator of this name or ID. Throws `not_found`. */
export async function namedOperator(db: Db, ref: string): Promise<OperatorRow> {
  const lower = ref.toLowerCase();
  const row = (await operatorByName(db, lower)) ?? (await operatorById(db, lower));
  if (row) return row;
  throw new Problem('not_found', `There is no operator ${JSON.stringify(ref)}.`, '`operator list` shows them.');
}

/** Adds the routes of operators; `url` is where operators reach the server. */
export function operatorRoutes(api: Api, login: Login, url: () => string): void {
  const { registry } = login;
  const response = { 200: OperatorSchema };
  const named = (request: FastifyRequest) =>
    namedOperator(registry.read, (request.params as { operator: string }).operator);

  api.get(
    '/operators',
    {
      ...rule('listOperators', 'administrator'),
      schema: { querystring: PageQuery, response: { 200: Type.Array(OperatorSchema) } },
    },
    async (request, reply) => {
      const place = placeOf(request.query);
      const rows = await listOperators(registry.read, place);
      linkNext(
        request,
        reply,
        place,
        rows.map(({ name }) => name),
      );
      return Promise.all(rows.map((row) => operatorJson(login, row)));
    },
  );

  api.post(
    '/operators',
    {
      ...rule('createOperator', 'administrator', { grants: true, secretReply: true }),
      schema: { body: NewOperator, response: { 201: InvitedOperatorSchema } },
    },
    async ({ body }, reply) => {
      const made = await createOperator(login, { ...body, administrator: body.administrator ?? false });
      return reply.code(201).send(await invitedOperatorJson(login, made, url()));
    },
  );

  api.get(
    '/operators/:operator',
    { ...rule('getOperator', 'administrator'), schema: { params: OperatorPath, response } },
    async (request) => operatorJson(login, await named(request)),
  );

  api.patch(
    '/operators/:operator',
    {
      ...rule('updateOperator', 'administrator', { grants: true }),
      ...destructive,
      schema: { params: OperatorPath, querystring, body: OperatorChange, response: orImpact(OperatorSchema) },
    },
    async (request) => {
      const row = await named(request);
      return weighed(request.query, 'updateOperator', {
        async weigh() {
          const after = await changeOperator(login, row, request.body, { rehearsal: true });
          const { sessions } = await loginsOf(login, row);
          return removalOf(
            ['administrators', row.administrator > after.administrator ? [row.name] : []],
            ['sessions', after.disabled_at === null ? [] : sessions],
          );
        },
        act: async () => operatorJson(login, await changeOperator(login, row, request.body)),
      });
    },
  );

  api.delete(
    '/operators/:operator',
    {
      ...rule('deleteOperator', 'administrator'),
      ...destructive,
      schema: { params: OperatorPath, querystring, response: orImpact(OperatorSchema) },
    },
    async (request) => {
      const row = await named(request);
      const last = await operatorJson(login, row);
      return weighed(request.query, 'deleteOperator', {
        async weigh() {
          const { tokens } = await registry.rehearse('deleteOperator', { id: row.id });
          const { sessions } = await loginsOf(login, row);
          return removalOf(
            ['operators', [row.name]],
            ['roles', last.roles.map(({ role, account_name }) => `${role} of ${account_name}`)],
            ['tokens', tokens],
            ['sessions', sessions],
          );
        },
        async act() {
          await registry.write('deleteOperator', { id: row.id });
          return last;
        },
      });
    },
  );

  api.post(
    '/operators/:operator/reset',
    {
      ...rule('resetOperator', 'administrator', { grants: true, secretReply: true }),
      ...destructive,
      schema: { params: OperatorPath, querystring, response: orImpact(InvitedOperatorSchema) },
    },
    async (request) => {
      const row = await named(request);
      return weighed(request.query, 'resetOperator', {
        async weigh() {
          await rehearseReset(login, row);
          return removalOf(...Object.entries(await loginsOf(login, row)));
        },
        act: async () => invitedOperatorJson(login, await resetOperator(login, row), url()),
      });
    },
  );

  api.post(
    '/operators/:operator/end-sessions',
    {
      ...rule('endSessionsOfOperator', 'administrator'),
      ...destructive,
      schema: { params: OperatorPath, querystring, response: orImpact(EndedSchema) },
    },
    async (request) => {
      const row = await named(request);
      return weighed(request.query, 'endSessionsOfOperator', {
        weigh: async () => removalOf(['sessions', (await loginsOf(login, row)).sessions]),
        act: () => registry.write('endSessionsOf', { operator_id: row.id }),
      });
    },
  );
}
