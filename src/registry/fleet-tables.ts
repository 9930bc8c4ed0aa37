// The tables of devices, of what they are found and counted by, and those of imports under way, as types.

export type DeviceState = 'pending' | 'active' | 'suspended' | 'revoked';
export type ProvisioningMethod = 'shared' | 'device';

export interface DevicesTable {
  uuid: string;
  account_id: string;
  device_id: string;
  state: DeviceState;
  method: ProvisioningMethod;
  fleet_root_ca_id: string;
  provisioning_key_id: string | null;
  /** `device move-root`: the Fleet Root CA under which it may come next. */
  allowed_root_id: string | null;
  /** `device reprovision`: until when a provisioning key may make it a new certificate. */
  reprovision_until: number | null;
  first_seen: number;
  /** Null until it connects with its own certificate. */
  last_seen: number | null;
  /** The end of its current certificate, kept by every write that changes which one that is. */
  certificate_not_after: number | null;
  /** Through which intermediates its certificate led at its last full handshake (`chain_certificates`); null for none known. */
  chain_id: string | null;
  /** What `device_labels` has of it, as JSON, for showing. */
  labels: string | null;
}

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

/** How many devices are alike, counted by triggers of the database (0015-flat-cost). */
export interface DeviceTalliesTable {
  account_id: string;
  state: DeviceState;
  method: ProvisioningMethod;
  fleet_root_ca_id: string;
  /** Empty for those that no provisioning key has made. */
  provisioning_key_id: string;
  devices: number;
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
  devices: DevicesTable;
  device_tallies: DeviceTalliesTable;
  chain_certificates: ChainCertificatesTable;
  device_labels: DeviceLabelsTable;
  allow_list_imports: AllowListImportsTable;
  staged_allow_list: StagedAllowListTable;
}
