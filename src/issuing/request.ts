// What may be asked of the issuer, and the plan of a certificate that follows from it and from the profile.

import type { SigningAlgorithm } from '../custody/custodian.ts';
import { Problem } from '../problem.ts';
import type { Account } from '../registry/tables.ts';
import { commonName, encodeName } from '../x509/name.ts';
import { type Profile, type ProfileName, profiles } from './profile.ts';
import { algorithmOf, type SigningCa, type SigningKey } from './signing-ca.ts';

/** Whose keys sign: an account, or what stands in its place. */
export type Owner = Pick<Account, 'id' | 'name' | 'kind' | 'validity_seconds'>;

/** A certificate under a CA of ours. `publicKey` is SubjectPublicKeyInfo, DER. */
interface LeafRequest {
  account: Owner;
  ca: SigningCa<SigningKey>;
  publicKey: Uint8Array;
}

export interface DeviceRequest extends LeafRequest {
  profile: 'device';
  /** 1 to 64 characters: what else a device ID must be, admission decides. */
  deviceId: string;
  /** The Fleet Root CA that `ca` is, for the record. */
  fleetRootCaId: string;
  provisioningKeyId: string | null;
  /** How long it should be valid, in seconds; the account's policy bounds it, and is taken for null. */
  validitySeconds: number | null;
}

export interface ProvisioningKeyRequest extends LeafRequest {
  profile: 'provisioning_key';
  /** The provisioning key's ID, which becomes the common name. */
  id: string;
  /** In ms since 1970. */
  notAfter: number;
}

/** A TLS server of ours: an account's gateway, the operators' listener, or a factory's service. */
export interface TlsServerRequest extends LeafRequest {
  profile: 'gateway' | 'operator' | 'factory';
  /** DNS names in lower case and IP addresses in canonical form; the first that fits becomes the common name. */
  hosts: readonly string[];
}

/** What a factory's line is asked for: a device, which nobody but the line knows yet. */
export interface LineDeviceRequest extends LeafRequest {
  profile: 'line_device';
  /** 1 to 64 characters. */
  deviceId: string;
  /** In ms since 1970; the line's CA bounds it. */
  notAfter: number;
}

/** A station of a factory. */
export interface StationRequest extends LeafRequest {
  profile: 'station';
  /** Its name, which becomes the common name. */
  name: string;
}

/** The CA of a factory's line, under the Fleet Root. */
export interface LineCaRequest extends LeafRequest {
  profile: 'line_ca';
  /** The line's name, of 1 to 64 characters. */
  name: string;
  /** In ms since 1970; the Fleet Root bounds it. */
  notAfter: number;
}

/** The CAs of a server. */
export type ServerCa = 'gateway_ca' | 'fleet_root_ca' | 'provisioning_ca' | 'operator_ca';

/** A CA's own certificate, signed by its own key. */
export interface CaRequest {
  profile: ServerCa | 'factory_root' | 'station_ca';
  account: Owner;
  key: SigningKey;
  /** The CA's ID, which makes its subject differ from that of every other CA. */
  id: string;
}

export type IssuanceRequest =
  | DeviceRequest
  | ProvisioningKeyRequest
  | TlsServerRequest
  | LineDeviceRequest
  | StationRequest
  | LineCaRequest
  | CaRequest;

/** What a certificate is to be, down to everything that its encoding and its lint need. */
export interface Plan {
  readonly profile: Profile;
  /** Null for a CA that signs itself. */
  readonly issuer: SigningCa<SigningKey> | null;
  /** The key that signs. */
  readonly key: SigningKey;
  readonly algorithm: SigningAlgorithm;
  /** Name, DER. */
  readonly subject: Buffer;
  readonly commonName: string | null;
  /** SubjectPublicKeyInfo, DER, written as x509/key.ts has the canonical form. */
  readonly publicKey: Uint8Array;
  /** In ms since 1970, whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly now: number;
  /** For the subjectAltName; empty for none. */
  readonly hosts: readonly string[];
}

/** ub-common-name of RFC 5280 appendix A.1, in characters. */
export const longestCommonName = 64;

const organizationName = '2.5.4.10';

