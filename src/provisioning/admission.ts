// Admission: who these certificates are and whether they get in: device-identity plus state and policy.

import { standingOf, type Standing } from '../registry/admissions.ts';
import type { Db } from '../registry/database.ts';
import { heldKeys } from '../registry/keys.ts';
import { provisioningKeyByTbs } from '../registry/provisioning-keys.ts';
import type { CertificateRecord, Device, FleetRootCa, ProvisioningKey } from '../registry/tables.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { Path } from '../x509/path.ts';
import type { AccountTrust } from './account-trust.ts';
import { clockTolerance, deviceIdOf, identify } from './device-identity.ts';
import { matchesPattern } from './device-id.ts';
import {
  asksManifests,
  type ManifestWord,
  refusalByManifest,
  refusalOfWithdrawn,
  type Sighting,
  sightingOf,
  wordOf,
} from './manifest-word.ts';
import { refuse, type Refusal } from './refusal.ts';

/** What holds for whoever was identified. */
interface Proven {
  /** Until when this may be remembered, in milliseconds since 1970: the shortest certificate of the path. */
  readonly validUntil: number;
  /** SHA-256 of every public key on the path. */
  readonly publicKeys: readonly string[];
}

/** A known device that gets in. */
export type AdmittedDevice = Proven & {
  readonly kind: 'device';
  readonly device: Device;
  readonly certificate: CertificateRecord;
  /** What its factory is to hear of the certificate; null for nothing. */
  readonly sighting: Sighting | null;
};

/** A provisioning key of this account: no device. */
export type AdmittedProvisioningKey = Proven & {
  readonly kind: 'provisioning_key';
  readonly provisioningKey: ProvisioningKey;
};

export type Refused = {
  readonly kind: 'refused';
  readonly refusal: Refusal;
  /** The certificate of a known device, where that is what it showed. */
  readonly certificate: CertificateRecord | null;
  readonly sighting: Sighting | null;
};

/** A newcomer, a new certificate or a move: the registry has to be written before the question is asked again. */
export type ToBeRecorded = {
  readonly kind: 'to_be_recorded';
  readonly deviceId: string;
  readonly leaf: Certificate;
  readonly root: FleetRootCa;
  /** On the paths that were found, the issuer of the leaf first. */
  readonly intermediates: readonly Certificate[];
  readonly standing: Standing;
  readonly state: 'pending' | 'active';
  /** `pending`: a new key that waits for the operator. */
  readonly certificateState: 'current' | 'pending';
  readonly sighting: Sighting | null;
};

/** A known device that gets in, and how it came. */
export type JudgedDevice = AdmittedDevice & {
  /** On the paths that were found, the issuer of the leaf first. */
  readonly intermediates: readonly Certificate[];
};

export type Judgement = JudgedDevice | AdmittedProvisioningKey | Refused | ToBeRecorded;

const refused = (refusal: Refusal, certificate: CertificateRecord | null = null): Refused => ({
  kind: 'refused',
  refusal,
  certificate,
  sighting: null,
});

/**
 * Judges the certificates that were shown, the leaf first, at the instant `now`. Reads only: what has to be recorded
 * before the device gets in is part of the answer.
 */
export async function judge(
  db: Db,
  trust: AccountTrust,
  shown: readonly Certificate[],
  now: number,
): Promise<Judgement> {
  const byRoot = await pathsByRoot(db, trust, shown, now);
  if ('code' in byRoot) return refused(byRoot);

  const leaf = shown[0] as Certificate;
  const provisioningPath = trust.provisioningCaId === null ? undefined : byRoot.get(trust.provisioningCaId);
  if (provisioningPath) return judgeProvisioningKey(db, trust, leaf, provisioningPath, now);
  return judgeDevice(db, trust, leaf, byRoot);
}

/**
 * The valid paths of what was shown, by the IDs of the CAs that they lead to; or why there is none. Throws nothing: it is
 * what every decision begins with, and what a dry run asks of trust that is only supposed (fleet-impact.ts).
 */
