// The tables of what factories account for, as types.

import type { Selectable } from 'kysely';

/** A factory line whose manifests are imported: its CA stands under a Fleet Root CA of the account. */
export interface ManifestLinesTable {
  account_id: string;
  id: string;
  fleet_root_ca_id: string;
  /** Of its CA: what makes a line the same one. */
  public_key_sha256: string;
  /** Of its CA, DER. */
  certificate: Uint8Array;
  name: string;
  site: string | null;
  /** The ID of its log, and the last entry that is known of it. */
  log_id: string;
  last_number: number;
  last_hash: string;
  /** Until when its account is complete: when its last manifest was made, or imported if that was before. */
  last_made_at: number;
  imported_at: number;
  added_at: number;
  /** Up to when devices that were here before its first manifest have been looked through (first_seen); null when all have. */
  swept_to: number | null;
}

/** The hashes of a line's log entries, range by range without a gap, for what comes again to be held against. */
export interface ManifestRangesTable {
  account_id: string;
  line_id: string;
  first: number;
  last: number;
  /** 32 octets for each entry, the first one's first. */
  hashes: Uint8Array;
}

/** What the Fleet Root lets a line make (manifest/mandate.ts). */
export interface ManifestMandatesTable {
  account_id: string;
  line_id: string;
  id: string;
  jws: string;
  quota: number;
  /** Certificates that manifests charge to it. */
  used: number;
  not_after: number;
  device_id_pattern: string;
  order_name: string | null;
  added_at: number;
}

/** How many certificates there are of an order of a line, kept by every write that changes one. */
export interface ManifestOrdersTable {
  account_id: string;
  line_id: string;
  order_name: string;
  made: number;
  withdrawn: number;
  seen: number;
  /** Neither seen nor withdrawn. */
  missing: number;
}

/** Why a certificate is beyond what the Fleet Root let its line make: which part of the mandate does not cover it. */
export type Beyond = 'mandate' | 'quota' | 'order' | 'pattern' | 'end';

/** Every certificate that manifests account for, by the line that says it made it. */
export interface ManifestCertificatesTable {
  account_id: string;
  tbs_sha256: string;
  public_key_sha256: string;
  device_id: string;
  line_id: string;
  /** Of the log entry that tells of its making. */
  number: number;
  order_name: string;
  batch: string | null;
  station: string;
  mandate_id: string;
  /** Null for one that its mandate covers. */
  beyond: Beyond | null;
  /** JSON (manifest/manifest.ts, Evidence). */
  evidence: string;
  made_at: number;
  /** When the factory withdrew it. */
  withdrawn_at: number | null;
  /** When a device first came with it. */
  seen_at: number | null;
  /** When one last came with it although it was withdrawn. */
  came_at: number | null;
  /** What it has in common with another one, of any line, that is not withdrawn either. */
  shares: 'device_id' | 'public_key' | null;
}

/** Certificates that came under a line's CA and that no manifest of it holds: not yet, or because its key was stolen. */
export interface ManifestStrangersTable {
  account_id: string;
  tbs_sha256: string;
  line_id: string;
  device_id: string;
  public_key_sha256: string;
  first_seen: number;
  last_seen: number;
  /** 1 where it was let in, by its chain alone. */
  admitted: 0 | 1;
  /** When an event told that it is a stranger for sure; null before that. */
  told_at: number | null;
}

export interface ManifestTables {
  manifest_lines: ManifestLinesTable;
  manifest_ranges: ManifestRangesTable;
  manifest_mandates: ManifestMandatesTable;
  manifest_orders: ManifestOrdersTable;
  manifest_certificates: ManifestCertificatesTable;
  manifest_strangers: ManifestStrangersTable;
}

export type ManifestLine = Selectable<ManifestLinesTable>;
export type ManifestMandate = Selectable<ManifestMandatesTable>;
export type ManifestOrder = Selectable<ManifestOrdersTable>;
export type ManifestCertificate = Selectable<ManifestCertificatesTable>;
export type ManifestStranger = Selectable<ManifestStrangersTable>;
