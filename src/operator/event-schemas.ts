// The operator API's events: what each type tells, and how they are asked for.

import { type Static, type TSchema, Type } from 'typebox';
import { type EventType, eventTypes } from '../registry/notes.ts';
import { CheckpointSchema } from './audit-schemas.ts';
import { closed, deviceStates, instant, line, nullable, sha256, uuid } from './schemas.ts';

const device = { device_id: Type.String(), uuid };
const certificate = {
  sha256: nullable(sha256),
  tbs_sha256: sha256,
  public_key_sha256: sha256,
  not_after: instant,
};
const factoryLine = { line: uuid, line_name: Type.String(), site: nullable(Type.String()) };
const count = Type.Integer({ minimum: 0 });
const daysLeft = Type.Integer({ description: 'Days that are left at the most: 30, 7 or 1.' });
const state = Type.Enum(deviceStates);

/** What `data` of an event holds, by its type. */
export const eventData: Readonly<Record<EventType, TSchema>> = {
  'device.added': Type.Object(
    {
      ...device,
      state,
      method: Type.Enum(['shared', 'device']),
      fleet_root_ca: uuid,
      provisioning_key: nullable(uuid),
      ...certificate,
    },
    closed,
  ),
  'device.provisioned': Type.Object(
    { ...device, provisioning_key: nullable(uuid), again: Type.Boolean(), ...certificate },
    closed,
  ),
  'device.pending': Type.Object({ ...device, waits: Type.Enum(['device', 'key']), ...certificate }, closed),
  'device.refused': Type.Object(
    {
      code: Type.String(),
      rule: Type.String(),
      count,
      first_at: instant,
      last_at: instant,
      device_ids: Type.Array(Type.String(), { maxItems: 10 }),
    },
    closed,
  ),
  'device.state_changed': Type.Object({ ...device, from: state, to: state }, closed),
  'device.key_changed': Type.Object({ ...device, public_key_sha256: sha256 }, closed),
  'device.deleted': Type.Object(device, closed),
  'certificate.changed': Type.Object(
    { ...device, uuid: nullable(uuid), state: Type.Enum(['current', 'revoked']), ...certificate },
    closed,
  ),
  'certificate.expiring': Type.Object(
    {
      kind: Type.Enum(['device', 'fleet_root_ca', 'gateway_ca']),
      id: uuid,
      name: nullable(Type.String()),
      not_after: instant,
      days: daysLeft,
    },
    closed,
  ),
  'fleet_root_ca.changed': Type.Object(
    {
      change: Type.Enum([
        'added',
        'certificates_added',
        'state',
        'successor',
        'admit_chain',
        'admit_manifest',
        'key_distrusted',
        'key_trusted',
        'owner_signed',
      ]),
      fleet_root_ca: nullable(uuid),
      name: nullable(Type.String()),
      state: nullable(Type.String()),
      public_key_sha256: nullable(sha256),
    },
    closed,
  ),
  'factory.stranger': Type.Object(
    {
      ...factoryLine,
      device_id: Type.String(),
      tbs_sha256: sha256,
      public_key_sha256: sha256,
      admitted: Type.Boolean({ description: 'Whether it was let in, by its chain alone.' }),
    },
    closed,
  ),
  'manifest.imported': Type.Object(
    { ...factoryLine, first: count, last: count, made: count, withdrawn: count, revoked: count, beyond: count },
    closed,
  ),
  'manifest.refused': Type.Object({ ...factoryLine, first: count, last: count, rule: Type.String() }, closed),
  'provisioning_key.expiring': Type.Object(
    { provisioning_key: uuid, description: nullable(Type.String()), not_after: instant, days: daysLeft },
    closed,
  ),
  'provisioning_key.exhausted': Type.Object(
    { provisioning_key: uuid, description: nullable(Type.String()), max_uses: count },
    closed,
  ),
  'custody.away': Type.Object({ custodian: Type.String(), fault: Type.String(), reason: Type.String() }, closed),
  'custody.back': Type.Object({ custodian: Type.String(), seconds: count }, closed),
  'gateway_certificate.not_renewed': Type.Object({ not_after: nullable(instant), reason: Type.String() }, closed),
  'audit.checkpoint': CheckpointSchema,
  'backup.made': Type.Object(
    {
      schema: count,
      devices: count,
      with_master_key: Type.Boolean(),
      recipients: Type.Array(Type.String()),
      audit_number: nullable(count),
      audit_hash: nullable(sha256),
    },
    closed,
  ),
  'server.restored': Type.Object(
    { backup_made_at: instant, audit_number: nullable(count), audit_hash: nullable(sha256) },
    closed,
  ),
};

