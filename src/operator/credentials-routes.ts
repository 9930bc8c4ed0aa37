// Credentials: credentials.zip, and the provisioning keys that went out in it.

import { Type } from 'typebox';
import { impactOfDisabledKey } from '../provisioning/device-impact.ts';
import { createCredentials } from '../provisioning/provisioning-key.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { listProvisioningKeys, requireProvisioningKey } from '../registry/provisioning-keys.ts';
import { destructive, weighed } from './impact.ts';
import { DestructiveQuery, orImpact } from './impact-schemas.ts';
import { readInstant } from './inputs.ts';
import { namedAccount } from './named.ts';
import { cursorOf, linkCursor, readCursor, standardLimit } from './paging.ts';
import { provisioningKeyJson } from './representations.ts';
import {
  AccountPath,
  CredentialsSchema,
  NewCredentials,
  ProvisioningKeyListQuery,
  ProvisioningKeyPath,
  ProvisioningKeySchema,
} from './schemas.ts';
import { changers, readers, rule } from './rule.ts';
import type { Api } from './typed-api.ts';

/** Adds the routes of credentials and provisioning keys. */
export function credentialsRoutes(api: Api, p: Provisioning): void {
  const { registry } = p;

  api.post(
    '/accounts/:account/credentials',
    {
      ...rule('createCredentials', changers, { secretReply: true }),
      schema: { params: AccountPath, body: NewCredentials, response: { 201: CredentialsSchema } },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const { not_after, ...limits } = request.body;
      const made = await createCredentials(p, account, {
        ...limits,
        ...(not_after !== undefined && { not_after: readInstant('not_after', not_after) }),
      });
      return reply.code(201).send({
        zip: made.zip.toString('base64'),
        autoprov_url: made.autoprov_url,
        entries: [...made.entries],
        provisioning_key: made.provisioning_key && (await provisioningKeyJson(p, made.provisioning_key)),
      });
    },
  );

  api.get(
    '/accounts/:account/provisioning-keys',
    {
      ...rule('listProvisioningKeys', readers),
      schema: {
        params: AccountPath,
        querystring: ProvisioningKeyListQuery,
        response: { 200: Type.Array(ProvisioningKeySchema) },
      },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const { limit = standardLimit, cursor, devices } = request.query;
      const list = ['provisioning-keys', account.id];
      const place = cursor === undefined ? undefined : readCursor(list, cursor, ['number', 'text']);
      const after = place && { created_at: place[0], id: place[1] };
      const keys = await listProvisioningKeys(registry.read, account.id, { limit, after });
      const last = keys.at(-1);
      if (last && keys.length === limit) linkCursor(request, reply, cursorOf(list, [last.created_at, last.id]));
      return Promise.all(keys.map((key) => provisioningKeyJson(p, key, devices)));
    },
  );

  const one = { schema: { params: ProvisioningKeyPath, response: { 200: ProvisioningKeySchema } } };

  api.get(
    '/accounts/:account/provisioning-keys/:id',
    { ...rule('getProvisioningKey', readers), ...one },
    async ({ params }) => {
      const account = await namedAccount(registry.read, params.account);
      return provisioningKeyJson(p, await requireProvisioningKey(registry.read, account.id, params.id));
    },
  );

  api.post(
    '/accounts/:account/provisioning-keys/:id/disable',
    {
      ...rule('disableProvisioningKey', changers),
      ...destructive,
      schema: {
        params: ProvisioningKeyPath,
        querystring: DestructiveQuery,
        response: orImpact(ProvisioningKeySchema),
      },
    },
    async ({ params, query }) => {
      const account = await namedAccount(registry.read, params.account);
      const named = { account_id: account.id, id: params.id };
      return weighed(query, 'disableProvisioningKey', {
        weigh: () => impactOfDisabledKey(p, account, params.id),
        act: async () => provisioningKeyJson(p, await registry.write('disableProvisioningKey', named)),
      });
    },
  );
}
