// Custodians for tests: every backend that the contract suite loops over.

import { randomBytes } from 'node:crypto';

import type { Custodian } from '../../src/custody/custodian.ts';
import { createSeal } from '../../src/custody/seal.ts';
import { createSoftwareCustodian } from '../../src/custody/software.ts';
import { Secret } from '../../src/secret.ts';

/** What holds the keys of one test, gone with them when disposed of, as are the custodians opened over it. */
export interface CustodyHome extends AsyncDisposable {
  /** A custodian over it, as each start of the server makes one. */
  open(): Promise<Custodian>;
}

export interface CustodyBackend {
  name: string;
  /** Whether it can make a key that may be exported. */
  givesOut: boolean;
  /** For `skip` of node:test. */
  skip: string | false;
  home(): Promise<CustodyHome>;
}

export const custodyBackends: readonly CustodyBackend[] = [
  { name: 'software', givesOut: true, skip: false, home: softwareHome },
];

async function softwareHome(): Promise<CustodyHome> {
  const masterKey = randomBytes(32);
  return {
    open: async () => createSoftwareCustodian(createSeal(new Secret(Buffer.from(masterKey)))),
    [Symbol.asyncDispose]: async () => {},
  };
}
