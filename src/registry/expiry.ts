// What ends soon: told once for each certificate and provisioning key when it has 30, 7 and 1 days left.

import { sql } from 'kysely';
import { type Db, prepared, type Tx } from './database.ts';
import type { ExpiryMarksTable } from './event-tables.ts';
import { rememberServerValue, serverValue } from './server-values.ts';

const day = 24 * 60 * 60 * 1000;
/** Days before the end. */
const stages = [30, 7, 1] as const;
/** Devices that one write tells of. */
const batch = 500;

/** What ends after one instant and not after another, which has so many days left at the most. */
interface Stretch {
  readonly account_id: string;
  readonly days: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Tells of what in an account has come within 30, 7 or 1 days of its end since this was asked the last time; what has
 * ended is told of no more. Gives whether there is more to tell: then it is to be called again.
 */
export async function tellOfEnds(tx: Tx, { account_id }: { account_id: string }): Promise<{ more: boolean }> {
  for (const [index, days] of stages.entries()) {
    const mark = await markOf(tx, account_id, days, stages[index + 1] ?? 0);
    const to = tx.now + days * day;
    if (mark.not_after > to) continue;
    const last = await tellOfDevices(tx, mark, to);
    if (last !== null) {
      await putMark(tx, { ...mark, ...last });
      return { more: true };
    }
    const stretch: Stretch = { account_id, days, from: mark.not_after, to };
    await tellOfCas(tx, stretch);
    await tellOfProvisioningKeys(tx, stretch);
    await putMark(tx, { account_id, days, not_after: to + 1, device_id: '' });
  }
  return { more: false };
}

/**
 * Where an account was not looked at before, each stage leaves to the next what that one will tell of. An account in which
 * nothing ended has no mark of its own, or an old one: what all of them have been told of counts, unless it is newer.
 */
async function markOf(tx: Tx, account_id: string, days: number, nextDays: number): Promise<ExpiryMarksTable> {
  const { created_at } = await tx.db
    .selectFrom('accounts')
    .select('created_at')
    .where('id', '=', account_id)
    .executeTakeFirstOrThrow();
  const last = await lookedTo(tx.db);
  const looked = last !== null && created_at <= last ? last : null;
  const found = await tx.db
    .selectFrom('expiry_marks')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('days', '=', days)
    .executeTakeFirst();
  const all = looked === null ? null : looked + days * day + 1;
  if (all !== null && (found === undefined || found.not_after < all)) {
    return { account_id, days, not_after: all, device_id: '' };
  }
  return found ?? { account_id, days, not_after: tx.now + nextDays * day + 1, device_id: '' };
}

async function putMark(tx: Tx, mark: ExpiryMarksTable): Promise<void> {
  const { not_after, device_id } = mark;
  await tx.db
    .insertInto('expiry_marks')
    .values(mark)
    .onConflict((conflict) => conflict.columns(['account_id', 'days']).doUpdateSet({ not_after, device_id }))
    .execute();
}

/** Gives the place of the last that was told of where there may be more; else null. */
async function tellOfDevices(
  tx: Tx,
  { account_id, days, not_after, device_id }: ExpiryMarksTable,
  to: number,
): Promise<Pick<ExpiryMarksTable, 'not_after' | 'device_id'> | null> {
  const ending = await tx.db
    .selectFrom('devices')
    .select(['uuid', 'device_id', 'certificate_not_after as not_after'])
    .where('account_id', '=', account_id)
    .where(({ eb, refTuple, tuple }) =>
      eb(refTuple('certificate_not_after', 'device_id'), '>', tuple(not_after, device_id)),
    )
    .where('certificate_not_after', '<=', to)
    .orderBy('certificate_not_after')
    .orderBy('device_id')
    .limit(batch)
    .execute();
  for (const device of ending) {
    if (device.not_after! <= tx.now) continue;
    tellOfCertificate(tx, account_id, days, {
      kind: 'device',
      id: device.uuid,
      name: device.device_id,
      not_after: device.not_after!,
    });
  }
  const last = ending.at(-1);
  return last && ending.length === batch ? { not_after: last.not_after!, device_id: last.device_id } : null;
}

/** The account's own CAs: those of its devices and those of its gateway. The gateway's certificate is renewed by itself. */
async function tellOfCas(tx: Tx, { account_id, days, from, to }: Stretch): Promise<void> {
  const roots = await tx.db
    .selectFrom('fleet_root_certificates')
    .innerJoin('fleet_root_cas', 'fleet_root_cas.id', 'fleet_root_certificates.fleet_root_ca_id')
    .select(['fleet_root_cas.id', 'fleet_root_cas.name', 'fleet_root_certificates.not_after'])
    .where('fleet_root_certificates.account_id', '=', account_id)
    .where('fleet_root_certificates.not_after', '>=', Math.max(from, tx.now))
    .where('fleet_root_certificates.not_after', '<=', to)
    .where('fleet_root_cas.state', '!=', 'disabled')
    .execute();
  for (const root of roots) tellOfCertificate(tx, account_id, days, { kind: 'fleet_root_ca', ...root });
  const gatewayCas = await tx.db
    .selectFrom('gateway_cas')
    .select(['id', 'not_after'])
    .where('account_id', '=', account_id)
    .where('not_after', '>=', Math.max(from, tx.now))
    .where('not_after', '<=', to)
    .where('state', '!=', 'retired')
    .execute();
  for (const ca of gatewayCas) tellOfCertificate(tx, account_id, days, { kind: 'gateway_ca', name: null, ...ca });
}

async function tellOfProvisioningKeys(tx: Tx, { account_id, days, from, to }: Stretch): Promise<void> {
  const keys = await tx.db
    .selectFrom('provisioning_keys')
    .select(['id', 'description', 'not_after'])
    .where('account_id', '=', account_id)
    .where('not_after', '>=', Math.max(from, tx.now))
    .where('not_after', '<=', to)
    .where('disabled_at', 'is', null)
    .execute();
  for (const { id, description, not_after } of keys) {
    tx.event({
      type: 'provisioning_key.expiring',
      account_id,
      data: { provisioning_key: id, description, not_after: new Date(not_after).toISOString(), days },
    });
  }
}

function tellOfCertificate(
  tx: Tx,
  account_id: string,
  days: number,
  of: { kind: 'device' | 'fleet_root_ca' | 'gateway_ca'; id: string; name: string | null; not_after: number },
): void {
  const { kind, id, name, not_after } = of;
  tx.event({
    type: 'certificate.expiring',
    account_id,
    data: { kind, id, name, not_after: new Date(not_after).toISOString(), days },
  });
}

/** Under it stands when all accounts were looked at the last time. */
const lookedKey = 'expiry_looked';

/** When it was last begun to look at all accounts, and ended; null for never. */
async function lookedTo(db: Db): Promise<number | null> {
  const value = await serverValue(db, lookedKey);
  return value === undefined ? null : Number(Buffer.from(value).toString('utf8'));
}

/** Records that every account has been told of what it was to be told of at an instant. */
export async function recordExpiryLook(tx: Tx, { at }: { at: number }): Promise<void> {
  await rememberServerValue(tx, { key: lookedKey, value: new TextEncoder().encode(String(at)) });
}

/** What an account has that ends, each with a column `not_after` and an index from the account to it. */
const ending = ['devices', 'fleet_root_certificates', 'gateway_cas', 'provisioning_keys'] as const;

/**
 * Of the next `limit` accounts after an ID, those in which something has come within 30, 7 or 1 days of its end since all of
 * them were looked at. `last` is where the next page begins; null at the end.
 */
export async function accountsWithEnds(
  db: Db,
  { after, limit, now }: { after: string; limit: number; now: number },
): Promise<{ accounts: string[]; last: string | null }> {
  const page = await readyAfter(db, { after, limit });
  const last = page.length < limit ? null : page.at(-1)!.id;
  const looked = await lookedTo(db);
  if (page.length === 0) return { accounts: [], last };
  // Before it is first looked at together with all of them, an account has its own mark, or none (markOf).
  const toldTo = (days: number, nextDays: number) => {
    const own = sql`coalesce(
      (select expiry_marks.not_after - 1 from expiry_marks
        where expiry_marks.account_id = accounts.id and expiry_marks.days = ${days}),
      ${now + nextDays * day})`;
    if (looked === null) return own;
    return sql`case when accounts.created_at > ${looked} then ${own} else ${looked + days * day} end`;
  };
  const ends = ending.flatMap((table) =>
    stages.map((days, index) => {
      const column = sql.ref(`${table}.${table === 'devices' ? 'certificate_not_after' : 'not_after'}`);
      return sql`exists (
        select 1 from ${sql.table(table)} where ${sql.ref(`${table}.account_id`)} = accounts.id
          and ${column} > ${toldTo(days, stages[index + 1] ?? 0)} and ${column} <= ${now + days * day}
      )`;
    }),
  );
  const { rows } = await sql<{ id: string }>`
    select id from accounts where id >= ${page[0]!.id} and id <= ${page.at(-1)!.id} and ready_at is not null
      and (${sql.join(ends, sql` or `)})
    order by id`.execute(db);
  return { accounts: rows.map(({ id }) => id), last };
}

const readyAfter = prepared((db, given: { after: string; limit: number }) =>
  db
    .selectFrom('accounts')
    .select('id')
    .where('id', '>', given.after)
    .where('ready_at', 'is not', null)
    .orderBy('id')
    .limit(given.limit),
);
