// The signing of the audit log's checkpoints, by a key that is for nothing else.

import { type SignedCheckpoint, signedCheckpoint, textOfCheckpoint } from '../registry/audit-chain.ts';
import { auditCheckpoints, auditHead, auditLogId } from '../registry/audit.ts';
import { keysOf } from '../registry/keys.ts';
import type { AuditCheckpoint } from '../registry/audit-tables.ts';
import type { KeyRow } from '../registry/tables.ts';
import type { Registry } from '../registry/writer.ts';
import { formatInstant } from '../time.ts';
import { detached } from './detached.ts';
import type { HeldKeys } from './held-keys.ts';
import { serverOwner } from './server-owner.ts';

/** What signing checkpoints takes. */
export interface CheckpointSigning {
  readonly registry: Registry;
  readonly keys: Pick<HeldKeys, 'create' | 'sign'>;
  readonly clock: () => number;
}

/**
 * The key that checkpoints are signed with, made by the custodian of new keys where there is none. To be asked for once
 * at a time. Throws CustodyProblem.
 */
export async function checkpointKey({ registry, keys }: CheckpointSigning): Promise<KeyRow> {
  const own = await keysOf(registry.read, serverOwner.id);
  const key = own.findLast(({ purpose, destroyed_at }) => purpose === 'audit' && destroyed_at === null);
  return key ?? keys.create({ account: serverOwner, purpose: 'audit', keyType: 'p256' });
}

/**
 * Signs and records a checkpoint over the last entry that is chained. Gives the one that is there, not `made`, where
 * nothing has been chained since; null where nothing has ever been. To be called once at a time. Throws CustodyProblem.
 */
export async function makeCheckpoint(
  signing: CheckpointSigning,
): Promise<{ checkpoint: SignedCheckpoint; made: boolean } | null> {
  const { registry, keys, clock } = signing;
  const [head, log] = [await auditHead(registry.read), await auditLogId(registry.read)];
  if (head === null || log === null) return null;
  const [last] = await auditCheckpoints(registry.read, { limit: 1 });
  if (last?.number === head.number) return { checkpoint: signedCheckpoint(log, last), made: false };
  const key = await checkpointKey(signing);
  const at = clock();
  const text = textOfCheckpoint({ log, ...head, at: formatInstant(at) });
  const signature = detached(await keys.sign(key, 'ecdsa-sha256', Buffer.from(text)));
  const checkpoint: AuditCheckpoint = { ...head, at, key_id: key.id, public_key: key.public_key, signature };
  await registry.write('recordCheckpoint', checkpoint);
  return { checkpoint: signedCheckpoint(log, checkpoint), made: true };
}
