// How the fleet as a whole looks to operators: counts, certificates in a long list, entries of an allow-list, ECUs.

import type { AllowListView } from '../registry/allow-list.ts';
import type { Db } from '../registry/database.ts';
import type { FleetCounts, FleetKind } from '../registry/fleet.ts';
import { fleetRootCasOf } from '../registry/fleet-root-cas.ts';
import { readLabels } from '../registry/label-values.ts';
import type { CertificateRecord, Report } from '../registry/tables.ts';
import { formatInstant } from '../time.ts';
import type { AllowedDeviceJson, DeviceCountsJson, EcusJson, ListedCertificateJson } from './fleet-schemas.ts';
import { certificateJson } from './representations.ts';

/** Provisioning keys that are listed at most. */
const mostKeys = 1_000;

/** Counts of devices, added up by what they have in common. */
export async function deviceCountsJson(
  db: Db,
  account_id: string,
  { kinds, ...times }: FleetCounts,
): Promise<DeviceCountsJson> {
  const total = (fits: (kind: FleetKind) => boolean) =>
    kinds.reduce((sum, kind) => sum + (fits(kind) ? kind.devices : 0), 0);
  const inState = (state: FleetKind['state']) => total((kind) => kind.state === state);
  const byKey = new Map<string, number>();
  for (const { provisioning_key_id: id, devices } of kinds) {
    if (id !== null) byKey.set(id, (byKey.get(id) ?? 0) + devices);
  }
  return {
    devices: total(() => true),
    states: {
      pending: inState('pending'),
      active: inState('active'),
      suspended: inState('suspended'),
      revoked: inState('revoked'),
    },
    methods: {
      shared: total(({ method }) => method === 'shared'),
      device: total(({ method }) => method === 'device'),
    },
    fleet_root_cas: (await fleetRootCasOf(db, account_id)).map(({ id, name }) => ({
      id,
      name,
      devices: total(({ fleet_root_ca_id }) => fleet_root_ca_id === id),
    })),
    provisioning_keys: [...byKey]
      .map(([id, devices]) => ({ id, devices }))
      .toSorted((one, another) => another.devices - one.devices || (one.id < another.id ? -1 : 1))
      .slice(0, mostKeys),
    ...times,
  };
}

/** A certificate with whose it is. */
export function listedCertificateJson(certificate: CertificateRecord): ListedCertificateJson {
  const { subject_name: device_id, device_uuid } = certificate;
  return { ...certificateJson(certificate), device_id, device_uuid };
}

/** An entry of an allow-list with the device that has joined under it. */
export function allowedDeviceJson(entry: AllowListView): AllowedDeviceJson {
  const { device_id, added_at, labels, uuid, state, first_seen, last_seen } = entry;
  return {
    device_id,
    added_at: formatInstant(added_at),
    labels: { ...readLabels(labels) },
    device:
      uuid === null
        ? null
        : { uuid, state: state!, first_seen: formatInstant(first_seen!), last_seen: formatInstant(last_seen) },
  };
}

/** The ECUs that a device has reported (docs/wire.md); what is no such list is given as it came. */
export function ecusJson(report: Report | undefined): EcusJson {
  const none = { received_at: null, primary_ecu_serial: null, ecus: [], raw: null };
  if (!report) return none;
  const text = Buffer.from(report.body).toString('utf8');
  const received_at = formatInstant(report.received_at);
  try {
    const { primary_ecu_serial, ecus } = JSON.parse(text) as ReportedEcus;
    return {
      ...none,
      received_at,
      primary_ecu_serial: String(primary_ecu_serial),
      ecus: ecus.map(({ ecu_serial, hardware_identifier, clientKey }) => ({
        ecu_serial: String(ecu_serial),
        hardware_identifier: String(hardware_identifier),
        primary: ecu_serial === primary_ecu_serial,
        key_type: textOf(clientKey?.keytype),
        public_key: textOf(clientKey?.keyval?.public),
      })),
    };
  } catch {
    return { ...none, received_at, raw: text };
  }
}

/** As the gateway lets it in, or did when it was written. */
interface ReportedEcus {
  readonly primary_ecu_serial: unknown;
  readonly ecus: readonly {
    readonly ecu_serial: unknown;
    readonly hardware_identifier: unknown;
    readonly clientKey?: { readonly keytype?: unknown; readonly keyval?: { readonly public?: unknown } };
  }[];
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
