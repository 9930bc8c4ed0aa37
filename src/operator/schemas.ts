// The operator API's inputs and outputs: one schema each, from which its TypeScript type is read.

import { type Static, type TSchema, Type } from 'typebox';

export const closed = { additionalProperties: false } as const;

export const nullable = <T extends TSchema & { type: string }>(schema: T) =>
  Type.Unsafe<Static<T> | null>({ ...schema, type: [schema.type, 'null'] });
export const instant = Type.String({ format: 'date-time', description: 'RFC 3339, in UTC where we write it.' });
const duration = Type.String({ minLength: 2, maxLength: 20, description: 'Such as `12h`, `90d` or `10y`.' });
export const sha256 = Type.String({ description: 'Lower-case hex.' });
export const uuid = Type.String({ format: 'uuid' });
export const line = Type.String({ minLength: 1, maxLength: 1024 });
const pem = Type.String({ minLength: 1, maxLength: 1_048_576, description: 'PEM.' });

// What people name in paths and queries

export const AccountPath = Type.Object({ account: line });
export const HostPath = Type.Object({ account: line, host: line });
export const EntryPath = Type.Object({ account: line, entry: line });
export const ProvisioningKeyPath = Type.Object({ account: line, id: line });
export const FleetRootCaPath = Type.Object({ account: line, ca: line });
/** A device's path holds its exact device ID, percent-encoded, or `uuid:` and its UUID. */
export const DevicePath = Type.Object({ account: line, device: line });
export const CertificatePath = Type.Object({ account: line, sha256: line });
export const FleetRootCaQuery = Type.Object({ name: Type.Optional(line) }, closed);
/** A page of a long list; the `Link` header (RFC 8288) of a full one names the next. */
export const PageQuery = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    cursor: Type.Optional(Type.String({ maxLength: 1024, description: 'From the `next` link of the page before.' })),
  },
  closed,
);
export const deviceStates = ['pending', 'active', 'suspended', 'revoked'] as const;

// What people send. Files (certificates, allow-lists, entries of credentials.zip) are bodies of their own, as they are.

/** A file's bytes: the parser of the routes that take one gives nothing else. */
export const FileBody = Type.Unsafe<Buffer>({ contentMediaType: 'application/octet-stream' });

const accountKinds = ['test', 'production'] as const;
const admissionPolicies = ['automatic', 'approval', 'allow-list'] as const;
const rekeyPolicies = ['accept', 'approve'] as const;
const deviceKeyTypes = ['p256', 'p384', 'rsa2048', 'rsa3072'] as const;

const admit = Type.Enum(['chain', 'manifest'], {
  description: 'What lets certificates under it in: their chain, or only a manifest that holds them.',
});

const base64 = (maxLength: number) => Type.String({ minLength: 1, maxLength, contentEncoding: 'base64' });

export const NewAccount = Type.Object(
  {
    name: line,
    kind: Type.Optional(Type.Enum(accountKinds)),
    /** The file with the owner's public key, as it is. */
    owner_key: Type.Optional(base64(131_072)),
    exportable: Type.Optional(
      Type.Boolean({
        description: 'Whether the keys of its CAs may be given out, ever; as their custodian has it unless given.',
      }),
    ),
  },
  closed,
);
export const Policy = Type.Object(
  {
    admission: Type.Optional(Type.Enum(admissionPolicies)),
    rekey: Type.Optional(Type.Enum(rekeyPolicies)),
    key_type: Type.Optional(Type.Enum(deviceKeyTypes)),
    validity: Type.Optional(duration),
    device_id_pattern: Type.Optional(nullable(line)),
    namespace: Type.Optional(line),
  },
  { ...closed, minProperties: 1 },
);
export const NewHost = Type.Object({ host: line }, closed);
export const NewCredentials = Type.Object(
  {
    host: Type.Optional(line),
    description: Type.Optional(line),
    not_after: Type.Optional(instant),
    max_uses: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
    device_id_pattern: Type.Optional(line),
    networks: Type.Optional(Type.Array(line, { maxItems: 256 })),
  },
  closed,
);
/** The document that `trust-sets/next` gave, and the owner's signature over it. */
export const SignedSet = Type.Object({ document: base64(3_145_728), signature: base64(4096) }, closed);
export const NewSuccessor = Type.Object({ successor: line }, closed);
export const FleetRootCaChange = Type.Object({ admit }, closed);
export const NewRoot = Type.Object({ fleet_root_ca: line }, closed);
export const DeviceIds = Type.Object({ device_ids: Type.Array(Type.String(), { maxItems: 1_000_000 }) }, closed);
export const NewUpstream = Type.Object(
  {
    prefix: line,
    url: line,
    rewrite: Type.Optional(line),
    ca: Type.Optional(pem),
    certificate: Type.Optional(pem),
    key: Type.Optional(pem),
    host: Type.Optional(line),
    timeout: Type.Optional(duration),
  },
  closed,
);
export const UpstreamPreset = Type.Object({ preset: Type.Literal('ota-community'), base: line }, closed);

