// `node …`: the processes that serve together on one database.

import type { NodeJson } from '../operator/node-schemas.ts';
import { at } from './client.ts';
import { command } from './command.ts';
import { sentences, table } from './page.ts';
import { text } from './parameters.ts';

export const nodeCommands = [
  command({
    words: 'node list',
    about: 'List the processes that serve on the same database, and how long each has not been heard of.',
    call: (_given, { api }) => api.get<NodeJson[]>('/nodes'),
    print: (nodes) =>
      table(nodes, 'This server has its registry for itself.', {
        name: (row) => row.name,
        version: (row) => row.version,
        started: (row) => row.started_at,
        'silent (s)': (row) => String(row.silent_seconds),
        this: (row) => (row.this ? 'yes' : ''),
        node: (row) => row.node,
      }),
  }),
  command({
    words: 'node forget',
    about: 'Forget a node that will not come back: no call waits for it or names it any more.',
    more: ['One that is only cut off comes back by itself, and is not to be forgotten: it may still let devices in.'],
    arguments: { node: text('NODE', 'its name, its ID, or that of one process') },
    call: ({ node }, { api }) => api.delete<{ forgotten: number }>(at`/nodes/${node}`),
    print: ({ forgotten }) => sentences(`Forgot ${forgotten} process(es).`),
  }),
];
