// The tables that devices are found by, and those of imports under way, as types.

/** The intermediates of a chain, the same for all devices that came through them. */
export interface ChainCertificatesTable {
  account_id: string;
  chain_id: string;
  sha256: string;
  public_key_sha256: string;
  subject: string;
  /** DER, since a dry run looks for the paths anew (provisioning/fleet-impact.ts): those of every path that was found. */
  certificate: Uint8Array;
}

/** Labels of devices, for finding them. */
export interface DeviceLabelsTable {
  account_id: string;
  device_uuid: string;
  name: string;
  value: string;
}

/** Imports that are kept whole or not at all: `staging` until all rows are known to be right, then `committed`. */
export interface AllowListImportsTable {
  account_id: string;
  id: string;
  state: 'staging' | 'committed';
  started_at: number;
}

/** Rows of such imports that are not on the list yet. */
export interface StagedAllowListTable {
  account_id: string;
  import_id: string;
  device_id: string;
  labels: string | null;
}

export interface FleetTables {
  chain_certificates: ChainCertificatesTable;
  device_labels: DeviceLabelsTable;
  allow_list_imports: AllowListImportsTable;
  staged_allow_list: StagedAllowListTable;
}