const caTitles = {
  gateway_ca: 'Gateway CA',
  fleet_root_ca: 'Fleet Root CA',
  provisioning_ca: 'Provisioning CA',
  operator_ca: 'Fleetroot operator CA',
  factory_root: 'Fleet Root CA',
  station_ca: 'Station CA',
} as const satisfies Partial<Record<ProfileName, string>>;

/**
 * Plans a certificate at this instant (ms since 1970). Throws Problem('provisioning_not_offered') for what a production
 * account may not have, Problem('unavailable') where the CA has ended, TypeError where the CA is not the account's or
 * its key is for something else.
 */
export function planOf(request: IssuanceRequest, now: number): Plan {
  const profile: Profile = profiles[request.profile];
  const { account } = request;
  if (profile.testAccountsOnly && account.kind !== 'test') throw new Problem('provisioning_not_offered');

  const issuer = 'ca' in request ? request.ca : null;
  const key = 'ca' in request ? request.ca.key : request.key;
  if (key.account_id !== account.id) throw new TypeError(`key ${key.id} is not of account ${account.id}`);
  if (key.purpose !== profile.signedBy) throw new TypeError(`a ${key.purpose} key does not sign a ${profile.name}`);

  return {
    profile,
    issuer,
    key,
    algorithm: algorithmOf(key),
    ...subjectOf(request),
    publicKey: 'ca' in request ? request.publicKey : request.key.public_key,
    ...validityOf(profile, issuer, notAfterOf(request, profile, now), now),
    now,
    hosts: 'hosts' in request ? request.hosts : [],
  };
}

/**
 * Devices and provisioning keys have a common name and nothing else. A CA's names its account and its purpose, and its
 * ID makes it unique, since clients hold several of them in one trust store and find the right one by its name.
 * A host that is too long for a common name is in the subjectAltName only, where clients look anyway (RFC 9525 §2).
 */
function subjectOf(request: IssuanceRequest): { subject: Buffer; commonName: string | null } {
  switch (request.profile) {
    case 'device':
    case 'line_device':
      return named(request.deviceId);
    case 'station':
      return named(request.name);
    case 'line_ca':
      return named(request.name, request.account.name);
    case 'provisioning_key':
      return named(request.id);
    case 'gateway':
    case 'operator':
    case 'factory':
      return named(request.hosts.find((host) => host.length <= longestCommonName) ?? null, request.account.name);
    case 'gateway_ca':
    case 'fleet_root_ca':
    case 'provisioning_ca':
    case 'operator_ca':
    case 'factory_root':
    case 'station_ca':
      return named(`${caTitles[request.profile]} ${request.id}`, request.account.name);
  }
}

function named(name: string | null, organization?: string): { subject: Buffer; commonName: string | null } {
  const attributes = [];
  if (organization !== undefined) attributes.push({ type: organizationName, value: organization });
  if (name !== null) attributes.push({ type: commonName, value: name });
  return { subject: encodeName(attributes), commonName: name };
}

function notAfterOf(request: IssuanceRequest, profile: Profile, now: number): number {
  switch (request.profile) {
    case 'device': {
      const longest = request.account.validity_seconds;
      return now + Math.min(request.validitySeconds ?? longest, longest) * 1000;
    }
    case 'provisioning_key':
    case 'line_device':
    case 'line_ca':
      return request.notAfter;
    case 'gateway':
    case 'gateway_ca':
    case 'fleet_root_ca':
    case 'provisioning_ca':
    case 'operator':
    case 'operator_ca':
    case 'factory_root':
    case 'station_ca':
    case 'station':
    case 'factory':
      return now + profile.lifetime!;
  }
}

function validityOf(profile: Profile, issuer: SigningCa<SigningKey> | null, wanted: number, now: number) {
  const begin = profile.notBefore(now);
  if (issuer === null) return { notBefore: wholeSeconds(begin), notAfter: wholeSeconds(wanted) };
  const { notBefore, notAfter } = issuer.certificate;
  if (notAfter <= now) throw new Problem('unavailable', 'The CA that would sign this certificate has ended.');
  return {
    notBefore: wholeSeconds(Math.max(begin, notBefore)),
    notAfter: wholeSeconds(Math.min(wanted, notAfter)),
  };
}

function wholeSeconds(ms: number): number {
  return ms - (ms % 1000);
}
