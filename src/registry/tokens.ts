// API tokens: made, looked up by their hash, listed, revoked.

import { Problem } from '../problem.ts';
import { type Db, prepared, type Tx } from './database.ts';
import type { TokenRow } from './token-tables.ts';

/** Tokens that an account may have, and the server beside them: whoever makes one for each call soon hears of it. */
const mostTokens = 1_000;

/** A token to be recorded: who makes it is whoever acts. */
export type NewTokenRow = Omit<
  TokenRow,
  'maker_kind' | 'maker_id' | 'maker_name' | 'operator_id' | 'created_at' | 'last_used_at' | 'last_address'
>;

/** Records a token; of the token itself only the hash. Throws `not_found` for an account that is gone, `conflict` beyond 1,000. */
export async function recordToken(tx: Tx, { token }: { token: NewTokenRow }): Promise<TokenRow> {
  const { kept } = await tx.db
    .selectFrom('tokens')
    .select((select) => select.fn.countAll<number | string>().as('kept'))
    .where('account_id', token.account_id === null ? 'is' : '=', token.account_id)
    .executeTakeFirstOrThrow();
  if (Number(kept) >= mostTokens) {
    const message = `There are ${mostTokens} tokens here already.`;
    throw new Problem('conflict', message, 'Revoke those that nothing uses: `token list` shows when each was used.');
  }
  const row = await tx.db
    .insertInto('tokens')
    .values({
      ...token,
      maker_kind: tx.by.kind,
      maker_id: tx.by.id,
      maker_name: tx.by.name,
      operator_id: await operatorBehind(tx),
      created_at: tx.now,
      last_used_at: null,
      last_address: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  tx.audit({ action: 'token.create', account_id: row.account_id, object: objectOf(row), after: shown(row) });
  return row;
}

/** The operator who acts, or whose token does. */
async function operatorBehind({ db, by }: Tx): Promise<string | null> {
  if (by.kind !== 'token' || by.id === null) return by.kind === 'operator' ? by.id : null;
  return (await byIdAlone(db, by.id))?.operator_id ?? null;
}

/** Takes a token away, at once and for good; `account_id` is null for one of the whole server. Throws `not_found`. */
export async function revokeToken(
  tx: Tx,
  { account_id, id }: { account_id: string | null; id: string },
): Promise<TokenRow> {
  const revoked = await tx.db
    .deleteFrom('tokens')
    .where('id', '=', id)
    .where('account_id', account_id === null ? 'is' : '=', account_id)
    .returningAll()
    .executeTakeFirst();
  if (!revoked) throw noSuchToken(id);
  noteRevoked(tx, revoked);
  return revoked;
}

/** Takes away all tokens that an operator has made, or that were made with them. Gives how many there were. */
export async function revokeTokensOfOperator(tx: Tx, { operator_id }: { operator_id: string }): Promise<TokenRow[]> {
  const revoked = await tx.db.deleteFrom('tokens').where('operator_id', '=', operator_id).returningAll().execute();
  for (const row of revoked) noteRevoked(tx, row);
  return revoked;
}

/** Records when tokens were last used (ms since 1970) and from where; those that are gone meanwhile are passed over. */
export async function recordTokenUse(
  tx: Tx,
  { uses }: { uses: readonly { id: string; at: number; address: string | null }[] },
): Promise<void> {
  for (const { id, at, address } of uses) {
    await tx.db.updateTable('tokens').set({ last_used_at: at, last_address: address }).where('id', '=', id).execute();
  }
}

const bySha256 = prepared((db, given: { sha256: string }) =>
  db.selectFrom('tokens').selectAll().where('sha256', '=', given.sha256),
);

/** The token of this SHA-256 (hex), whether it has ended or not. */
export async function tokenBySha256(db: Db, sha256: string): Promise<TokenRow | undefined> {
  const [row] = await bySha256(db, { sha256 });
  return row;
}

/** The token of this ID, of whatever account. Throws `not_found`. */
export async function requireToken(db: Db, id: string): Promise<TokenRow> {
  const row = await byIdAlone(db, id);
  if (!row) throw noSuchToken(id);
  return row;
}

async function byIdAlone(db: Db, id: string): Promise<TokenRow | undefined> {
  return db.selectFrom('tokens').selectAll().where('id', '=', id).executeTakeFirst();
}

/** A page of an account's tokens, in the order of their IDs, which is that of their making. */
export async function tokensOf(
  db: Db,
  account_id: string,
  { limit = 1_000, after = '' }: { limit?: number; after?: string } = {},
): Promise<TokenRow[]> {
  return db
    .selectFrom('tokens')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** A page of all tokens, those of the accounts and those of the server, in the order of their IDs. */
export async function listTokens(
  db: Db,
  { limit = 1_000, after = '' }: { limit?: number; after?: string } = {},
): Promise<TokenRow[]> {
  return db.selectFrom('tokens').selectAll().where('id', '>', after).orderBy('id').limit(limit).execute();
}

/** What is told of a token that is not there, or not in the account that was named. */
function noSuchToken(id: string): Problem {
  return new Problem('not_found', `There is no token ${JSON.stringify(id)} here.`, '`token list` shows them.');
}

function noteRevoked(tx: Tx, row: TokenRow): void {
  tx.audit({ action: 'token.revoke', account_id: row.account_id, object: objectOf(row), before: shown(row) });
}

const objectOf = ({ id, description }: TokenRow) => ({ kind: 'token', id, name: description });

const shown = ({ role, description, not_after }: TokenRow) => ({
  role,
  description,
  not_after: new Date(not_after).toISOString(),
});
