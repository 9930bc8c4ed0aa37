// Gateway certificates are kept as they should be, of all accounts: completed at the start, renewed before they end.

import type { Seal } from '../custody/seal.ts';
import type { Log } from '../log.ts';
import { Problem } from '../problem.ts';
import { accountById } from '../registry/accounts.ts';
import { type GatewayEnd, gatewayCertificateOf, gatewayCertificatesDue } from '../registry/gateway-cas.ts';
import { accountsLackingGateway } from '../registry/gateway-standing.ts';
import type { Account } from '../registry/tables.ts';
import { formatInstant } from '../time.ts';
import { createGatewayCas, currentGatewayCertificate } from './gateway-ca.ts';
import type { Issuer } from './issuer.ts';

/** Gateway certificates that end within this time (ms) are looked at closely: more than a third of their life. */
const renewalHorizon = 31 * 24 * 60 * 60 * 1000;

/** Certificates that are looked up at a time. */
const dueAtOnce = 100;

/**
 * A server that was killed may have left an account without a standby gateway CA, or a certificate for all its hosts; and
 * what was due while no server ran is due now.
 */
export async function completeGateways(issuer: Issuer, seal: Seal, log: Log): Promise<void> {
  for (const account of await accountsLackingGateway(issuer.registry.read)) {
    await createGatewayCas(issuer, account).catch((error: unknown) => {
      log.error({ err: error, account: account.name }, 'the standby gateway CA could not be made');
    });
    await renew(issuer, seal, log, account);
  }
  await renewGateways(issuer, seal, log);
}

/** Renews the gateway certificates that are due; one that cannot be renewed now is tried again at the next look. */
export async function renewGateways(issuer: Issuer, seal: Seal, log: Log): Promise<void> {
  const { read } = issuer.registry;
  const before = issuer.clock() + renewalHorizon;
  for (let after: GatewayEnd | null = null; ;) {
    const page: Awaited<ReturnType<typeof gatewayCertificatesDue>> = await gatewayCertificatesDue(read, before, {
      after,
      limit: dueAtOnce,
    });
    for (const { account_id } of page) {
      const account = await accountById(read, account_id);
      if (account?.ready_at != null) await renew(issuer, seal, log, account);
    }
    if (page.length < dueAtOnce) return;
    after = page.at(-1)!;
  }
}

async function renew(issuer: Issuer, seal: Seal, log: Log, account: Account): Promise<void> {
  try {
    await currentGatewayCertificate(issuer, seal, account);
  } catch (error) {
    log.error({ err: error, account: account.name }, 'the gateway certificate could not be renewed');
    await tellOfFailure(issuer, account, error).catch((err: unknown) => {
      log.error({ err, account: account.name }, 'an event could not be kept');
    });
  }
}

async function tellOfFailure({ registry }: Issuer, { id: account_id }: Account, error: unknown): Promise<void> {
  const present = await gatewayCertificateOf(registry.read, account_id);
  const reason = error instanceof Problem ? error.message : 'The server failed: its log says how.';
  const data = { not_after: formatInstant(present?.not_after ?? null), reason };
  await registry.write('recordEvents', { events: [{ type: 'gateway_certificate.not_renewed', account_id, data }] });
}