export async function pathsByRoot(
  db: Db,
  trust: AccountTrust,
  shown: readonly Certificate[],
  now: number,
): Promise<ReadonlyMap<string, Path> | Refusal> {
  if (trust.fault) return refuse('certificate_untrusted', trust.fault.rule, trust.fault.remedy);
  const held = await heldKeysAmong(db, trust, shown);
  const excluded = new Set([...trust.disabled.keys(), ...trust.distrusted, ...held]);
  const identity = identify(shown, { anchors: trust.anchors, intermediates: trust.intermediates, excluded }, now);
  if (identity.kind === 'identified') return new Map(identity.paths.map((path) => [path.anchor.id, path]));
  return signedToo(trust, explainExclusion(identity.excludedKey, trust, identity.refusal));
}

/** A production account trusts no key that the server holds or has held, whoever signed a certificate for it. */
async function heldKeysAmong(
  db: Db,
  { account, anchors, intermediates }: AccountTrust,
  shown: readonly Certificate[],
): Promise<Iterable<string>> {
  if (account.kind !== 'production') return [];
  const certificates = [...shown, ...intermediates, ...anchors.map((anchor) => anchor.certificate)];
  return heldKeys(db, [...new Set(certificates.map((certificate) => certificate.publicKey.sha256))]);
}

/** Says why a public key counts for nothing. */
function explainExclusion(key: string | null, trust: AccountTrust, refusal: Refusal): Refusal {
  if (key === null) return refusal;
  const disabled = trust.disabled.get(key);
  if (disabled) {
    return refuse(
      'fleet_root_ca_disabled',
      `The certificate leads through the key of the Fleet Root CA "${disabled.name}", which is disabled.`,
    );
  }
  if (trust.distrusted.has(key)) {
    return refuse(
      'certificate_untrusted',
      'The certificate leads through a CA key that this account distrusts.',
      'Give the device a certificate under another CA, or lift the distrust with `fleet-root trust`.',
    );
  }
  return refuse(
    'certificate_untrusted',
    'The certificate leads through a key that this server holds, which proves nothing in a production account.',
    'Use a Fleet Root CA and intermediates whose keys are held outside this server.',
  );
}

/** Codes whose remedy is a change of whom the account trusts. */
const trustCodes: readonly string[] = ['certificate_untrusted', 'fleet_root_ca_closed', 'fleet_root_ca_disabled'];

/** Where an owner signs whom the account trusts, what an operator does is half of it. */
function signedToo({ account }: AccountTrust, refusal: Refusal): Refusal {
  if (account.owner_key === null || !trustCodes.includes(refusal.code)) return refusal;
  const counts = 'in this account that counts once its owner has signed what `fleet-root changes` writes.';
  return { ...refusal, remedy: refusal.remedy.replace(/\.$/, `; ${counts}`) };
}

async function judgeProvisioningKey(
  db: Db,
  { account }: AccountTrust,
  leaf: Certificate,
  path: Path,
  now: number,
): Promise<Judgement> {
  const provisioningKey = await provisioningKeyByTbs(db, account.id, leaf.tbsSha256);
  if (!provisioningKey) return refused(refuse('certificate_untrusted', 'This account has no such provisioning key.'));
  if (provisioningKey.disabled_at !== null) {
    return refused(refuse('provisioning_key_disabled', `The provisioning key ${provisioningKey.id} is disabled.`));
  }
  if (provisioningKey.not_after < now) {
    const ended = new Date(provisioningKey.not_after).toISOString();
    return refused(
      refuse('provisioning_key_expired', `The provisioning key ${provisioningKey.id} expired on ${ended}.`),
    );
  }
  return {
    kind: 'provisioning_key',
    provisioningKey,
    validUntil: Math.min(provisioningKey.not_after, path.notAfter + clockTolerance),
    publicKeys: path.publicKeys,
  };
}

