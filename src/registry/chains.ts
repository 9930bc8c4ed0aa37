// Through which intermediates devices came: each chain once, however many devices have it.

import { createHash } from 'node:crypto';
import type { Selectable } from 'kysely';
import type { Db } from './database.ts';
import type { ChainCertificatesTable } from './fleet-tables.ts';

/** An intermediate on a path of a device's certificate. */
export type Intermediate = Omit<Selectable<ChainCertificatesTable>, 'account_id' | 'chain_id'>;

/** Records a chain, the intermediate that issued the device's certificate first. Gives its ID; null for an empty one. */
export async function recordChain(
  db: Db,
  account_id: string,
  intermediates: readonly Intermediate[],
): Promise<string | null> {
  if (intermediates.length === 0) return null;
  const chain_id = createHash('sha256')
    .update(intermediates.map(({ sha256 }) => sha256).join(' '))
    .digest('hex');
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