// What is answered

export const FleetRootCaSchema = Type.Object({
  id: uuid,
  name: Type.String(),
  kind: Type.Enum(['generated', 'registered']),
  state: Type.Enum(['active', 'closed', 'disabled']),
  sha256: Type.String({
    description: 'Of the certificate that lasts longest; empty where the registry has lost them.',
  }),
  not_after: Type.String({ format: 'date-time', description: 'When the last of its certificates ends.' }),
  devices: Type.Integer(),
  admit,
  successor: nullable(Type.String({ description: 'The Fleet Root CA under which its devices may come instead.' })),
  signed: nullable(
    Type.String({ description: 'Its state in the set that the owner has signed, or `none`; null without an owner.' }),
  ),
  counts: nullable(Type.String({ description: 'The state that counts, or `none`; null without an owner.' })),
  waiting: Type.Boolean({ description: "Whether something of it waits for the owner's signature." }),
  certificates: Type.Array(
    Type.Object({
      role: Type.Enum(['anchor', 'intermediate']),
      subject: Type.String(),
      sha256,
      public_key_sha256: sha256,
      not_after: instant,
      certificate: pem,
    }),
  ),
});
export const RegisteredFleetRootCaSchema = Type.Object({
  ...FleetRootCaSchema.properties,
  added: Type.Enum(['new', 'certificate'], { description: '`certificate`: one more of a CA that was there.' }),
  intermediates: Type.Integer({ description: 'How many intermediates the file brought.' }),
});

const OwnerKeySchema = Type.Object({ algorithm: Type.Enum(['p256', 'p384', 'ed25519']), sha256 });
export const TrustSetSchema = Type.Object({
  number: Type.Integer({ description: 'Of the set accepted last; 0 before the first.' }),
  sha256: nullable(sha256),
  accepted_at: nullable(instant),
  narrowed: Type.Array(
    Type.Object({
      id: Type.String(),
      kind: Type.Enum(['close', 'disable', 'distrust']),
      fleet_root_ca: nullable(Type.String()),
      public_key_sha256: sha256,
      set: Type.Integer({ description: 'The set that it was made under; one after it lifts it.' }),
      at: instant,
    }),
    { description: 'What was narrowed since, and is in force.' },
  ),
  waiting: Type.Boolean({
    description:
      "Whether something waits for the owner's signature, also where it cannot be drawn: `changes` says why.",
  }),
  fault: Type.Union([Type.Object({ rule: Type.String(), remedy: Type.String() }), Type.Null()], {
    description: 'Why nobody is admitted.',
  }),
});
export const ChangesSchema = Type.Object({
  number: Type.Integer(),
  document: nullable(Type.String({ description: 'What the owner is to sign; null where nothing is.' })),
  sha256: nullable(sha256),
  differences: Type.Array(
    Type.Object({ change: Type.Enum(['new', 'gone', 'wider', 'narrower', 'renamed']), what: Type.String() }),
  ),
});

export const DeviceIssuingKeySchema = Type.Object({
  key_id: uuid,
  fleet_root_ca: nullable(Type.String()),
  fleet_root_ca_name: nullable(Type.String()),
  custodian: Type.String({ description: 'Where it lies.' }),
  key_state: Type.Enum(['held', 'erased'], { description: '`erased`: it lies outside until it is imported again.' }),
  exportable: Type.Boolean(),
  public_key_sha256: sha256,
  certificates_until: nullable({ ...instant, description: 'No certificate that it signs outlasts this.' }),
});

