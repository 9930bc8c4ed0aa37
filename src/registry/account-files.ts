// What an operator adds to an account's credentials.zip for an update back end; sealed, since some of it is secret.

import { Problem } from '../problem.ts';
import { formatInstant } from '../time.ts';
import type { Db, Tx } from './database.ts';
import { requireLivingMasterKey } from './sealed-values.ts';
import type { AccountFile } from './tables.ts';

/** Keeps an entry, in place of the one of that name. */
export async function setAccountFile(tx: Tx, file: Omit<AccountFile, 'updated_at'>): Promise<AccountFile> {
  const { sealed_content } = file;
  await requireLivingMasterKey(tx.db, sealed_content);
  const before = await tx.db
    .selectFrom('account_files')
    .select('updated_at')
    .where('account_id', '=', file.account_id)
    .where('entry', '=', file.entry)
    .executeTakeFirst();
  const kept = await tx.db
    .insertInto('account_files')
    .values({ ...file, updated_at: tx.now })
    .onConflict((conflict) =>
      conflict.columns(['account_id', 'entry']).doUpdateSet({ sealed_content, updated_at: tx.now }),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
  tx.audit({
    action: 'account_file.set',
    ...entryOf(kept),
    before: before ? { updated_at: formatInstant(before.updated_at) } : null,
    after: { updated_at: formatInstant(tx.now) },
  });
  tx.changed({ kind: 'account', account_id: file.account_id });
  return kept;
}

/** Takes an entry away. Throws `not_found`. */
export async function removeAccountFile(
  tx: Tx,
  { account_id, entry }: { account_id: string; entry: string },
): Promise<AccountFile> {
  const removed = await tx.db
    .deleteFrom('account_files')
    .where('account_id', '=', account_id)
    .where('entry', '=', entry)
    .returningAll()
    .executeTakeFirst();
  if (!removed) throw new Problem('not_found', `This account has no file ${entry}.`);
  const before = { updated_at: formatInstant(removed.updated_at) };
  tx.audit({ action: 'account_file.remove', ...entryOf(removed), before });
  tx.changed({ kind: 'account', account_id });
  return removed;
}

/** An entry in the audit log: its content may be secret, so that not even a digest of it is there. */
function entryOf({ account_id, entry }: AccountFile) {
  return { account_id, object: { kind: 'account_file', id: entry, name: entry } };
}

/** The entries of an account, by their names. */
export async function accountFilesOf(db: Db, account_id: string): Promise<AccountFile[]> {
  return db.selectFrom('account_files').selectAll().where('account_id', '=', account_id).orderBy('entry').execute();
}
