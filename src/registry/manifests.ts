// Manifests of factory lines as they are taken in: entries that continue what is known of their line's log, or nothing of them.

import { randomUUID } from 'node:crypto';
import { requireAccount } from './accounts.ts';
import { importAllowList } from './allow-list.ts';
import { revokeCertificate } from './certificates.ts';
import type { Db, Tx } from './database.ts';
import { manifestImported, manifestRefused } from './event-notes.ts';
import { addFleetRootCertificates, type NewFleetRootCertificate } from './fleet-root-cas.ts';
import type { Labels } from './label-values.ts';
import {
  countOrder,
  madeElsewhere,
  type ManifestEntry,
  type OrderChange,
  recordMade,
  recordWithdrawn,
} from './manifest-certificates.ts';
import { noteStrangers } from './manifest-sweeps.ts';
import type { ManifestLine, ManifestMandate } from './manifest-tables.ts';
import { Problem } from '../problem.ts';

/** A manifest whose signature and chain have been verified (provisioning/manifest-import.ts). */
export interface NewManifest {
  readonly account_id: string;
  readonly line: Pick<ManifestLine, 'fleet_root_ca_id' | 'public_key_sha256' | 'name' | 'site' | 'log_id'>;
  /** The certificate of its CA. */
  readonly certificate: NewFleetRootCertificate;
  readonly first: number;
  readonly last: number;
  readonly previous_hash: string;
  /** Of every entry, 32 octets each. */
  readonly hashes: Uint8Array;
  readonly made_at: number;
  readonly entries: readonly ManifestEntry[];
  readonly mandates: readonly Omit<ManifestMandate, 'account_id' | 'line_id' | 'used' | 'added_at'>[];
}

/** What came of it. `first` is the first entry that was new; null where none was. */
export interface TakenManifest {
  readonly line: ManifestLine;
  readonly first: number | null;
  readonly last: number;
  readonly made: number;
  readonly withdrawn: number;
  /** Of those withdrawn: had been used by devices, and are revoked now. */
  readonly revoked: number;
  /** Of those made: beyond what their mandate covers. */
  readonly beyond: number;
}

/** Why it contradicts what its line has said before. */
export interface ContradictedManifest {
  readonly refused: string;
}

const octetsOfHash = 32;

/**
 * Takes a manifest in, whole or not at all. What is known of it already is held against what was said then; where that
 * differs, nothing is taken but a note of it. Throws Problem: `conflict` for a gap before it, `invalid_request` for entries
 * that cannot be, `key_held_by_server`.
 */
export async function importManifest(tx: Tx, manifest: NewManifest): Promise<TakenManifest | ContradictedManifest> {
  const { account_id, first, last, hashes, entries } = manifest;
  await requireAccount(tx.db, account_id);
  const known = await lineByKey(tx.db, account_id, manifest.line.public_key_sha256);
  const head = known?.last_number ?? 0;
  const refused = known && (await contradictionOf(tx.db, known, manifest));
  if (known && refused) return contradicted(tx, known, manifest, refused);
  if (first > head + 1) throw gapBefore(manifest, head);
  await addFleetRootCertificates(tx, {
    account_id,
    fleet_root_ca_id: known?.fleet_root_ca_id ?? manifest.line.fleet_root_ca_id,
    rows: [manifest.certificate],
  });
  const nothing = { made: 0, withdrawn: 0, revoked: 0, beyond: 0 };
  if (known && last <= head) return { line: known, first: null, last: head, ...nothing };
  const line = await keepLine(tx, known ?? null, manifest);
  const fresh = hashes.subarray((head + 1 - first) * octetsOfHash);
  await tx.db
    .insertInto('manifest_ranges')
    .values({ account_id, line_id: line.id, first: head + 1, last, hashes: new Uint8Array(fresh) })
    .execute();
  await keepMandates(tx, line, manifest);
  const taken = await keepEntries(
    tx,
    line,
    entries.filter(({ number }) => number > head),
  );
  for (const event of await noteStrangers(tx.db, line, tx.now)) tx.event(event);
  const said = { first: head + 1, last, ...taken };
  tx.audit({ action: 'manifest.import', account_id, object: objectOf(line), after: said });
  tx.event(manifestImported(line, said));
  return { line, ...said };
}

