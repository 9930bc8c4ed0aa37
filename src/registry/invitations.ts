// Links that make a password: an invitation of an operator, and the one of the start, which makes the first administrator.

import { Problem } from '../problem.ts';
import { type Db, prepared, type Tx } from './database.ts';
import type { OperatorRow } from './operator-tables.ts';
import { administratorExists, createOperator, type NewInvitation } from './operators.ts';
import { serverValue } from './server-values.ts';

/** Where the hash of the secret lies that makes the first administrator. */
const firstAdministrator = 'first_administrator';

/** What makes the first administrator, and the process whose start has shown it. */
interface Offer extends NewInvitation {
  readonly instance?: string;
}

/**
 * From now on who knows this secret can make the first administrator, or one that another process shows which serves
 * beside this one; no other that was given before. Gives whether that is so: where there is an administrator, nobody can.
 */
export async function offerFirstAdministrator(tx: Tx, offer: NewInvitation): Promise<boolean> {
  const others = await offersOfOthers(tx);
  await tx.db.deleteFrom('server').where('key', '=', firstAdministrator).execute();
  if (await administratorExists(tx.db)) return false;
  const offers: Offer[] = [...others, { ...offer, instance: tx.instance }];
  await tx.db
    .insertInto('server')
    .values({ key: firstAdministrator, value: new TextEncoder().encode(JSON.stringify(offers)) })
    .execute();
  return true;
}

async function offersOfOthers(tx: Tx): Promise<Offer[]> {
  const there = new Set((await tx.db.selectFrom('nodes').select('instance').execute()).map(({ instance }) => instance));
  const offers = await offersIn(tx.db);
  return offers.filter(
    ({ instance = '', expires_at }) => instance !== tx.instance && there.has(instance) && expires_at > tx.now,
  );
}

/** Makes the first administrator by the secret that the start has shown. Throws `link_invalid`, or `name_taken`. */
export async function createFirstAdministrator(
  tx: Tx,
  { secret_sha256, ...operator }: { secret_sha256: string; id: string; name: string; password: string },
): Promise<OperatorRow> {
  await requireOffer(tx.db, secret_sha256, tx.now);
  await tx.db.deleteFrom('server').where('key', '=', firstAdministrator).execute();
  return createOperator(tx, { ...operator, administrator: true, invitation: null });
}

/** Throws `link_invalid` unless this secret makes the first administrator at this time, in milliseconds since 1970. */
export async function requireOffer(db: Db, secret_sha256: string, now: number): Promise<void> {
  const offers = await offersIn(db);
  const counts = offers.some((offer) => offer.secret_sha256 === secret_sha256 && offer.expires_at > now);
  if (counts && !(await administratorExists(db))) return;
  throw new Problem(
    'link_invalid',
    'This link makes no administrator: it is not the one of the last start, has ended, or there is an administrator.',
    'On the server, `operator create NAME --administrator` makes one.',
  );
}

async function offersIn(db: Db): Promise<Offer[]> {
  const value = await serverValue(db, firstAdministrator);
  // The version before has written a single one.
  return value === undefined ? [] : [JSON.parse(new TextDecoder().decode(value)) as Offer | Offer[]].flat();
}

const byInvitation = prepared((db, given: { secret_sha256: string }) =>
  db
    .selectFrom('invitations')
    .innerJoin('operators', 'operators.id', 'invitations.operator_id')
    .selectAll('operators')
    .select('invitations.expires_at')
    .where('secret_sha256', '=', given.secret_sha256),
);

/** Whom an invitation is for, and until when. */
export async function invitedOperator(
  db: Db,
  secret_sha256: string,
): Promise<(OperatorRow & { expires_at: number }) | undefined> {
  const [row] = await byInvitation(db, { secret_sha256 });
  return row;
}

/** Until when an operator's invitation counts; null where there is none. */
export async function invitedUntil(db: Db, operator_id: string): Promise<number | null> {
  const row = await db
    .selectFrom('invitations')
    .select('expires_at')
    .where('operator_id', '=', operator_id)
    .executeTakeFirst();
  return row?.expires_at ?? null;
}

/** Gives whom the invitation is for the password (as a hash), once. Throws `link_invalid`. */
export async function acceptInvitation(
  tx: Tx,
  { secret_sha256, password }: { secret_sha256: string; password: string },
): Promise<OperatorRow> {
  const invited = await invitedOperator(tx.db, secret_sha256);
  if (!invited || invited.expires_at <= tx.now || invited.disabled_at !== null) {
    throw new Problem(
      'link_invalid',
      'This invitation has been used, has ended, or is none.',
      'An administrator makes a new one: `operator reset NAME`.',
    );
  }
  await tx.db.deleteFrom('invitations').where('secret_sha256', '=', secret_sha256).execute();
  const row = await tx.db
    .updateTable('operators')
    .set({ password })
    .where('id', '=', invited.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  tx.audit({
    action: 'operator.accept_invitation',
    account_id: null,
    object: { kind: 'operator', id: row.id, name: row.name },
  });
  return row;
}
