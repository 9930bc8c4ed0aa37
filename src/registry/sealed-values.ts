// What is sealed under the master key wherever it lies, and the passage of all of it to another master key.

import { Problem } from '../problem.ts';
import type { Db, Tx } from './database.ts';
import type { TotpState } from './operator-tables.ts';
import { rememberServerValue, serverValue } from './server-values.ts';

/** Where a sealed value lies, and all that its context is made of. */
export type SealedPlace =
  | { readonly in: 'keys'; readonly id: string; readonly exportable: 0 | 1 }
  | { readonly in: 'gateway_certificates'; readonly id: string }
  | { readonly in: 'operator_certificates'; readonly id: string }
  | { readonly in: 'webhook_secrets'; readonly id: string }
  | { readonly in: 'account_files'; readonly account_id: string; readonly entry: string }
  | { readonly in: 'totp_secrets'; readonly operator_id: string; readonly state: TotpState }
  | { readonly in: 'ticket_keys'; readonly id: string }
  | { readonly in: 'upstreams'; readonly account_id: string; readonly prefix: string };

export interface SealedValue {
  readonly place: SealedPlace;
  readonly sealed: Uint8Array;
}

/** What is known of a master key: a value sealed under it, and how it comes from a passphrase, where it does. */
export interface MasterKeyRow {
  readonly proof: Uint8Array;
  readonly derivation: Uint8Array | null;
}

/** The custodian whose keys lie here, sealed; what others remember means something to them alone. */
const sealing = 'software';

/** Octets at the head of a sealed value that say under which master key it lies; the proof of that key has the same. */
const headSize = 9;

const rowsOfKey = {
  present: { proof: 'seal', derivation: 'seal_derivation' },
  next: { proof: 'seal_next', derivation: 'seal_next_derivation' },
} as const;

/** The master key as the object of an entry, which says nothing of what it is. */
const masterKey = { account_id: null, object: { kind: 'master_key', id: 'master_key', name: null } };

/** The master key in use, or, during a rotation, the one that takes its place. */
export async function masterKeyRow(db: Db, which: 'present' | 'next'): Promise<MasterKeyRow | null> {
  const names = rowsOfKey[which];
  const proof = await serverValue(db, names.proof);
  if (proof === undefined) return null;
  return { proof, derivation: (await serverValue(db, names.derivation)) ?? null };
}

/** Records the first master key, or the present one anew. Throws `conflict` where another has been recorded meanwhile. */
export async function recordMasterKey(
  tx: Tx,
  { before, row }: { before: Uint8Array | null; row: MasterKeyRow },
): Promise<void> {
  const present = await masterKeyRow(tx.db, 'present');
  const same = before === null ? present === null : present !== null && Buffer.compare(present.proof, before) === 0;
  if (!same) throw new Problem('conflict', 'Another server has recorded its master key in this registry meanwhile.');
  await put(tx, 'present', row);
  tx.audit({ action: 'master_key.set', ...masterKey });
}

/** From now on values under the next master key may be recorded too. Throws `conflict` while a rotation is unfinished. */
export async function beginMasterKeyRotation(tx: Tx, { row }: { row: MasterKeyRow }): Promise<void> {
  if ((await masterKeyRow(tx.db, 'next')) !== null) {
    throw new Problem('conflict', 'A rotation of the master key is under way.');
  }
  // What nodes said of another one (master-key-agreement.ts).
  await tx.db.deleteFrom('server').where('key', '>', 'seal_next_a').where('key', '<', 'seal_next_b').execute();
  await put(tx, 'next', row);
  tx.audit({ action: 'master_key.begin_rotation', ...masterKey });
  tx.changed({ kind: 'master_key' });
}

/**
 * Makes the next master key the only one, where everything lies under it: nothing is recorded under the one before from
 * then on, and nothing under it is left in the file. Else changes nothing. Gives how many values are not under it yet;
 * none where no rotation is under way.
 */
export async function endMasterKeyRotation(tx: Tx, _args: Record<string, never>): Promise<{ left: number }> {
  const next = await masterKeyRow(tx.db, 'next');
  if (next === null) return { left: 0 };
  let left = 0;
  let values = await sealedValues(tx.db, null);
  while (values.length > 0) {
    left += values.filter(({ sealed }) => !sameHead(sealed, next)).length;
    values = await sealedValues(tx.db, values.at(-1)!.place);
  }
  if (left > 0) return { left };
  await put(tx, 'present', next);
  await tx.db.deleteFrom('server').where('key', 'in', Object.values(rowsOfKey.next)).execute();
  tx.audit({ action: 'master_key.rotate', ...masterKey });
  tx.changed({ kind: 'master_key' });
  tx.purge();
  return { left };
}

