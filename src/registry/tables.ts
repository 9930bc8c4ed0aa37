// The registry's tables as types: one interface a table, instants in milliseconds since 1970, flags as 0 or 1.

import type { Generated, Selectable } from 'kysely';
import type { ApiTables } from './api-tables.ts';
import type { AuditTables } from './audit-tables.ts';
import type { EventTables } from './event-tables.ts';
import type { DevicesTable, FleetTables } from './fleet-tables.ts';
import type { IdentityTables } from './identity-tables.ts';
import type { ManifestTables } from './manifest-tables.ts';
import type { NodeTables } from './node-tables.ts';
import type { OperatorTables } from './operator-tables.ts';
import type { TicketTables } from './ticket-tables.ts';
import type { TokenTables } from './token-tables.ts';

export type { DeviceState, ProvisioningMethod } from './fleet-tables.ts';
export type AccountKind = 'test' | 'production';
export type AdmissionPolicy = 'automatic' | 'approval' | 'allow-list';
export type RekeyPolicy = 'accept' | 'approve';
export type FleetRootCaKind = 'generated' | 'registered';
export type FleetRootCaState = 'active' | 'closed' | 'disabled';
/** `manifest`: of all certificates that lead to a Fleet Root CA, those alone get in that a manifest holds. */
export type FleetRootAdmit = 'chain' | 'manifest';
export type NarrowingKind = 'close' | 'disable' | 'distrust';
/** `intended`: about to be signed; `pending`: a new key that waits for the operator (`rekey` policy `approve`). */
export type CertificateState = 'intended' | 'current' | 'superseded' | 'pending' | 'revoked';
/** What is known of the reply that carried a device's first certificate: `open` while its connection is. */
export type ReplyState = 'open' | 'arrived' | 'lost';
export type GatewayCaState = 'active' | 'standby' | 'retired';
/** What a key that custody holds is for. */
export type KeyPurpose = 'fleet-root-ca' | 'gateway-ca' | 'provisioning-ca' | 'operator-ca' | 'audit';
export type ReportKind = 'ecus' | 'system_info' | 'network' | 'config' | 'installed';

/** What the server as a whole remembers: the schema's own facts and the seal's proof. */
export interface ServerTable {
  key: string;
  value: Uint8Array;
}

export interface AccountsTable {
  id: string;
  name: string;
  kind: AccountKind;
  admission: AdmissionPolicy;
  rekey: RekeyPolicy;
  /** Of the device keys that the crypto service makes. */
  key_type: string;
  /** Validity of issued device certificates, in seconds. */
  validity_seconds: number;
  /** RE2 pattern that a newcomer's whole device ID must match, or null. */
  device_id_pattern: string | null;
  /** Sent to back ends as `x-ats-namespace`. */
  namespace: string;
  created_at: number;
  /** Null while the account's CAs are being made; such an account is removed at the next start. */
  ready_at: number | null;
  /** Of a production account whose owner signs whom it trusts: the owner's SubjectPublicKeyInfo, DER; fixed for good. */
  owner_key: Uint8Array | null;
  /** Since when it is gone for everybody, while its rows are being taken away. */
  deleted_at: Generated<number | null>;
  /** 1 where its gateway lacks something (gateway-standing.ts). */
  gateway_incomplete: Generated<1 | null>;
}

export interface AccountHostsTable {
  /** Lower-case DNS name, or IP address in canonical form. Unique on the server. */
  host: string;
  account_id: string;
  /** `generated` is `<uuid>.<gateway-domain>`, which cannot be removed. */
  kind: 'generated' | 'added';
  added_at: number;
}

/** What can happen to a key; `erased` is from the server alone, after it was exported. */
export type KeyEventKind = 'created' | 'imported' | 'exported' | 'moved' | 'erased' | 'destroyed';

/** Keys that custody holds or has held: a row stays when its key is destroyed or its account deleted. */
export interface KeysTable {
  id: string;
  account_id: string;
  purpose: KeyPurpose;
  custodian: string;
  key_type: string;
  /** SubjectPublicKeyInfo, DER. */
  public_key: Uint8Array;
  /** SHA-256 of `public_key`, hex. */
  public_key_sha256: string;
  /** What the custodian asked to have remembered; null once the key is erased, or really destroyed. */
  remembered: Uint8Array | null;
  /** Whether it may be given out: fixed when the custodian makes it or takes it in. */
  exportable: 0 | 1;
  created_at: number;
  /** Since when it is not to be used any more; its custodian destroys it as soon as it can. */
  destroyed_at: number | null;
  /** Since when it lies outside only, until it is imported again. */
  erased_at: number | null;
}

