// The fleet as a whole: devices by filters, in any order, counted, exported, and changed many at once.

import type { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { Problem } from '../problem.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { listDeviceCertificates } from '../registry/certificate-list.ts';
import { countFleet, fleetPage } from '../registry/fleet.ts';
import { fleetActions } from '../registry/fleet-changes.ts';
import { changeFleet, weighBulkChange } from './bulk-change.ts';
import { exportDevices, exportTypes } from './device-export.ts';
import { deviceCountsJson, listedCertificateJson } from './fleet-json.ts';
import { readDeviceFilter } from './fleet-query.ts';
import {
  BulkChange,
  BulkDoneSchema,
  BulkQuery,
  CertificateListQuery,
  DeviceCountsSchema,
  DeviceFilterSchema,
  DeviceListQuery,
  ExportQuery,
  ListedCertificateSchema,
} from './fleet-schemas.ts';
import { destructive, weighed } from './impact.ts';
import { orImpact } from './impact-schemas.ts';
import { readQueryInstant } from './inputs.ts';
import { namedAccount, namedFleetRootCa } from './named.ts';
import { cursorOf, linkCursor, readCursor, standardLimit } from './paging.ts';
import { deviceJson } from './representations.ts';
import { changers, readers, rule, viewers } from './rule.ts';
import { AccountPath, DeviceSchema } from './schemas.ts';
import type { Api } from './typed-api.ts';

const exported = Type.Unsafe<Readable>({ type: 'string', description: 'CSV (RFC 4180), or JSON, one device a line.' });
/** How long a reader of an export may take nothing of it, in milliseconds. */
const patience = 60_000;

/** Adds the routes of the fleet. */
export function fleetRoutes(api: Api, p: Provisioning): void {
  const { registry } = p;

  api.get(
    '/accounts/:account/devices',
    {
      ...rule('listDevices', viewers),
      schema: { params: AccountPath, querystring: DeviceListQuery, response: { 200: Type.Array(DeviceSchema) } },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const { limit = standardLimit, cursor, sort = 'device_id', order = 'asc', ...given } = request.query;
      const filter = await readDeviceFilter(p, account, given);
      const list = ['devices', account.id, filter, sort, order];
      const kinds = ['text', sort === 'device_id' || sort === 'first_seen' ? 'number' : 'number?'] as const;
      const place = cursor === undefined ? undefined : readCursor(list, cursor, kinds);
      const devices = await fleetPage(registry.read, account.id, {
        filter,
        sort,
        descending: order === 'desc',
        limit,
        after: place && { device_id: place[0], value: place[1] },
        gone: goneOf(reply),
      });
      const last = devices.at(-1);
      if (last && devices.length === limit) {
        const value = sort === 'device_id' ? 0 : last[sort];
        linkCursor(request, reply, cursorOf(list, [last.device_id, value]));
      }
      return devices.map(deviceJson);
    },
  );

  // Beside `devices`, not below it: what stands there is a device ID, which may be any word.
  api.get(
    '/accounts/:account/device-counts',
    {
      ...rule('countDevices', viewers),
      schema: { params: AccountPath, querystring: DeviceFilterSchema, response: { 200: DeviceCountsSchema } },
    },
    async ({ params, query }, reply) => {
      const account = await namedAccount(registry.read, params.account);
      const filter = await readDeviceFilter(p, account, query);
      const counts = await countFleet(registry.read, account.id, { filter, now: p.clock(), gone: goneOf(reply) });
      return deviceCountsJson(registry.read, account.id, counts);
    },
  );

  api.get(
    '/accounts/:account/device-export',
    {
      ...rule('exportDevices', viewers),
      // A HEAD would read all of them to throw them away.
      exposeHeadRoute: false,
      schema: {
        params: AccountPath,
        querystring: ExportQuery,
        response: { 200: exported },
      },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const { format = 'csv', ...given } = request.query;
      const filter = await readDeviceFilter(p, account, given);
      const { socket } = request.raw;
      const hung = (): void => void socket.destroy();
      socket.setTimeout(patience, hung);
      reply.raw.once('close', () => socket.setTimeout(0).off('timeout', hung));
      reply.header('content-disposition', `attachment; filename="${account.name}-devices.${format}"`);
      return reply.type(exportTypes[format]).send(exportDevices(registry.read, account.id, filter, format));
    },
  );

  for (const action of fleetActions) {
    const operation = `${action}Devices`;
    api.post(
      `/accounts/:account/devices/${action}`,
      {
        ...rule(operation, changers),
        ...destructive,
        schema: { params: AccountPath, querystring: BulkQuery, body: BulkChange, response: orImpact(BulkDoneSchema) },
      },
      async ({ params, query, body }) => {
        const account = await namedAccount(registry.read, params.account);
        const given = body.filter ?? {};
        if ((Object.keys(given).length === 0) !== (body.all === true)) {
          throw new Problem(
            'invalid_request',
            'The body is to say which devices are meant, by a filter; or "all": true for every one of the account.',
          );
        }
        const filter = await readDeviceFilter(p, account, given);
        return weighed(query, operation, {
          weigh: () => weighBulkChange(p, account, action, filter),
          act: async (confirmed) => ({
            action: operation,
            ...(await changeFleet(p, account, action, { filter, most: confirmed })),
          }),
        });
      },
    );
  }

  api.get(
    '/accounts/:account/certificates',
    {
      ...rule('listAccountCertificates', readers),
      schema: {
        params: AccountPath,
        querystring: CertificateListQuery,
        response: { 200: Type.Array(ListedCertificateSchema) },
      },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const { limit = standardLimit, cursor, state, expires_after, expires_before, sha256 } = request.query;
      const { fleet_root_ca } = request.query;
      const ca = fleet_root_ca === undefined ? null : await namedFleetRootCa(p, account, fleet_root_ca);
      const filter = {
        states: state,
        ends: {
          from: expires_after === undefined ? undefined : readQueryInstant('expires_after', expires_after),
          before: expires_before === undefined ? undefined : readQueryInstant('expires_before', expires_before),
        },
        fleet_root_ca_id: ca?.id,
        sha256,
      };
      const list = ['certificates', account.id, filter];
      const place = cursor === undefined ? undefined : readCursor(list, cursor, ['number', 'text']);
      const after = place && { not_after: place[0], tbs_sha256: place[1] };
      const page = await listDeviceCertificates(registry.read, account.id, { filter, limit, after });
      const last = page.at(-1);
      if (last && page.length === limit) linkCursor(request, reply, cursorOf(list, [last.not_after, last.tbs_sha256]));
      return page.map(listedCertificateJson);
    },
  );
}

/** Aborted once the connection has gone: who searches while typing breaks off all answers but the last. */
function goneOf(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
}
