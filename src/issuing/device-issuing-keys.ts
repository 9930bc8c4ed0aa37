// The keys with which this server could sign a device certificate for an account, wherever each lies.

import type { Db } from '../registry/database.ts';
import { fleetRootCasOf, fleetRootCertificatesOf } from '../registry/fleet-root-cas.ts';
import { keysByPublicKey, keysOf } from '../registry/keys.ts';
import type { FleetRootCa, KeyRow } from '../registry/tables.ts';
import { profiles } from './profile.ts';

/** A key that could sign device certificates for an account. */
export interface DeviceIssuingKey {
  readonly key: KeyRow;
  /** The Fleet Root CA of the account under which its certificates would count; null where it has none. */
  readonly ca: FleetRootCa | null;
  /** When the last of that CA's certificates for this key ends, in ms since 1970; null without one. */
  readonly until: number | null;
}

/**
 * Lists them, the oldest first. The account's kind is not asked, so that what is listed proves it instead: there are the
 * account's keys that are for signing devices (as `issuer.prepare` has it), and whatever key of any account is certified
 * in what this one trusts, whichever way that got there. Keys that are destroyed sign nothing; erased ones might again.
 */
export async function deviceIssuingKeys(db: Db, account_id: string): Promise<DeviceIssuingKey[]> {
  const cas = await fleetRootCasOf(db, account_id);
  const certificates = await fleetRootCertificatesOf(db, account_id);
  const own = await keysOf(db, account_id);
  const trusted = await keysByPublicKey(db, [...new Set(certificates.map((each) => each.public_key_sha256))]);
  const signing = own.filter((key) => key.purpose === profiles.device.signedBy && key.destroyed_at === null);
  const keys = new Map([...signing, ...trusted].map((key) => [key.id, key]));
  return [...keys.values()].map((key) => {
    const its = certificates.filter((each) => each.public_key_sha256 === key.public_key_sha256);
    const id = its[0]?.fleet_root_ca_id;
    return {
      key,
      ca: cas.find((ca) => ca.id === id || ca.key_id === key.id) ?? null,
      until: its.length === 0 ? null : Math.max(...its.map(({ not_after }) => not_after)),
    };
  });
}
