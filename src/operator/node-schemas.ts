// The operator API's nodes.

import { type Static, Type } from 'typebox';
import { closed, instant, uuid } from './schemas.ts';

export const NodeSchema = Type.Object(
  {
    id: { ...uuid, description: 'This run of this process.' },
    node: { ...uuid, description: 'Of the node for good; its processes have it in common.' },
    name: Type.String(),
    version: Type.String(),
    started_at: instant,
    silent_seconds: Type.Integer({ minimum: 0, description: 'How long it has not been heard of.' }),
    this: Type.Boolean({ description: 'Whether it is the one that answers.' }),
  },
  closed,
);
export type NodeJson = Static<typeof NodeSchema>;

export const ForgottenSchema = Type.Object({ forgotten: Type.Integer({ description: 'How many processes.' }) }, closed);
