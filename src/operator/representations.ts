// How what is remembered looks to operators: registry rows in, the API's JSON out.

import { type DeviceIssuingKey, deviceIssuingKeys } from '../issuing/device-issuing-keys.ts';
import type { ExportedKey } from '../issuing/key-export.ts';
import { accountFilesOf } from '../registry/account-files.ts';
import { hostsOf } from '../registry/accounts.ts';
import { countDevicesByRoot } from '../registry/device-tallies.ts';
import type { DeviceView } from '../registry/devices.ts';
import { fleetRootCasOf, fleetRootCertificatesOf, trustOf } from '../registry/fleet-root-cas.ts';
import { gatewayCasOf } from '../registry/gateway-cas.ts';
import { keysOf } from '../registry/keys.ts';
import { readLabels } from '../registry/label-values.ts';
import { devicesOfProvisioningKey, mostDevicesNamed } from '../registry/provisioning-keys.ts';
import type {
  Account,
  CertificateRecord,
  FleetRootCa,
  FleetRootCertificate,
  KeyRow,
  ProvisioningKey,
  RefusalRecord,
  Report,
  Upstream,
} from '../registry/tables.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { ownerKeyJson, type Signed, signedIn, signedRootJson, trustSetJson } from './owner-trust-json.ts';
import { formatDuration, formatInstant } from '../time.ts';
import { CertificateError, certificateToPem, parseCertificate } from '../x509/certificate.ts';
import type { ExportedKeyJson } from './key-schemas.ts';
import type {
  AccountJson,
  CertificateJson,
  DeviceDetailsJson,
  DeviceIssuingKeyJson,
  DeviceJson,
  FleetRootCaJson,
  ProvisioningKeyJson,
  RefusalJson,
  UpstreamJson,
} from './schemas.ts';

/** What the row of an account alone says of it: enough to know which it is, or was. */
export function bareAccountJson({ gateway }: Provisioning, account: Account): AccountJson {
  return {
    id: account.id,
    name: account.name,
    kind: account.kind,
    gateway_url: `https://${account.id}.${gateway.domain}:${gateway.publicPort()}`,
    hosts: [],
    admission: account.admission,
    rekey: account.rekey,
    // Of device certificates that we issue: a production account has none.
    key_type: account.kind === 'production' ? null : account.key_type,
    validity: account.kind === 'production' ? null : formatDuration(account.validity_seconds * 1000),
    device_id_pattern: account.device_id_pattern,
    namespace: account.namespace,
    created_at: formatInstant(account.created_at),
    gateway_cas: [],
    fleet_root_cas: [],
    device_issuing_keys: [],
    distrusted_keys: [],
    owner_key: null,
    trust_set: null,
    files: [],
  };
}

/** An account with its hosts, CAs and files. */
export async function accountJson(provisioning: Provisioning, account: Account): Promise<AccountJson> {
  const { registry, gateway } = provisioning;
  const db = registry.read;
  const hosts = await hostsOf(db, account.id);
  const generated = hosts.find((host) => host.kind === 'generated')?.host ?? '';
  const gatewayCas = await gatewayCasOf(db, account.id);
  const keys = await keysOf(db, account.id);
  const { distrusted_keys } = await trustOf(db, account.id);
  return {
    ...bareAccountJson(provisioning, account),
    gateway_url: `https://${generated}:${gateway.publicPort()}`,
    hosts: hosts.map(({ host }) => host),
    gateway_cas: gatewayCas.map((ca) => ({
      id: ca.id,
      state: ca.state,
      sha256: ca.sha256,
      not_after: formatInstant(ca.not_after),
      certificate: certificateToPem(ca.certificate),
      ...gatewayKeyJson(keys.find(({ id }) => id === ca.key_id)!),
    })),
    fleet_root_cas: await fleetRootCasJson(provisioning, account),
    device_issuing_keys: (await deviceIssuingKeys(db, account.id)).map(deviceIssuingKeyJson),
    distrusted_keys: distrusted_keys.map(({ public_key_sha256, certificate, added_at }) => ({
      public_key_sha256,
      subject: subjectOf(certificate),
      added_at: formatInstant(added_at),
    })),
    owner_key: ownerKeyJson(provisioning, account),
    trust_set: await trustSetJson(provisioning, account),
    files: (await accountFilesOf(db, account.id)).map(({ entry }) => entry),
  };
}

function gatewayKeyJson({ id, custodian, erased_at }: KeyRow) {
  return { key: id, custodian, key_state: erased_at === null ? ('held' as const) : ('erased' as const) };
}

/** A private key on its way out. */
export function exportedKeyJson({ key, pem }: ExportedKey): ExportedKeyJson {
  return { key: key.id, public_key_sha256: key.public_key_sha256, private_key: pem };
}

function deviceIssuingKeyJson({ key, ca, until }: DeviceIssuingKey): DeviceIssuingKeyJson {
  return {
    key_id: key.id,
    fleet_root_ca: ca?.id ?? null,
    fleet_root_ca_name: ca?.name ?? null,
    custodian: key.custodian,
    key_state: key.erased_at === null ? 'held' : 'erased',
    exportable: key.exportable === 1,
    public_key_sha256: key.public_key_sha256,
    certificates_until: formatInstant(until),
  };
}

/** The Fleet Root CAs of an account. */
export async function fleetRootCasJson(provisioning: Provisioning, account: Account): Promise<FleetRootCaJson[]> {
  const { registry } = provisioning;
  const signed = await signedIn(provisioning, account);
  const cas = await fleetRootCasOf(registry.read, account.id);
  const certificates = await fleetRootCertificatesOf(registry.read, account.id);
  const devices = await countDevicesByRoot(registry.read, account.id);
  return cas.map((ca) =>
    shapeFleetRootCa(
      ca,
      certificates.filter((each) => each.fleet_root_ca_id === ca.id),
      devices.get(ca.id) ?? 0,
      signed,
    ),
  );
}

