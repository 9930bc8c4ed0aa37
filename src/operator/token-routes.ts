// API tokens: of an account, by its owners; of the whole server, by its administrators.

import { type Static, Type } from 'typebox';
import type { Tokens } from '../login/tokens.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { accountById } from '../registry/accounts.ts';
import type { Db } from '../registry/database.ts';
import type { TokenRow } from '../registry/token-tables.ts';
import { listTokens, requireToken, tokensOf } from '../registry/tokens.ts';
import { formatInstant } from '../time.ts';
import { destructive, removalOf, weighed } from './impact.ts';
import { DestructiveQuery as querystring, orImpact } from './impact-schemas.ts';
import { readInstant } from './inputs.ts';
import { namedAccount } from './named.ts';
import { linkNext, placeOf } from './paging.ts';
import { type Principal, principalOf } from './principal.ts';
import { owners, readers, rule } from './rule.ts';
import { AccountPath, PageQuery } from './schemas.ts';
import {
  AccountTokenPath,
  type MadeTokenJson,
  MadeTokenSchema,
  NewAccountToken,
  NewServerToken,
  type TokenJson,
  TokenPath,
  TokenSchema,
} from './token-schemas.ts';
import type { Api } from './typed-api.ts';

/** Adds the routes of API tokens. */
export function tokenRoutes(api: Api, { registry, clock }: Provisioning, tokens: Tokens): void {
  const list = { 200: Type.Array(TokenSchema) };

  api.get(
    '/accounts/:account/tokens',
    {
      ...rule('listAccountTokens', readers),
      schema: { params: AccountPath, querystring: PageQuery, response: list },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      await tokens.flush();
      const place = placeOf(request.query);
      const rows = await tokensOf(registry.read, account.id, place);
      linkNext(request, reply, place, idsOf(rows));
      return rows.map((row) => tokenJson(row, account.name, clock()));
    },
  );

  api.post(
    '/accounts/:account/tokens',
    {
      ...rule('createAccountToken', owners, { grants: true, secretReply: true }),
      schema: { params: AccountPath, body: NewAccountToken, response: { 201: MadeTokenSchema } },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const made = await make(principalOf(request), request.body, account.id);
      return reply.code(201).send({ ...made, account_name: account.name });
    },
  );

  api.delete(
    '/accounts/:account/tokens/:token',
    {
      ...rule('revokeAccountToken', owners),
      ...destructive,
      schema: { params: AccountTokenPath, querystring, response: orImpact(TokenSchema) },
    },
    async ({ params, query }) => {
      const account = await namedAccount(registry.read, params.account);
      const named = { account_id: account.id, id: params.token };
      return weighed(query, 'revokeAccountToken', {
        weigh: async () => removalOf(['tokens', [(await registry.rehearse('revokeToken', named)).description]]),
        act: async () => tokenJson(await registry.write('revokeToken', named), account.name, clock()),
      });
    },
  );

  api.get(
    '/tokens',
    { ...rule('listTokens', 'administrator'), schema: { querystring: PageQuery, response: list } },
    async (request, reply) => {
      await tokens.flush();
      const place = placeOf(request.query);
      const rows = await listTokens(registry.read, place);
      linkNext(request, reply, place, idsOf(rows));
      return Promise.all(rows.map(async (row) => tokenJson(row, await nameOf(registry.read, row), clock())));
    },
  );

  api.post(
    '/tokens',
    {
      ...rule('createToken', 'administrator', { grants: true, secretReply: true }),
      schema: { body: NewServerToken, response: { 201: MadeTokenSchema } },
    },
    async (request, reply) => reply.code(201).send(await make(principalOf(request), request.body, null)),
  );

  api.delete(
    '/tokens/:token',
    {
      ...rule('revokeToken', 'administrator'),
      ...destructive,
      schema: { params: TokenPath, querystring, response: orImpact(TokenSchema) },
    },
    async ({ params, query }) => {
      const { id, account_id, description } = await requireToken(registry.read, params.token);
      return weighed(query, 'revokeToken', {
        weigh: async () => removalOf(['tokens', [description]]),
        act: async () => {
          const row = await registry.write('revokeToken', { account_id, id });
          return tokenJson(row, await nameOf(registry.read, row), clock());
        },
      });
    },
  );

  async function make(
    { kind, id }: Principal,
    { not_after, ...wanted }: Static<typeof NewAccountToken> | Static<typeof NewServerToken>,
    account_id: string | null,
  ): Promise<MadeTokenJson> {
    const { row, token } = await tokens.make({
      ...wanted,
      account_id,
      not_after: not_after === undefined ? undefined : readInstant('not_after', not_after),
      made_with: kind === 'token' ? id : null,
    });
    using secret = token;
    return { ...tokenJson(row, null, clock()), token: secret.reveal().toString() };
  }
}

const idsOf = (rows: readonly TokenRow[]): string[] => rows.map(({ id }) => id);

async function nameOf(db: Db, { account_id }: TokenRow): Promise<string | null> {
  return account_id === null ? null : ((await accountById(db, account_id))?.name ?? null);
}

function tokenJson(row: TokenRow, account_name: string | null, now: number): TokenJson {
  return {
    id: row.id,
    account: row.account_id,
    account_name,
    role: row.role,
    description: row.description,
    state: row.not_after > now ? 'active' : 'expired',
    created_at: formatInstant(row.created_at),
    not_after: formatInstant(row.not_after),
    last_used_at: formatInstant(row.last_used_at),
    last_address: row.last_address,
    made_by: { kind: row.maker_kind as TokenJson['made_by']['kind'], id: row.maker_id, name: row.maker_name },
  };
}
