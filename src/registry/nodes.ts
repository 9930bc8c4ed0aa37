// The processes that serve one database: which are there, and which left something half done.

import { sql } from 'kysely';
import { Problem } from '../problem.ts';
import type { Db, Tx } from './database.ts';

/** A process that has been silent for so long is taken for dead: what it was making is abandoned; in milliseconds. */
const deadAfter = 30_000;

/** A process that serves. */
export interface NodeRow {
  readonly instance: string;
  readonly node_id: string;
  readonly name: string;
  readonly version: string;
  readonly started_at: number;
  readonly heard_at: number;
}

/** All processes that have not left in order, by name, and when the last sign of any of them was. */
export async function listNodes(db: Db): Promise<{ nodes: NodeRow[]; now: number }> {
  const nodes = await db.selectFrom('nodes').selectAll().orderBy('name').orderBy('started_at').execute();
  return { nodes, now: Math.max(0, ...nodes.map(({ heard_at }) => heard_at)) };
}

/** At a node's start, which its data directory's lock shows to be the only one: what it was before is gone. */
export async function leaveBehind(tx: Tx, { node_id, except }: { node_id: string; except: string }): Promise<void> {
  await tx.db.deleteFrom('nodes').where('node_id', '=', node_id).where('instance', '!=', except).execute();
}

/** Forgets a process, or all of a node, that will not come back: nobody waits for it any more. Throws `not_found`. */
export async function forgetNode(tx: Tx, { node }: { node: string }): Promise<{ forgotten: number }> {
  const forgotten = await tx.db
    .deleteFrom('nodes')
    .where((where) => where.or([where('name', '=', node), where('node_id', '=', node), where('instance', '=', node)]))
    .returning(['instance', 'name'])
    .execute();
  if (forgotten.length === 0) throw new Problem('not_found', `There is no node "${node}".`, '`node list` shows them.');
  for (const { instance, name } of forgotten) {
    tx.audit({ action: 'node.forget', account_id: null, object: { kind: 'node', id: instance, name } });
  }
  return { forgotten: forgotten.length };
}

/** The processes that have left something half done and have long been silent, compared with whoever was heard of last. */
export async function goneInstances(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('certificates')
    .select('instance')
    .distinct()
    .where(sql<boolean>`(state = 'intended' or reply = 'open')`)
    .where('instance', 'is not', null)
    .where('instance', 'not in', (nodes) =>
      nodes
        .selectFrom('nodes')
        .select('instance')
        .where('heard_at', '>', sql<number>`(select max(heard_at) from nodes) - ${deadAfter}`),
    )
    .execute();
  return rows.map(({ instance }) => instance!);
}

/** Whether there is anything for `settleInterrupted` or `removeUnreadyAccounts` to undo, or an import to be finished. */
export async function isInterrupted(
  db: Db,
  { gone, before }: { gone: readonly string[]; before: number },
): Promise<boolean> {
  if (gone.length > 0) return true;
  const [intended, unready, imports] = await Promise.all([
    db
      .selectFrom('certificates')
      .select('tbs_sha256')
      .where('state', '=', 'intended')
      .where('created_at', '<', before)
      .limit(1)
      .execute(),
    db
      .selectFrom('accounts')
      .select('id')
      .where('ready_at', 'is', null)
      .where('deleted_at', 'is', null)
      .where('created_at', '<', before)
      .limit(1)
      .execute(),
    db
      .selectFrom('allow_list_imports')
      .select('id')
      .where('account_id', '>', '')
      .where('started_at', '<', before)
      .limit(1)
      .execute(),
  ]);
  return intended.length + unready.length + imports.length > 0;
}