async function put(tx: Tx, which: 'present' | 'next', { proof, derivation }: MasterKeyRow): Promise<void> {
  const names = rowsOfKey[which];
  await rememberServerValue(tx, { key: names.proof, value: proof });
  if (derivation !== null) await rememberServerValue(tx, { key: names.derivation, value: derivation });
  else await tx.db.deleteFrom('server').where('key', '=', names.derivation).execute();
}

/**
 * To be called before a sealed value is recorded: throws `conflict` for one that was sealed under a master key which has
 * been replaced meanwhile, since nobody could open it again.
 */
export async function requireLivingMasterKey(db: Db, sealed: Uint8Array | null): Promise<void> {
  if (sealed === null) return;
  const rows = [await masterKeyRow(db, 'present'), await masterKeyRow(db, 'next')].filter((row) => row !== null);
  if (rows.length === 0 || rows.some((row) => sameHead(sealed, row))) return;
  throw new Problem('conflict', 'The master key has been replaced while this was being done.', 'Do it again.');
}

/** `requireLivingMasterKey` for what a custodian wants remembered. */
export async function requireLivingCustody(
  db: Db,
  { custodian, remembered }: { custodian: string; remembered: Uint8Array | null },
): Promise<void> {
  if (custodian === sealing) await requireLivingMasterKey(db, remembered);
}

function sameHead(sealed: Uint8Array, { proof }: MasterKeyRow): boolean {
  return Buffer.compare(sealed.subarray(0, headSize), proof.subarray(0, headSize)) === 0;
}

/** How many values are read, and written, at a time. */
const batchSize = 100;

const tables = [
  'keys',
  'gateway_certificates',
  'operator_certificates',
  'webhook_secrets',
  'account_files',
  'totp_secrets',
  'ticket_keys',
  'upstreams',
] as const;
const readers = {
  keys: sealedKeys,
  gateway_certificates: sealedGatewayKeys,
  operator_certificates: sealedOperatorKeys,
  webhook_secrets: sealedWebhookSecrets,
  account_files: sealedFiles,
  totp_secrets: sealedTotpSecrets,
  ticket_keys: sealedTicketKeys,
  upstreams: sealedUpstreamKeys,
} as const;

/**
 * What is sealed, some at a time, `after` the place of the last that was read; nothing when that was the last. What comes
 * or changes meanwhile may be among it or not.
 */
export async function sealedValues(db: Db, after: SealedPlace | null): Promise<SealedValue[]> {
  for (const table of tables.slice(after === null ? 0 : tables.indexOf(after.in))) {
    const values = await readers[table](db, (after?.in === table ? after : undefined) as never);
    if (values.length > 0) return values;
  }
  return [];
}

type In<Table extends SealedPlace['in']> = Extract<SealedPlace, { in: Table }>;

async function sealedKeys(db: Db, after: In<'keys'> | undefined): Promise<SealedValue[]> {
  const rows = await db
    .selectFrom('keys')
    .select(['id', 'exportable', 'remembered'])
    .where('custodian', '=', sealing)
    .where('remembered', 'is not', null)
    .where('id', '>', after?.id ?? '')
    .orderBy('id')
    .limit(batchSize)
    .execute();
  return rows.map(({ id, exportable, remembered }) => ({ place: { in: 'keys', id, exportable }, sealed: remembered! }));
}

async function sealedGatewayKeys(db: Db, after: In<'gateway_certificates'> | undefined): Promise<SealedValue[]> {
  const rows = await db
    .selectFrom('gateway_certificates')
    .select(['id', 'sealed_key'])
    .where('id', '>', after?.id ?? '')
    .orderBy('id')
    .limit(batchSize)
    .execute();
  return rows.map(({ id, sealed_key }) => ({ place: { in: 'gateway_certificates', id }, sealed: sealed_key }));
}

async function sealedOperatorKeys(db: Db, after: In<'operator_certificates'> | undefined): Promise<SealedValue[]> {
  const rows = await db
    .selectFrom('operator_certificates')
    .select(['id', 'sealed_key'])
    .where('id', '>', after?.id ?? '')
    .orderBy('id')
    .limit(batchSize)
    .execute();
  return rows.map(({ id, sealed_key }) => ({ place: { in: 'operator_certificates', id }, sealed: sealed_key }));
}

async function sealedWebhookSecrets(db: Db, after: In<'webhook_secrets'> | undefined): Promise<SealedValue[]> {
  const rows = await db
    .selectFrom('webhook_secrets')
    .select(['id', 'sealed'])
    .where('id', '>', after?.id ?? '')
    .orderBy('id')
    .limit(batchSize)
    .execute();
  return rows.map(({ id, sealed }) => ({ place: { in: 'webhook_secrets', id }, sealed }));
}

