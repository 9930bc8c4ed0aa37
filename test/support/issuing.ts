// An issuer for tests: on a real registry and the software custodian, with a clock that stands still until it is set.

import { randomBytes, randomUUID } from 'node:crypto';

import type { Custodian, KeyType } from '../../src/custody/custodian.ts';
import { type AuthenticatingSeal, createSeal } from '../../src/custody/seal.ts';
import { createSoftwareCustodian } from '../../src/custody/software.ts';
import { HeldKeys } from '../../src/issuing/held-keys.ts';
import { Issuer } from '../../src/issuing/issuer.ts';
import { makeKeyPair } from '../../src/issuing/keys.ts';
import { profiles } from '../../src/issuing/profile.ts';
import type { DeviceRequest, ServerCa } from '../../src/issuing/request.ts';
import type { SigningCa } from '../../src/issuing/signing-ca.ts';
import type { Account, AccountKind } from '../../src/registry/tables.ts';
import type { Registry } from '../../src/registry/writer.ts';
import { Secret } from '../../src/secret.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { backends, type Home } from './registry.ts';

export const day = 24 * 60 * 60 * 1000;
export const year = 365 * day;

/** A registry with an issuer on it, gone when disposed of. */
export interface Issuing extends AsyncDisposable {
  readonly home: Home;
  readonly registry: Registry;
  readonly seal: AuthenticatingSeal;
  readonly issuer: Issuer;
  /** What issuer and registry take for the time, in ms since 1970. */
  readonly clock: { now: number };
}

/** Opens one. `wrap` may stand between the issuer and its custodian. */
export async function openIssuing(
  wrap: (custodian: Custodian) => Custodian = (custodian) => custodian,
): Promise<Issuing> {
  const clock = { now: Date.UTC(2026, 5, 15, 12, 0, 0, 789) };
  const home = backends[0]!.home();
  const registry = await home.open({ clock: () => clock.now });
  const seal = createSeal(new Secret(randomBytes(32)));
  const custodian = wrap(createSoftwareCustodian(seal));
  const custodians = new Map([[custodian.name, custodian]]);
  const keys = new HeldKeys({ registry, custodians, newKeysIn: custodian.name });
  const issuer = new Issuer({ registry, keys, clock: () => clock.now });
  return {
    home,
    registry,
    seal,
    issuer,
    clock,
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      home[Symbol.dispose]();
    },
  };
}

/** A new account, without CAs. */
export async function newAccount(
  { registry }: Issuing,
  {
    kind = 'test',
    name = 'acme',
    validity_seconds = (10 * year) / 1000,
  }: Partial<Account> & { kind?: AccountKind } = {},
): Promise<Account> {
  const id = randomUUID();
  return registry.write('insertAccount', {
    account: {
      id,
      name,
      kind,
      admission: 'automatic',
      rekey: 'accept',
      key_type: 'p256',
      validity_seconds,
      device_id_pattern: null,
      owner_key: null,
      namespace: name,
    },
    host: `${id}.gateway.localhost`,
  });
}

/** A CA of the account with a key of any type, issued but not recorded as a CA. */
export async function newCa(
  { issuer }: Issuing,
  account: Account,
  profile: ServerCa = 'fleet_root_ca',
  keyType: KeyType = 'p256',
): Promise<SigningCa> {
  const key = await issuer.keys.create({ account, purpose: profiles[profile].signedBy, keyType });
  const der = await issuer.issue(issuer.prepare({ profile, account, key, id: randomUUID() }));
  return { certificate: parseCertificate(der), key };
}

/** A request for a device's certificate, with a key of its own. */
export async function deviceRequest(
  account: Account,
  ca: SigningCa,
  changes: Partial<DeviceRequest> = {},
): Promise<DeviceRequest> {
  using pair = await makeKeyPair('p256');
  return {
    profile: 'device',
    account,
    ca,
    publicKey: pair.publicKey,
    deviceId: 'device-1',
    fleetRootCaId: ca.key.id,
    provisioningKeyId: null,
    validitySeconds: null,
    ...changes,
  };
}
