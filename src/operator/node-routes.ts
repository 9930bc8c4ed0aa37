// The processes that serve together with this one on one database.

import { Type } from 'typebox';
import { listNodes } from '../registry/nodes.ts';
import type { Registry } from '../registry/writer.ts';
import { formatInstant } from '../time.ts';
import { ForgottenSchema, NodeSchema } from './node-schemas.ts';
import { rule } from './rule.ts';
import type { Api } from './typed-api.ts';

const NodeParams = Type.Object({ node: Type.String({ minLength: 1, maxLength: 200 }) });

/** Adds the routes of nodes. */
export function nodeRoutes(api: Api, registry: Registry): void {
  api.get(
    '/nodes',
    { ...rule('listNodes', 'administrator'), schema: { response: { 200: Type.Array(NodeSchema) } } },
    async () => {
      const { nodes, now } = await listNodes(registry.read);
      return nodes.map(({ instance, node_id, name, version, started_at, heard_at }) => ({
        id: instance,
        node: node_id,
        name,
        version,
        started_at: formatInstant(started_at),
        silent_seconds: Math.max(0, Math.round((now - heard_at) / 1000)),
        this: instance === registry.instance,
      }));
    },
  );

  api.delete(
    '/nodes/:node',
    {
      ...rule('forgetNode', 'administrator'),
      schema: { params: NodeParams, response: { 200: ForgottenSchema } },
    },
    async ({ params: { node } }) => registry.write('forgetNode', { node }),
  );
}
