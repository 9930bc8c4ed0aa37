// The schemas of the fleet as a whole: filters of devices, counts, bulk changes, certificates, ECUs.

import { type Static, Type } from 'typebox';
import { deviceSorts } from '../registry/fleet.ts';
import { allowListStandings } from '../registry/allow-list.ts';
import { certificateStates } from '../registry/certificate-list.ts';
import { dryRunMembers } from './impact-schemas.ts';
import {
  CertificateSchema,
  closed,
  deviceStates,
  instant,
  LabelsSchema,
  line,
  nullable,
  PageQuery,
} from './schemas.ts';

const label = Type.String({
  minLength: 1,
  maxLength: 512,
  description: 'A name and its value, `vin:WDB123`, or a name alone for any value.',
});

/** The members of a filter: all that are given hold. */
const filterMembers = {
  state: Type.Optional(Type.Array(Type.Enum(deviceStates), { maxItems: 4, description: 'Any of them.' })),
  method: Type.Optional(Type.Enum(['shared', 'device'])),
  fleet_root_ca: Type.Optional(line),
  intermediate: Type.Optional({
    ...line,
    description:
      'Below which the present certificate was issued: SHA-256 of its certificate or key, or its subject, as in `fleet-root show`.',
  }),
  provisioning_key: Type.Optional(line),
  label: Type.Optional(Type.Array(label, { maxItems: 16, description: 'All of them.' })),
  certificate_expires_before: Type.Optional(instant),
  certificate_expires_after: Type.Optional(instant),
  last_seen_before: Type.Optional(instant),
  last_seen_after: Type.Optional(instant),
  never_seen: Type.Optional(Type.Boolean({ description: 'Whether it never connected with a certificate of its own.' })),
  first_seen_before: Type.Optional(instant),
  first_seen_after: Type.Optional(instant),
  prefix: Type.Optional(
    Type.String({ minLength: 1, maxLength: 64, description: 'How the device ID begins; by an index.' }),
  ),
  text: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'What stands in the device ID, A-Z as a-z; reads all that the other members leave.',
    }),
  ),
};
export const DeviceFilterSchema = Type.Object(filterMembers, closed);
export const DeviceListQuery = Type.Object(
  {
    ...filterMembers,
    ...PageQuery.properties,
    sort: Type.Optional(Type.Enum([...deviceSorts])),
    order: Type.Optional(Type.Enum(['asc', 'desc'])),
  },
  closed,
);
export const ExportQuery = Type.Object(
  { ...filterMembers, format: Type.Optional(Type.Enum(['csv', 'jsonl'])) },
  closed,
);

const devices = Type.Integer();
export const DeviceCountsSchema = Type.Object({
  devices,
  states: Type.Object(Object.fromEntries(deviceStates.map((state) => [state, devices])) as Counts),
  methods: Type.Object({ shared: devices, device: devices }),
  fleet_root_cas: Type.Array(Type.Object({ id: Type.String(), name: Type.String(), devices })),
  provisioning_keys: Type.Array(Type.Object({ id: Type.String(), devices }), {
    description: 'The thousand that made most.',
  }),
  seen_last_day: devices,
  never_seen: devices,
  expired: Type.Integer({ description: 'Those whose certificate has ended.' }),
  expiring: Type.Integer({ description: 'Those whose certificate ends within 30 days.' }),
});
type Counts = Record<(typeof deviceStates)[number], typeof devices>;

/** What a bulk change takes: a filter, or `all`, so that a forgotten filter does not mean everything. */
export const BulkChange = Type.Object(
  { filter: Type.Optional(DeviceFilterSchema), all: Type.Optional(Type.Literal(true)) },
  closed,
);
export const BulkQuery = Type.Object(dryRunMembers, closed);
export const BulkDoneSchema = Type.Object({
  action: Type.String(),
  changed: Type.Integer({ description: 'Devices that are in another state now.' }),
});

export const LabelChanges = Type.Object(
  {
    labels: Type.Record(Type.String({ maxLength: 64 }), nullable(Type.String({ maxLength: 256 })), {
      maxProperties: 64,
      description: 'Labels to set; those that are null are taken away.',
    }),
  },
  closed,
);

export const AllowListQuery = Type.Object(
  {
    ...PageQuery.properties,
    seen: Type.Optional(
      Type.Enum([...allowListStandings], {
        description: '`never`: whose device never connected, or never joined; `seen`, `joined`.',
      }),
    ),
  },
  closed,
);
export const ImportQuery = Type.Object(
  {
    all_or_nothing: Type.Optional(Type.Boolean({ description: 'Keeps nothing where any row is wrong.' })),
    dry_run: Type.Optional(Type.Boolean({ description: 'Says what would come of it, and keeps nothing.' })),
  },
  closed,
);

