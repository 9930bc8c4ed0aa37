// The record of the line and of the mandates that its Fleet Root has given it.

import { randomUUID } from 'node:crypto';
import type { Mandate } from '../../manifest/mandate.ts';
import { Problem } from '../../problem.ts';
import { formatInstant } from '../../time.ts';
import type { FactoryDb, FactoryTx, Line, MandateRow } from './tables.ts';

/** The line of this directory; undefined before `line request`. */
export async function theLine(db: FactoryDb): Promise<Line | undefined> {
  return db.selectFrom('lines').selectAll().executeTakeFirst();
}

/** Records the line, once. Throws Problem('conflict'). */
export async function recordLine(
  tx: FactoryTx,
  { name, site, key_id }: Pick<Line, 'name' | 'site' | 'key_id'>,
): Promise<Line> {
  const known = await theLine(tx.db);
  if (known) throw new Problem('conflict', `This directory is of the line "${known.name}" already.`);
  const id = randomUUID();
  const line = { id, name, site, key_id, ca_certificate: null, root_certificate: null, created_at: tx.now };
  await tx.db.insertInto('lines').values(line).execute();
  tx.audit({ action: 'line.create', account_id: null, object: { kind: 'line', id, name }, after: { site, key_id } });
  return line;
}

/** Records the line's CA certificate and its Fleet Root's, which the caller has checked; they stay. */
export async function recordLineCa(
  tx: FactoryTx,
  certificates: { ca_certificate: Uint8Array; root_certificate: Uint8Array; sha256: string; root_sha256: string },
): Promise<void> {
  const { ca_certificate, root_certificate, sha256, root_sha256 } = certificates;
  const line = await theLine(tx.db);
  if (!line) throw new Problem('not_found', 'There is no line here yet.');
  await tx.db.updateTable('lines').set({ ca_certificate, root_certificate }).where('id', '=', line.id).execute();
  const object = { kind: 'line', id: line.id, name: line.name };
  tx.audit({ action: 'line.certify', account_id: null, object, after: { sha256, root_sha256 } });
}

/** All mandates, the one that ends soonest first. */
export async function mandatesOf(db: FactoryDb): Promise<MandateRow[]> {
  return db.selectFrom('mandates').selectAll().orderBy('not_after').orderBy('id').execute();
}

/** Records a mandate that was verified; one that is there already is left as it is. Gives whether it is new. */
export async function recordMandate(tx: FactoryTx, { mandate }: { mandate: Mandate }): Promise<boolean> {
  const { id, jws, quota, notAfter: not_after, device_id_pattern, order: order_name } = mandate;
  const row = { id, jws, quota, used: 0, not_after, device_id_pattern, order_name, received_at: tx.now };
  const { numInsertedOrUpdatedRows: added } = await tx.db
    .insertInto('mandates')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirstOrThrow();
  if (added === 0n) return false;
  const after = { quota, not_after: formatInstant(not_after), device_id_pattern, order: order_name };
  tx.audit({ action: 'mandate.add', account_id: null, object: { kind: 'mandate', id, name: null }, after });
  return true;
}
