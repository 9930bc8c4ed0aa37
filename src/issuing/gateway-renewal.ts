// Gateway certificates are kept as they should be, of all accounts: completed at the start, renewed before they end.

import type { Seal } from '../custody/seal.ts';
import type { Log } from '../log.ts';
import { listAccounts, requireAccount } from '../registry/accounts.ts';
import { gatewayCertificatesDue } from '../registry/gateway-cas.ts';
import type { Account } from '../registry/tables.ts';
import { createGatewayCas, currentGatewayCertificate } from './gateway-ca.ts';
import type { Issuer } from './issuer.ts';

/** Gateway certificates that end within this time (ms) are looked at closely: more than a third of their life. */
const renewalHorizon = 31 * 24 * 60 * 60 * 1000;

/** A server that was killed may have left an account without a standby gateway CA, or a certificate for all its hosts. */
export async function completeGateways(issuer: Issuer, seal: Seal, log: Log): Promise<void> {
  const accounts = await listAccounts(issuer.registry.read);
  for (const account of accounts) {
    await createGatewayCas(issuer, account).catch((error: unknown) => {
      log.error({ err: error, account: account.name }, 'the standby gateway CA could not be made');
    });
  }
  await renew(issuer, seal, log, accounts);
}

/** Renews the gateway certificates that are due; one that cannot be renewed now is tried again at the next look. */
export async function renewGateways(issuer: Issuer, seal: Seal, log: Log): Promise<void> {
  const { read } = issuer.registry;
  const due = await gatewayCertificatesDue(read, issuer.clock() + renewalHorizon);
  await renew(issuer, seal, log, await Promise.all(due.map(({ account_id }) => requireAccount(read, account_id))));
}

async function renew(issuer: Issuer, seal: Seal, log: Log, accounts: readonly Account[]): Promise<void> {
  for (const account of accounts) {
    try {
      await currentGatewayCertificate(issuer, seal, account);
    } catch (error) {
      log.error({ err: error, account: account.name }, 'the gateway certificate could not be renewed');
    }
  }
}
