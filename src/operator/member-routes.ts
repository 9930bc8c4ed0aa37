// The operators of an account: listed, given a role, invited, and their role taken away.

import { Type } from 'typebox';
import type { Login } from '../login/login.ts';
import { createOperator, type Invitation, operatorName } from '../login/operators.ts';
import type { OperatorRow } from '../registry/operator-tables.ts';
import { operatorByName, rolesOf } from '../registry/operators.ts';
import { type Member, membersOf, requireMember } from '../registry/operator-roles.ts';
import { destructive, removalOf, weighed } from './impact.ts';
import { DestructiveQuery as querystring, orImpact } from './impact-schemas.ts';
import {
  InvitedMemberSchema,
  type MemberJson,
  MemberPath,
  MemberSchema,
  NewMember,
  NewRole,
} from './member-schemas.ts';
import { namedAccount } from './named.ts';
import { invitationJson } from './operator-representations.ts';
import { namedOperator } from './operator-routes.ts';
import { linkNext, placeOf } from './paging.ts';
import { principalOf } from './principal.ts';
import { owners, readers, rule } from './rule.ts';
import { AccountPath, PageQuery } from './schemas.ts';
import type { Api } from './typed-api.ts';

/** Adds the routes of the operators of an account; `url` is where operators reach the server. */
export function memberRoutes(api: Api, login: Login, url: () => string): void {
  const { registry } = login;

  api.get(
    '/accounts/:account/operators',
    {
      ...rule('listAccountOperators', readers),
      schema: { params: AccountPath, querystring: PageQuery, response: { 200: Type.Array(MemberSchema) } },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const place = placeOf(request.query);
      const members = await membersOf(registry.read, account.id, place);
      linkNext(
        request,
        reply,
        place,
        members.map(({ name }) => name),
      );
      return members.map(memberJson);
    },
  );

  api.post(
    '/accounts/:account/operators',
    {
      ...rule('inviteAccountOperator', owners, { grants: true, secretReply: true }),
      schema: { params: AccountPath, body: NewMember, response: { 201: InvitedMemberSchema } },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const { name, role } = request.body;
      const made_for = principalOf(request).administrator ? null : account.id;
      const { operator, invitation } = await knownOrInvited(name, made_for);
      const member = await registry.write('grantRole', { account_id: account.id, operator_id: operator.id, role });
      return reply.code(201).send({
        ...memberJson(member),
        invitation: invitation && invitationJson(invitation, url()),
      });
    },
  );

  api.put(
    '/accounts/:account/operators/:operator',
    {
      ...rule('grantAccountRole', owners, { grants: true }),
      ...destructive,
      schema: { params: MemberPath, querystring, body: NewRole, response: orImpact(MemberSchema) },
    },
    async ({ params, query, body }) => {
      const account = await namedAccount(registry.read, params.account);
      const { id, name } = await namedOperator(registry.read, params.operator);
      const granted = { account_id: account.id, operator_id: id, role: body.role };
      return weighed(query, 'grantAccountRole', {
        async weigh() {
          await registry.rehearse('grantRole', granted);
          const before = (await rolesOf(registry.read, id)).find(({ account_id }) => account_id === account.id);
          const ends = before !== undefined && before.role !== body.role;
          return removalOf(['roles', ends ? [`${before.role} of ${account.name}: ${name}`] : []]);
        },
        act: async () => memberJson(await registry.write('grantRole', granted)),
      });
    },
  );

  api.delete(
    '/accounts/:account/operators/:operator',
    {
      ...rule('withdrawAccountRole', owners),
      ...destructive,
      schema: { params: MemberPath, querystring, response: orImpact(MemberSchema) },
    },
    async ({ params, query }) => {
      const account = await namedAccount(registry.read, params.account);
      const { id } = await requireMember(registry.read, account.id, params.operator);
      const named = { account_id: account.id, operator_id: id };
      return weighed(query, 'withdrawAccountRole', {
        async weigh() {
          const { name, role } = await registry.rehearse('withdrawRole', named);
          return removalOf(['roles', [`${role} of ${account.name}: ${name}`]]);
        },
        act: async () => memberJson(await registry.write('withdrawRole', named)),
      });
    },
  );

  async function knownOrInvited(
    name: string,
    made_for: string | null,
  ): Promise<{ operator: OperatorRow; invitation: Invitation | null }> {
    const known = await operatorByName(registry.read, operatorName(name) ?? '');
    return known
      ? { operator: known, invitation: null }
      : createOperator(login, { name, administrator: false, made_for });
  }
}

function memberJson({ id, name, role, disabled_at, single_sign_on }: Member): MemberJson {
  return { id, name, role, disabled: disabled_at !== null, single_sign_on };
}
