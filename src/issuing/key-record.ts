// A key as the registry has it and as its custodian gets it, and the place where it lies.

import { type CustodyKey, CustodyProblem, type KeyType } from '../custody/custodian.ts';
import type { KeyPlace } from '../registry/keys.ts';
import type { KeyRow } from '../registry/tables.ts';
import type { SigningKey } from './signing-ca.ts';

/** What a custodian gets of a key to use it. Throws CustodyProblem `no_such_key` for one that is destroyed or erased here. */
export function custodyKey(key: SigningKey): CustodyKey {
  if (key.destroyed_at !== null) throw new CustodyProblem('no_such_key', `Key ${key.id} has been destroyed.`);
  if (key.remembered === null) {
    throw new CustodyProblem(
      'no_such_key',
      `Key ${key.id} has been erased here and lies outside.`,
      'Import it again: `account gateway-ca import`.',
    );
  }
  return { ...recordOf(key), remembered: key.remembered };
}

/** What is known of a key wherever it lies. */
export function recordOf(key: SigningKey): Omit<CustodyKey, 'remembered'> {
  return {
    id: key.id,
    keyType: key.key_type as KeyType,
    exportable: key.exportable === 1,
    publicKey: key.public_key,
  };
}

/** Where a row says that its key lies. */
export function placeOf({ custodian, remembered, exportable }: KeyRow): KeyPlace {
  return { custodian, remembered, exportable };
}

/** Whether a row says that its key lies there. */
export function isAt(key: KeyRow, { custodian, remembered }: KeyPlace): boolean {
  if (key.custodian !== custodian) return false;
  if (key.remembered === null || remembered === null) return key.remembered === remembered;
  return Buffer.compare(key.remembered, remembered) === 0;
}