export const AllowedDeviceSchema = Type.Object({
  device_id: Type.String(),
  added_at: instant,
  labels: LabelsSchema,
  device: Type.Union(
    [
      Type.Object({
        uuid: Type.String(),
        state: Type.Enum(deviceStates),
        first_seen: instant,
        last_seen: nullable(instant),
      }),
      Type.Null(),
    ],
    { description: 'The device that has joined under this ID.' },
  ),
});
export const AllowListCountsSchema = Type.Object({
  entries: Type.Integer(),
  joined: Type.Integer({ description: 'Of these, those under whose ID there is a device.' }),
  never_seen: Type.Integer({ description: 'Of these, those whose device never connected, or never joined.' }),
});
export const ImportedSchema = Type.Object({
  rows: Type.Integer({ description: 'Rows read, without the head.' }),
  added: Type.Integer(),
  already: Type.Integer({ description: 'Those that had been there.' }),
  updated: Type.Integer({ description: 'Of these, those with other labels now.' }),
  faults: Type.Array(Type.Object({ line: Type.Integer(), device_id: Type.String(), fault: Type.String() }), {
    description: 'Rows that were passed over, the first hundred.',
  }),
  faults_total: Type.Integer(),
});

export const RefusalQuery = Type.Object(
  {
    ...PageQuery.properties,
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    code: Type.Optional(line),
    device_id: Type.Optional(line),
    address: Type.Optional(line),
    since: Type.Optional(instant),
    until: Type.Optional(instant),
  },
  closed,
);

export const ActivityQuery = Type.Object(
  {
    step: Type.Optional(Type.Enum(['minute', 'hour', 'day'])),
    buckets: Type.Optional(Type.Integer({ minimum: 1, maximum: 90 })),
  },
  closed,
);
export const ActivitySchema = Type.Object({
  step: Type.Enum(['minute', 'hour', 'day']),
  buckets: Type.Array(
    Type.Object({
      at: { ...instant, description: 'When it begins, in UTC.' },
      added: Type.Integer({ description: 'Devices that were not there before.' }),
      refused: Type.Integer({ description: 'Refusals, each once, when it last came.' }),
    }),
    { description: 'The oldest first; the last is the present one.' },
  ),
  seen_5_minutes: Type.Integer({ description: 'Devices that connected within five minutes.' }),
  expiring_1_day: Type.Integer({ description: 'Those whose certificate ends within a day.' }),
  expiring_7_days: Type.Integer({ description: 'Those whose certificate ends within seven days.' }),
  refusals_by_code: Type.Array(Type.Object({ code: Type.String(), rule: Type.String(), count: Type.Integer() }), {
    description: 'Refusals of the last 24 hours, each once, those with most first; `rule` as one of them has it.',
  }),
});

export const CertificateListQuery = Type.Object(
  {
    ...PageQuery.properties,
    state: Type.Optional(Type.Array(Type.Enum([...certificateStates]), { maxItems: 4 })),
    expires_before: Type.Optional(instant),
    expires_after: Type.Optional(instant),
    fleet_root_ca: Type.Optional(line),
    sha256: Type.Optional({ ...line, description: 'Of the certificate, or of its TBSCertificate.' }),
  },
  closed,
);
export const ListedCertificateSchema = Type.Object({
  ...CertificateSchema.properties,
  device_id: Type.String(),
  device_uuid: nullable(Type.String({ description: 'Null where the device is deleted.' })),
});

export const EcusSchema = Type.Object({
  received_at: nullable(instant),
  primary_ecu_serial: nullable(Type.String()),
  ecus: Type.Array(
    Type.Object({
      ecu_serial: Type.String(),
      hardware_identifier: Type.String(),
      primary: Type.Boolean(),
      key_type: nullable(Type.String()),
      public_key: nullable(Type.String()),
    }),
  ),
  raw: nullable(Type.String({ description: 'What was reported, where it is no list of ECUs.' })),
});

export type DeviceFilterJson = Static<typeof DeviceFilterSchema>;
export type DeviceCountsJson = Static<typeof DeviceCountsSchema>;
export type BulkDoneJson = Static<typeof BulkDoneSchema>;
export type ListedCertificateJson = Static<typeof ListedCertificateSchema>;
export type EcusJson = Static<typeof EcusSchema>;
export type AllowedDeviceJson = Static<typeof AllowedDeviceSchema>;
export type AllowListCountsJson = Static<typeof AllowListCountsSchema>;
export type ImportedJson = Static<typeof ImportedSchema>;
