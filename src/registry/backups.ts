// What is remembered of back-ups and restorations: that one was made, and that this registry came out of one.

import type { Db, Tx } from './database.ts';
import type { Plain } from './notes.ts';
import { rememberServerValue, serverValue } from './server-values.ts';

/** What a back-up holds, as entries and events tell it. */
export interface BackupNote {
  readonly schema: number;
  readonly devices: number;
  readonly with_master_key: boolean;
  /** To whom it was encrypted: age recipients, or `passphrase`. */
  readonly recipients: readonly string[];
  /** The last entry of the audit log that is in it, and its hash; null where the log had none. */
  readonly audit_number: number | null;
  readonly audit_hash: string | null;
}

const theServer = { kind: 'server', id: 'server', name: null };

/** Records that somebody takes a back-up away. */
export async function recordBackup(tx: Tx, { backup }: { backup: BackupNote }): Promise<void> {
  const after: Record<string, Plain> = { ...backup };
  tx.audit({ action: 'backup.made', account_id: null, object: theServer, after });
  tx.event({ type: 'backup.made', account_id: null, data: after });
}

/** The restoration that nobody has acknowledged yet. Instants in milliseconds since 1970. */
export interface Restoration {
  readonly restored_at: number;
  /** When the back-up was made: what was done after it is not known here. */
  readonly made_at: number;
  /** The last chained entry of the audit log that came with the back-up; null where it had none. */
  readonly audit_number: number | null;
  readonly audit_hash: string | null;
}

/** The server value that holds it, as JSON. */
const restorationKey = 'restoration';
/** The one that holds the key of cursors (operator/event-cursor.ts). */
const cursorKey = 'event_cursor_key';

/**
 * Records that this registry came out of a back-up. What was taken back since it was made would be there again: sessions
 * end. What is numbered from here on has been numbered before, on the server that was lost: cursors of that time count no
 * more, or who follows would take what is new for what he has seen.
 */
export async function recordRestoration(
  tx: Tx,
  { made_at, audit_number, audit_hash }: Omit<Restoration, 'restored_at'>,
): Promise<void> {
  const restoration: Restoration = { restored_at: tx.now, made_at, audit_number, audit_hash };
  const value = new TextEncoder().encode(JSON.stringify(restoration));
  await rememberServerValue(tx, { key: restorationKey, value });
  await tx.db.deleteFrom('server').where('key', '=', cursorKey).execute();
  await tx.db.deleteFrom('sessions').execute();
  const members = { backup_made_at: new Date(made_at).toISOString(), audit_number, audit_hash };
  tx.audit({ action: 'server.restored', account_id: null, object: theServer, after: members });
  tx.event({ type: 'server.restored', account_id: null, data: members });
}

/** The restoration that nobody has acknowledged yet; null where there is none. */
export async function restorationOf(db: Db): Promise<Restoration | null> {
  const value = await serverValue(db, restorationKey);
  return value === undefined ? null : (JSON.parse(Buffer.from(value).toString('utf8')) as Restoration);
}

/** Records that somebody has seen to what a restoration brought back. Gives it; null where there is none. */
export async function acknowledgeRestoration(tx: Tx, _args: Record<string, never>): Promise<Restoration | null> {
  const restoration = await restorationOf(tx.db);
  if (restoration === null) return null;
  await tx.db.deleteFrom('server').where('key', '=', restorationKey).execute();
  tx.audit({ action: 'server.acknowledge_restoration', account_id: null, object: theServer });
  return restoration;
}