function objectOf({ id, name }: ManifestLine) {
  return { kind: 'factory_line', id, name };
}

function gapBefore({ line, first }: NewManifest, head: number): Problem {
  return new Problem(
    'conflict',
    head === 0
      ? `The manifest of the line ${JSON.stringify(line.name)} begins with entry ${first}, and none of this line has been imported.`
      : `The manifest of the line ${JSON.stringify(line.name)} begins with entry ${first}, and the last that is known is entry ${head}: those between are missing.`,
    `Import the manifests in between first, or export them anew at the factory: \`factory export --since ${head}\`.`,
  );
}

function contradicted(tx: Tx, line: ManifestLine, { first, last }: NewManifest, rule: string): ContradictedManifest {
  const { account_id } = line;
  tx.audit({ action: 'manifest.refuse', account_id, object: objectOf(line), after: { first, last, rule } });
  tx.event(manifestRefused(line, { first, last, rule }));
  return { refused: rule };
}

/** What of a manifest is not what its line has said before; null where it may be a continuation, or a repeat. */
async function contradictionOf(db: Db, line: ManifestLine, manifest: NewManifest): Promise<string | null> {
  const { first, last, previous_hash, hashes } = manifest;
  const name = JSON.stringify(line.name);
  if (manifest.line.log_id !== line.log_id) {
    return `The manifest is of the log ${manifest.line.log_id}, and those of the line ${name} before it were of the log ${line.log_id}: its key is in use in two places, or its log was begun anew.`;
  }
  const forked = (number: number): string =>
    `Entry ${number} of the line ${name} is not the one that was imported: its log was rolled back, as by restoring a back-up, or its key is in use in two places.`;
  const said = Buffer.concat([Buffer.from(previous_hash, 'hex'), hashes]);
  const ranges = await db
    .selectFrom('manifest_ranges')
    .selectAll()
    .where('account_id', '=', line.account_id)
    .where('line_id', '=', line.id)
    .where('last', '>=', Math.max(first - 1, 1))
    .where('first', '<=', last)
    .orderBy('last')
    .execute();
  for (const range of ranges) {
    const from = Math.max(range.first, first - 1);
    const to = Math.min(range.last, last);
    for (let number = from; number <= to; number += 1) {
      const before = hashAt(range.hashes, number - range.first);
      if (Buffer.compare(before, hashAt(said, number - (first - 1))) !== 0) return forked(number);
    }
  }
  return null;
}

function hashAt(hashes: Uint8Array, index: number): Uint8Array {
  return hashes.subarray(index * octetsOfHash, (index + 1) * octetsOfHash);
}

async function keepLine(tx: Tx, known: ManifestLine | null, manifest: NewManifest): Promise<ManifestLine> {
  const { account_id, line, last, hashes, certificate } = manifest;
  const now = {
    name: line.name,
    site: line.site,
    certificate: certificate.certificate,
    last_number: last,
    last_hash: Buffer.from(hashes.subarray(-octetsOfHash)).toString('hex'),
    // By our own clock at the latest: what comes after the import cannot be in it. What was complete stays so.
    last_made_at: Math.max(known?.last_made_at ?? 0, Math.min(manifest.made_at, tx.now)),
    imported_at: tx.now,
  };
  if (known) {
    return tx.db
      .updateTable('manifest_lines')
      .set(now)
      .where('account_id', '=', account_id)
      .where('id', '=', known.id)
      .returningAll()
      .executeTakeFirstOrThrow();
  }
  // A device that comes is looked for among the lines.
  tx.changed({ kind: 'trust', account_id });
  return tx.db
    .insertInto('manifest_lines')
    .values({ ...line, ...now, account_id, id: randomUUID(), added_at: tx.now, swept_to: 0 })
    .returningAll()
    .executeTakeFirstOrThrow();
}

