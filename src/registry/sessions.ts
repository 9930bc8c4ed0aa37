// Sessions: who is signed in, since when, and until when.

import { Problem } from '../problem.ts';
import { type Db, prepared, type Tx } from './database.ts';
import type { OperatorRow, SessionRow } from './operator-tables.ts';

/** Sessions that an operator may have at once, and browsers that are known for one: the oldest go. */
const mostSessions = 50;
const mostBrowsers = 20;
/** How many sessions that have ended are swept out when one begins. */
const swept = 100;

/** What is used up by signing in, so that it cannot be used again. */
export interface UsedUp {
  /** The time step of a code from the operator's authenticator app. */
  readonly totp_step?: number;
  readonly recovery_code_sha256?: string;
  readonly passkey?: { readonly id: string; readonly counter: number; readonly backed_up: 0 | 1 };
}

/**
 * Begins a session, with the browser that it begins in known from then on. Throws `unauthenticated` where the operator has
 * gone or been disabled, where another password has taken the place of `password`, or where what is used up has been used
 * by somebody else in the meantime.
 */
export async function beginSession(
  tx: Tx,
  given: {
    session: Omit<SessionRow, 'created_at' | 'last_used_at'>;
    /** The hash that the password was compared with; null where it was none that opened the door. */
    password: string | null;
    used: UsedUp;
    browser_sha256: string;
  },
): Promise<SessionRow> {
  const { session, password, used, browser_sha256 } = given;
  const { operator_id } = session;
  const operator = await tx.db
    .updateTable('operators')
    .set({ last_sign_in_at: tx.now })
    .where('id', '=', operator_id)
    .where('disabled_at', 'is', null)
    .returningAll()
    .executeTakeFirst();
  if (!operator || (password !== null && operator.password !== password)) throw new Problem('unauthenticated');
  await useUp(tx, operator_id, used);
  await sweep(tx, operator_id);
  const row = await tx.db
    .insertInto('sessions')
    .values({ ...session, created_at: tx.now, last_used_at: tx.now })
    .returningAll()
    .executeTakeFirstOrThrow();
  await tx.db
    .insertInto('known_browsers')
    .values({ operator_id, secret_sha256: browser_sha256, last_used_at: tx.now })
    .onConflict((conflict) => conflict.column('secret_sha256').doUpdateSet({ operator_id, last_used_at: tx.now }))
    .execute();
  tx.audit({
    action: 'session.begin',
    account_id: null,
    object: { kind: 'operator', id: operator_id, name: operator.name },
    after: { session: row.id, method: row.method },
  });
  return row;
}

async function useUp(tx: Tx, operator_id: string, { totp_step, recovery_code_sha256, passkey }: UsedUp): Promise<void> {
  if (totp_step !== undefined) {
    const { numUpdatedRows } = await tx.db
      .updateTable('totp_secrets')
      .set({ last_step: totp_step })
      .where('operator_id', '=', operator_id)
      .where('state', '=', 'active')
      .where((where) => where.or([where('last_step', 'is', null), where('last_step', '<', totp_step)]))
      .executeTakeFirst();
    if (numUpdatedRows === 0n) throw new Problem('unauthenticated');
  }
  if (recovery_code_sha256 !== undefined) {
    const { numDeletedRows } = await tx.db
      .deleteFrom('recovery_codes')
      .where('operator_id', '=', operator_id)
      .where('code_sha256', '=', recovery_code_sha256)
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw new Problem('unauthenticated');
  }
  if (passkey !== undefined) {
    const { id, counter, backed_up } = passkey;
    const { numUpdatedRows } = await tx.db
      .updateTable('passkeys')
      .set({ counter, backed_up, last_used_at: tx.now })
      .where('operator_id', '=', operator_id)
      .where('id', '=', id)
      // WebAuthn §6.1.1: one that counts must have counted on; many never do.
      .where((where) => where.or([where('counter', '<', counter), where('counter', '=', 0)]))
      .executeTakeFirst();
    if (numUpdatedRows === 0n) throw new Problem('unauthenticated');
  }
}

