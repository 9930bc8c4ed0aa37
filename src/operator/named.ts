// What an operator names in a path: the account, the Fleet Root CA.

import { Problem } from '../problem.ts';
import { accountByRef } from '../registry/accounts.ts';
import type { Db } from '../registry/database.ts';
import { fleetRootCaByRef } from '../registry/fleet-root-cas.ts';
import type { Account, FleetRootCa } from '../registry/tables.ts';

/** The account of this name or UUID. Throws `not_found`. */
export async function namedAccount(db: Db, ref: string): Promise<Account> {
  const account = await accountByRef(db, ref);
  if (!account) {
    throw new Problem('not_found', `There is no account ${JSON.stringify(ref)}.`, '`account list` shows the accounts.');
  }
  return account;
}

/** The Fleet Root CA of this ID, name or SHA-256 in an account. Throws `not_found`. */
export async function namedFleetRootCa(db: Db, account: Account, ref: string): Promise<FleetRootCa> {
  const ca = await fleetRootCaByRef(db, account.id, ref);
  if (!ca) {
    throw new Problem(
      'not_found',
      `The account ${account.name} has no Fleet Root CA ${JSON.stringify(ref)}.`,
      '`fleet-root list ACCOUNT` shows them.',
    );
  }
  return ca;
}
