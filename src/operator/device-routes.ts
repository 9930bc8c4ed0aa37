// Devices and their certificates.

import { Type } from 'typebox';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { certificatesOf } from '../registry/certificates.ts';
import { deviceByRef, listDevices } from '../registry/devices.ts';
import { reportsOf } from '../registry/reports.ts';
import { namedAccount, namedFleetRootCa } from './named.ts';
import { linkNext, placeOf } from './paging.ts';
import { certificateJson, deviceDetailsJson, deviceJson } from './representations.ts';
import {
  AccountPath,
  CertificatePath,
  CertificateSchema,
  DeviceDetailsSchema,
  DevicePath,
  DeviceQuery,
  DeviceSchema,
  NewRoot,
} from './schemas.ts';
import { changers, readers, rule, viewers } from './rule.ts';
import type { Api } from './typed-api.ts';

/** What an operator may do to a device, and the write that does it. */
const actions = {
  approve: 'approveDevice',
  reject: 'rejectDevice',
  suspend: 'suspendDevice',
  resume: 'resumeDevice',
  revoke: 'revokeDevice',
  reprovision: 'reprovisionDevice',
} as const;

/** Adds the routes of devices and their certificates. */
export function deviceRoutes(api: Api, p: Provisioning): void {
  const { registry } = p;
  const response = { 200: DeviceSchema };

  api.get(
    '/accounts/:account/devices',
    {
      ...rule('listDevices', viewers),
      schema: { params: AccountPath, querystring: DeviceQuery, response: { 200: Type.Array(DeviceSchema) } },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const { state } = request.query;
      const place = placeOf(request.query);
      const devices = await listDevices(registry.read, account.id, { ...place, ...(state && { state }) });
      linkNext(
        request,
        reply,
        place,
        devices.map(({ device_id }) => device_id),
      );
      return devices.map(deviceJson);
    },
  );

  api.get(
    '/accounts/:account/devices/:device',
    { ...rule('getDevice', viewers), schema: { params: DevicePath, response: { 200: DeviceDetailsSchema } } },
    async ({ params }) => {
      const account = await namedAccount(registry.read, params.account);
      const device = await deviceByRef(registry.read, account.id, params.device);
      return deviceDetailsJson(
        device,
        await certificatesOf(registry.read, account.id, device.uuid),
        await reportsOf(registry.read, account.id, device.uuid),
      );
    },
  );

  for (const [action, write] of Object.entries(actions)) {
    api.post(
      `/accounts/:account/devices/:device/${action}`,
      { ...rule(`${action}Device`, changers), schema: { params: DevicePath, response } },
      async ({ params }) => {
        const account = await namedAccount(registry.read, params.account);
        return deviceJson(await registry.write(write, { account_id: account.id, device: params.device }));
      },
    );
  }

  api.delete(
    '/accounts/:account/devices/:device',
    { ...rule('deleteDevice', changers), schema: { params: DevicePath, response } },
    async ({ params }) => {
      const account = await namedAccount(registry.read, params.account);
      return deviceJson(await registry.write('deleteDevice', { account_id: account.id, device: params.device }));
    },
  );

  api.post(
    '/accounts/:account/devices/:device/move-root',
    { ...rule('moveDeviceRoot', changers), schema: { params: DevicePath, body: NewRoot, response } },
    async ({ params, body }) => {
      const account = await namedAccount(registry.read, params.account);
      const ca = await namedFleetRootCa(p, account, body.fleet_root_ca);
      const named = { account_id: account.id, device: params.device, fleet_root_ca_id: ca.id };
      return deviceJson(await registry.write('moveRoot', named));
    },
  );

  api.get(
    '/accounts/:account/devices/:device/certificates',
    {
      ...rule('listCertificates', readers),
      schema: { params: DevicePath, response: { 200: Type.Array(CertificateSchema) } },
    },
    async ({ params }) => {
      const account = await namedAccount(registry.read, params.account);
      const { uuid } = await deviceByRef(registry.read, account.id, params.device);
      return (await certificatesOf(registry.read, account.id, uuid)).map(certificateJson);
    },
  );

  api.post(
    '/accounts/:account/certificates/:sha256/revoke',
    {
      ...rule('revokeCertificate', changers),
      schema: { params: CertificatePath, response: { 200: CertificateSchema } },
    },
    async ({ params }) => {
      const account = await namedAccount(registry.read, params.account);
      const named = { account_id: account.id, sha256: params.sha256 };
      return certificateJson(await registry.write('revokeCertificate', named));
    },
  );
}
