// Routes whose body is a file as people have it: certificates, a key, an entry of credentials.zip.

import { addIntermediate, registerFleetRootCa, trust } from '../issuing/fleet-root-registration.ts';
import { importStandbyKey } from '../issuing/key-export.ts';
import { setAccountFile } from '../provisioning/account-file.ts';
import { loadAccountTrust } from '../provisioning/account-trust.ts';
import { explain } from '../provisioning/explanation.ts';
import { readCertificates } from '../provisioning/device-identity.ts';
import { distrustKey } from '../provisioning/owner-signing.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { impactOfDistrust } from '../provisioning/trust-impact.ts';
import { Secret } from '../secret.ts';
import { destructive, weighed } from './impact.ts';
import { DestructiveQuery, orImpact } from './impact-schemas.ts';
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
  RegisteredFleetRootCaSchema,
} from './schemas.ts';
import { owners, rule, viewers } from './rule.ts';
import type { Api } from './typed-api.ts';

const mebibyte = 1024 * 1024;
/** Chains and CA bundles. */
const certificates = { bodyLimit: mebibyte };
/** What a device would show: ten certificates at the most; reading many more would hold everybody up. */
const chains = { bodyLimit: 128 * 1024 };
/** One in PKCS#8, DER, in the clear: over the socket, or over TLS. */
const privateKeys = { bodyLimit: 16 * 1024 };
/** Provisioning names the limit of an entry; a little beyond it, so that it can. */
const entries = { bodyLimit: 2 * mebibyte };

/** Adds the routes whose body is a file, to a scope that takes `application/octet-stream` alone. */
export function fileRoutes(api: Api, p: Provisioning): void {
  const { registry } = p;
  const named = (ref: string) => namedAccount(registry.read, ref);

  api.put(
    '/accounts/:account/files/:entry',
    {
      ...rule('setFile', owners),
      ...entries,
      schema: { params: EntryPath, body: FileBody, response: { 200: AccountSchema } },
    },
    async ({ params, body }) => {
      const account = await named(params.account);
      await setAccountFile(p, account, params.entry, body);
      return accountJson(p, account);
    },
  );

  api.post(
    '/accounts/:account/fleet-root-cas',
    {
      ...rule('registerFleetRootCa', owners),
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
    {
      ...rule('addIntermediates', owners),
      ...certificates,
      schema: { params: FleetRootCaPath, body: FileBody, response: { 200: FleetRootCaSchema } },
    },
    async ({ params, body }) => {
      const account = await named(params.account);
      const { ca } = await addIntermediate(registry, account, params.ca, body, { now: p.clock() });
      return fleetRootCaJson(p, account, ca);
    },
  );

  const distrusted = { schema: { params: AccountPath, body: FileBody, response: { 200: DistrustedKeySchema } } };

  api.post(
    '/accounts/:account/distrusted-keys',
    {
      ...rule('distrustKey', owners),
      ...certificates,
      ...destructive,
      schema: {
        params: AccountPath,
        querystring: DestructiveQuery,
        body: FileBody,
        response: orImpact(DistrustedKeySchema),
      },
    },
    async ({ params, query, body }) => {
      const account = await named(params.account);
      return weighed(query, 'distrustKey', {
        weigh: () => impactOfDistrust(p, account, body),
        act: async () => ({ public_key_sha256: await distrustKey(p, account, body), waiting: false }),
      });
    },
  );

  api.post(
    '/accounts/:account/distrusted-keys/remove',
    { ...rule('trustKey', owners), ...certificates, ...distrusted },
    async ({ params, body }) => {
      const account = await named(params.account);
      const public_key_sha256 = await trust(registry, account, body);
      const { distrusted: present } = await loadAccountTrust(p, account);
      return { public_key_sha256, waiting: present.has(public_key_sha256) };
    },
  );

  api.post(
    '/accounts/:account/gateway-cas/standby/import',
    {
      ...rule('importStandbyGatewayCaKey', owners),
      ...privateKeys,
      schema: { params: AccountPath, body: FileBody, response: { 200: AccountSchema } },
    },
    async ({ params, body }) => {
      using privateKey = new Secret(body);
      const account = await named(params.account);
      await importStandbyKey(p.issuer, account, privateKey);
      return await accountJson(p, account);
    },
  );

  api.post(
    '/accounts/:account/explain',
    {
      ...rule('explain', viewers),
      ...chains,
      schema: { params: AccountPath, body: FileBody, response: { 200: ExplanationSchema } },
    },
    async ({ params, body }) => {
      const trusted = await loadAccountTrust(p, await named(params.account));
      return explain(registry.read, trusted, readCertificates(body, 'The chain'), p.clock());
    },
  );
}