/** What happened to keys, by whom they were held then. */
export interface KeyEventsTable {
  id: string;
  key_id: string;
  account_id: string;
  at: number;
  event: KeyEventKind;
  custodian: string;
}

/** Copies of keys that have been moved away or erased, until their custodians have destroyed them. */
export interface KeyCopiesTable {
  id: string;
  key_id: string;
  account_id: string;
  custodian: string;
  remembered: Uint8Array;
  exportable: 0 | 1;
}

export interface GatewayCasTable {
  id: string;
  account_id: string;
  key_id: string;
  state: GatewayCaState;
  certificate: Uint8Array;
  sha256: string;
  not_after: number;
  created_at: number;
}

export interface GatewayCertificatesTable {
  id: string;
  account_id: string;
  gateway_ca_id: string;
  certificate: Uint8Array;
  /** PKCS#8, sealed under the master key. */
  sealed_key: Uint8Array;
  /** The hosts in its SAN, as a JSON array. */
  hosts: string;
  not_after: number;
  created_at: number;
}

export interface ProvisioningCasTable {
  id: string;
  account_id: string;
  key_id: string;
  certificate: Uint8Array;
  not_after: number;
  created_at: number;
}

export interface FleetRootCasTable {
  id: string;
  account_id: string;
  name: string;
  kind: FleetRootCaKind;
  state: FleetRootCaState;
  /** The key in custody of a generated one; null for a registered one. */
  key_id: string | null;
  /** Subject name (DER) and public key make a Fleet Root CA the same one. */
  subject: Uint8Array;
  public_key_sha256: string;
  /** `fleet-root successor`: devices of this one may come back under that one. */
  successor_id: string | null;
  created_at: number;
  admit: Generated<FleetRootAdmit>;
}

/** Certificates of a Fleet Root CA (`anchor`: renewed or cross-signed, there may be several) and intermediates under it. */
export interface FleetRootCertificatesTable {
  account_id: string;
  fleet_root_ca_id: string;
  role: 'anchor' | 'intermediate';
  sha256: string;
  public_key_sha256: string;
  certificate: Uint8Array;
  not_after: number;
  added_at: number;
}

/** Public keys that no path of the account may contain (`fleet-root distrust`). */
export interface DistrustedKeysTable {
  account_id: string;
  public_key_sha256: string;
  certificate: Uint8Array;
  added_at: number;
}

/** The sets of Fleet Root CAs that an account's owner has signed; the latest counts, those before it are its history. */
export interface TrustSetsTable {
  account_id: string;
  number: number;
  /** What was signed, as it was signed. */
  document: Uint8Array;
  signature: Uint8Array;
  accepted_at: number;
}

/** What an operator narrowed under a set; each node keeps its own record of it outside the database. */
export interface NarrowingsTable {
  account_id: string;
  id: string;
  kind: NarrowingKind;
  /** Null for a key that is distrusted. */
  fleet_root_ca_id: string | null;
  /** Of the Fleet Root CA, or the key that is distrusted. */
  public_key_sha256: string;
  /** The set that was in force; only one after it can lift this. */
  set_number: number;
  at: number;
}

export interface ProvisioningKeysTable {
  id: string;
  account_id: string;
  description: string | null;
  tbs_sha256: string;
  public_key_sha256: string;
  certificate: Uint8Array;
  not_after: number;
  max_uses: number | null;
  uses: number;
  device_id_pattern: string | null;
  /** CIDR blocks as a JSON array; an empty one allows every network. */
  networks: string;
  disabled_at: number | null;
  created_at: number;
}

/** Every certificate that we signed or that a device showed. Those of a deleted device stay, revoked, without `device_uuid`. */
export interface CertificatesTable {
  account_id: string;
  /** SHA-256 of the TBSCertificate: what a certificate is known, revoked and deleted by. */
  tbs_sha256: string;
  /** SHA-256 of the whole certificate; null while only intended. */
  sha256: string | null;
  profile: string;
  state: CertificateState;
  serial: string;
  public_key_sha256: string;
  not_before: number;
  not_after: number;
  device_uuid: string | null;
  /** The device ID, or what else the subject's common name is. */
  subject_name: string;
  fleet_root_ca_id: string | null;
  provisioning_key_id: string | null;
  /** The TBSCertificate while intended, the certificate from then on (DER). */
  der: Uint8Array;
  created_at: number;
  first_used_at: number | null;
  /** For certificates that the crypto service made. */
  reply: ReplyState | null;
  /** 1 where it has cost a use of its provisioning key, which is given back if it is never signed. */
  counted_use: number;
  /** The process that has begun to make it, or whose reply it is in. */
  instance: Generated<string | null>;
}

