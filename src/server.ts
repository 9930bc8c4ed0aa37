// The composition root: opens everything in order, hands it down as values, closes it in reverse.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.ts';
import { openSeal } from './custody/master-key.ts';
import type { Seal } from './custody/seal.ts';
import { createSoftwareCustodian } from './custody/software.ts';
import { Gateway } from './gateway/listener.ts';
import type { GatewayCredentials } from './gateway/trust.ts';
import { createGatewayCas, currentGatewayCertificate, openGatewayKey } from './issuing/gateway-ca.ts';
import { Issuer } from './issuing/issuer.ts';
import type { Log } from './log.ts';
import { startOperator } from './operator/api.ts';
import { Problem } from './problem.ts';
import { KeyPool } from './provisioning/key-pool.ts';
import type { Provisioning } from './provisioning/provisioning.ts';
import { listAccounts, requireAccount } from './registry/accounts.ts';
import { gatewayCasOf, gatewayCertificateOf, gatewayCertificatesDue } from './registry/gateway-cas.ts';
import { serverValue } from './registry/server-values.ts';
import type { Account } from './registry/tables.ts';
import { openRegistry, type Registry } from './registry/writer.ts';
import { Secret } from './secret.ts';
import { certificateToPem } from './x509/certificate.ts';
import { encodePem } from './x509/pem.ts';

/** How often gateway certificates are looked at, in milliseconds. */
const renewalInterval = 60 * 60 * 1000;
/** Gateway certificates that end within this time are looked at closely: more than a third of their life. */
const renewalHorizon = 31 * 24 * 60 * 60 * 1000;

/** A server that serves. Disposing of it ends it in order. */
export interface Server extends AsyncDisposable {
  readonly gatewayPorts: readonly number[];
  readonly operatorPort: number;
  /** Renews the gateway certificates that are due now; done every hour by itself. */
  renewGatewayCertificates(): Promise<void>;
  /** Resolves with the error when the server cannot go on; never otherwise. */
  readonly failed: Promise<Error>;
}

/**
 * Starts the server: the registry first, the gateway's ports last. Throws Problem where something that it needs is not
 * there; then everything that was opened has been closed again.
 */
export async function startServer(
  config: Config,
  { log, clock = Date.now }: { log: Log; clock?: () => number },
): Promise<Server> {
  await using opened = new AsyncDisposableStack();
  const failure = Promise.withResolvers<Error>();
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });

  const registry = opened.use(
    await openRegistry({ file: join(config.dataDir, 'registry.db'), clock, onFailure: failure.resolve }),
  );
  const seal = await openSealOf(config, registry);
  await settleWhatWasInterrupted(registry, log);

  const custodian = createSoftwareCustodian(seal);
  const custodians = new Map([[custodian.name, custodian]]);
  const issuer = new Issuer({ registry, custodians, newKeysIn: custodian.name, clock });
  const keyPool = opened.use(new KeyPool());
  const publicPort = () => config.gateway.publicPort ?? gateway.ports[0] ?? 0;
  const provisioning: Provisioning = {
    registry,
    issuer,
    seal,
    keyPool,
    clock,
    gateway: { domain: config.gateway.domain, publicPort },
  };
  const renew = async () => renewGatewayCertificates(provisioning, seal, log, await accountsInNeed(registry, clock()));
  await completeAccounts(provisioning, seal, log);
  const renewal = setInterval(() => {
    renew().catch((error: unknown) => log.error({ err: error }, 'gateway certificates could not be looked at'));
  }, renewalInterval).unref();
  opened.defer(() => clearInterval(renewal));

  const { defaultAccount, ...listening } = config.gateway;
  const gateway = new Gateway(
    { ...listening, defaultAccount, refusalsKept: config.refusals.kept },
    { provisioning, credentialsOf: (account_id) => gatewayCredentials(registry, seal, account_id), log },
  );
  opened.use(gateway);
  let listens = false;
  const operator = opened.use(
    await startOperator({
      socketPath: join(config.dataDir, 'operator.sock'),
      port: config.operator.port,
      provisioning,
      log,
      ready: async () => listens,
    }),
  );
  await gateway.listen();
  listens = true;

  const all = opened.move();
  return {
    gatewayPorts: gateway.ports,
    operatorPort: operator.port,
    renewGatewayCertificates: renew,
    failed: failure.promise,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function openSealOf({ dataDir, custody }: Config, registry: Registry): Promise<Seal> {
  const variable = custody.masterKeyVariable;
  const value = variable === null ? undefined : process.env[variable];
  if (variable !== null && value === undefined) {
    throw new Problem('custody_unavailable', `The variable ${variable}, which is to hold the master key, is not set.`);
  }
  return openSeal(
    { directory: dataDir, file: custody.masterKeyFile, text: value === undefined ? null : Secret.fromText(value) },
    {
      read: async () => (await serverValue(registry.read, 'seal')) ?? null,
      write: async (proof) => {
        await registry.write('rememberServerValue', { key: 'seal', value: proof });
      },
    },
  );
}

/** A server that was killed leaves what it was doing half done: what nobody was told of is undone. */
async function settleWhatWasInterrupted(registry: Registry, log: Log): Promise<void> {
  const unready = await registry.write('removeUnreadyAccounts', {});
  const { abandoned } = await registry.write('settleInterrupted', {});
  if (unready.length > 0 || abandoned > 0) {
    log.info({ accounts: unready.length, certificates: abandoned }, 'undid what a killed server had left half done');
  }
}

/** A server that was killed may have left an account without a standby gateway CA, or a certificate for all its hosts. */
async function completeAccounts(provisioning: Provisioning, seal: Seal, log: Log): Promise<void> {
  const accounts = await listAccounts(provisioning.registry.read);
  for (const account of accounts) {
    await createGatewayCas(provisioning.issuer, account).catch((error: unknown) => {
      log.error({ err: error, account: account.name }, 'the standby gateway CA could not be made');
    });
  }
  await renewGatewayCertificates(provisioning, seal, log, accounts);
}

/**
 * Sees to it that each account has the gateway certificate that it should have; one that cannot be made now is tried
 * again at the next look.
 */
async function renewGatewayCertificates(
  { issuer }: Provisioning,
  seal: Seal,
  log: Log,
  accounts: readonly Account[],
): Promise<void> {
  for (const account of accounts) {
    try {
      await currentGatewayCertificate(issuer, seal, account);
    } catch (error) {
      log.error({ err: error, account: account.name }, 'the gateway certificate could not be renewed');
    }
  }
}

/** The accounts whose gateway certificate may be due. */
async function accountsInNeed({ read }: Registry, now: number): Promise<Account[]> {
  const due = await gatewayCertificatesDue(read, now + renewalHorizon);
  return Promise.all(due.map(({ account_id }) => requireAccount(read, account_id)));
}

/** What TLS needs in process: the account's present gateway certificate, its CA, and its key opened. */
async function gatewayCredentials(registry: Registry, seal: Seal, account_id: string): Promise<GatewayCredentials> {
  const row = await gatewayCertificateOf(registry.read, account_id);
  const cas = await gatewayCasOf(registry.read, account_id);
  const ca = cas.find((each) => each.id === row?.gateway_ca_id);
  if (!row || !ca) throw new Problem('unavailable', `The account ${account_id} has no gateway certificate.`);
  using key = openGatewayKey(seal, row);
  return {
    chain: certificateToPem(Buffer.from(row.certificate)) + certificateToPem(Buffer.from(ca.certificate)),
    key: encodePem('PRIVATE KEY', key.reveal()),
  };
}
