// Nodes before a rotation of the master key: each says whether it has the next one, and nothing is put under that before all have.

import { Problem } from '../problem.ts';
import type { Db, Tx } from './database.ts';
import { type MasterKeyRow, masterKeyRow } from './sealed-values.ts';
import { rememberServerValue, serverValue } from './server-values.ts';

/** What is agreed on is told by its proof; `beginMasterKeyRotation` takes away what an earlier rotation left. */
const agreedKey = 'seal_next_agreed';
const answerKey = (instance: string): string => `seal_next_at ${instance}`;

/** What a process says of the next master key. */
interface Answer {
  /** The proof of the key that it says it of, hex. */
  readonly proof: string;
  /** Why it does not have it; null where it does. */
  readonly fault: string | null;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Says for this process whether it opens what lies under the next master key. */
export async function answerMasterKey(
  tx: Tx,
  { proof, fault }: { proof: Uint8Array; fault: string | null },
): Promise<void> {
  const answer: Answer = { proof: hex(proof), fault };
  await rememberServerValue(tx, { key: answerKey(tx.instance), value: Buffer.from(JSON.stringify(answer)) });
}

/** What another node says of the next master key: null for nothing yet, else whether it has it. */
export interface NodeAnswer {
  readonly name: string;
  readonly answer: { readonly fault: string | null } | null;
}

/** What the nodes beside that of the process `instance` say of the next master key with this proof. */
export async function masterKeyAnswers(
  db: Db,
  { proof, instance }: { proof: Uint8Array; instance: string },
): Promise<NodeAnswer[]> {
  const processes = await db.selectFrom('nodes').select(['instance', 'node_id', 'name']).orderBy('name').execute();
  const own = processes.find((each) => each.instance === instance)?.node_id;
  const nodes = new Map<string, NodeAnswer>();
  for (const { node_id, name, instance: of } of processes) {
    if (node_id === own) continue;
    const value = await serverValue(db, answerKey(of));
    const said = value === undefined ? null : (JSON.parse(Buffer.from(value).toString()) as Answer);
    const answer = said?.proof === hex(proof) ? { fault: said.fault } : null;
    // Of a node one process speaks for the others, by its name the first.
    const known = nodes.get(node_id);
    nodes.set(node_id, { name: known?.name ?? name, answer: known?.answer ?? answer });
  }
  return [...nodes.values()];
}

/** Whether values may be put under the next master key. */
export async function isMasterKeyAgreed(db: Db, { proof }: Pick<MasterKeyRow, 'proof'>): Promise<boolean> {
  const agreed = await serverValue(db, agreedKey);
  return agreed !== undefined && Buffer.compare(agreed, proof) === 0;
}

/** From now on every node puts values under the next master key. Throws `conflict` where that is another one, or none. */
export async function agreeMasterKey(tx: Tx, { proof }: { proof: Uint8Array }): Promise<void> {
  const next = await masterKeyRow(tx.db, 'next');
  if (next === null || Buffer.compare(next.proof, proof) !== 0) {
    throw new Problem('conflict', 'The rotation of the master key was given up, or ended by another node.');
  }
  await rememberServerValue(tx, { key: agreedKey, value: proof });
  tx.changed({ kind: 'master_key' });
}

/** Gives a rotation up that not all nodes agreed to: nothing lies under the next key. One that is agreed on goes on. */
export async function withdrawMasterKeyRotation(tx: Tx, _args: Record<string, never>): Promise<{ withdrawn: boolean }> {
  const next = await masterKeyRow(tx.db, 'next');
  if (next === null || (await isMasterKeyAgreed(tx.db, next))) return { withdrawn: false };
  await tx.db.deleteFrom('server').where('key', 'in', ['seal_next', 'seal_next_derivation']).execute();
  tx.audit({
    action: 'master_key.withdraw_rotation',
    account_id: null,
    object: { kind: 'master_key', id: 'master_key', name: null },
  });
  tx.changed({ kind: 'master_key' });
  return { withdrawn: true };
}
