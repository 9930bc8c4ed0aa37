// The profiles of what we issue, one value each: everything about a certificate that nobody may ask for differently.

import type { KeyUsage } from '../x509/extensions.ts';
import type { SigningPurpose } from './signing-ca.ts';

export type ProfileName =
  | 'device'
  | 'provisioning_key'
  | 'gateway'
  | 'gateway_ca'
  | 'fleet_root_ca'
  | 'provisioning_ca'
  | 'operator'
  | 'operator_ca'
  | 'factory_root'
  | 'line_ca'
  | 'line_device'
  | 'station_ca'
  | 'station'
  | 'factory';

/** A profile. Every certificate also has a random serial number, a subject and a subject key identifier. */
export interface Profile {
  readonly name: ProfileName;
  /** A CA has basicConstraints (critical); a leaf has none, which means the same as CA:FALSE. */
  readonly ca: boolean;
  /** pathLenConstraint of a CA (RFC 5280 §4.2.1.9): how many CAs may stand below it. */
  readonly pathLength: 0 | 1;
  /** What the key that signs it is for. */
  readonly signedBy: SigningPurpose;
  /** Whether a production account is refused it (the guide: who validates device certificates must not generate them). */
  readonly testAccountsOnly: boolean;
  /** Critical. */
  readonly keyUsage: readonly KeyUsage[];
  /** Dotted object identifier of the one purpose, not critical; null for no extendedKeyUsage. */
  readonly extendedKeyUsage: string | null;
  /** When it begins to be valid, by when it is made; never before its issuer. In ms since 1970. */
  readonly notBefore: (now: number) => number;
  /** How long from now it is valid at most, in ms, and never past its issuer. Null: the account's policy or the request says. */
  readonly lifetime: number | null;
}

/** Purposes of a TLS certificate (RFC 5280 §4.2.1.12). */
const serverAuth = '1.3.6.1.5.5.7.3.1';
const clientAuth = '1.3.6.1.5.5.7.3.2';

const day = 24 * 60 * 60 * 1000;
const year = 365 * day;

/** For clocks that are a little behind ours. */
const aDayBack = (now: number): number => now - day;

/** For boards without a battery, whose clocks are months behind when they first check the gateway (wire.md). */
const since2020 = (): number => Date.UTC(2020, 0, 1);

const signsCertificates = ['keyCertSign', 'cRLSign'] as const;

/** All there are; docs/issuance.md lists them. */
export const profiles = {
  device: {
    name: 'device',
    ca: false,
    pathLength: 0,
    signedBy: 'fleet-root-ca',
    testAccountsOnly: true,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: clientAuth,
    notBefore: aDayBack,
    lifetime: null,
  },
  provisioning_key: {
    name: 'provisioning_key',
    ca: false,
    pathLength: 0,
    signedBy: 'provisioning-ca',
    testAccountsOnly: true,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: clientAuth,
    notBefore: aDayBack,
    lifetime: null,
  },
  gateway: {
    name: 'gateway',
    ca: false,
    pathLength: 0,
    signedBy: 'gateway-ca',
    testAccountsOnly: false,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: serverAuth,
    notBefore: since2020,
    lifetime: 90 * day,
  },
  gateway_ca: {
    name: 'gateway_ca',
    ca: true,
    pathLength: 0,
    signedBy: 'gateway-ca',
    testAccountsOnly: false,
    keyUsage: signsCertificates,
    extendedKeyUsage: null,
    notBefore: since2020,
    lifetime: 20 * year,
  },
  // Clients take every CA in the PKCS#12 for a server's too: clientAuth keeps this one from being that.
  fleet_root_ca: {
    name: 'fleet_root_ca',
    ca: true,
    pathLength: 0,
    signedBy: 'fleet-root-ca',
    testAccountsOnly: true,
    keyUsage: signsCertificates,
    extendedKeyUsage: clientAuth,
    notBefore: aDayBack,
    lifetime: 30 * year,
  },
  provisioning_ca: {
    name: 'provisioning_ca',
    ca: true,
    pathLength: 0,
    signedBy: 'provisioning-ca',
    testAccountsOnly: true,
    keyUsage: signsCertificates,
    extendedKeyUsage: clientAuth,
    notBefore: aDayBack,
    lifetime: 30 * year,
  },
  operator: {
    name: 'operator',
    ca: false,
    pathLength: 0,
    signedBy: 'operator-ca',
    testAccountsOnly: false,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: serverAuth,
    notBefore: aDayBack,
    lifetime: 90 * day,
  },
  operator_ca: {
    name: 'operator_ca',
    ca: true,
    pathLength: 0,
    signedBy: 'operator-ca',
    testAccountsOnly: false,
    keyUsage: signsCertificates,
    extendedKeyUsage: serverAuth,
    notBefore: aDayBack,
    lifetime: 20 * year,
  },
  // The factory's: a program apart from the server (src/factory), which shares no key with it.
  // The customer's own Fleet Root CA, kept offline; a line's CA stands below it.
  factory_root: {
    name: 'factory_root',
    ca: true,
    pathLength: 1,
    signedBy: 'factory-root',
    testAccountsOnly: false,
    keyUsage: signsCertificates,
    extendedKeyUsage: clientAuth,
    notBefore: aDayBack,
    lifetime: 40 * year,
  },
  line_ca: {
    name: 'line_ca',
    ca: true,
    pathLength: 0,
    signedBy: 'factory-root',
    testAccountsOnly: false,
    keyUsage: signsCertificates,
    extendedKeyUsage: clientAuth,
    notBefore: aDayBack,
    lifetime: null,
  },
  line_device: {
    name: 'line_device',
    ca: false,
    pathLength: 0,
    signedBy: 'line',
    testAccountsOnly: false,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: clientAuth,
    notBefore: aDayBack,
    lifetime: null,
  },
  // Whom the service trusts to ask, and what it shows them: nothing of it leads to the Fleet Root.
  station_ca: {
    name: 'station_ca',
    ca: true,
    pathLength: 0,
    signedBy: 'station-ca',
    testAccountsOnly: false,
    keyUsage: signsCertificates,
    extendedKeyUsage: null,
    notBefore: aDayBack,
    lifetime: 20 * year,
  },
  station: {
    name: 'station',
    ca: false,
    pathLength: 0,
    signedBy: 'station-ca',
    testAccountsOnly: false,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: clientAuth,
    notBefore: aDayBack,
    lifetime: 5 * year,
  },
  factory: {
    name: 'factory',
    ca: false,
    pathLength: 0,
    signedBy: 'station-ca',
    testAccountsOnly: false,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: serverAuth,
    notBefore: aDayBack,
    // Made at each start of the service, and its key is never on a disk.
    lifetime: 90 * day,
  },
} as const satisfies Readonly<Record<ProfileName, Profile>>;
