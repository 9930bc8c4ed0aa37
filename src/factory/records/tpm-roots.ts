// The record of the roots of TPM makers that endorsement certificates may lead to.

import { Problem } from '../../problem.ts';
import type { FactoryDb, FactoryTx, TpmRoot } from './tables.ts';

/** All of them, the oldest first. */
export async function tpmRootsOf(db: FactoryDb): Promise<TpmRoot[]> {
  return db.selectFrom('tpm_roots').selectAll().orderBy('added_at').orderBy('sha256').execute();
}

/** Records roots that the caller has read; those that are there already are left as they are. */
export async function addTpmRoots(
  tx: FactoryTx,
  { roots }: { roots: readonly (Omit<TpmRoot, 'added_at'> & { subject: string })[] },
): Promise<void> {
  for (const { sha256, public_key_sha256, certificate, subject } of roots) {
    const { numInsertedOrUpdatedRows: added } = await tx.db
      .insertInto('tpm_roots')
      .values({ sha256, public_key_sha256, certificate, added_at: tx.now })
      .onConflict((conflict) => conflict.column('sha256').doNothing())
      .executeTakeFirstOrThrow();
    if (added === 0n) continue;
    const object = { kind: 'tpm-root', id: sha256, name: subject };
    tx.audit({ action: 'tpm-root.add', account_id: null, object });
  }
}

/** Removes a root: no further endorsement certificate leads to it. Throws Problem('not_found'). */
export async function removeTpmRoot(tx: FactoryTx, { sha256 }: { sha256: string }): Promise<void> {
  const removed = await tx.db
    .deleteFrom('tpm_roots')
    .where('sha256', '=', sha256)
    .returning('sha256')
    .executeTakeFirst();
  if (!removed) throw noTpmRoot(sha256);
  tx.audit({ action: 'tpm-root.remove', account_id: null, object: { kind: 'tpm-root', id: sha256, name: null } });
}

function noTpmRoot(sha256: string): Problem {
  return new Problem(
    'not_found',
    `There is no root of a TPM maker with the SHA-256 ${sha256}.`,
    '`factory tpm-root list` shows them.',
  );
}
