// Accounts, their hosts and gateway CAs.

import { setImmediate } from 'node:timers/promises';
import { Type } from 'typebox';
import { switchGatewayCa } from '../issuing/gateway-ca.ts';
import { eraseStandbyKey, exportStandbyKey } from '../issuing/key-export.ts';
import {
  impactOfEnd,
  impactOfErasedStandby,
  impactOfPolicy,
  impactOfRemovedFile,
  impactOfRemovedHost,
  impactOfSwitchedGateway,
} from '../provisioning/account-impact.ts';
import {
  addHost,
  createAccount,
  deleteAccount,
  removeHost,
  requireMayName,
  setPolicy,
} from '../provisioning/accounts.ts';
import { forgetGoneAccount } from '../provisioning/owner-pin.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { accountsAtOnce, listAccounts } from '../registry/accounts.ts';
import { Secret } from '../secret.ts';
import { destructive, weighed } from './impact.ts';
import { DestructiveQuery, orImpact } from './impact-schemas.ts';
import { readDuration } from './inputs.ts';
import { ExportedKeySchema, NewPassphrase } from './key-schemas.ts';
import { namedAccount } from './named.ts';
import { cursorOf, linkCursor, readCursor, standardLimit } from './paging.ts';
import { principalOf, readsAll, sees } from './principal.ts';
import { accountJson, bareAccountJson, exportedKeyJson } from './representations.ts';
import {
  type AccountJson,
  AccountPath,
  AccountSchema,
  EntryPath,
  HostPath,
  NewAccount,
  NewHost,
  PageQuery,
  Policy,
} from './schemas.ts';
import { owners, readers, rule } from './rule.ts';
import type { Api } from './typed-api.ts';

const response = { 200: AccountSchema };
const querystring = DestructiveQuery;