export const EventSchema = Type.Object({
  id: Type.String({ description: 'Where to go on from: `after`, or `Last-Event-ID`.' }),
  type: Type.Enum(eventTypes),
  at: instant,
  account: nullable({ ...uuid, description: 'Null for what concerns the server as a whole.' }),
  data: Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    additionalProperties: true,
    description: 'By the type: docs/react-to-an-event.md.',
  }),
});

const cursor = Type.String({ maxLength: 64, description: 'The `id` of an event.' });
export const EventQuery = Type.Object(
  {
    types: Type.Optional(
      Type.String({ minLength: 1, maxLength: 1024, description: 'Types of events, with commas between them.' }),
    ),
    after: Type.Optional(cursor),
    cursor: Type.Optional(cursor),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  },
  closed,
);
/** What a browser sends when it comes back (HTML, "The Last-Event-ID header"). */
export const EventHeaders = Type.Object({ 'last-event-id': Type.Optional(Type.String({ maxLength: 1024 })) });

export type EventJson = Static<typeof EventSchema>;
export type EventQueryJson = Static<typeof EventQuery>;

const caPem = Type.String({ minLength: 1, maxLength: 65_536, description: 'PEM.' });
const url = Type.String({ minLength: 1, maxLength: 2048 });
const description = Type.String({ maxLength: 200 });
const types = Type.Array(Type.Enum(eventTypes), { minItems: 1, maxItems: eventTypes.length });
/** Null is for every type. */
const typesOrNull = Type.Unsafe<Static<typeof types> | null>({ ...types, type: ['array', 'null'] });

export const WebhookPath = Type.Object({ webhook: line });
export const AccountWebhookPath = Type.Object({ account: line, webhook: line });
export const DeliveryPath = Type.Object({ webhook: line, delivery: line });
export const AccountDeliveryPath = Type.Object({ account: line, webhook: line, delivery: line });

export const NewWebhook = Type.Object(
  {
    url,
    description: Type.Optional(nullable(description)),
    types: Type.Optional(typesOrNull),
    ca: Type.Optional(nullable(caPem)),
  },
  closed,
);
export const WebhookChange = Type.Object(
  {
    url: Type.Optional(url),
    description: Type.Optional(nullable(description)),
    types: Type.Optional(typesOrNull),
    ca: Type.Optional(nullable(caPem)),
    state: Type.Optional(Type.Enum(['active', 'disabled'])),
  },
  closed,
);

export const WebhookSchema = Type.Object({
  id: uuid,
  account: nullable({ ...uuid, description: 'Null for one of the whole server.' }),
  url: Type.String(),
  description: nullable(Type.String()),
  types: Type.Unsafe<string[] | null>({
    type: ['array', 'null'],
    items: { type: 'string' },
    description: 'Null is for every type.',
  }),
  ca: nullable(Type.String()),
  state: Type.Enum(['active', 'disabled']),
  failing_since: nullable({ ...instant, description: 'Since when no attempt has succeeded.' }),
  last_fault: nullable(Type.String({ description: 'Why the last attempt failed.' })),
  created_at: instant,
});
export const MadeWebhookSchema = Type.Object({
  ...WebhookSchema.properties,
  secret: Type.String({ description: 'What the messages are signed with: told here, and never again.' }),
});

export const DeliverySchema = Type.Object({
  id: Type.String({ description: 'The `webhook-id` of the message.' }),
  type: Type.String(),
  state: Type.Enum(['pending', 'delivered', 'failed']),
  attempts: count,
  status: Type.Unsafe<number | null>({ type: ['integer', 'null'], description: 'Of the last answer.' }),
  fault: nullable(Type.String()),
  created_at: instant,
  next_attempt_at: nullable(instant),
  settled_at: nullable(instant),
});
export const DeliveryQuery = Type.Object(
  {
    state: Type.Optional(Type.Enum(['pending', 'delivered', 'failed'])),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    cursor: Type.Optional(Type.String({ maxLength: 1024 })),
  },
  closed,
);

export type WebhookJson = Static<typeof WebhookSchema>;
export type MadeWebhookJson = Static<typeof MadeWebhookSchema>;
export type DeliveryJson = Static<typeof DeliverySchema>;