async function sealedFiles(db: Db, after: In<'account_files'> | undefined): Promise<SealedValue[]> {
  const rows = await db
    .selectFrom('account_files')
    .select(['account_id', 'entry', 'sealed_content'])
    .where(({ eb, refTuple, tuple }) =>
      eb(refTuple('account_id', 'entry'), '>', tuple(after?.account_id ?? '', after?.entry ?? '')),
    )
    .orderBy('account_id')
    .orderBy('entry')
    .limit(batchSize)
    .execute();
  return rows.map(({ account_id, entry, sealed_content }) => ({
    place: { in: 'account_files', account_id, entry },
    sealed: sealed_content,
  }));
}

async function sealedTotpSecrets(db: Db, after: In<'totp_secrets'> | undefined): Promise<SealedValue[]> {
  const rows = await db
    .selectFrom('totp_secrets')
    .select(['operator_id', 'state', 'sealed'])
    .where(({ eb, refTuple, tuple }) =>
      eb(refTuple('operator_id', 'state'), '>', tuple(after?.operator_id ?? '', after?.state ?? 'active')),
    )
    .orderBy('operator_id')
    .orderBy('state')
    .limit(batchSize)
    .execute();
  return rows.map(({ operator_id, state, sealed }) => ({ place: { in: 'totp_secrets', operator_id, state }, sealed }));
}

async function sealedTicketKeys(db: Db, after: In<'ticket_keys'> | undefined): Promise<SealedValue[]> {
  const rows = await db
    .selectFrom('ticket_keys')
    .select(['id', 'sealed_key'])
    .where('id', '>', after?.id ?? '')
    .orderBy('id')
    .limit(batchSize)
    .execute();
  return rows.map(({ id, sealed_key }) => ({ place: { in: 'ticket_keys', id }, sealed: sealed_key }));
}

async function sealedUpstreamKeys(db: Db, after: In<'upstreams'> | undefined): Promise<SealedValue[]> {
  const rows = await db
    .selectFrom('upstreams')
    .select(['account_id', 'prefix', 'sealed_key'])
    .where('sealed_key', 'is not', null)
    .where(({ eb, refTuple, tuple }) =>
      eb(refTuple('account_id', 'prefix'), '>', tuple(after?.account_id ?? '', after?.prefix ?? '')),
    )
    .orderBy('account_id')
    .orderBy('prefix')
    .limit(batchSize)
    .execute();
  return rows.map(({ account_id, prefix, sealed_key }) => ({
    place: { in: 'upstreams', account_id, prefix },
    sealed: sealed_key!,
  }));
}

/**
 * Puts values that were wrapped anew in the place of what they were. One that has changed or gone since it was read stays
 * as it is. Gives how many were replaced.
 */
export async function replaceSealedValues(
  tx: Tx,
  { changes }: { changes: readonly (SealedValue & { readonly resealed: Uint8Array })[] },
): Promise<{ replaced: number }> {
  let replaced = 0;
  for (const { place, sealed, resealed } of changes) {
    const { numUpdatedRows } = await replacing(tx.db, place, sealed, resealed).executeTakeFirst();
    replaced += Number(numUpdatedRows);
  }
  return { replaced };
}

function replacing(db: Db, place: SealedPlace, sealed: Uint8Array, resealed: Uint8Array) {
  switch (place.in) {
    case 'keys':
      return db
        .updateTable('keys')
        .set({ remembered: resealed })
        .where('id', '=', place.id)
        .where('custodian', '=', sealing)
        .where('exportable', '=', place.exportable)
        .where('remembered', '=', sealed);
    case 'gateway_certificates':
      return db
        .updateTable('gateway_certificates')
        .set({ sealed_key: resealed })
        .where('id', '=', place.id)
        .where('sealed_key', '=', sealed);
    case 'operator_certificates':
      return db
        .updateTable('operator_certificates')
        .set({ sealed_key: resealed })
        .where('id', '=', place.id)
        .where('sealed_key', '=', sealed);
    case 'webhook_secrets':
      return db
        .updateTable('webhook_secrets')
        .set({ sealed: resealed })
        .where('id', '=', place.id)
        .where('sealed', '=', sealed);
    case 'account_files':
      return db
        .updateTable('account_files')
        .set({ sealed_content: resealed })
        .where('account_id', '=', place.account_id)
        .where('entry', '=', place.entry)
        .where('sealed_content', '=', sealed);
    case 'totp_secrets':
      return db
        .updateTable('totp_secrets')
        .set({ sealed: resealed })
        .where('operator_id', '=', place.operator_id)
        .where('state', '=', place.state)
        .where('sealed', '=', sealed);
    case 'ticket_keys':
      return db
        .updateTable('ticket_keys')
        .set({ sealed_key: resealed })
        .where('id', '=', place.id)
        .where('sealed_key', '=', sealed);
    case 'upstreams':
      return db
        .updateTable('upstreams')
        .set({ sealed_key: resealed })
        .where('account_id', '=', place.account_id)
        .where('prefix', '=', place.prefix)
        .where('sealed_key', '=', sealed);
  }
}
