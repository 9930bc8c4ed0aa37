// Refusals: who was turned away, at an account or at none.

import { Type } from 'typebox';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { listRefusals, unassigned } from '../registry/refusals.ts';
import { namedAccount } from './named.ts';
import { refusalJson } from './representations.ts';
import { AccountPath, RefusalQuery, RefusalSchema } from './schemas.ts';
import { readers, rule } from './rule.ts';
import type { Api } from './typed-api.ts';

/** Adds the routes of refusals. */
export function refusalRoutes(api: Api, { registry }: Provisioning): void {
  const response = { 200: Type.Array(RefusalSchema) };

  api.get(
    '/accounts/:account/refusals',
    { ...rule('listRefusals', readers), schema: { params: AccountPath, querystring: RefusalQuery, response } },
    async ({ params, query }) => {
      const account = await namedAccount(registry.read, params.account);
      return (await listRefusals(registry.read, account.id, query)).map(refusalJson);
    },
  );

  api.get(
    '/refusals',
    { ...rule('listUnassignedRefusals', 'administrator'), schema: { querystring: RefusalQuery, response } },
    async ({ query }) => (await listRefusals(registry.read, unassigned, query)).map(refusalJson),
  );
}