/** Adds the routes of accounts, their hosts, files and gateway CAs. */
export function accountRoutes(api: Api, p: Provisioning): void {
  const { registry, issuer, seal } = p;

  api.get(
    '/accounts',
    {
      ...rule('listAccounts', 'signed-in'),
      schema: { querystring: PageQuery, response: { 200: Type.Array(AccountSchema) } },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const { limit = standardLimit, cursor } = request.query;
      const [after = ''] = cursor === undefined ? [] : readCursor('accounts', cursor, ['text']);
      const shown: AccountJson[] = [];
      for (let last = after; ;) {
        const page = await listAccounts(registry.read, { after: last });
        for (const account of page) {
          if (!sees(principal, account.id)) continue;
          if (shown.length === limit) {
            linkCursor(request, reply, cursorOf('accounts', [shown.at(-1)!.name]));
            return shown;
          }
          const bare = bareAccountJson(p, account);
          shown.push(readsAll(principal, account.id) ? await accountJson(p, account).catch(() => bare) : bare);
          // Reads do not leave this thread: with many accounts the devices get their turn in between.
          await setImmediate();
        }
        if (page.length < accountsAtOnce) return shown;
        last = page.at(-1)!.name;
        await setImmediate();
      }
    },
  );

  api.post(
    '/accounts',
    { ...rule('createAccount', 'administrator'), schema: { body: NewAccount, response: { 201: AccountSchema } } },
    async ({ body }, reply) => {
      const { name, kind = 'test', owner_key, exportable } = body;
      const owner = owner_key === undefined ? undefined : Buffer.from(owner_key, 'base64');
      const account = await createAccount(p, { name, kind, owner_key: owner, exportable });
      return reply.code(201).send(await accountJson(p, account));
    },
  );

  api.get(
    '/accounts/:account',
    { ...rule('getAccount', readers), schema: { params: AccountPath, response } },
    async ({ params }) => accountJson(p, await namedAccount(registry.read, params.account)),
  );

  api.delete(
    '/accounts/:account',
    {
      ...rule('deleteAccount', 'administrator'),
      ...destructive,
      schema: { params: AccountPath, querystring, response: orImpact(AccountSchema) },
    },
    async ({ params, query }) => {
      if (!query.dry_run) await forgetGoneAccount(p, params.account);
      const account = await namedAccount(registry.read, params.account);
      return weighed(query, 'deleteAccount', {
        weigh: () => impactOfEnd(p, account),
        act: async (confirmed) => {
          // What is in its rows does not keep it.
          const last = await accountJson(p, account).catch(() => bareAccountJson(p, account));
          await deleteAccount(p, account, { mostDevices: confirmed });
          return last;
        },
      });
    },
  );

  api.patch(
    '/accounts/:account',
    {
      ...rule('updateAccount', owners),
      ...destructive,
      schema: { params: AccountPath, querystring, body: Policy, response: orImpact(AccountSchema) },
    },
    async (request) => {
      const { params, query, body } = request;
      const account = await namedAccount(registry.read, params.account);
      if (body.namespace !== undefined) requireMayName(account, body.namespace, principalOf(request));
      const { validity, ...others } = body;
      const validity_seconds = validity === undefined ? undefined : readDuration('validity', validity) / 1000;
      const policy = { ...others, ...(validity_seconds && { validity_seconds }) };
      return weighed(query, 'updateAccount', {
        weigh: () => impactOfPolicy(p, account, policy),
        act: async () => accountJson(p, await setPolicy(p, account, policy)),
      });
    },
  );

  api.post(
    '/accounts/:account/hosts',
    { ...rule('addHost', 'administrator'), schema: { params: AccountPath, body: NewHost, response } },
    async (request) => {
      const account = await namedAccount(registry.read, request.params.account);
      await addHost(p, account, request.body.host);
      return accountJson(p, account);
    },
  );

  api.delete(
    '/accounts/:account/hosts/:host',
    {
      ...rule('removeHost', 'administrator'),
      ...destructive,
      schema: { params: HostPath, querystring, response: orImpact(AccountSchema) },
    },
    async ({ params, query }) => {
      const account = await namedAccount(registry.read, params.account);
      return weighed(query, 'removeHost', {
        weigh: () => impactOfRemovedHost(p, account, params.host),
        act: async () => {
          await removeHost(p, account, params.host);
          return accountJson(p, account);
        },
      });
    },
  );

  api.delete(
    '/accounts/:account/files/:entry',
    {
      ...rule('removeFile', owners),
      ...destructive,
      schema: { params: EntryPath, querystring, response: orImpact(AccountSchema) },
    },
    async ({ params, query }) => {
      const account = await namedAccount(registry.read, params.account);
      return weighed(query, 'removeFile', {
        weigh: () => impactOfRemovedFile(p, account, params.entry),
        act: async () => {
          await registry.write('removeAccountFile', { account_id: account.id, entry: params.entry });
          return accountJson(p, account);
        },
      });
    },
  );

  api.post(
    '/accounts/:account/gateway-cas/switch',
    {
      ...rule('switchGatewayCa', owners),
      ...destructive,
      schema: { params: AccountPath, querystring, response: orImpact(AccountSchema) },
    },
    async ({ params, query }) => {
      const account = await namedAccount(registry.read, params.account);
      return weighed(query, 'switchGatewayCa', {
        weigh: () => impactOfSwitchedGateway(p, account),
        act: async () => {
          await switchGatewayCa(issuer, seal, account);
          return accountJson(p, account);
        },
      });
    },
  );

  api.post(
    '/accounts/:account/gateway-cas/standby/export',
    {
      ...rule('exportStandbyGatewayCaKey', owners, { grants: true, secretReply: true }),
      schema: { params: AccountPath, body: NewPassphrase, response: { 200: ExportedKeySchema } },
    },
    async ({ params, body }) => {
      const account = await namedAccount(registry.read, params.account);
      using passphrase = Secret.fromText(body.passphrase);
      return exportedKeyJson(await exportStandbyKey(issuer, account, passphrase));
    },
  );

  api.post(
    '/accounts/:account/gateway-cas/standby/erase',
    {
      ...rule('eraseStandbyGatewayCaKey', owners),
      ...destructive,
      schema: { params: AccountPath, querystring, response: orImpact(AccountSchema) },
    },
    async ({ params, query }) => {
      const account = await namedAccount(registry.read, params.account);
      return weighed(query, 'eraseStandbyGatewayCaKey', {
        weigh: () => impactOfErasedStandby(p, account),
        act: async () => {
          await eraseStandbyKey(issuer, account);
          return accountJson(p, account);
        },
      });
    },
  );
}
