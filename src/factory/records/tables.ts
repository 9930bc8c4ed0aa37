// The tables of a factory's own database as types: instants in milliseconds since 1970, flags as 0 or 1.

import type { Kysely, Selectable } from 'kysely';
import type { Tx } from '../../registry/database.ts';
import type { MigrationsTable } from '../../registry/tables.ts';
import type { SigningPurpose } from '../../issuing/signing-ca.ts';

/** What a factory as a whole remembers: the seal's proof, the log's ID, and the like. */
export interface FactsTable {
  key: string;
  value: Uint8Array;
}

/** Keys that its custodians hold. */
export interface KeysTable {
  id: string;
  /** Empty: there is no account here. */
  account_id: string;
  purpose: SigningPurpose;
  custodian: string;
  key_type: string;
  public_key: Uint8Array;
  public_key_sha256: string;
  remembered: Uint8Array;
  exportable: 0 | 1;
  created_at: number;
  destroyed_at: number | null;
}

/** Everything that was done, chained as registry/audit-chain.ts says. Rows are only ever added. */
export interface LogTable {
  /** From 1 on, without a gap. */
  number: number;
  at: number;
  action: string;
  object_kind: string;
  object_id: string;
  /** JSON, and counts octet by octet. */
  body: string;
  previous_hash: string;
  hash: string;
  /** The latest time of it and all before it, from where somebody last accepted a clock that had gone back. */
  latest: number;
}

/** The line of this directory: one row, from `line request` on. */
export interface LinesTable {
  id: string;
  name: string;
  site: string | null;
  key_id: string;
  /** DER, once the Fleet Root has signed it. */
  ca_certificate: Uint8Array | null;
  root_certificate: Uint8Array | null;
  created_at: number;
}

/** What the Fleet Root lets the line make (manifest/mandate.ts). */
export interface MandatesTable {
  id: string;
  jws: string;
  quota: number;
  /** Distinct device keys that are charged to it. */
  used: number;
  not_after: number;
  device_id_pattern: string;
  /** The one order that it is for, or null. */
  order_name: string | null;
  received_at: number;
}

/** The Fleet Root of this directory, on the machine that keeps it offline: one row, from `root create` on. */
export interface FleetRootsTable {
  id: string;
  /** The organisation, which stands in every subject. */
  name: string;
  key_id: string;
  /** DER. */
  certificate: Uint8Array;
  created_at: number;
}

/** The lines whose CAs the Fleet Root has signed. */
export interface RootLinesTable {
  public_key_sha256: string;
  name: string;
  site: string | null;
  /** DER. */
  certificate: Uint8Array;
  created_at: number;
}

/** The mandates that the Fleet Root has signed. */
export interface RootMandatesTable {
  id: string;
  /** The key of the line that it is for. */
  line: string;
  jws: string;
  quota: number;
  not_after: number;
  device_id_pattern: string;
  order_name: string | null;
  created_at: number;
}

/** What is made for somebody: an order of so many devices. */
export interface OrdersTable {
  name: string;
  batch: string | null;
  /** What a request must prove beside that a station asks. */
  proof: 'station' | 'tpm';
  /** 1 where its device IDs are those of `order_devices`. */
  listed: 0 | 1;
  created_at: number;
}

export interface OrderDevicesTable {
  order_name: string;
  device_id: string;
}

/** The time for which somebody lets an order be made. */
export interface WindowsTable {
  id: string;
  order_name: string;
  quota: number;
  /** Distinct device keys that were certified in it. */
  used: number;
  /** The one station that it is for, or null. */
  station_id: string | null;
  opened_at: number;
  opened_by: string;
  closes_at: number;
  /** When somebody closed it before its end. */
  closed_at: number | null;
}

/** Who may ask. */
export interface StationsTable {
  id: string;
  name: string;
  /** Of its certificate; null for one with a password. */
  tbs_sha256: string | null;
  public_key_sha256: string | null;
  /** SubjectPublicKeyInfo (DER, base64), by which a batch of its own is checked; null for one with a password. */
  public_key: string | null;
  /** SHA-256 of its password, which is random and long enough for that; null for one with a certificate. */
  password_sha256: string | null;
  /** CIDR blocks as a JSON array; an empty one allows every network. */
  networks: string;
  /** The address of ours that it must come to, or null for any. */
  address: string | null;
  /** When its certificate ends; null for one with a password. */
  not_after: number | null;
  created_at: number;
  removed_at: number | null;
}

/** Every certificate that the line's CA has signed for a device, or is about to. */
export interface CertificatesTable {
  tbs_sha256: string;
  /** `intended`: recorded, and perhaps signed; nobody has it yet. */
  state: 'intended' | 'made' | 'withdrawn';
  device_id: string;
  public_key_sha256: string;
  serial: string;
  not_before: number;
  not_after: number;
  order_name: string;
  window_id: string;
  mandate_id: string;
  station_id: string;
  /** JSON (manifest/manifest.ts, Evidence). */
  evidence: string;
  /** The TBSCertificate while intended, the certificate from then on (DER). */
  der: Uint8Array;
  created_at: number;
  withdrawn_at: number | null;
}

/** Roots of TPM makers that an endorsement certificate may lead to. */
export interface TpmRootsTable {
  sha256: string;
  public_key_sha256: string;
  certificate: Uint8Array;
  added_at: number;
}

export interface FactoryTables {
  migrations: MigrationsTable;
  facts: FactsTable;
  keys: KeysTable;
  log: LogTable;
  lines: LinesTable;
  mandates: MandatesTable;
  fleet_roots: FleetRootsTable;
  root_lines: RootLinesTable;
  root_mandates: RootMandatesTable;
  orders: OrdersTable;
  order_devices: OrderDevicesTable;
  windows: WindowsTable;
  stations: StationsTable;
  certificates: CertificatesTable;
  tpm_roots: TpmRootsTable;
}

/** What every read of a factory's records takes first, and every write. */
export type FactoryDb = Kysely<FactoryTables>;
export type FactoryTx = Tx<FactoryTables>;

export type FactoryKey = Selectable<KeysTable>;
export type LogEntry = Selectable<LogTable>;
export type Line = Selectable<LinesTable>;
export type MandateRow = Selectable<MandatesTable>;
export type FleetRoot = Selectable<FleetRootsTable>;
export type RootLine = Selectable<RootLinesTable>;
export type RootMandate = Selectable<RootMandatesTable>;
export type Order = Selectable<OrdersTable>;
export type FactoryWindow = Selectable<WindowsTable>;
export type Station = Selectable<StationsTable>;
export type MadeCertificate = Selectable<CertificatesTable>;
export type TpmRoot = Selectable<TpmRootsTable>;
