// The operator API's inputs and outputs that are about the audit log.

import { type Static, Type } from 'typebox';
import { closed, instant, nullable, sha256, uuid } from './schemas.ts';

const members = Type.Record(Type.String(), Type.Unknown());

export const AuditQuery = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
    cursor: Type.Optional(Type.String({ maxLength: 1024, description: 'From the `next` link of the page before.' })),
    actor: Type.Optional(
      Type.String({ minLength: 1, maxLength: 256, description: 'An ID, a name, or a kind such as `server`.' }),
    ),
    action: Type.Optional(Type.String({ minLength: 1, maxLength: 100, description: 'Such as `device.revoke`.' })),
    object: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 1024,
        description: 'An ID or a name: a device ID or UUID, the SHA-256 of a TBSCertificate, the name of an account.',
      }),
    ),
    result: Type.Optional(Type.String({ minLength: 1, maxLength: 100, description: '`done` or a problem code.' })),
    since: Type.Optional(instant),
    until: Type.Optional(instant),
  },
  closed,
);

export const AuditEntrySchema = Type.Object({
  number: nullable(
    Type.Integer({ description: '`null` for the second until the entry is chained, and for who is no administrator.' }),
  ),
  hash: nullable(
    Type.String({ description: 'SHA-256 over the entry before and this one, hex; `null` where `number` is.' }),
  ),
  at: instant,
  action: Type.String(),
  account: nullable(Type.String({ description: '`null` for what concerns the server as a whole.' })),
  by: Type.Object({
    kind: Type.Enum(['operator', 'token', 'socket', 'device', 'provisioning_key', 'server']),
    id: nullable(Type.String()),
    name: Type.String(),
    address: nullable(Type.String()),
    request: nullable(Type.String({ description: 'Of the request, in the log of the server too.' })),
  }),
  object: Type.Object({ kind: Type.String(), id: Type.String(), name: nullable(Type.String()) }),
  before: Type.Union([members, Type.Null()]),
  after: Type.Union([members, Type.Null()]),
  result: Type.String({ description: '`done`, or the code of the problem for which it was refused.' }),
});

export const CheckpointSchema = Type.Object({
  type: Type.Literal('fleetroot-audit-checkpoint-v1'),
  log: uuid,
  number: Type.Integer({ description: 'Of the last entry that it covers.' }),
  hash: sha256,
  at: instant,
  public_key: Type.String({ description: 'SubjectPublicKeyInfo, DER, Base64.' }),
  algorithm: Type.Literal('ecdsa-sha256'),
  signature: Type.String({ description: 'Base64.' }),
});

export const CheckpointsSchema = Type.Object({
  log: nullable(Type.String({ description: 'The ID of the log; `null` until its first entry is chained.' })),
  public_key: nullable(Type.String({ description: 'That of the latest checkpoint, PEM: keep it elsewhere.' })),
  checkpoints: Type.Array(CheckpointSchema),
});
export const CheckpointQuery = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    cursor: Type.Optional(Type.String({ maxLength: 20, pattern: '^[0-9]+$' })),
  },
  closed,
);

export const VerdictSchema = Type.Object({
  ok: Type.Boolean(),
  log: nullable(Type.String()),
  intact_to: Type.Integer({ description: 'The last entry that fits those before it.' }),
  confirmed_to: Type.Integer({ description: 'The last entry that a checkpoint confirms.' }),
  last_checkpoint: Type.Union([CheckpointSchema, Type.Null()]),
  first_misfit: Type.Union([Type.Object({ number: Type.Integer(), sentence: Type.String() }), Type.Null()]),
  at: instant,
});

export type AuditEntryJson = Static<typeof AuditEntrySchema>;
export type CheckpointJson = Static<typeof CheckpointSchema>;
export type VerdictJson = Static<typeof VerdictSchema>;
