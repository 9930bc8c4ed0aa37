// Reconciliation: what factory lines say that they made, held against what has come.

import type { Db } from '../registry/database.ts';
import {
  countManifestCertificates,
  countManifestStrangers,
  manifestCertificatesOf,
  manifestOrdersOf,
  manifestStrangersOf,
  type ManifestStanding,
  type StrangerKind,
} from '../registry/manifest-reconciliation.ts';
import type {
  ManifestCertificate,
  ManifestLine,
  ManifestMandate,
  ManifestOrder,
  ManifestStranger,
} from '../registry/manifest-tables.ts';
import { manifestLinesOf, manifestMandatesOf } from '../registry/manifests.ts';

/** Of each kind that does not fit so many are shown; lists of their own have the others. */
const mostShown = 100;

type Counts = Pick<ManifestOrder, 'made' | 'withdrawn' | 'seen' | 'missing'>;

/** How many there are, and the first of them. */
export interface Finding<Row> {
  readonly count: number;
  readonly first: readonly Row[];
}

/** A line with what it made, against what it was let make. */
export interface ReconciledLine {
  readonly line: ManifestLine;
  readonly counts: Counts;
  readonly mandates: readonly ManifestMandate[];
}

export interface Reconciliation {
  readonly counts: Counts;
  readonly lines: readonly ReconciledLine[];
  readonly orders: readonly ManifestOrder[];
  readonly missing: Finding<ManifestCertificate>;
  readonly coming: Finding<ManifestCertificate>;
  readonly shared: Finding<ManifestCertificate>;
  readonly beyond: Finding<ManifestCertificate>;
  readonly strangers: Finding<ManifestStranger>;
  readonly unaccounted: Finding<ManifestStranger>;
}

/**
 * Reconciles an account, or one order of it. Strangers belong to no order, and the mandates of a line to all of them: both
 * are those of the account.
 */
export async function reconcile(
  db: Db,
  account_id: string,
  { order }: { order?: string | undefined } = {},
): Promise<Reconciliation> {
  const lines = await manifestLinesOf(db, account_id);
  const orders = await manifestOrdersOf(db, account_id, { order });
  const counts = sumOf(orders);
  const certificates = async (standing: ManifestStanding, count: number): Promise<Finding<ManifestCertificate>> => ({
    count,
    first: count === 0 ? [] : await manifestCertificatesOf(db, account_id, { standing, order, limit: mostShown }),
  });
  const few = async (standing: Exclude<ManifestStanding, 'all' | 'missing'>) =>
    certificates(standing, await countManifestCertificates(db, account_id, { standing, order }));
  return {
    counts,
    lines: await Promise.all(
      lines.map(async (line) => ({
        line,
        counts: sumOf(orders.filter(({ line_id }) => line_id === line.id)),
        mandates: await manifestMandatesOf(db, account_id, line.id),
      })),
    ),
    orders,
    missing: await certificates('missing', counts.missing),
    coming: await few('coming'),
    shared: await few('shared'),
    beyond: await few('beyond'),
    strangers: await strangersUnder(db, lines, 'certain'),
    unaccounted: await strangersUnder(db, lines, 'unaccounted'),
  };
}

function sumOf(orders: readonly ManifestOrder[]): Counts {
  const sum = { made: 0, withdrawn: 0, seen: 0, missing: 0 };
  for (const each of orders) for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += each[name];
  return sum;
}

async function strangersUnder(
  db: Db,
  lines: readonly ManifestLine[],
  kind: StrangerKind,
): Promise<Finding<ManifestStranger>> {
  let count = 0;
  for (const line of lines) count += await countManifestStrangers(db, line, kind);
  return { count, first: count === 0 ? [] : await manifestStrangersOf(db, lines, { kind, limit: mostShown }) };
}
