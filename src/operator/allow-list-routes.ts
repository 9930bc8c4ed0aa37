// The allow-list: which device IDs may join, with which labels, and which of them were never seen.

import type { IncomingMessage } from 'node:http';
import { Type } from 'typebox';
import { impactOfUnlisted } from '../provisioning/account-impact.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { allowListOf, countAllowList } from '../registry/allow-list.ts';
import { importAllowListFile } from './allow-list-import.ts';
import { allowedDeviceJson } from './fleet-json.ts';
import {
  AllowedDeviceSchema,
  AllowListCountsSchema,
  AllowListQuery,
  ImportedSchema,
  ImportQuery,
} from './fleet-schemas.ts';
import { destructive, weighed } from './impact.ts';
import { DestructiveQuery, orImpact } from './impact-schemas.ts';
import { namedAccount } from './named.ts';
import { cursorOf, linkCursor, readCursor, standardLimit } from './paging.ts';
import { AccountPath, DeviceIds, FileBody, RemovedSchema } from './schemas.ts';
import { importers, rule, viewers } from './rule.ts';
import type { Api } from './typed-api.ts';

/** As long as the longest list that can be removed at once. */
const bodyLimit = 64 * 1024 * 1024;

/** Adds the routes of the allow-list that take no file. */
export function allowListRoutes(api: Api, p: Provisioning): void {
  const { registry } = p;

  api.get(
    '/accounts/:account/allow-list',
    {
      ...rule('listAllowedDevices', viewers),
      schema: { params: AccountPath, querystring: AllowListQuery, response: { 200: Type.Array(AllowedDeviceSchema) } },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const { limit = standardLimit, cursor, seen } = request.query;
      const list = ['allow-list', account.id, seen];
      const after = cursor === undefined ? undefined : readCursor(list, cursor, ['text'])[0];
      const entries = await allowListOf(registry.read, account.id, {
        limit,
        seen,
        ...(after !== undefined && { after }),
      });
      const last = entries.at(-1);
      if (last && entries.length === limit) linkCursor(request, reply, cursorOf(list, [last.device_id]));
      return entries.map(allowedDeviceJson);
    },
  );

  api.get(
    '/accounts/:account/allow-list/counts',
    {
      ...rule('countAllowedDevices', viewers),
      schema: { params: AccountPath, response: { 200: AllowListCountsSchema } },
    },
    async ({ params }) => countAllowList(registry.read, (await namedAccount(registry.read, params.account)).id),
  );

  api.post(
    '/accounts/:account/allow-list/remove',
    {
      ...rule('removeAllowedDevices', importers),
      bodyLimit,
      ...destructive,
      schema: {
        params: AccountPath,
        querystring: DestructiveQuery,
        body: DeviceIds,
        response: orImpact(RemovedSchema),
      },
    },
    async ({ params, query, body }) => {
      const account = await namedAccount(registry.read, params.account);
      const named = { account_id: account.id, device_ids: body.device_ids };
      return weighed(query, 'removeAllowedDevices', {
        weigh: () => impactOfUnlisted(p, account, body.device_ids),
        act: () => registry.write('removeFromAllowList', named),
      });
    },
  );
}

/** Adds the import, to a scope in which a body of `application/octet-stream` is the request itself, unread. */
export function allowListFileRoutes(api: Api, { registry }: Provisioning): void {
  api.post(
    '/accounts/:account/allow-list',
    {
      ...rule('importAllowList', importers),
      schema: { params: AccountPath, querystring: ImportQuery, body: FileBody, response: { 200: ImportedSchema } },
    },
    async ({ params, query, body }) => {
      const account = await namedAccount(registry.read, params.account);
      // Whoever is told what is wrong with the first rows is still sending the others.
      const file = (body as unknown as IncomingMessage).iterator({ destroyOnReturn: false });
      const { faults, ...report } = await importAllowListFile(registry, account, file, query);
      return { ...report, faults: [...faults] };
    },
  );
}
