// How what is remembered looks in the audit log: rows in, plain members out, of what is secret at most that it is there.

import { createHash } from 'node:crypto';
import { formatDuration, formatInstant } from '../time.ts';
import type { AuditNote, Plain } from './notes.ts';
import type {
  Account,
  CertificateRecord,
  Device,
  FleetRootCa,
  FleetRootCertificate,
  KeyRow,
  ProvisioningKey,
  Upstream,
} from './tables.ts';

/** The members of a thing, as an entry has them. */
export interface Members {
  readonly [member: string]: Plain;
}

/** The members that differ, as they were and as they are; null where none does. */
export function difference(before: Members, after: Members): { before: Members; after: Members } | null {
  const names = Object.keys(after).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  if (names.length === 0) return null;
  const those = (of: Members) => Object.fromEntries(names.map((name) => [name, of[name] ?? null]));
  return { before: those(before), after: those(after) };
}

/** What `account set` may change. */
export function policyMembers(account: Account): Members {
  const { admission, rekey, key_type, validity_seconds, device_id_pattern, namespace } = account;
  return {
    admission,
    rekey,
    key_type,
    validity: formatDuration(validity_seconds * 1000),
    device_id_pattern,
    namespace,
  };
}

/** What an account is. */
export function accountMembers(account: Account): Members {
  const { name, kind, owner_key } = account;
  return { name, kind, ...policyMembers(account), owner_key_sha256: owner_key && digestOf(owner_key) };
}

/** What an operator, or its own coming, changes of a device. */
export function deviceMembers(device: Device): Members {
  return {
    state: device.state,
    method: device.method,
    fleet_root_ca: device.fleet_root_ca_id,
    provisioning_key: device.provisioning_key_id,
    allowed_fleet_root_ca: device.allowed_root_id,
    reprovision_until: formatInstant(device.reprovision_until),
  };
}

/** What a certificate is known by, and on whose word it was made. */
export function certificateMembers(
  certificate: Pick<
    CertificateRecord,
    'tbs_sha256' | 'sha256' | 'serial' | 'public_key_sha256' | 'not_before' | 'not_after'
  >,
): Members {
  const { tbs_sha256, sha256, serial, public_key_sha256, not_before, not_after } = certificate;
  const validity = { not_before: formatInstant(not_before), not_after: formatInstant(not_after) };
  return { tbs_sha256, sha256, serial, public_key_sha256, ...validity };
}

/** What is told of a certificate that has been made. */
type Issued = Pick<
  CertificateRecord,
  'account_id' | 'profile' | 'subject_name' | 'provisioning_key_id' | 'fleet_root_ca_id'
> &
  Parameters<typeof certificateMembers>[0];

/**
 * The one answer to who had a certificate made, when, and on which key; who and when every entry says. `device` is what
 * there is to be told of the device that has it.
 */
export function issuanceNote(certificate: Issued, device: Members = {}): AuditNote {
  const { account_id, tbs_sha256, profile, subject_name: name } = certificate;
  const { provisioning_key_id: provisioning_key, fleet_root_ca_id: fleet_root_ca } = certificate;
  const by = profile === 'device' ? { provisioning_key, fleet_root_ca } : {};
  return {
    action: 'certificate.issue',
    account_id: account_id || null,
    object: { kind: 'certificate', id: tbs_sha256, name },
    after: { profile, ...certificateMembers(certificate), ...by, ...device },
  };
}

/** A certificate of a Fleet Root CA or of an intermediate. */
export function trustedMembers(certificate: Pick<FleetRootCertificate, 'role' | 'sha256' | 'public_key_sha256'>) {
  const { role, sha256, public_key_sha256 } = certificate;
  return { role, sha256, public_key_sha256 };
}

/** A Fleet Root CA. */
export function fleetRootCaMembers(ca: FleetRootCa): Members {
  const { name, kind, state, admit, key_id: key, public_key_sha256, successor_id: successor } = ca;
  return { name, kind, state, admit, key, public_key_sha256, successor };
}

/** A key in custody: what is known of it, never what its custodian remembers. */
export function keyMembers(key: KeyRow): Members {
  const { purpose, custodian, key_type, public_key_sha256 } = key;
  return { purpose, custodian, key_type, exportable: key.exportable === 1, public_key_sha256 };
}

/** A provisioning key and its limits. */
export function provisioningKeyMembers(key: ProvisioningKey): Members {
  return {
    description: key.description,
    tbs_sha256: key.tbs_sha256,
    public_key_sha256: key.public_key_sha256,
    not_after: formatInstant(key.not_after),
    max_uses: key.max_uses,
    device_id_pattern: key.device_id_pattern,
    networks: JSON.parse(key.networks) as string[],
  };
}

/** A back end; of its client key only that there is one, of certificates, which may be long, their digests. */
export function upstreamMembers(upstream: Upstream): Members {
  const { url, rewrite, ca, certificate, sealed_key, host, timeout_ms } = upstream;
  return {
    url,
    rewrite,
    ca_sha256: ca && digestOf(ca),
    certificate_sha256: certificate && digestOf(certificate),
    has_key: sealed_key !== null,
    host,
    timeout: formatDuration(timeout_ms),
  };
}

/** SHA-256 of what is public and too long for an entry, hex. */
export function digestOf(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}
