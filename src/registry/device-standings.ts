// What a dry run asks of a whole fleet: page by page, where each device stands and by which certificates it came.

import { type Db, prepared } from './database.ts';
import type { CertificateRecord, Device } from './tables.ts';

/** What of a device decides whether it gets in, beside its certificates. */
export type DeviceStanding = Pick<
  Device,
  | 'uuid'
  | 'device_id'
  | 'state'
  | 'method'
  | 'fleet_root_ca_id'
  | 'allowed_root_id'
  | 'provisioning_key_id'
  | 'chain_id'
  | 'certificate_not_after'
  | 'first_seen'
  | 'last_seen'
>;

const members = [
  'uuid',
  'device_id',
  'state',
  'method',
  'fleet_root_ca_id',
  'allowed_root_id',
  'provisioning_key_id',
  'chain_id',
  'certificate_not_after',
  'first_seen',
  'last_seen',
] as const;

const pageAfter = prepared((db, given: { account_id: string; after: string; limit: number }) =>
  db
    .selectFrom('devices')
    .select(members)
    .where('account_id', '=', given.account_id)
    .where('uuid', '>', given.after)
    .orderBy('uuid')
    .limit(given.limit),
);

/** Devices of an account in the order of their UUIDs, `limit` of them after the UUID `after`. */
export async function deviceStandings(
  db: Db,
  account_id: string,
  page: { after: string; limit: number },
): Promise<DeviceStanding[]> {
  return pageAfter(db, { account_id, ...page });
}

const madeAfter = prepared(
  (db, given: { account_id: string; provisioning_key_id: string; first_seen: number; after: string; limit: number }) =>
    db
      .selectFrom('devices')
      .select(members)
      .where('account_id', '=', given.account_id)
      .where('provisioning_key_id', '=', given.provisioning_key_id)
      .where((where) =>
        where.or([
          where('first_seen', '>', given.first_seen),
          where.and([where('first_seen', '=', given.first_seen), where('uuid', '>', given.after)]),
        ]),
      )
      .orderBy('first_seen')
      .orderBy('uuid')
      .limit(given.limit),
);

/** The devices that a provisioning key has made, in the order in which they came, `limit` of them after `after`. */
export async function standingsOfProvisioningKey(
  db: Db,
  account_id: string,
  provisioning_key_id: string,
  { after, limit }: { after: Pick<DeviceStanding, 'uuid' | 'first_seen'> | null; limit: number },
): Promise<DeviceStanding[]> {
  const { uuid = '', first_seen = -1 } = after ?? {};
  return madeAfter(db, { account_id, provisioning_key_id, first_seen, after: uuid, limit });
}

const present = prepared((db, given: { account_id: string; device_uuid: string }) =>
  db
    .selectFrom('certificates')
    .selectAll()
    .where('account_id', '=', given.account_id)
    .where('device_uuid', '=', given.device_uuid)
    .where('state', '=', 'current')
    .orderBy('created_at', 'desc')
    .limit(1),
);

/** The certificate that a device has at present: the latest of the current ones. */
export async function presentCertificateOf(
  db: Db,
  account_id: string,
  device_uuid: string,
): Promise<CertificateRecord | undefined> {
  const [found] = await present(db, { account_id, device_uuid });
  return found;
}

const chain = prepared((db, given: { account_id: string; chain_id: string }) =>
  db
    .selectFrom('chain_certificates')
    .select('certificate')
    .where('account_id', '=', given.account_id)
    .where('chain_id', '=', given.chain_id),
);

/** The intermediates (DER) by which devices of this chain came. */
export async function certificatesOfChain(db: Db, account_id: string, chain_id: string): Promise<Uint8Array[]> {
  return (await chain(db, { account_id, chain_id })).map(({ certificate }) => certificate);
}

/** The number of the migration that made `chain_certificates`. */
const fleetMigration = 7;

/** Since when it is remembered by which intermediates devices come, in milliseconds since 1970. */
export async function chainsKnownSince(db: Db): Promise<number> {
  const { applied_at } = await db
    .selectFrom('migrations')
    .select('applied_at')
    .where('number', '=', fleetMigration)
    .executeTakeFirstOrThrow();
  return applied_at;
}
