// Custodians for tests: every backend that the contract suite loops over.

import { randomBytes } from 'node:crypto';
import { after } from 'node:test';

import type { Custodian } from '../../src/custody/custodian.ts';
import { createSeal } from '../../src/custody/seal.ts';
import { createSoftwareCustodian } from '../../src/custody/software.ts';
import { createVaultCustodian } from '../../src/custody/vault.ts';
import { Secret } from '../../src/secret.ts';
import { needsSoftHsm, tokenHome } from './softhsm.ts';
import { OpenBao, openbao } from './openbao.ts';

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
  { name: 'SoftHSM', givesOut: false, skip: needsSoftHsm(), home: async () => tokenHome() },
  { name: 'OpenBao', givesOut: true, skip: openbao(), home: openBaoHome },
];

async function softwareHome(): Promise<CustodyHome> {
  const masterKey = randomBytes(32);
  return {
    open: async () => createSoftwareCustodian(createSeal(new Secret(Buffer.from(masterKey)))),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** One server for all tests of a file, and a transit engine of its own for each of them. */
let bao: Promise<OpenBao> | undefined;
let mounts = 0;

after(async () => (await bao)?.[Symbol.asyncDispose]());

async function openBaoHome(): Promise<CustodyHome> {
  bao ??= OpenBao.dev();
  const server = await bao;
  process.env['FLEETROOT_TEST_TOKEN'] = server.rootToken;
  mounts += 1;
  const mount = `transit-${mounts}`;
  await server.transit({ mount });
  const opened: Custodian[] = [];
  return {
    async open() {
      const custodian = createVaultCustodian({
        address: server.address,
        ca: null,
        namespace: null,
        mount,
        keyPrefix: 'fleetroot-',
        login: { by: 'token', variable: 'FLEETROOT_TEST_TOKEN' },
        connections: 16,
        timeout: 20_000,
      });
      opened.push(custodian);
      return custodian;
    },
    async [Symbol.asyncDispose]() {
      for (const custodian of opened) await custodian[Symbol.asyncDispose]();
    },
  };
}
