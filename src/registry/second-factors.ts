// Second factors: authenticator apps, recovery codes and passkeys of operators.

import { Problem } from '../problem.ts';
import { type Db, prepared, type Tx } from './database.ts';
import type { OperatorRow, PasskeyRow, TotpSecretRow } from './operator-tables.ts';
import { requireLivingMasterKey } from './sealed-values.ts';

/** Passkeys that one operator may have. */
const mostPasskeys = 20;

/** What an operator has beside the password. */
export interface SecondFactors {
  readonly totp: TotpSecretRow | null;
  readonly passkeys: readonly PasskeyRow[];
  /** The hashes of the recovery codes that are left. */
  readonly recoveryCodes: readonly string[];
}

/** The second factors of an operator; an authenticator app that is not confirmed yet is none. */
export async function secondFactorsOf(db: Db, operator_id: string): Promise<SecondFactors> {
  const codes = await db
    .selectFrom('recovery_codes')
    .select('code_sha256')
    .where('operator_id', '=', operator_id)
    .execute();
  return {
    totp: (await totpSecret(db, operator_id, 'active')) ?? null,
    passkeys: await passkeysOf(db, operator_id),
    recoveryCodes: codes.map(({ code_sha256 }) => code_sha256),
  };
}

/** An operator's secret of an authenticator app: that in use, or the one that waits for its first code. */
export async function totpSecret(
  db: Db,
  operator_id: string,
  state: TotpSecretRow['state'],
): Promise<TotpSecretRow | undefined> {
  return db
    .selectFrom('totp_secrets')
    .selectAll()
    .where('operator_id', '=', operator_id)
    .where('state', '=', state)
    .executeTakeFirst();
}

/** Keeps a secret (sealed) that counts once a code of it has been seen; the one in use goes on until then. */
export async function beginTotp(
  tx: Tx,
  { operator_id, sealed }: { operator_id: string; sealed: Uint8Array },
): Promise<void> {
  await requireLivingMasterKey(tx.db, sealed);
  await tx.db
    .insertInto('totp_secrets')
    .values({ operator_id, state: 'pending', sealed, last_step: null, created_at: tx.now })
    .onConflict((conflict) =>
      conflict.columns(['operator_id', 'state']).doUpdateSet({ sealed, last_step: null, created_at: tx.now }),
    )
    .execute();
}

/**
 * Puts the secret that waited in use, `step` being the time step of the code that was seen. Throws `conflict` where none
 * waits, or another one by now. `recovery` is taken where the operator has no recovery codes; gives whether it was.
 */
export async function confirmTotp(
  tx: Tx,
  given: { operator_id: string; sealed: Uint8Array; step: number; recovery: readonly string[] },
): Promise<{ recovery: boolean }> {
  const { operator_id, sealed, step, recovery } = given;
  const pending = await totpSecret(tx.db, operator_id, 'pending');
  if (!pending || Buffer.compare(pending.sealed, sealed) !== 0) {
    throw new Problem('conflict', 'No authenticator app waits for its first code, or another one does by now.');
  }
  await tx.db.deleteFrom('totp_secrets').where('operator_id', '=', operator_id).execute();
  await tx.db
    .insertInto('totp_secrets')
    .values({ ...pending, state: 'active', last_step: step })
    .execute();
  await note(tx, operator_id, 'operator.add_totp');
  return { recovery: await firstRecoveryCodes(tx, operator_id, recovery) };
}

/** Takes the authenticator app away. Throws `not_found` where there is none. */
export async function removeTotp(tx: Tx, { operator_id }: { operator_id: string }): Promise<void> {
  const { numDeletedRows } = await tx.db
    .deleteFrom('totp_secrets')
    .where('operator_id', '=', operator_id)
    .executeTakeFirst();
  if (numDeletedRows === 0n) throw new Problem('not_found', 'You have no authenticator app set up.');
  await dropRecoveryCodesOfNothing(tx, operator_id);
  await note(tx, operator_id, 'operator.remove_totp');
}