async function keepMandates(tx: Tx, { account_id, id: line_id }: ManifestLine, { mandates }: NewManifest) {
  for (const mandate of mandates) {
    await tx.db
      .insertInto('manifest_mandates')
      .values({ ...mandate, account_id, line_id, used: 0, added_at: tx.now })
      .onConflict((conflict) => conflict.columns(['account_id', 'line_id', 'id']).doNothing())
      .execute();
  }
}

async function keepEntries(tx: Tx, line: ManifestLine, entries: readonly ManifestEntry[]) {
  const { account_id, id: line_id } = line;
  const taken = { made: 0, withdrawn: 0, revoked: 0, beyond: 0 };
  const orders = new Map<string, OrderChange>();
  const count = (order_name: string, change: OrderChange): void => {
    const { made, withdrawn, seen, missing } = orders.get(order_name) ?? { made: 0, withdrawn: 0, seen: 0, missing: 0 };
    orders.set(order_name, {
      made: made + change.made,
      withdrawn: withdrawn + change.withdrawn,
      seen: seen + change.seen,
      missing: missing + change.missing,
    });
    taken.made += change.made;
    taken.withdrawn += change.withdrawn;
  };
  const covered: ManifestEntry[] = [];
  for (const entry of entries) {
    if (entry.action === 'make') {
      const made = await recordMade(tx.db, { account_id, line_id, entry });
      count(entry.order_name, made);
      if (made.beyond) taken.beyond += 1;
      else covered.push(entry);
    } else {
      const withdrawn = await recordWithdrawn(tx.db, { account_id, line_id, entry });
      count(entry.order_name, withdrawn);
      if (!withdrawn.used) continue;
      await revokeCertificate(tx, { account_id, sha256: entry.tbs_sha256 });
      taken.revoked += 1;
    }
  }
  for (const [order_name, change] of orders) await countOrder(tx.db, { account_id, line_id, order_name, change });
  await allow(tx, line, covered);
  return taken;
}

/**
 * Makes the device IDs of what was made within its mandate known, with what they were made for. Known without that are one
 * that has too many labels already, and one for which another line has made a certificate too: whose it is, a person decides.
 */
async function allow(
  tx: Tx,
  { account_id, id: line_id, site }: ManifestLine,
  covered: readonly ManifestEntry[],
): Promise<void> {
  if (covered.length === 0) return;
  const device_ids = covered.map(({ device_id }) => device_id);
  const elsewhere = await madeElsewhere(tx.db, { account_id, line_id, device_ids });
  const made = covered.map(({ device_id, order_name: order, batch }): { device_id: string; labels: Labels | null } => ({
    device_id,
    labels: elsewhere.has(device_id)
      ? null
      : { order, ...(batch !== null && { batch }), ...(site !== null && { site }) },
  }));
  const { overfull } = await importAllowList(tx, { account_id, entries: made });
  const bare = overfull.map((device_id) => ({ device_id, labels: null }));
  if (bare.length > 0) await importAllowList(tx, { account_id, entries: bare });
}

/** The lines of an account, the oldest first. */
export async function manifestLinesOf(db: Db, account_id: string): Promise<ManifestLine[]> {
  return db
    .selectFrom('manifest_lines')
    .selectAll()
    .where('account_id', '=', account_id)
    .orderBy('added_at')
    .orderBy('id')
    .execute();
}

/** The line whose CA has this key (SHA-256, hex). */
export async function lineByKey(
  db: Db,
  account_id: string,
  public_key_sha256: string,
): Promise<ManifestLine | undefined> {
  return db
    .selectFrom('manifest_lines')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('public_key_sha256', '=', public_key_sha256)
    .executeTakeFirst();
}

/** What the Fleet Root lets a line make, the mandate that ends soonest first. */
export async function manifestMandatesOf(db: Db, account_id: string, line_id: string): Promise<ManifestMandate[]> {
  return db
    .selectFrom('manifest_mandates')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('line_id', '=', line_id)
    .orderBy('not_after')
    .orderBy('id')
    .execute();
}
