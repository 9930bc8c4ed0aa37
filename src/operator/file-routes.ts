// Routes whose body is a file as people have it: certificates, an allow-list, an entry of credentials.zip.

import { addIntermediate, distrust, registerFleetRootCa, trust } from '../issuing/fleet-root-registration.ts';
import { setAccountFile } from '../provisioning/account-file.ts';
import { loadAccountTrust } from '../provisioning/account-trust.ts';
import { explain } from '../provisioning/admission.ts';
import { readCertificates } from '../provisioning/device-identity.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { importAllowListFile } from './allow-list-file.ts';
import { namedAccount } from './named.ts';
import { accountJson, fleetRootCaJson } from './representations.ts';
import {
  AccountPath,
  AccountSchema,
  DistrustedKeySchema,
  EntryPath,
  ExplanationSchema,
  FileBody,
  FleetRootCaPath,
  FleetRootCaQuery,
  FleetRootCaSchema,
  ImportedSchema,
  RegisteredFleetRootCaSchema,
} from './schemas.ts';
import type { Api } from './typed-api.ts';

const mebibyte = 1024 * 1024;
/** Chains and CA bundles. */
const certificates = { bodyLimit: mebibyte };
/** Provisioning names the limit of an entry; a little beyond it, so that it can. */
const entries = { bodyLimit: 2 * mebibyte };
/** 100,000 device IDs of 64 characters of four bytes, with further columns. */
const allowLists = { bodyLimit: 64 * mebibyte };

/** Adds the routes whose body is a file, to a scope that takes `application/octet-stream` alone. */
export function fileRoutes(api: Api, p: Provisioning): void {
  const { registry } = p;
  const named = (ref: string) => namedAccount(registry.read, ref);

  api.put(
    '/accounts/:account/files/:entry',
    { ...entries, schema: { params: EntryPath, body: FileBody, response: { 200: AccountSchema } } },
    async ({ params, body }) => {
      const account = await named(params.account);
      await setAccountFile(p, account, params.entry, body);
      return accountJson(p, account);
    },
  );

  api.post(
    '/accounts/:account/fleet-root-cas',
    {
      ...certificates,
      schema: {
        params: AccountPath,
        querystring: FleetRootCaQuery,
        body: FileBody,
        response: { 201: RegisteredFleetRootCaSchema },
      },
    },
    async ({ params, query: { name = null }, body }, reply) => {
      const account = await named(params.account);
      const { ca, ...registered } = await registerFleetRootCa(registry, account, body, { name, now: p.clock() });
      return reply.code(201).send({ ...(await fleetRootCaJson(p, account, ca)), ...registered });
    },
  );

  api.post(
    '/accounts/:account/fleet-root-cas/:ca/intermediates',
    { ...certificates, schema: { params: FleetRootCaPath, body: FileBody, response: { 200: FleetRootCaSchema } } },
    async ({ params, body }) => {
      const account = await named(params.account);
      const { ca } = await addIntermediate(registry, account, params.ca, body, { now: p.clock() });
      return fleetRootCaJson(p, account, ca);
    },
  );

  const distrusted = { schema: { params: AccountPath, body: FileBody, response: { 200: DistrustedKeySchema } } };

  api.post('/accounts/:account/distrusted-keys', { ...certificates, ...distrusted }, async ({ params, body }) => ({
    public_key_sha256: await distrust(registry, await named(params.account), body),
  }));

  api.post(
    '/accounts/:account/distrusted-keys/remove',
    { ...certificates, ...distrusted },
    async ({ params, body }) => ({
      public_key_sha256: await trust(registry, await named(params.account), body),
    }),
  );

  api.post(
    '/accounts/:account/allow-list',
    { ...allowLists, schema: { params: AccountPath, body: FileBody, response: { 200: ImportedSchema } } },
    async ({ params, body }) => importAllowListFile(registry, await named(params.account), body),
  );

  api.post(
    '/accounts/:account/explain',
    { ...certificates, schema: { params: AccountPath, body: FileBody, response: { 200: ExplanationSchema } } },
    async ({ params, body }) => {
      const trusted = await loadAccountTrust(registry.read, await named(params.account));
      return explain(registry.read, trusted, readCertificates(body, 'The chain'), p.clock());
    },
  );
}
