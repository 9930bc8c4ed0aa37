// What was made held against what has come: counts, and the few that do not fit.

import type { Db } from './database.ts';
import type { ManifestCertificate, ManifestLine, ManifestOrder, ManifestStranger } from './manifest-tables.ts';

/**
 * Which certificates of manifests are meant: all; `missing`, those that no device has come with and that were not withdrawn;
 * `coming`, those that came again after they were withdrawn; `shared`, those with a device ID or a key that another one has;
 * `beyond`, those that their mandate does not cover.
 */
export const manifestStandings = ['all', 'missing', 'coming', 'shared', 'beyond'] as const;
export type ManifestStanding = (typeof manifestStandings)[number];

/** Where a page of them begins: after this one. */
export type CertificatePlace = Pick<ManifestCertificate, 'order_name' | 'line_id' | 'number'>;

function certificatesOf(db: Db, account_id: string, standing: ManifestStanding, order: string | undefined) {
  let query = db.selectFrom('manifest_certificates').where('account_id', '=', account_id);
  if (order !== undefined) query = query.where('order_name', '=', order);
  if (standing === 'missing') query = query.where('seen_at', 'is', null).where('withdrawn_at', 'is', null);
  if (standing === 'coming') query = query.where('came_at', 'is not', null);
  if (standing === 'shared') query = query.where('shares', 'is not', null);
  if (standing === 'beyond') query = query.where('beyond', 'is not', null);
  return query;
}

/** Certificates of manifests in the order of their orders, lines and numbers, `limit` of them. */
export async function manifestCertificatesOf(
  db: Db,
  account_id: string,
  {
    standing,
    order,
    limit,
    after,
  }: { standing: ManifestStanding; order?: string | undefined; limit: number; after?: CertificatePlace | undefined },
): Promise<ManifestCertificate[]> {
  let query = certificatesOf(db, account_id, standing, order).selectAll();
  if (after) {
    const { order_name, line_id, number } = after;
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('order_name', 'line_id', 'number'), '>', tuple(order_name, line_id, number)),
    );
  }
  return query.orderBy('order_name').orderBy('line_id').orderBy('number').limit(limit).execute();
}

/** How many of them there are; for the few that do not fit, not for `all` or `missing`, which `manifestOrdersOf` counts. */
export async function countManifestCertificates(
  db: Db,
  account_id: string,
  { standing, order }: { standing: Exclude<ManifestStanding, 'all' | 'missing'>; order?: string | undefined },
): Promise<number> {
  const { count } = await certificatesOf(db, account_id, standing, order)
    .select((select) => select.fn.countAll<number | string>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** The counts of every order of every line. */
export async function manifestOrdersOf(
  db: Db,
  account_id: string,
  { order }: { order?: string | undefined } = {},
): Promise<ManifestOrder[]> {
  let query = db.selectFrom('manifest_orders').selectAll().where('account_id', '=', account_id);
  if (order !== undefined) query = query.where('order_name', '=', order);
  return query.orderBy('line_id').orderBy('order_name').execute();
}

/**
 * Certificates that came under a line's CA and stand in none of its manifests: `certain` are those that came before its
 * account was complete, the others may be in a manifest to come.
 */
export type StrangerKind = 'certain' | 'unaccounted';

type LineRef = Pick<ManifestLine, 'account_id' | 'id' | 'last_made_at'>;
/** Where a page of them begins: after this one. */
export type StrangerPlace = Pick<ManifestStranger, 'line_id' | 'first_seen' | 'tbs_sha256'>;

function strangersUnder(db: Db, { account_id, id, last_made_at }: LineRef, kind: StrangerKind) {
  return db
    .selectFrom('manifest_strangers')
    .where('account_id', '=', account_id)
    .where('line_id', '=', id)
    .where('first_seen', kind === 'certain' ? '<=' : '>', last_made_at);
}

/** Those under lines, one line after the other, in the order in which they first came; `limit` of them. */
export async function manifestStrangersOf(
  db: Db,
  lines: readonly LineRef[],
  { kind, limit, after }: { kind: StrangerKind; limit: number; after?: StrangerPlace | undefined },
): Promise<ManifestStranger[]> {
  const found: ManifestStranger[] = [];
  let isPast = after === undefined;
  for (const line of lines) {
    const isOfPlace = line.id === after?.line_id;
    isPast ||= isOfPlace;
    const left = limit - found.length;
    if (!isPast || left === 0) continue;
    found.push(...(await strangersOfLine(db, line, { kind, limit: left, after: isOfPlace ? after : undefined })));
  }
  return found;
}

async function strangersOfLine(
  db: Db,
  line: LineRef,
  { kind, limit, after }: { kind: StrangerKind; limit: number; after?: StrangerPlace | undefined },
): Promise<ManifestStranger[]> {
  let query = strangersUnder(db, line, kind).selectAll();
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('first_seen', 'tbs_sha256'), '>', tuple(after.first_seen, after.tbs_sha256)),
    );
  }
  return query.orderBy('first_seen').orderBy('tbs_sha256').limit(limit).execute();
}

/** How many there are under a line. */
export async function countManifestStrangers(db: Db, line: LineRef, kind: StrangerKind): Promise<number> {
  const { count } = await strangersUnder(db, line, kind)
    .select((select) => select.fn.countAll<number | string>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}
