// Through which intermediates devices came: each chain once, however many devices have it.

import { createHash } from 'node:crypto';
import type { Selectable } from 'kysely';
import { type Db, prepared, type Tx } from './database.ts';
import type { ChainCertificatesTable } from './fleet-tables.ts';

/** An intermediate on a path of a device's certificate. */
export type Intermediate = Omit<Selectable<ChainCertificatesTable>, 'account_id' | 'chain_id'>;

/** What a chain is known by, from the SHA-256 of its certificates in their order; null for an empty one. */
export function chainIdOf(sha256s: readonly string[]): string | null {
  return sha256s.length === 0 ? null : createHash('sha256').update(sha256s.join(' ')).digest('hex');
}

/** Records a chain, the intermediate that issued the device's certificate first. Gives its ID; null for an empty one. */
export async function recordChain(
  db: Db,
  account_id: string,
  intermediates: readonly Intermediate[],
): Promise<string | null> {
  const chain_id = chainIdOf(intermediates.map(({ sha256 }) => sha256));
  if (chain_id === null) return null;
  const known = await db
    .selectFrom('chain_certificates')
    .select('chain_id')
    .where('account_id', '=', account_id)
    .where('chain_id', '=', chain_id)
    .limit(1)
    .executeTakeFirst();
  if (known) return chain_id;
  await db
    .insertInto('chain_certificates')
    .values(
      intermediates.map(({ sha256, public_key_sha256, subject, certificate }) => ({
        account_id,
        chain_id,
        sha256,
        public_key_sha256,
        subject,
        certificate,
      })),
    )
    .execute();
  return chain_id;
}

/**
 * Records through which intermediates a device came by its last full handshake, where those are not the ones it came
 * through before: when it takes up its session again it shows its certificate alone.
 */
export async function recordDeviceChain(
  tx: Tx,
  {
    account_id,
    device_uuid,
    intermediates,
  }: { account_id: string; device_uuid: string; intermediates: readonly Intermediate[] },
): Promise<void> {
  const of = tx.db.selectFrom('devices').where('account_id', '=', account_id).where('uuid', '=', device_uuid);
  const device = await of.select('chain_id').executeTakeFirst();
  if (!device) return;
  const chain_id = await recordChain(tx.db, account_id, intermediates);
  if (chain_id === device.chain_id) return;
  await tx.db
    .updateTable('devices')
    .set({ chain_id })
    .where('account_id', '=', account_id)
    .where('uuid', '=', device_uuid)
    .execute();
  tx.changed({ kind: 'device', account_id, device_uuid });
}

const byCertificate = prepared((db, given: { account_id: string; tbs_sha256: string }) =>
  db
    .selectFrom('certificates')
    .innerJoin('devices', (join) =>
      join
        .onRef('devices.account_id', '=', 'certificates.account_id')
        .onRef('devices.uuid', '=', 'certificates.device_uuid'),
    )
    .select('devices.chain_id')
    .where('certificates.account_id', '=', given.account_id)
    .where('certificates.tbs_sha256', '=', given.tbs_sha256),
);

/** The chain through which the device came last that has this certificate; null for none, or no such device. */
export async function chainOfCertificate(db: Db, account_id: string, tbs_sha256: string): Promise<string | null> {
  const [found] = await byCertificate(db, { account_id, tbs_sha256 });
  return found?.chain_id ?? null;
}