async function judgeDevice(
  db: Db,
  trust: AccountTrust,
  leaf: Certificate,
  byRoot: ReadonlyMap<string, Path>,
): Promise<Judgement> {
  const named = deviceIdOf(leaf);
  if ('refusal' in named) return refused(named.refusal);
  const { deviceId } = named;
  const shown = { device_id: deviceId, tbs_sha256: leaf.tbsSha256, public_key_sha256: leaf.publicKey.sha256 };
  // Of one leaf all paths begin with the same issuer.
  const path = [...byRoot.values()][0] as Path;
  const asked = { ...shown, issuer_key: path.publicKeys[1]!, asks_manifests: asksManifests(trust) };
  const standing = await standingOf(db, trust.account.id, asked);
  const word = wordOf(trust, path, standing.made, shown);
  const judgement = judgeStanding(trust, deviceId, leaf, byRoot, standing, word);
  return { ...judgement, sighting: sightingOf(word) };
}

/** The answer to a device whose certificate leads to these roots, from where it stands and what manifests say of it. */
function judgeStanding(
  trust: AccountTrust,
  deviceId: string,
  leaf: Certificate,
  byRoot: ReadonlyMap<string, Path>,
  standing: Standing,
  word: ManifestWord,
): Exclude<Judgement, AdmittedProvisioningKey> {
  const { device, certificate } = standing;
  const withdrawn = refusalOfWithdrawn(deviceId, word);
  if (withdrawn) return refused(withdrawn);
  if (certificate?.state === 'revoked') {
    return refused(
      device?.state === 'revoked'
        ? refuse('device_revoked', `The device "${deviceId}" is revoked.`)
        : refuse('certificate_revoked', `This certificate of "${deviceId}" has been revoked.`),
    );
  }
  if (certificate?.state === 'intended') {
    return refused(refuse('certificate_untrusted', 'This certificate was prepared but never issued.'));
  }
  if (!device) return judgeNewcomer(trust, deviceId, leaf, byRoot, standing, word);

  const root = rootOfDevice(trust, device, byRoot);
  if (!root) {
    const owner = trust.roots.get(device.fleet_root_ca_id)?.name ?? device.fleet_root_ca_id;
    const shown = [...byRoot.keys()].map((id) => `"${trust.roots.get(id)?.name ?? id}"`).join(', ');
    return refused(
      refuse(
        'device_id_conflict',
        `The device ID "${deviceId}" belongs to a device under the Fleet Root CA "${owner}"; this certificate leads to ${shown}.`,
      ),
    );
  }
  const path = byRoot.get(root.id) as Path;
  const byManifest = refusalByManifest(trust, deviceId, path, word);
  if (byManifest) return refused(byManifest);
  if (device.state === 'revoked') return refused(refuse('device_revoked', `The device "${deviceId}" is revoked.`));
  if (device.state === 'suspended') {
    return refused(refuse('device_suspended', `The device "${deviceId}" is suspended.`), certificate);
  }
  const toBeRecorded: Omit<ToBeRecorded, 'state' | 'certificateState'> = {
    kind: 'to_be_recorded',
    deviceId,
    leaf,
    root,
    intermediates: intermediatesOf(byRoot),
    standing,
    sighting: null,
  };
  if (!mayUseKey(trust, standing)) {
    if (certificate === null) return { ...toBeRecorded, state: device.state, certificateState: 'pending' };
    return refused(refuse('rekey_pending', `The new key of the device "${deviceId}" waits for approval.`));
  }
  const state = mayBeActive(trust, device, standing) ? 'active' : 'pending';
  const approvedAnew = certificate?.state === 'superseded' && certificate.first_used_at === null;
  const known = certificate?.device_uuid === device.uuid && certificate.state !== 'pending' && !approvedAnew;
  if (!known || state !== device.state || root.id !== device.fleet_root_ca_id) {
    return { ...toBeRecorded, state, certificateState: 'current' };
  }
  if (state === 'pending') {
    return refused(
      refuse('admission_pending', `The device "${deviceId}" waits for an operator to approve it.`),
      certificate,
    );
  }
  return {
    kind: 'device',
    device,
    certificate,
    validUntil: path.notAfter + clockTolerance,
    publicKeys: path.publicKeys,
    intermediates: intermediatesOf(byRoot),
    sighting: null,
  };
}