/** Puts new recovery codes (their hashes) in the place of all there are. */
export async function replaceRecoveryCodes(
  tx: Tx,
  { operator_id, codes }: { operator_id: string; codes: readonly string[] },
): Promise<void> {
  await tx.db.deleteFrom('recovery_codes').where('operator_id', '=', operator_id).execute();
  await tx.db
    .insertInto('recovery_codes')
    .values(codes.map((code_sha256) => ({ operator_id, code_sha256 })))
    .execute();
  await note(tx, operator_id, 'operator.renew_recovery_codes');
}

async function firstRecoveryCodes(tx: Tx, operator_id: string, codes: readonly string[]): Promise<boolean> {
  const { recoveryCodes } = await secondFactorsOf(tx.db, operator_id);
  if (recoveryCodes.length > 0) return false;
  await replaceRecoveryCodes(tx, { operator_id, codes });
  return true;
}

/** Recovery codes stand in for a second factor: without one they would be passwords of their own. */
async function dropRecoveryCodesOfNothing(tx: Tx, operator_id: string): Promise<void> {
  const { totp, passkeys } = await secondFactorsOf(tx.db, operator_id);
  if (totp !== null || passkeys.length > 0) return;
  await tx.db.deleteFrom('recovery_codes').where('operator_id', '=', operator_id).execute();
}

const passkeys = prepared((db, given: { operator_id: string }) =>
  db.selectFrom('passkeys').selectAll().where('operator_id', '=', given.operator_id).orderBy('created_at'),
);

/** An operator's passkeys, the oldest first. */
export async function passkeysOf(db: Db, operator_id: string): Promise<PasskeyRow[]> {
  return passkeys(db, { operator_id });
}

/** The passkey with this credential ID, and whose it is. */
export async function passkeyById(
  db: Db,
  id: string,
): Promise<{ passkey: PasskeyRow; operator: OperatorRow } | undefined> {
  const passkey = await db.selectFrom('passkeys').selectAll().where('id', '=', id).executeTakeFirst();
  if (!passkey) return undefined;
  const operator = await db
    .selectFrom('operators')
    .selectAll()
    .where('id', '=', passkey.operator_id)
    .executeTakeFirstOrThrow();
  return { passkey, operator };
}

/**
 * Adds a passkey. Throws `conflict` where somebody has it already, or the operator has as many as one may have.
 * `recovery` is taken where the operator has no recovery codes; gives whether it was.
 */
export async function addPasskey(
  tx: Tx,
  given: { passkey: Omit<PasskeyRow, 'created_at' | 'last_used_at'>; recovery: readonly string[] },
): Promise<{ passkey: PasskeyRow; recovery: boolean }> {
  const { passkey, recovery } = given;
  const { operator_id } = passkey;
  if ((await passkeysOf(tx.db, operator_id)).length >= mostPasskeys) {
    throw new Problem('conflict', `An operator has ${mostPasskeys} passkeys at the most.`, 'Remove one of them first.');
  }
  const row = await tx.db
    .insertInto('passkeys')
    .values({ ...passkey, created_at: tx.now, last_used_at: null })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new Problem('conflict', 'This passkey is known already.');
  await note(tx, operator_id, 'operator.add_passkey', { passkey: row.id, name: row.name });
  return { passkey: row, recovery: await firstRecoveryCodes(tx, operator_id, recovery) };
}

/** Takes a passkey away. Throws `not_found`. */
export async function removePasskey(
  tx: Tx,
  { operator_id, id }: { operator_id: string; id: string },
): Promise<PasskeyRow> {
  const row = await tx.db
    .deleteFrom('passkeys')
    .where('operator_id', '=', operator_id)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new Problem('not_found', 'You have no such passkey.');
  await dropRecoveryCodesOfNothing(tx, operator_id);
  await note(tx, operator_id, 'operator.remove_passkey', { passkey: row.id, name: row.name });
  return row;
}

async function note(tx: Tx, operator_id: string, action: string, after: Record<string, string> | null = null) {
  const operator = await tx.db.selectFrom('operators').select('name').where('id', '=', operator_id).executeTakeFirst();
  tx.audit({
    action,
    account_id: null,
    object: { kind: 'operator', id: operator_id, name: operator?.name ?? null },
    after,
  });
}
