// The allow-list: which device IDs may join. (It is imported from a file: file-routes.ts.)

import { Type } from 'typebox';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { allowListOf } from '../registry/allow-list.ts';
import { namedAccount } from './named.ts';
import { linkNext, placeOf } from './paging.ts';
import { AccountPath, AllowedDeviceSchema, DeviceIds, PageQuery, RemovedSchema } from './schemas.ts';
import { importers, rule, viewers } from './rule.ts';
import type { Api } from './typed-api.ts';

/** As long as the longest list that can be imported. */
const bodyLimit = 64 * 1024 * 1024;

/** Adds the routes of the allow-list that are no file. */
export function allowListRoutes(api: Api, { registry }: Provisioning): void {
  api.get(
    '/accounts/:account/allow-list',
    {
      ...rule('listAllowedDevices', viewers),
      schema: { params: AccountPath, querystring: PageQuery, response: { 200: Type.Array(AllowedDeviceSchema) } },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const place = placeOf(request.query);
      const deviceIds = await allowListOf(registry.read, account.id, place);
      linkNext(request, reply, place, deviceIds);
      return deviceIds.map((device_id) => ({ device_id }));
    },
  );

  api.post(
    '/accounts/:account/allow-list/remove',
    {
      ...rule('removeAllowedDevices', importers),
      bodyLimit,
      schema: { params: AccountPath, body: DeviceIds, response: { 200: RemovedSchema } },
    },
    async ({ params, body }) => {
      const account = await namedAccount(registry.read, params.account);
      return registry.write('removeFromAllowList', { account_id: account.id, device_ids: body.device_ids });
    },
  );
}
