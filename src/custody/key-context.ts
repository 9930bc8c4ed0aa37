// What a custody key is called in the seal.

import type { CustodyKey } from './custodian.ts';

/** Authenticated with the sealed key, so that a record changed to say otherwise opens nothing. */
export function keyContext({ id, exportable }: Pick<CustodyKey, 'id' | 'exportable'>): string {
  return exportable ? `custody key ${id}` : `custody key ${id}, never to be given out`;
}