export const AccountSchema = Type.Object({
  id: uuid,
  name: Type.String(),
  kind: Type.Enum(accountKinds),
  gateway_url: Type.String({ format: 'uri' }),
  hosts: Type.Array(Type.String()),
  admission: Type.Enum(admissionPolicies),
  rekey: Type.Enum(rekeyPolicies),
  key_type: nullable(Type.String()),
  validity: nullable(duration),
  device_id_pattern: nullable(Type.String()),
  namespace: Type.String(),
  created_at: instant,
  gateway_cas: Type.Array(
    Type.Object({
      id: Type.String(),
      state: Type.Enum(['active', 'standby', 'retired']),
      sha256,
      not_after: instant,
      certificate: pem,
      key: uuid,
      custodian: Type.String({ description: 'Where its key lies, or lay before it was erased.' }),
      key_state: Type.Enum(['held', 'erased'], {
        description: '`erased`: it lies outside until it is imported again.',
      }),
    }),
  ),
  fleet_root_cas: Type.Array(FleetRootCaSchema),
  device_issuing_keys: Type.Array(DeviceIssuingKeySchema, {
    description: 'Every key with which this server could sign a device certificate for the account.',
  }),
  distrusted_keys: Type.Array(Type.Object({ public_key_sha256: sha256, subject: Type.String(), added_at: instant })),
  owner_key: Type.Union([OwnerKeySchema, Type.Null()]),
  trust_set: Type.Union([TrustSetSchema, Type.Null()], { description: 'What the owner has signed.' }),
  files: Type.Array(Type.String({ description: 'Entries that every credentials.zip carries beside its own.' })),
});

export const ProvisioningKeyListQuery = Type.Object(
  {
    ...PageQuery.properties,
    devices: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000,
        description: 'How many of the devices of each are named; 1,000 unless said.',
      }),
    ),
  },
  closed,
);
export const ProvisioningKeySchema = Type.Object({
  id: Type.String(),
  description: nullable(Type.String()),
  not_after: instant,
  max_uses: nullable(Type.Integer()),
  uses: Type.Integer(),
  state: Type.Enum(['active', 'disabled', 'expired', 'exhausted']),
  device_id_pattern: nullable(Type.String()),
  networks: Type.Array(Type.String()),
  created_at: instant,
  disabled_at: nullable(instant),
  device_count: Type.Integer({ description: 'How many devices it made that are still there.' }),
  devices: Type.Array(Type.String({ description: 'Device ID.' }), {
    description: 'The first thousand of them; all: the list of devices with `provisioning_key`.',
  }),
});

export const CredentialsSchema = Type.Object({
  zip: Type.String({ contentEncoding: 'base64', description: 'credentials.zip; its private key is kept nowhere.' }),
  autoprov_url: Type.String({ format: 'uri' }),
  entries: Type.Array(Type.String()),
  provisioning_key: Type.Union([ProvisioningKeySchema, Type.Null()]),
});

export const LabelsSchema = Type.Record(Type.String(), Type.String(), {
  description: 'Values by the names of labels.',
});

export const DeviceSchema = Type.Object({
  device_id: Type.String(),
  uuid,
  state: Type.Enum(deviceStates),
  method: Type.Enum(['shared', 'device']),
  fleet_root_ca: uuid,
  fleet_root_ca_name: Type.String(),
  provisioning_key: nullable(Type.String()),
  certificate_not_after: nullable(instant),
  first_seen: instant,
  last_seen: nullable(instant),
  allowed_fleet_root_ca: nullable(Type.String({ description: 'Where `move-root` lets it go.' })),
  reprovision_until: nullable(instant),
  labels: LabelsSchema,
});

export const CertificateSchema = Type.Object({
  sha256,
  tbs_sha256: sha256,
  serial: Type.String(),
  not_before: instant,
  not_after: instant,
  state: Type.Enum(['current', 'superseded', 'pending', 'revoked']),
  public_key_sha256: sha256,
  fleet_root_ca: nullable(Type.String()),
  first_used_at: nullable(instant),
  certificate: pem,
});

