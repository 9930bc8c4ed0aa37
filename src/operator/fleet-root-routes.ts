// Fleet Root CAs: listed, opened, closed, disabled, succeeded, and by what they admit. (Their certificates come as files: file-routes.ts.)

import { Type } from 'typebox';
import { exportFleetRootKey } from '../issuing/key-export.ts';
import { setFleetRootState } from '../provisioning/owner-signing.ts';
import { impactOfAdmit, impactOfRootState, impactOfSuccessor } from '../provisioning/trust-impact.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { Secret } from '../secret.ts';
import { destructive, weighed } from './impact.ts';
import { DestructiveQuery, orImpact } from './impact-schemas.ts';
import { ExportedKeySchema, NewPassphrase } from './key-schemas.ts';
import { namedAccount, namedFleetRootCa } from './named.ts';
import { exportedKeyJson, fleetRootCaJson, fleetRootCasJson } from './representations.ts';
import { AccountPath, FleetRootCaChange, FleetRootCaPath, FleetRootCaSchema, NewSuccessor } from './schemas.ts';
import { owners, readers, rule } from './rule.ts';
import type { Api } from './typed-api.ts';

const stateAfter = { activate: 'active', close: 'closed', disable: 'disabled' } as const;

/** Adds the routes of Fleet Root CAs that take no file. */
export function fleetRootRoutes(api: Api, p: Provisioning): void {
  const { registry } = p;
  const response = { 200: FleetRootCaSchema };

  api.get(
    '/accounts/:account/fleet-root-cas',
    {
      ...rule('listFleetRootCas', readers),
      schema: { params: AccountPath, response: { 200: Type.Array(FleetRootCaSchema) } },
    },
    async ({ params }) => fleetRootCasJson(p, await namedAccount(registry.read, params.account)),
  );

  const one = { schema: { params: FleetRootCaPath, response } };

  api.get(
    '/accounts/:account/fleet-root-cas/:ca',
    { ...rule('getFleetRootCa', readers), ...one },
    async ({ params }) => {
      const account = await namedAccount(registry.read, params.account);
      return fleetRootCaJson(p, account, await namedFleetRootCa(p, account, params.ca));
    },
  );

  api.patch(
    '/accounts/:account/fleet-root-cas/:ca',
    {
      ...rule('updateFleetRootCa', owners),
      ...destructive,
      schema: {
        params: FleetRootCaPath,
        querystring: DestructiveQuery,
        body: FleetRootCaChange,
        response: orImpact(FleetRootCaSchema),
      },
    },
    async ({ params, query, body: { admit } }) => {
      const account = await namedAccount(registry.read, params.account);
      const ca = await namedFleetRootCa(p, account, params.ca);
      const change = { account_id: account.id, fleet_root_ca_id: ca.id, admit };
      return weighed(query, 'updateFleetRootCa', {
        weigh: () => impactOfAdmit(p, account, ca, admit),
        act: async () => fleetRootCaJson(p, account, await registry.write('setFleetRootAdmit', change)),
      });
    },
  );

  for (const action of ['activate', 'close', 'disable'] as const) {
    api.post(
      `/accounts/:account/fleet-root-cas/:ca/${action}`,
      {
        ...rule(`${action}FleetRootCa`, owners),
        ...destructive,
        schema: { params: FleetRootCaPath, querystring: DestructiveQuery, response: orImpact(FleetRootCaSchema) },
      },
      async ({ params, query }) => {
        const account = await namedAccount(registry.read, params.account);
        const ca = await namedFleetRootCa(p, account, params.ca);
        const state = stateAfter[action];
        return weighed(query, `${action}FleetRootCa`, {
          weigh: () => impactOfRootState(p, account, ca, state),
          act: async () => fleetRootCaJson(p, account, await setFleetRootState(p, account, ca, state)),
        });
      },
    );
  }

  api.post(
    '/accounts/:account/fleet-root-cas/:ca/export',
    {
      ...rule('exportFleetRootCaKey', owners, { grants: true, secretReply: true }),
      schema: { params: FleetRootCaPath, body: NewPassphrase, response: { 200: ExportedKeySchema } },
    },
    async ({ params, body }) => {
      const account = await namedAccount(registry.read, params.account);
      const ca = await namedFleetRootCa(p, account, params.ca);
      using passphrase = Secret.fromText(body.passphrase);
      return exportedKeyJson(await exportFleetRootKey(p.issuer, ca, passphrase));
    },
  );

  api.post(
    '/accounts/:account/fleet-root-cas/:ca/successor',
    {
      ...rule('setFleetRootCaSuccessor', owners),
      ...destructive,
      schema: {
        params: FleetRootCaPath,
        querystring: DestructiveQuery,
        body: NewSuccessor,
        response: orImpact(FleetRootCaSchema),
      },
    },
    async ({ params, query, body }) => {
      const account = await namedAccount(registry.read, params.account);
      const from = await namedFleetRootCa(p, account, params.ca);
      const to = await namedFleetRootCa(p, account, body.successor);
      const named = { account_id: account.id, old_id: from.id, new_id: to.id };
      return weighed(query, 'setFleetRootCaSuccessor', {
        weigh: () => impactOfSuccessor(p, account, from, to),
        act: async () => fleetRootCaJson(p, account, await registry.write('setSuccessor', named)),
      });
    },
  );
}
