// The back ends that an account's devices reach through the gateway, by path prefix.

import { Problem } from '../problem.ts';
import { difference, upstreamMembers } from './audit-notes.ts';
import type { Db, Tx } from './database.ts';
import { requireLivingMasterKey } from './sealed-values.ts';
import type { Upstream } from './tables.ts';

/** Sets the back end of one prefix, in place of the one that was there. */
export async function setUpstream(tx: Tx, upstream: Upstream): Promise<Upstream> {
  const { account_id, prefix, ...set } = upstream;
  await requireLivingMasterKey(tx.db, upstream.sealed_key);
  const before = await tx.db
    .selectFrom('upstreams')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('prefix', '=', prefix)
    .executeTakeFirst();
  const row = await tx.db
    .insertInto('upstreams')
    .values(upstream)
    .onConflict((conflict) => conflict.columns(['account_id', 'prefix']).doUpdateSet(set))
    .returningAll()
    .executeTakeFirstOrThrow();
  // A key that is given anew is another one as far as anybody can tell.
  const given = { ...upstreamMembers(row), ...(row.sealed_key && { key: 'given' }) };
  const changes = difference(before ? upstreamMembers(before) : {}, given);
  if (changes) {
    tx.audit({ action: 'upstream.set', ...itself(row), before: before ? changes.before : null, after: changes.after });
  }
  tx.changed({ kind: 'account', account_id });
  return row;
}

/** A back end as the object of an entry. */
function itself({ account_id, prefix }: Upstream) {
  return { account_id, object: { kind: 'upstream', id: prefix, name: prefix } };
}

/** Sets several at once, all or none; back ends of other prefixes stay. */
export async function setUpstreams(
  tx: Tx,
  { account_id, upstreams }: { account_id: string; upstreams: readonly Omit<Upstream, 'account_id'>[] },
): Promise<Upstream[]> {
  const rows: Upstream[] = [];
  for (const upstream of upstreams) rows.push(await setUpstream(tx, { ...upstream, account_id }));
  return rows;
}

/** Takes the back end of a prefix away. Throws `not_found`. */
export async function removeUpstream(
  tx: Tx,
  { account_id, prefix }: { account_id: string; prefix: string },
): Promise<Upstream> {
  const removed = await tx.db
    .deleteFrom('upstreams')
    .where('account_id', '=', account_id)
    .where('prefix', '=', prefix)
    .returningAll()
    .executeTakeFirst();
  if (!removed) {
    throw new Problem(
      'not_found',
      `This account has no back end for ${prefix}.`,
      '`upstream list ACCOUNT` shows them.',
    );
  }
  tx.audit({ action: 'upstream.remove', ...itself(removed), before: upstreamMembers(removed) });
  tx.changed({ kind: 'account', account_id });
  return removed;
}

/** The back ends of an account, by prefix. */
export async function upstreamsOf(db: Db, account_id: string): Promise<Upstream[]> {
  return db.selectFrom('upstreams').selectAll().where('account_id', '=', account_id).orderBy('prefix').execute();
}
