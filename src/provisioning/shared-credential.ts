// Provisioning with shared credentials: a provisioning key's holder is given a key and certificate of its own.

import ipaddr from 'ipaddr.js';
import { Problem } from '../problem.ts';
import { gatewayCasOf } from '../registry/gateway-cas.ts';
import { keyById } from '../registry/keys.ts';
import type { FleetRootCa, KeyRow, ProvisioningKey, ReplyState } from '../registry/tables.ts';
import type { Certificate } from '../x509/certificate.ts';
import { encodePkcs12 } from '../x509/pkcs12.ts';
import type { AccountTrust } from './account-trust.ts';
import { faultOfDeviceId, matchesPattern } from './device-id.ts';
import type { KeyType } from './key-pool.ts';
import type { Provisioning } from './provisioning.ts';

const day = 24 * 60 * 60;

/** What a device asks for at `POST /devices`, as it came. */
export interface ProvisioningRequest {
  readonly deviceId: string;
  /** Wished validity in days: a number or digits; anything else counts as no wish. */
  readonly ttl: unknown;
  /** The address that asks. */
  readonly address: string;
}

/** A device's new credentials. */
export interface ProvisionedDevice {
  /** PKCS#12 with an empty password: key, certificate, chain, and the gateway's CAs. */
  readonly pkcs12: Buffer;
  /** To be called once with what became of the reply that carries them. */
  settle(reply: Exclude<ReplyState, 'open'>): Promise<void>;
}

/**
 * Makes a device's key and certificate for the holder of a provisioning key.
 * Throws `device_id_invalid`, `device_id_not_allowed`, `network_not_allowed`, `device_already_registered`,
 * `provisioning_key_*`, `provisioning_not_offered`, `fleet_root_ca_closed`, `fleet_root_ca_disabled` or
 * `custody_unavailable`; then nothing has been used up.
 */
export async function provisionDevice(
  provisioning: Provisioning,
  trust: AccountTrust,
  provisioningKey: ProvisioningKey,
  request: ProvisioningRequest,
): Promise<ProvisionedDevice> {
  const { registry, issuer, keyPool } = provisioning;
  const { account } = trust;
  checkRequest(trust, provisioningKey, request);
  const { root, rootCertificate, rootKey, cas } = await meansOf(provisioning, trust);
  // Before the key pair, which may cost more than all the rest.
  issuer.keys.ready(rootKey);

  using keyPair = await keyPool.take(account.key_type as KeyType);
  const prepared = issuer.prepare({
    profile: 'device',
    account,
    ca: { key: rootKey, certificate: rootCertificate },
    publicKey: keyPair.publicKey,
    deviceId: request.deviceId,
    fleetRootCaId: root.id,
    provisioningKeyId: provisioningKey.id,
    validitySeconds: wishedValidity(request.ttl),
  });
  const certificate = await issuer.issue(prepared, {
    intend: async (certificate) => {
      await registry.write('beginIssuance', { certificate });
    },
    complete: async (signed) => {
      await registry.write('completeIssuance', signed);
    },
    abandon: async (unsigned) => {
      await registry.write('abandonIssuance', unsigned);
    },
  });
  const pkcs12 = encodePkcs12({
    privateKey: keyPair.privateKey.reveal(),
    certificate,
    cas,
  });
  return {
    pkcs12,
    settle: (reply) =>
      registry.write('settleReply', { account_id: account.id, tbs_sha256: prepared.intention.tbs_sha256, reply }),
  };
}

/** What every newcomer of an account is made with. */
interface Means {
  readonly root: FleetRootCa;
  readonly rootCertificate: Certificate;
  readonly rootKey: KeyRow;
  /** DER, as they stand in the PKCS#12. */
  readonly cas: readonly Buffer[];
}

/** As long as nothing of the account has changed: its CAs, their keys or where these lie. */
const meansByTrust = new WeakMap<AccountTrust, Promise<Means>>();

function meansOf(provisioning: Provisioning, trust: AccountTrust): Promise<Means> {
  const known = meansByTrust.get(trust);
  if (known) return known;
  const finding = findMeans(provisioning, trust);
  meansByTrust.set(trust, finding);
  finding.catch(() => meansByTrust.delete(trust));
  return finding;
}

