// The sets that an account's owner signs: what is to be signed next, and what comes back signed.

import { applySet, drawChanges } from '../provisioning/owner-signing.ts';
import { nameOfSet } from '../provisioning/owner-trust.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { impactOfSet } from '../provisioning/trust-impact.ts';
import { destructive, weighed } from './impact.ts';
import { DestructiveQuery, orImpact } from './impact-schemas.ts';
import { namedAccount } from './named.ts';
import { trustSetJson } from './owner-trust-json.ts';
import { AccountPath, ChangesSchema, SignedSet, TrustSetSchema } from './schemas.ts';
import { owners, readers, rule } from './rule.ts';
import type { Api } from './typed-api.ts';

/** Adds the routes of signed sets. */
export function trustSetRoutes(api: Api, p: Provisioning): void {
  api.get(
    '/accounts/:account/trust-sets/next',
    { ...rule('getNextTrustSet', readers), schema: { params: AccountPath, response: { 200: ChangesSchema } } },
    async ({ params }) => {
      const account = await namedAccount(p.registry.read, params.account);
      const { number, document, differences } = await drawChanges(p, account);
      return {
        number,
        document: document?.toString('ascii') ?? null,
        sha256: document && nameOfSet(document),
        differences: [...differences],
      };
    },
  );

  api.post(
    '/accounts/:account/trust-sets',
    {
      ...rule('acceptTrustSet', owners),
      ...destructive,
      schema: {
        params: AccountPath,
        querystring: DestructiveQuery,
        body: SignedSet,
        response: orImpact(TrustSetSchema),
      },
    },
    async ({ params, query, body }) => {
      const account = await namedAccount(p.registry.read, params.account);
      const [document, signature] = [body.document, body.signature].map((text) => Buffer.from(text, 'base64'));
      return weighed(query, 'acceptTrustSet', {
        weigh: () => impactOfSet(p, account, document!, signature!),
        act: async () => {
          await applySet(p, account, document!, signature!);
          return (await trustSetJson(p, account))!;
        },
      });
    },
  );
}
