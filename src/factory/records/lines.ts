// The record of the line and of the mandates that its Fleet Root has given it.

import { randomUUID } from 'node:crypto';
import type { OwnKey } from '../../issuing/own-keys.ts';
import type { Mandate } from '../../manifest/mandate.ts';
import { Problem } from '../../problem.ts';
import { formatInstant } from '../../time.ts';
import { recordKey } from './keys.ts';
import type { FactoryDb, FactoryTx, Line, MandateRow } from './tables.ts';

/** The line of this directory; undefined before `line request`. */
export async function theLine(db: FactoryDb): Promise<Line | undefined> {
  return db.selectFrom('lines').selectAll().executeTakeFirst();
}

/** Records the line with its key, once. Throws Problem('conflict'). */
export async function recordLine(
  tx: FactoryTx,
  { name, site, key }: Pick<Line, 'name' | 'site'> & { key: OwnKey },
): Promise<Line> {
  const known = await theLine(tx.db);
  if (known) throw new Problem('conflict', `This directory is of the line "${known.name}" already.`);
  await recordKey(tx, { key });
  const id = randomUUID();
  const row = { id, name, site, key_id: key.id, ca_certificate: null, root_certificate: null, created_at: tx.now };
  await tx.db.insertInto('lines').values(row).execute();
  tx.audit({
    action: 'line.create',
    account_id: null,
    object: { kind: 'line', id, name },
    after: { site, key_id: key.id },
  });
  return row;
}

/** What a Fleet Root has signed for the line, checked by the caller. */
export interface SignedForLine {
  readonly ca_certificate: Uint8Array;
  readonly root_certificate: Uint8Array;
  /** SHA-256 of both. */
  readonly sha256: string;
  readonly root_sha256: string;
  readonly mandate: Mandate;
}

/**
 * Records the line's CA and its Fleet Root, the first time, and a mandate. Throws Problem('conflict') for a mandate that
 * was brought before, also where its record is gone: the log tells of it. Then nothing is recorded.
 */
export async function acceptSigned(tx: FactoryTx, signed: SignedForLine): Promise<void> {
  const line = await theLine(tx.db);
  if (!line) throw new Problem('not_found', 'There is no line here yet.');
  const { ca_certificate, root_certificate, sha256, root_sha256, mandate } = signed;
  if (line.ca_certificate === null) {
    await tx.db.updateTable('lines').set({ ca_certificate, root_certificate }).where('id', '=', line.id).execute();
    const object = { kind: 'line', id: line.id, name: line.name };
    tx.audit({ action: 'line.certify', account_id: null, object, after: { sha256, root_sha256 } });
  }
  const { id, jws, quota, notAfter: not_after, device_id_pattern, order: order_name } = mandate;
  const brought = await tx.db
    .selectFrom('log')
    .select('number')
    .where('object_id', '=', id)
    .where('action', '=', addMandate)
    .executeTakeFirst();
  if (brought) {
    throw new Problem(
      'conflict',
      `This mandate was brought before (entry ${brought.number} of the log): it counts once.`,
      'For more devices, whoever has the Fleet Root signs another one: `factory root sign-line`.',
    );
  }
  const row = { id, jws, quota, used: 0, not_after, device_id_pattern, order_name, received_at: tx.now };
  await tx.db.insertInto('mandates').values(row).execute();
  const after = { quota, not_after: formatInstant(not_after), device_id_pattern, order: order_name };
  tx.audit({ action: addMandate, account_id: null, object: { kind: 'mandate', id, name: null }, after });
}

const addMandate = 'mandate.add';

/** All mandates, the one that ends soonest first. */
export async function mandatesOf(db: FactoryDb): Promise<MandateRow[]> {
  return db.selectFrom('mandates').selectAll().orderBy('not_after').orderBy('id').execute();
}