/** Makes room: what has ended goes, and the oldest of what is more than enough. */
async function sweep(tx: Tx, operator_id: string): Promise<void> {
  const ended = tx.db.selectFrom('sessions').select('id').where('expires_at', '<=', tx.now).orderBy('expires_at');
  await tx.db.deleteFrom('sessions').where('id', 'in', ended.limit(swept)).execute();
  const sessions = tx.db.selectFrom('sessions').select('id').where('operator_id', '=', operator_id);
  await tx.db
    .deleteFrom('sessions')
    .where(
      'id',
      'in',
      sessions
        .orderBy('created_at', 'desc')
        .limit(swept)
        .offset(mostSessions - 1),
    )
    .execute();
  const browsers = tx.db.selectFrom('known_browsers').select('secret_sha256').where('operator_id', '=', operator_id);
  await tx.db
    .deleteFrom('known_browsers')
    .where(
      'secret_sha256',
      'in',
      browsers
        .orderBy('last_used_at', 'desc')
        .limit(swept)
        .offset(mostBrowsers - 1),
    )
    .execute();
}

const bySecret = prepared((db, given: { secret_sha256: string }) =>
  db.selectFrom('sessions').selectAll().where('secret_sha256', '=', given.secret_sha256),
);

/** The session of this cookie, whether or not it still counts. */
export async function sessionBySecret(db: Db, secret_sha256: string): Promise<SessionRow | undefined> {
  const [row] = await bySecret(db, { secret_sha256 });
  return row;
}

/** An operator's sessions, the newest first; among them may be some that have ended. */
export async function sessionsOf(db: Db, operator_id: string): Promise<SessionRow[]> {
  return db
    .selectFrom('sessions')
    .selectAll()
    .where('operator_id', '=', operator_id)
    .orderBy('created_at', 'desc')
    .execute();
}

/** Records that a session is in use. */
export async function touchSession(tx: Tx, { id }: { id: string }): Promise<void> {
  await tx.db
    .updateTable('sessions')
    .set({ last_used_at: tx.now })
    .where('id', '=', id)
    .where('last_used_at', '<', tx.now)
    .execute();
}

/** Ends one session of an operator. Throws `not_found`. */
export async function endSession(
  tx: Tx,
  { operator_id, id }: { operator_id: string; id: string },
): Promise<SessionRow> {
  const row = await tx.db
    .deleteFrom('sessions')
    .where('operator_id', '=', operator_id)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new Problem('not_found', `You have no session ${id}.`);
  await noteEnd(tx, operator_id, [row.id]);
  return row;
}

/** Ends all sessions of an operator. Gives how many there were. */
export async function endSessionsOf(tx: Tx, { operator_id }: { operator_id: string }): Promise<{ ended: number }> {
  const rows = await tx.db.deleteFrom('sessions').where('operator_id', '=', operator_id).returning('id').execute();
  await noteEnd(
    tx,
    operator_id,
    rows.map(({ id }) => id),
  );
  return { ended: rows.length };
}

async function noteEnd(tx: Tx, operator_id: string, sessions: readonly string[]): Promise<void> {
  const operator = await tx.db.selectFrom('operators').select('name').where('id', '=', operator_id).executeTakeFirst();
  tx.audit({
    action: 'session.end',
    account_id: null,
    object: { kind: 'operator', id: operator_id, name: operator?.name ?? null },
    before: { sessions },
  });
}

const browser = prepared((db, given: { operator_id: string; secret_sha256: string }) =>
  db
    .selectFrom('known_browsers')
    .select('operator_id')
    .where('secret_sha256', '=', given.secret_sha256)
    .where('operator_id', '=', given.operator_id),
);

/** Whether an operator has signed in before from the browser with this cookie. */
export async function isKnownBrowser(db: Db, { id }: Pick<OperatorRow, 'id'>, secret_sha256: string): Promise<boolean> {
  return (await browser(db, { operator_id: id, secret_sha256 })).length > 0;
}

/** Notes attempts to sign in that failed, `count` of them since `since`; `operator` is null where there is none of the name. */
export async function recordFailedSignIn(
  tx: Tx,
  given: { operator: Pick<OperatorRow, 'id' | 'name'> | null; result: string; since: number; count: number },
): Promise<void> {
  const { operator, result, since, count } = given;
  tx.audit({
    action: 'session.begin',
    account_id: null,
    object: { kind: 'operator', id: operator?.id ?? '', name: operator?.name ?? null },
    after: { since: new Date(since).toISOString(), count },
    result,
  });
}