export interface ReportsTable {
  account_id: string;
  device_uuid: string;
  kind: ReportKind;
  content_type: string;
  body: Uint8Array;
  received_at: number;
}

export interface AllowListTable {
  account_id: string;
  device_id: string;
  added_at: number;
  /** What the device is to be labelled with when it joins, as JSON. */
  labels: string | null;
}

export interface AccountFilesTable {
  account_id: string;
  entry: string;
  sealed_content: Uint8Array;
  updated_at: number;
}

export interface UpstreamsTable {
  account_id: string;
  prefix: string;
  url: string;
  rewrite: string | null;
  ca: string | null;
  certificate: string | null;
  sealed_key: Uint8Array | null;
  /** The Host header sent, where it is not the URL's. */
  host: string | null;
  timeout_ms: number;
  /** 1 where no administrator of the server has set it: it is connected to where `outbound.ts` lets it. */
  guarded: 0 | 1;
}

export interface RefusalsTable {
  id: string;
  /** Empty for those that belong to no account. */
  account_id: string;
  /** What makes two refusals the same one, counted. */
  sameness: string;
  first_at: number;
  at: number;
  count: number;
  code: string;
  rule: string;
  remedy: string;
  device_id: string | null;
  address: string | null;
  sni: string | null;
  /** PEM, concatenated. */
  certificates: string;
}

/** The migrations that have been run, by their numbers. */
export interface MigrationsTable {
  number: number;
  name: string;
  applied_at: number;
  /** How many migrations a program must know to work on what this one made; null where it must know this one. */
  needs: Generated<number | null>;
}

export interface Tables
  extends
    AuditTables,
    OperatorTables,
    EventTables,
    FleetTables,
    TokenTables,
    IdentityTables,
    ApiTables,
    ManifestTables,
    NodeTables,
    TicketTables {
  migrations: MigrationsTable;
  server: ServerTable;
  accounts: AccountsTable;
  account_hosts: AccountHostsTable;
  keys: KeysTable;
  key_events: KeyEventsTable;
  key_copies: KeyCopiesTable;
  gateway_cas: GatewayCasTable;
  gateway_certificates: GatewayCertificatesTable;
  provisioning_cas: ProvisioningCasTable;
  fleet_root_cas: FleetRootCasTable;
  fleet_root_certificates: FleetRootCertificatesTable;
  distrusted_keys: DistrustedKeysTable;
  trust_sets: TrustSetsTable;
  narrowings: NarrowingsTable;
  provisioning_keys: ProvisioningKeysTable;
  certificates: CertificatesTable;
  reports: ReportsTable;
  allow_list: AllowListTable;
  account_files: AccountFilesTable;
  upstreams: UpstreamsTable;
  refusals: RefusalsTable;
}

export type Account = Selectable<AccountsTable>;
export type AccountHost = Selectable<AccountHostsTable>;
export type KeyRow = Selectable<KeysTable>;
export type KeyEvent = Selectable<KeyEventsTable>;
export type KeyCopy = Selectable<KeyCopiesTable>;
export type GatewayCa = Selectable<GatewayCasTable>;
export type GatewayCertificate = Selectable<GatewayCertificatesTable>;
export type ProvisioningCa = Selectable<ProvisioningCasTable>;
export type FleetRootCa = Selectable<FleetRootCasTable>;
export type FleetRootCertificate = Selectable<FleetRootCertificatesTable>;
export type DistrustedKey = Selectable<DistrustedKeysTable>;
export type TrustSetRow = Selectable<TrustSetsTable>;
export type Narrowing = Selectable<NarrowingsTable>;
export type ProvisioningKey = Selectable<ProvisioningKeysTable>;
export type Device = Selectable<DevicesTable>;
export type CertificateRecord = Selectable<CertificatesTable>;
export type Report = Selectable<ReportsTable>;
export type AccountFile = Selectable<AccountFilesTable>;
export type Upstream = Selectable<UpstreamsTable>;
export type RefusalRecord = Selectable<RefusalsTable>;
