// What the log tells of batches: their certificates stand in it one by one, as all others do.

import type { FactoryTx } from './tables.ts';

/** A batch as it began. */
export interface BegunBatch {
  readonly id: string;
  /** The file's name, without its path. */
  readonly name: string;
  /** Of the archive; null for a directory. */
  readonly sha256: string | null;
  /** The station's name. */
  readonly station: string;
  readonly order: string | null;
  /** Whether the station has signed it; else the person who brings it says whose it is. */
  readonly signed: boolean;
}

/** Notes that somebody brings a batch. */
export async function noteBatchBegun(tx: FactoryTx, { id, name, ...after }: BegunBatch): Promise<void> {
  tx.audit({ action: 'batch.begin', account_id: null, object: { kind: 'batch', id, name }, after });
}

/** How many requests were answered how. */
export interface BatchCounts {
  readonly issued: number;
  readonly same: number;
  readonly refused: number;
}

/** Notes that every request of a batch has been answered. */
export async function noteBatchAnswered(
  tx: FactoryTx,
  { id, name, ...after }: Pick<BegunBatch, 'id' | 'name'> & BatchCounts,
): Promise<void> {
  tx.audit({ action: 'batch.answer', account_id: null, object: { kind: 'batch', id, name }, after });
}