async function findMeans(provisioning: Provisioning, trust: AccountTrust): Promise<Means> {
  const { root, certificate: rootCertificate } = generatedRoot(trust);
  const rootKey = await keyById(provisioning.registry.read, root.key_id ?? '');
  if (!rootKey) throw new Problem('provisioning_not_offered');
  const cas = [rootCertificate.der, ...(await pinnedGatewayCas(provisioning, trust.account.id))];
  return { root, rootCertificate, rootKey, cas };
}

function checkRequest(trust: AccountTrust, key: ProvisioningKey, { deviceId, address }: ProvisioningRequest): void {
  if (trust.account.kind === 'production') throw new Problem('provisioning_not_offered');
  const fault = faultOfDeviceId(deviceId);
  if (fault) throw new Problem('device_id_invalid', fault);
  const patterns = [
    ["the provisioning key's", key.device_id_pattern],
    ["the account's", trust.account.device_id_pattern],
  ] as const;
  for (const [whose, pattern] of patterns) {
    if (pattern !== null && !matchesPattern(pattern, deviceId)) {
      throw new Problem('device_id_not_allowed', `The device ID "${deviceId}" does not match ${whose} pattern.`);
    }
  }
  const networks = JSON.parse(key.networks) as string[];
  if (networks.length > 0 && !networks.some((network) => contains(network, address))) {
    throw new Problem('network_not_allowed', `The provisioning key may not be used from ${address}.`);
  }
}

/** Whether an address lies in a CIDR block; an IPv4 address seen through an IPv6 socket is the IPv4 address. */
function contains(network: string, address: string): boolean {
  const [block, bits] = ipaddr.parseCIDR(network);
  const asked = ipaddr.process(address);
  return asked.kind() === block.kind() && asked.match([block, bits] as never);
}

/** The generated Fleet Root CA that signs, with the certificate that lasts longest. */
function generatedRoot(trust: AccountTrust): { root: FleetRootCa; certificate: Certificate } {
  const generated = [...trust.roots.values()].filter((root) => root.kind === 'generated');
  const root = generated.find((each) => each.state === 'active');
  if (!root) {
    const [shut] = generated;
    if (!shut) throw new Problem('provisioning_not_offered');
    const code = shut.state === 'closed' ? 'fleet_root_ca_closed' : 'fleet_root_ca_disabled';
    throw new Problem(code, `The account's generated Fleet Root CA "${shut.name}" is ${shut.state}.`);
  }
  // What it signed would get nobody in, and would cost a use and an ID.
  if (trust.distrusted.has(root.public_key_sha256)) {
    throw new Problem(
      'fleet_root_ca_disabled',
      `The key of the account's generated Fleet Root CA "${root.name}" is distrusted.`,
      'Lift the distrust with `fleet-root trust`, or give the device a certificate under another Fleet Root CA.',
    );
  }
  const certificates = trust.anchors.filter((anchor) => anchor.id === root.id).map((anchor) => anchor.certificate);
  const [certificate] = certificates.sort((one, other) => other.notAfter - one.notAfter);
  if (!certificate) throw new Problem('provisioning_not_offered');
  return { root, certificate };
}

/** The wish in seconds; null for anything that is no positive whole number of days. */
function wishedValidity(ttl: unknown): number | null {
  const days = typeof ttl === 'string' && /^\d{1,9}$/.test(ttl) ? Number(ttl) : ttl;
  return typeof days === 'number' && Number.isInteger(days) && days > 0 ? days * day : null;
}

/**
 * The gateway CAs (DER) that whoever is provisioned now is to trust: the active one and the standby. One that has
 * retired, perhaps since it was stolen, is no longer among them.
 */
export async function pinnedGatewayCas({ registry }: Provisioning, account_id: string): Promise<Buffer[]> {
  const cas = await gatewayCasOf(registry.read, account_id);
  return cas.filter((ca) => ca.state !== 'retired').map((ca) => Buffer.from(ca.certificate));
}
