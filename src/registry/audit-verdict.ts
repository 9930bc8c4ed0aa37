// The server's own verdict on its audit log: the chain followed from its first entry, each checkpoint held against it.

import {
  ChainCheck,
  isSignedBy,
  keyOfCheckpoint,
  type Misfit,
  type SignedCheckpoint,
  signedCheckpoint,
} from './audit-chain.ts';
import { auditCheckpoints, auditHead, auditLogId, chainedEntries } from './audit.ts';
import type { Db } from './database.ts';

/** What was found. Who could change the log could change this program too: `audit verify` elsewhere proves more. */
export interface AuditVerdict {
  readonly log: string | null;
  /** The last entry that fits. */
  readonly intact_to: number;
  /** The last entry that a checkpoint of ours confirms. */
  readonly confirmed_to: number;
  readonly last_checkpoint: SignedCheckpoint | null;
  readonly misfit: Misfit | null;
}

/** Entries that are followed without a pause for others. */
const slice = 500;
/** The latest checkpoints that are held against the log: hourly ones of a quarter of a year. */
const checkpointsHeld = 2_200;

/** Follows the log as it is at the beginning of the call, in slices between which others have their turn. */
export async function auditVerdict(db: Db): Promise<AuditVerdict> {
  const log = await auditLogId(db);
  const [last] = await auditCheckpoints(db, { limit: 1 });
  if (log === null) {
    const misfit = last ? { number: 1, sentence: 'There are checkpoints, but the log has no entry.' } : null;
    return { log, intact_to: 0, confirmed_to: 0, last_checkpoint: null, misfit };
  }
  const checkpoints = (await auditCheckpoints(db, { limit: checkpointsHeld })).map((each) =>
    signedCheckpoint(log, each),
  );
  const end = (await auditHead(db))?.number ?? 0;
  const check = new ChainCheck(log, checkpoints);
  let misfit = unsigned(checkpoints);
  while (misfit === null && check.head.number < end) {
    const entries = await chainedEntries(db, check.head.number, slice);
    if (entries.length === 0) break;
    for (const entry of entries) if ((misfit ??= check.take(entry)) !== null) break;
    await new Promise(setImmediate);
  }
  misfit ??= check.end();
  const last_checkpoint = checkpoints[0] ?? null;
  return { log, intact_to: check.head.number, confirmed_to: check.confirmed, last_checkpoint, misfit };
}

/** The first checkpoint whose signature is not that of the key it names. */
function unsigned(checkpoints: readonly SignedCheckpoint[]): Misfit | null {
  const wrong = checkpoints.findLast((each) => !isSignedBy(each, keyOfCheckpoint(each)));
  if (wrong === undefined) return null;
  return { number: wrong.number, sentence: `The checkpoint over entry ${wrong.number} does not have its signature.` };
}