/** The Fleet Root CA under which a known device comes: its own, or one that the operator lets it move to. */
export function rootOfDevice(
  trust: AccountTrust,
  device: Pick<Device, 'fleet_root_ca_id' | 'allowed_root_id'>,
  byRoot: ReadonlyMap<string, Path>,
): FleetRootCa | undefined {
  const own = trust.roots.get(device.fleet_root_ca_id);
  if (own && byRoot.has(own.id)) return own;
  const allowed = [device.allowed_root_id, own?.successor_id];
  return [...trust.roots.values()].find(
    (root) => root.state === 'active' && byRoot.has(root.id) && allowed.includes(root.id),
  );
}

/** Whether the key is one that the device may use: known, renewed, or new where the account accepts new keys. */
function mayUseKey({ account }: AccountTrust, { certificate, knownKey }: Standing): boolean {
  if (certificate !== null && certificate.state !== 'pending') return true;
  return knownKey || account.rekey === 'accept';
}

/** Whether a known device that waits would be let in by the account's present policy. */
function mayBeActive({ account }: AccountTrust, device: Device, standing: Standing): boolean {
  if (device.state === 'active') return true;
  return account.admission === 'automatic' || (account.admission === 'allow-list' && standing.allowed);
}

function judgeNewcomer(
  trust: AccountTrust,
  deviceId: string,
  leaf: Certificate,
  byRoot: ReadonlyMap<string, Path>,
  standing: Standing,
  word: ManifestWord,
): Refused | ToBeRecorded {
  const { account } = trust;
  // The nearest first, then the oldest: a cross-certificate leads on to a CA that the device does not belong to.
  const reached = [...trust.roots.values()]
    .filter((each) => byRoot.has(each.id))
    .toSorted((one, other) => lengthOf(byRoot, one) - lengthOf(byRoot, other));
  const root = reached.find((each) => each.state === 'active');
  if (!root) {
    const name = reached[0]?.name ?? '';
    const rule = `The Fleet Root CA "${name}" is closed: it takes no newcomers.`;
    return refused(signedToo(trust, refuse('fleet_root_ca_closed', rule)));
  }
  const byManifest = refusalByManifest(trust, deviceId, byRoot.get(root.id) as Path, word);
  if (byManifest) return refused(byManifest);
  if (account.device_id_pattern !== null && !matchesPattern(account.device_id_pattern, deviceId)) {
    return refused(
      refuse(
        'device_id_not_allowed',
        `The device ID "${deviceId}" does not match the account's pattern for newcomers.`,
      ),
    );
  }
  if (account.admission === 'allow-list' && !standing.allowed) {
    return refused(refuse('device_id_not_allowed', `The device ID "${deviceId}" is not on the account's allow-list.`));
  }
  const state = account.admission === 'approval' ? 'pending' : 'active';
  const intermediates = intermediatesOf(byRoot);
  return {
    kind: 'to_be_recorded',
    deviceId,
    leaf,
    root,
    intermediates,
    standing,
    state,
    certificateState: 'current',
    sighting: null,
  };
}

function intermediatesOf(byRoot: ReadonlyMap<string, Path>): readonly Certificate[] {
  const all = [...byRoot.values()].flatMap(({ certificates }) => certificates.slice(1, -1));
  return [...new Map(all.map((certificate) => [certificate.sha256, certificate])).values()];
}

function lengthOf(byRoot: ReadonlyMap<string, Path>, { id }: FleetRootCa): number {
  return byRoot.get(id)?.certificates.length ?? Infinity;
}
