// One device at a time: its state, labels, certificates and ECUs. (The fleet as a whole: fleet-routes.ts.)

import { Type } from 'typebox';
import { Problem } from '../problem.ts';
import { impactOfDeviceAction, impactOfMove, impactOfRevokedCertificate } from '../provisioning/device-impact.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { certificatesOf } from '../registry/certificates.ts';
import { deviceByRef } from '../registry/devices.ts';
import { reportsOf } from '../registry/reports.ts';
import { destructive, weighed } from './impact.ts';
import { DestructiveQuery, orImpact } from './impact-schemas.ts';
import { ecusJson } from './fleet-json.ts';
import { EcusSchema, LabelChanges } from './fleet-schemas.ts';
import { faultOfLabel } from './label-names.ts';
import { namedAccount, namedFleetRootCa } from './named.ts';
import { principalOf, readsAll } from './principal.ts';
import { certificateJson, deviceDetailsJson, deviceJson } from './representations.ts';
import {
  CertificatePath,
  CertificateSchema,
  DeviceDetailsSchema,
  DevicePath,
  DeviceSchema,
  NewRoot,
} from './schemas.ts';
import { changers, readers, rule, viewers } from './rule.ts';
import type { Api } from './typed-api.ts';

/** What an operator may do to a device, and the write that does it. */
const actions = { approve: 'approveDevice', resume: 'resumeDevice', reprovision: 'reprovisionDevice' } as const;
/** The same of what shuts a device out. */
const destructiveActions = { reject: 'rejectDevice', suspend: 'suspendDevice', revoke: 'revokeDevice' } as const;

/** Adds the routes of devices and their certificates. */
export function deviceRoutes(api: Api, p: Provisioning): void {
  const { registry } = p;
  const response = { 200: DeviceSchema };

  api.get(
    '/accounts/:account/devices/:device',
    { ...rule('getDevice', viewers), schema: { params: DevicePath, response: { 200: DeviceDetailsSchema } } },
    async (request) => {
      const { params } = request;
      const account = await namedAccount(registry.read, params.account);
      const device = await deviceByRef(registry.read, account.id, params.device);
      if (!readsAll(principalOf(request), account.id)) return deviceDetailsJson(device, [], []);
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

  const shutsOut = {
    ...destructive,
    schema: { params: DevicePath, querystring: DestructiveQuery, response: orImpact(DeviceSchema) },
  };

  for (const [action, write] of Object.entries(destructiveActions)) {
    api.post(
      `/accounts/:account/devices/:device/${action}`,
      { ...rule(write, changers), ...shutsOut },
      async ({ params, query }) => {
        const account = await namedAccount(registry.read, params.account);
        return weighed(query, write, {
          weigh: () => impactOfDeviceAction(p, account, params.device, write),
          act: async () => deviceJson(await registry.write(write, { account_id: account.id, device: params.device })),
        });
      },
    );
  }

  api.patch(
    '/accounts/:account/devices/:device',
    { ...rule('updateDevice', changers), schema: { params: DevicePath, body: LabelChanges, response } },
    async ({ params, body: { labels } }) => {
      const account = await namedAccount(registry.read, params.account);
      for (const [name, value] of Object.entries(labels)) {
        const fault = value === null ? null : faultOfLabel(name, value);
        if (fault) throw new Problem('invalid_request', fault);
      }
      return deviceJson(await registry.write('setLabels', { account_id: account.id, device: params.device, labels }));
    },
  );

  api.get(
    '/accounts/:account/devices/:device/ecus',
    { ...rule('getEcus', readers), schema: { params: DevicePath, response: { 200: EcusSchema } } },
    async ({ params }) => {
      const account = await namedAccount(registry.read, params.account);
      const { uuid } = await deviceByRef(registry.read, account.id, params.device);
      const reports = await reportsOf(registry.read, account.id, uuid);
      return ecusJson(reports.find(({ kind }) => kind === 'ecus'));
    },
  );

  api.delete(
    '/accounts/:account/devices/:device',
    { ...rule('deleteDevice', changers), ...shutsOut },
    async ({ params, query }) => {
      const account = await namedAccount(registry.read, params.account);
      const named = { account_id: account.id, device: params.device };
      return weighed(query, 'deleteDevice', {
        weigh: () => impactOfDeviceAction(p, account, params.device, 'deleteDevice'),
        act: async () => deviceJson(await registry.write('deleteDevice', named)),
      });
    },
  );

  api.post(
    '/accounts/:account/devices/:device/move-root',
    {
      ...rule('moveDeviceRoot', changers),
      ...destructive,
      schema: { params: DevicePath, querystring: DestructiveQuery, body: NewRoot, response: orImpact(DeviceSchema) },
    },
    async ({ params, query, body }) => {
      const account = await namedAccount(registry.read, params.account);
      const ca = await namedFleetRootCa(p, account, body.fleet_root_ca);
      const named = { account_id: account.id, device: params.device, fleet_root_ca_id: ca.id };
      return weighed(query, 'moveDeviceRoot', {
        weigh: () => impactOfMove(p, account, named),
        act: async () => deviceJson(await registry.write('moveRoot', named)),
      });
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
      ...destructive,
      schema: { params: CertificatePath, querystring: DestructiveQuery, response: orImpact(CertificateSchema) },
    },
    async ({ params, query }) => {
      const account = await namedAccount(registry.read, params.account);
      const named = { account_id: account.id, sha256: params.sha256 };
      return weighed(query, 'revokeCertificate', {
        weigh: () => impactOfRevokedCertificate(p, account, params.sha256),
        act: async () => certificateJson(await registry.write('revokeCertificate', named)),
      });
    },
  );
}
