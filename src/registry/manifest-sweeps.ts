// Strangers under a factory line that are told of by its manifests: certificates that came before its account was complete, and are not in it.

import type { Db, Tx } from './database.ts';
import { factoryStranger } from './event-notes.ts';
import type { ManifestLine, ManifestStranger } from './manifest-tables.ts';
import type { NewEvent } from './notes.ts';

/** Strangers that one import tells of at the most; the next goes on. */
const mostTold = 1_000;

type LineRef = Pick<ManifestLine, 'account_id' | 'id' | 'name' | 'site' | 'last_made_at'>;

/**
 * Takes note, once, of each stranger that came before the line's account was complete: it is in none, and will be in none.
 * Gives the events that tell of them.
 */
export async function noteStrangers(db: Db, line: LineRef, now: number): Promise<NewEvent[]> {
  const { account_id, id: line_id, last_made_at } = line;
  const strangers = await db
    .selectFrom('manifest_strangers')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('line_id', '=', line_id)
    .where('first_seen', '<=', last_made_at)
    .where('told_at', 'is', null)
    .orderBy('first_seen')
    .limit(mostTold)
    .execute();
  for (const { tbs_sha256 } of strangers) {
    await db
      .updateTable('manifest_strangers')
      .set({ told_at: now })
      .where('account_id', '=', account_id)
      .where('tbs_sha256', '=', tbs_sha256)
      .execute();
  }
  return strangers.map((stranger) => factoryStranger(stranger, line));
}

/** Lines of an account whose devices from before their first manifest have not been looked through yet. */
export async function unsweptLinesOf(db: Db, account_id: string): Promise<ManifestLine[]> {
  return db
    .selectFrom('manifest_lines')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('swept_to', 'is not', null)
    .execute();
}

/**
 * Looks through up to `limit` devices that were here before the line's first manifest, as far as its account is complete:
 * those with a certificate under its CA that no manifest of it holds are strangers. Gives whether there are more to look through
 * at once; the gateway notes those that come later by itself.
 */
export async function sweepLine(
  tx: Tx,
  { account_id, line_id, limit }: { account_id: string; line_id: string; limit: number },
): Promise<{ left: boolean }> {
  const line = await tx.db
    .selectFrom('manifest_lines')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('id', '=', line_id)
    .executeTakeFirst();
  if (!line || line.swept_to === null) return { left: false };
  const end = Math.min(line.last_made_at, line.added_at);
  const devices = await tx.db
    .selectFrom('devices')
    .select('first_seen')
    .where('account_id', '=', account_id)
    .where('first_seen', '>', line.swept_to)
    .where('first_seen', '<=', end)
    .orderBy('first_seen')
    .limit(limit)
    .execute();
  const left = devices.length === limit;
  const to = left ? devices.at(-1)!.first_seen : end;
  for (const stranger of await strangersAmong(tx.db, line, to)) {
    await tx.db
      .insertInto('manifest_strangers')
      .values(stranger)
      .onConflict((conflict) => conflict.columns(['account_id', 'tbs_sha256']).doNothing())
      .execute();
  }
  await tx.db
    .updateTable('manifest_lines')
    .set({ swept_to: !left && end === line.added_at ? null : Math.max(to, line.swept_to) })
    .where('account_id', '=', account_id)
    .where('id', '=', line_id)
    .execute();
  if (!left) for (const event of await noteStrangers(tx.db, line, tx.now)) tx.event(event);
  return { left };
}

/** The certificates under the line's CA that no manifest of it holds, of devices that were first seen after what was swept, up to `to`. */
async function strangersAmong(db: Db, line: ManifestLine, to: number): Promise<ManifestStranger[]> {
  const { account_id, id: line_id, public_key_sha256, swept_to } = line;
  const rows = await db
    .selectFrom('devices')
    .innerJoin('certificates', (join) =>
      join
        .onRef('certificates.account_id', '=', 'devices.account_id')
        .onRef('certificates.device_uuid', '=', 'devices.uuid')
        .on('certificates.state', '=', 'current'),
    )
    .leftJoin('manifest_certificates', (join) =>
      join
        .onRef('manifest_certificates.account_id', '=', 'certificates.account_id')
        .on('manifest_certificates.line_id', '=', line_id)
        .onRef('manifest_certificates.tbs_sha256', '=', 'certificates.tbs_sha256'),
    )
    .select([
      'certificates.tbs_sha256',
      'devices.device_id',
      'certificates.public_key_sha256',
      'certificates.created_at',
      'certificates.first_used_at',
      'devices.last_seen',
    ])
    .where('devices.account_id', '=', account_id)
    .where('devices.first_seen', '>', swept_to)
    .where('devices.first_seen', '<=', to)
    .where('manifest_certificates.tbs_sha256', 'is', null)
    .where((where) =>
      where.exists(
        where
          .selectFrom('chain_certificates')
          .select('chain_certificates.chain_id')
          .where('chain_certificates.account_id', '=', account_id)
          .where('chain_certificates.public_key_sha256', '=', public_key_sha256)
          .whereRef('chain_certificates.chain_id', '=', 'devices.chain_id'),
      ),
    )
    .execute();
  return rows.map(({ created_at, first_used_at, last_seen, ...certificate }) => {
    const first_seen = first_used_at ?? created_at;
    const last = Math.max(last_seen ?? first_seen, first_seen);
    return { ...certificate, account_id, line_id, first_seen, last_seen: last, admitted: 1, told_at: null };
  });
}