const ReportSchema = Type.Object({
  kind: Type.Enum(['ecus', 'system_info', 'network', 'config', 'installed']),
  received_at: instant,
  content_type: Type.String(),
  body: Type.String(),
});

export const DeviceDetailsSchema = Type.Object({
  ...DeviceSchema.properties,
  certificates: Type.Array(CertificateSchema),
  reports: Type.Array(ReportSchema),
});

export const RemovedSchema = Type.Object({ removed: Type.Integer() });
export const RotatedSchema = Type.Object({
  values: Type.Integer({ description: 'Sealed values under the new master key: all there are.' }),
  place: Type.String({ description: 'Where the new master key is.' }),
  setting: nullable(Type.String({ description: 'The setting that is to take the place of the one before it.' })),
});
export const DistrustedKeySchema = Type.Object({
  public_key_sha256: sha256,
  waiting: Type.Boolean({ description: "Whether it stays distrusted until the owner's signature." }),
});

export const UpstreamSchema = Type.Object({
  prefix: Type.String(),
  url: Type.String(),
  rewrite: nullable(Type.String()),
  ca: nullable(Type.String()),
  certificate: nullable(Type.String()),
  has_key: Type.Boolean(),
  host: nullable(Type.String()),
  timeout: duration,
});

export const RefusalSchema = Type.Object({
  id: Type.String(),
  at: instant,
  first_at: instant,
  count: Type.Integer(),
  code: Type.String(),
  rule: Type.String(),
  remedy: Type.String(),
  device_id: nullable(Type.String({ description: 'The one claimed.' })),
  address: nullable(Type.String()),
  sni: nullable(Type.String()),
  certificates: Type.String({ description: 'Those shown, PEM, concatenated.' }),
});

export const ExplanationSchema = Type.Object({
  admitted: Type.Boolean(),
  device_id: nullable(Type.String()),
  fleet_root_ca: nullable(Type.String()),
  code: nullable(Type.String()),
  rule: nullable(Type.String()),
  remedy: nullable(Type.String()),
});

/** RFC 9457. */
export const ProblemSchema = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  code: Type.String(),
  hint: nullable(Type.String()),
  instance: Type.Optional(Type.String({ description: 'Of an internal error: what to look for in the log.' })),
  factors: Type.Optional(
    Type.Array(Type.Enum(['totp', 'passkey', 'recovery_code']), { description: 'of `second_factor_required`.' }),
  ),
  retry_after: Type.Optional(Type.Integer({ description: 'of `too_many_requests`: seconds, as in Retry-After.' })),
  devices: Type.Optional(Type.Integer({ description: 'of `confirmation_required`: devices that the call touches.' })),
  refused: Type.Optional(Type.Integer({ description: 'of `confirmation_required`: those that would be refused.' })),
});

export type AccountJson = Static<typeof AccountSchema>;
export type OwnerKeyJson = Static<typeof OwnerKeySchema>;
export type TrustSetJson = Static<typeof TrustSetSchema>;
export type ChangesJson = Static<typeof ChangesSchema>;
export type FleetRootCaJson = Static<typeof FleetRootCaSchema>;
export type RegisteredFleetRootCaJson = Static<typeof RegisteredFleetRootCaSchema>;
export type ProvisioningKeyJson = Static<typeof ProvisioningKeySchema>;
export type CredentialsJson = Static<typeof CredentialsSchema>;
export type DeviceJson = Static<typeof DeviceSchema>;
export type DeviceIssuingKeyJson = Static<typeof DeviceIssuingKeySchema>;
export type DeviceDetailsJson = Static<typeof DeviceDetailsSchema>;
export type CertificateJson = Static<typeof CertificateSchema>;
export type RemovedJson = Static<typeof RemovedSchema>;
export type RotatedJson = Static<typeof RotatedSchema>;
export type DistrustedKeyJson = Static<typeof DistrustedKeySchema>;
export type UpstreamJson = Static<typeof UpstreamSchema>;
export type RefusalJson = Static<typeof RefusalSchema>;
export type ExplanationJson = Static<typeof ExplanationSchema>;
export type ProblemJson = Static<typeof ProblemSchema>;
export type PolicyJson = Static<typeof Policy>;