/** One Fleet Root CA of an account. */
export async function fleetRootCaJson(
  provisioning: Provisioning,
  account: Account,
  { id }: Pick<FleetRootCa, 'id'>,
): Promise<FleetRootCaJson> {
  return (await fleetRootCasJson(provisioning, account)).find((ca) => ca.id === id)!;
}

function shapeFleetRootCa(
  ca: FleetRootCa,
  certificates: readonly FleetRootCertificate[],
  devices: number,
  signed: Signed | null,
): FleetRootCaJson {
  const anchors = certificates.filter((each) => each.role === 'anchor');
  // None where somebody has changed the registry: then nobody comes under it.
  const [first, ...others] = anchors;
  const lasting = others.reduce((one, other) => (one && one.not_after >= other.not_after ? one : other), first);
  return {
    id: ca.id,
    name: ca.name,
    kind: ca.kind,
    state: ca.state,
    sha256: lasting?.sha256 ?? '',
    not_after: formatInstant(lasting?.not_after ?? ca.created_at),
    devices,
    admit: ca.admit,
    successor: ca.successor_id,
    ...signedRootJson(signed, ca, anchors),
    certificates: certificates.map((each) => ({
      role: each.role,
      subject: subjectOf(each.certificate),
      sha256: each.sha256,
      public_key_sha256: each.public_key_sha256,
      not_after: formatInstant(each.not_after),
      certificate: certificateToPem(each.certificate),
    })),
  };
}

/** The subject of a certificate in the registry; nothing of what is none, which somebody else has put there. */
function subjectOf(certificate: Uint8Array): string {
  try {
    return parseCertificate(certificate).subject.text;
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    return '';
  }
}

/** A provisioning key with the devices that it made. */
export async function provisioningKeyJson(
  { registry, clock }: Pick<Provisioning, 'registry' | 'clock'>,
  key: ProvisioningKey,
  named = mostDevicesNamed,
): Promise<ProvisioningKeyJson> {
  const { devices, count } = await devicesOfProvisioningKey(registry.read, key.account_id, key.id, named);
  return {
    id: key.id,
    description: key.description,
    not_after: formatInstant(key.not_after),
    max_uses: key.max_uses,
    uses: key.uses,
    state: stateOf(key, clock()),
    device_id_pattern: key.device_id_pattern,
    networks: JSON.parse(key.networks) as string[],
    created_at: formatInstant(key.created_at),
    disabled_at: formatInstant(key.disabled_at),
    device_count: count,
    devices,
  };
}

function stateOf(
  { disabled_at, not_after, max_uses, uses }: ProvisioningKey,
  now: number,
): ProvisioningKeyJson['state'] {
  if (disabled_at !== null) return 'disabled';
  if (not_after < now) return 'expired';
  return max_uses !== null && uses >= max_uses ? 'exhausted' : 'active';
}

/** A device. */
export function deviceJson(device: DeviceView): DeviceJson {
  return {
    device_id: device.device_id,
    uuid: device.uuid,
    state: device.state,
    method: device.method,
    fleet_root_ca: device.fleet_root_ca_id,
    fleet_root_ca_name: device.fleet_root_ca_name,
    provisioning_key: device.provisioning_key_id,
    certificate_not_after: formatInstant(device.certificate_not_after),
    first_seen: formatInstant(device.first_seen),
    last_seen: formatInstant(device.last_seen),
    allowed_fleet_root_ca: device.allowed_root_id,
    reprovision_until: formatInstant(device.reprovision_until),
    labels: { ...readLabels(device.labels) },
  };
}

/** A device with its certificates and reports. */
export function deviceDetailsJson(
  device: DeviceView,
  certificates: readonly CertificateRecord[],
  reports: readonly Report[],
): DeviceDetailsJson {
  return {
    ...deviceJson(device),
    certificates: certificates.map(certificateJson),
    reports: reports.map(({ kind, received_at, content_type, body }) => ({
      kind,
      received_at: formatInstant(received_at),
      content_type,
      body: Buffer.from(body).toString('utf8'),
    })),
  };
}

/** A certificate of a device; one that is only intended has no form for operators. */
export function certificateJson(certificate: CertificateRecord): CertificateJson {
  return {
    sha256: certificate.sha256 ?? '',
    tbs_sha256: certificate.tbs_sha256,
    serial: certificate.serial,
    not_before: formatInstant(certificate.not_before),
    not_after: formatInstant(certificate.not_after),
    state: certificate.state as CertificateJson['state'],
    public_key_sha256: certificate.public_key_sha256,
    fleet_root_ca: certificate.fleet_root_ca_id,
    first_used_at: formatInstant(certificate.first_used_at),
    certificate: certificateToPem(certificate.der),
  };
}

/** A refusal. */
export function refusalJson(refusal: RefusalRecord): RefusalJson {
  return {
    id: refusal.id,
    at: formatInstant(refusal.at),
    first_at: formatInstant(refusal.first_at),
    count: refusal.count,
    code: refusal.code,
    rule: refusal.rule,
    remedy: refusal.remedy,
    device_id: refusal.device_id,
    address: refusal.address,
    sni: refusal.sni,
    certificates: refusal.certificates,
  };
}

/** A back end; of its client key only that there is one. */
export function upstreamJson(upstream: Upstream): UpstreamJson {
  return {
    prefix: upstream.prefix,
    url: upstream.url,
    rewrite: upstream.rewrite,
    ca: upstream.ca,
    certificate: upstream.certificate,
    has_key: upstream.sealed_key !== null,
    host: upstream.host,
    timeout: formatDuration(upstream.timeout_ms),
  };
}
