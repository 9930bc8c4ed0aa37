// Refusals: who was turned away, at an account or at none.

import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { listRefusals, unassigned } from '../registry/refusals.ts';
import { RefusalQuery } from './fleet-schemas.ts';
import { readQueryInstant } from './inputs.ts';
import { namedAccount } from './named.ts';
import { cursorOf, linkCursor, readCursor, standardLimit } from './paging.ts';
import { refusalJson } from './representations.ts';
import { AccountPath, RefusalSchema } from './schemas.ts';
import { readers, rule } from './rule.ts';
import type { Api } from './typed-api.ts';

/** Adds the routes of refusals. */
export function refusalRoutes(api: Api, { registry }: Provisioning): void {
  const response = { 200: Type.Array(RefusalSchema) };

  const page = async (
    request: FastifyRequest,
    reply: FastifyReply,
    account_id: string,
    { limit = standardLimit, cursor, since, until, code, device_id, address }: Static<typeof RefusalQuery>,
  ) => {
    const filter = {
      code,
      device_id,
      address,
      since: since === undefined ? undefined : readQueryInstant('since', since),
      until: until === undefined ? undefined : readQueryInstant('until', until),
    };
    const list = ['refusals', account_id, filter];
    const place = cursor === undefined ? undefined : readCursor(list, cursor, ['number', 'text']);
    const after = place && { at: place[0], id: place[1] };
    const refusals = await listRefusals(registry.read, account_id, { filter, limit, after });
    const last = refusals.at(-1);
    if (last && refusals.length === limit) linkCursor(request, reply, cursorOf(list, [last.at, last.id]));
    return refusals.map(refusalJson);
  };

  api.get(
    '/accounts/:account/refusals',
    { ...rule('listRefusals', readers), schema: { params: AccountPath, querystring: RefusalQuery, response } },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      return page(request, reply, account.id, request.query);
    },
  );

  api.get(
    '/refusals',
    { ...rule('listUnassignedRefusals', 'administrator'), schema: { querystring: RefusalQuery, response } },
    async (request, reply) => page(request, reply, unassigned, request.query),
  );
}
