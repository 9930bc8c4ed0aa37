// The record of a Fleet Root: its certificate, the lines whose CAs it has signed, and the mandates.

import type { OwnKey } from '../../issuing/own-keys.ts';
import type { Mandate } from '../../manifest/mandate.ts';
import { Problem } from '../../problem.ts';
import { formatInstant } from '../../time.ts';
import { recordKey } from './keys.ts';
import { theLine } from './lines.ts';
import type { FactoryDb, FactoryTx, FleetRoot, RootLine, RootMandate } from './tables.ts';

/** The Fleet Root of this directory; undefined where it has none. */
export async function theRoot(db: FactoryDb): Promise<FleetRoot | undefined> {
  return db.selectFrom('fleet_roots').selectAll().executeTakeFirst();
}

/** Throws Problem('conflict') where a Fleet Root or a line is here already. */
export async function requireNoRoot(db: FactoryDb): Promise<void> {
  const [root, line] = [await theRoot(db), await theLine(db)];
  if (root) {
    throw new Problem(
      'conflict',
      `This directory has a Fleet Root already, that of "${root.name}".`,
      'Another one needs a directory of its own; `factory root show` writes the certificate of this one again.',
    );
  }
  if (line) {
    throw new Problem(
      'conflict',
      `This directory is of the line "${line.name}", and a line does not sign its own mandate.`,
      'Make the Fleet Root in a directory of its own, on a machine without a network.',
    );
  }
}

/** Records a Fleet Root with its key, once. Throws Problem('conflict'). */
export async function recordRoot(
  tx: FactoryTx,
  { key, sha256, ...root }: Omit<FleetRoot, 'created_at' | 'key_id'> & { key: OwnKey; sha256: string },
): Promise<FleetRoot> {
  await requireNoRoot(tx.db);
  await recordKey(tx, { key });
  const row = { ...root, key_id: key.id, created_at: tx.now };
  await tx.db.insertInto('fleet_roots').values(row).execute();
  const object = { kind: 'fleet-root', id: root.id, name: root.name };
  tx.audit({ action: 'fleet-root.create', account_id: null, object, after: { sha256 } });
  return row;
}

/** The lines that it has signed, by name. */
export async function rootLinesOf(db: FactoryDb): Promise<RootLine[]> {
  return db.selectFrom('root_lines').selectAll().orderBy('name').execute();
}

/** The line of this key. Throws Problem('conflict') where the name is another one's, or the key has another name. */
export async function rootLineFor(
  db: FactoryDb,
  { public_key_sha256, name }: Pick<RootLine, 'public_key_sha256' | 'name'>,
): Promise<RootLine | undefined> {
  const lines = await rootLinesOf(db);
  const known = lines.find((line) => line.public_key_sha256 === public_key_sha256);
  if (known && known.name !== name) {
    throw new Problem(
      'conflict',
      `The key of this request is that of the line "${known.name}", and two lines never share one.`,
      'A stand-by line makes a key of its own: `factory line request` in its own directory.',
    );
  }
  if (!known && lines.some((line) => line.name === name)) {
    throw new Problem(
      'conflict',
      `There is a line "${name}" already, of another key.`,
      'Give the new line a name of its own: `factory line request --name NAME`.',
    );
  }
  return known;
}

/** The mandates that it has signed, the first one first. */
export async function rootMandatesOf(db: FactoryDb): Promise<RootMandate[]> {
  return db.selectFrom('root_mandates').selectAll().orderBy('created_at').orderBy('id').execute();
}

/** Records what was signed for a line: its CA, where that is new, and a mandate. Throws Problem('conflict'). */
export async function recordSigned(
  tx: FactoryTx,
  { line, sha256, mandate }: { line: Omit<RootLine, 'created_at'>; sha256: string; mandate: Mandate },
): Promise<void> {
  const { public_key_sha256, name, site } = line;
  const object = { kind: 'line', id: public_key_sha256, name };
  if (!(await rootLineFor(tx.db, line))) {
    await tx.db
      .insertInto('root_lines')
      .values({ ...line, created_at: tx.now })
      .execute();
    tx.audit({ action: 'line.issue', account_id: null, object, after: { site, sha256 } });
  }
  const { id, jws, quota, notAfter: not_after, device_id_pattern, order: order_name } = mandate;
  const row = { id, line: public_key_sha256, jws, quota, not_after, device_id_pattern, order_name };
  await tx.db
    .insertInto('root_mandates')
    .values({ ...row, created_at: tx.now })
    .execute();
  const after = { line: name, quota, not_after: formatInstant(not_after), device_id_pattern, order: order_name };
  tx.audit({ action: 'mandate.issue', account_id: null, object: { kind: 'mandate', id, name: null }, after });
}
