// The back ends that an account's devices reach through the gateway.

import { Type } from 'typebox';
import { impactOfPreset, impactOfRemovedUpstream } from '../provisioning/account-impact.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { presetOf, presetUpstreams, setUpstream } from '../provisioning/upstream.ts';
import { upstreamsOf } from '../registry/upstreams.ts';
import { destructive, weighed } from './impact.ts';
import { DestructiveQuery as querystring, orImpact, RemovedUpstreamQuery } from './impact-schemas.ts';
import { readDuration } from './inputs.ts';
import { namedAccount } from './named.ts';
import { upstreamJson } from './representations.ts';
import { AccountPath, NewUpstream, UpstreamPreset, UpstreamSchema } from './schemas.ts';
import { principalOf } from './principal.ts';
import { changers, owners, readers, rule } from './rule.ts';
import type { Api } from './typed-api.ts';

/** Adds the routes of back ends. */
export function upstreamRoutes(api: Api, p: Provisioning): void {
  const { registry } = p;
  const response = { 200: UpstreamSchema };
  const list = { 200: Type.Array(UpstreamSchema) };

  api.get(
    '/accounts/:account/upstreams',
    { ...rule('listUpstreams', readers, { entityTag: true }), schema: { params: AccountPath, response: list } },
    async ({ params }) => {
      const account = await namedAccount(registry.read, params.account);
      return (await upstreamsOf(registry.read, account.id)).map(upstreamJson);
    },
  );

  api.put(
    '/accounts/:account/upstreams',
    { ...rule('setUpstream', changers), schema: { params: AccountPath, body: NewUpstream, response } },
    async (request) => {
      const account = await namedAccount(registry.read, request.params.account);
      const { timeout, ...upstream } = request.body;
      return upstreamJson(
        await setUpstream(
          p,
          account,
          { ...upstream, ...(timeout !== undefined && { timeout_ms: readDuration('timeout', timeout) }) },
          principalOf(request),
        ),
      );
    },
  );

  api.delete(
    '/accounts/:account/upstreams',
    {
      ...rule('removeUpstream', changers),
      ...destructive,
      schema: { params: AccountPath, querystring: RemovedUpstreamQuery, response: orImpact(UpstreamSchema) },
    },
    async ({ params, query }) => {
      const account = await namedAccount(registry.read, params.account);
      const named = { account_id: account.id, prefix: query.prefix };
      return weighed(query, 'removeUpstream', {
        weigh: () => impactOfRemovedUpstream(p, account, query.prefix),
        act: async () => upstreamJson(await registry.write('removeUpstream', named)),
      });
    },
  );

  api.post(
    '/accounts/:account/upstreams/preset',
    {
      ...rule('setUpstreamPreset', owners),
      ...destructive,
      schema: {
        params: AccountPath,
        querystring,
        body: UpstreamPreset,
        response: orImpact(Type.Array(UpstreamSchema)),
      },
    },
    async (request) => {
      const account = await namedAccount(registry.read, request.params.account);
      const { base } = request.body;
      const caller = principalOf(request);
      return weighed(request.query, 'setUpstreamPreset', {
        weigh: () => impactOfPreset(p, account, presetOf(p, account, base, caller)),
        act: async () => (await presetUpstreams(p, account, base, caller)).map(upstreamJson),
      });
    },
  );
}
