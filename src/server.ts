// The composition root: opens everything in order, hands it down as values, closes it in reverse.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.ts';
import type { Custodian } from './custody/custodian.ts';
import { createPkcs11Custodian } from './custody/pkcs11.ts';
import type { Seal } from './custody/seal.ts';
import { createSoftwareCustodian } from './custody/software.ts';
import { createVaultCustodian } from './custody/vault.ts';
import { WatchedCustodian, type WatchOptions } from './custody/watch.ts';
import { Gateway } from './gateway/listener.ts';
import type { GatewayCredentials } from './gateway/trust.ts';
import { openGatewayKey } from './issuing/gateway-ca.ts';
import { completeGateways, renewGateways } from './issuing/gateway-renewal.ts';
import { HeldKeys } from './issuing/held-keys.ts';
import { Issuer } from './issuing/issuer.ts';
import { strandedKeys } from './issuing/key-check.ts';
import type { Log } from './log.ts';
import { Metrics } from './metrics.ts';
import { openLogin } from './login/login.ts';
import { offerFirstAdministrator } from './login/operators.ts';
import { SingleSignOn } from './login/single-sign-on.ts';
import { Tokens } from './login/tokens.ts';
import { settleAllowListImports } from './operator/allow-list-import.ts';
import { startOperator } from './operator/api.ts';
import { authenticator } from './operator/auth.ts';
import type { Readiness, ReadinessFault } from './operator/readiness.ts';
import { createOutbound } from './outbound.ts';
import { Problem } from './problem.ts';
import { checkpointTargets } from './notification/checkpoint-targets.ts';
import { KeyPool } from './provisioning/key-pool.ts';
import { watchOwnerTrust } from './provisioning/owner-standing.ts';
import type { Provisioning } from './provisioning/provisioning.ts';
import { TrustFile } from './provisioning/trust-file.ts';
import { gatewayCasOf, gatewayCertificateOf } from './registry/gateway-cas.ts';
import { openRegistry, type Registry } from './registry/writer.ts';
import { Inventory } from './server/inventory.ts';
import { AuditKeeper, sampleAudit } from './server/audit-keeper.ts';
import { finishRotation, openMasterKey, rotationOf } from './server/master-key.ts';
import { custodyEvent, openNotifications } from './server/notifications.ts';
import { openOperatorCertificates } from './server/operator-certificate.ts';
import { formatInstant } from './time.ts';
import { certificateToPem } from './x509/certificate.ts';
import { encodePem } from './x509/pem.ts';

/** How often gateway certificates and keys to be destroyed are looked at, in milliseconds. */
const renewalInterval = 60 * 60 * 1000;
/** How often keys that could not be used are tried again, in milliseconds. */
const recheckInterval = 10 * 1000;

/** How often owner-signed trust is looked at, in milliseconds: the registry may have been changed past this program. */
const ownerTrustInterval = 3 * 1000;

/** A server that serves. Disposing of it ends it in order. */
export interface Server extends AsyncDisposable {
  readonly gatewayPorts: readonly number[];
  readonly operatorPort: number;
  /** The link that makes the first administrator, within 15 minutes; null where there is one. */
  readonly firstAdministratorUrl: string | null;
  /** Where operators reach it. */
  readonly operatorUrl: string;
  /** Renews the gateway certificates that are due now; done every hour by itself. */
  renewGatewayCertificates(): Promise<void>;
  /** Counts for the metrics what there is; done every half minute by itself. */
  countInventory(): Promise<void>;
  /** Tells of what ends soon and of refusals that were gathered, and takes old events away; done every minute by itself. */
  keepEvents(): Promise<void>;
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
  /** Until the end of what was opened before it. */
  const every = (interval: number, work: () => void): void => {
    const timer = setInterval(work, interval).unref();
    opened.defer(() => clearInterval(timer));
  };
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });

  const metrics = new Metrics({ accounts: config.metrics.accounts });
  const registry = opened.use(
    await openRegistry({ file: join(config.dataDir, 'registry.db'), clock, onFailure: failure.resolve, metrics }),
  );
  const masterKey = opened.use(await openMasterKey(config, registry, log));
  const { seal } = masterKey;
  await settleWhatWasInterrupted(registry, log);
  await settleAllowListImports(registry);

  const outbound = createOutbound(config.outbound.allow);
  const notifications = opened.use(await openNotifications(config, { registry, seal, outbound, clock, log, metrics }));
  const { events, webhooks, keeper } = notifications;
  const custodians = openCustodians(config, seal, {
    log,
    clock,
    onWell: () => tend(complete),
    metrics,
    tell: (news) => void keeper.note(custodyEvent(news)),
  });
  for (const custodian of custodians.values()) opened.use(custodian);
  const keys = new HeldKeys({ registry, custodians, newKeysIn: config.custody.default });
  const issuer = new Issuer({ registry, keys, clock, metrics });
  const targets = checkpointTargets({ file: config.audit.checkpointFile, syslog: config.audit.syslog });
  const audit = opened.use(await AuditKeeper.open({ registry, keys, clock, targets, log }));
  const keyPool = opened.use(new KeyPool());
  const trustFile = await TrustFile.open(config.dataDir, config.trust.ownerFile);
  const publicPort = () => config.gateway.publicPort ?? gateway.ports[0] ?? 0;
  const provisioning: Provisioning = {
    registry,
    issuer,
    seal,
    keyPool,
    trustFile,
    outbound,
    clock,
    gateway: { domain: config.gateway.domain, publicPort },
  };
  const operatorCertificates = await openOperatorCertificates(config, { issuer, seal, log });
  const renew = async () => {
    await operatorCertificates.renew();
    await renewGateways(issuer, seal, log);
  };
  const complete = async () => {
    await operatorCertificates.renew();
    await completeGateways(issuer, seal, log);
  };
  // One after the other; what cannot be done since a custodian is away is done when it is back.
  let tended = Promise.resolve();
  const tend = (gateways: () => Promise<void>): void => {
    tended = tended
      .then(gateways)
      .then(() => destroyCondemned(issuer, log))
      .catch((error: unknown) => log.error({ err: error }, 'what is due could not be looked at'));
  };
  tend(complete);
  await tended;
  every(renewalInterval, () => tend(renew));
  every(recheckInterval, () => void keys.recheckFailing());
  const stranded = await strandedKeyFaults(issuer, clock(), log);

  const { defaultAccount, ...listening } = config.gateway;
  const gateway = new Gateway(
    { ...listening, defaultAccount, refusalsKept: config.refusals.kept },
    { provisioning, credentialsOf: (account_id) => gatewayCredentials(registry, seal, account_id), log, metrics },
  );
  opened.use(gateway);
  let listens = false;
  const ownerTrust = watchOwnerTrust(provisioning, clock, log);
  every(ownerTrustInterval, () => {
    ownerTrust().catch((error: unknown) => log.error({ err: error }, 'owner-signed trust could not be looked at'));
  });
  const tokens = opened.use(new Tokens(registry, clock, log));
  const { sessionIdle, sessionLifetime, publicUrl } = config.operator;
  const login = openLogin({
    registry,
    seal,
    log,
    clock,
    settings: {
      idle: sessionIdle,
      lifetime: sessionLifetime,
      publicUrl: publicUrl === null ? null : new URL(publicUrl),
      passwords: config.oidc?.only !== true,
    },
  });
  opened.use(login.failures);
  const operatorUrl = (): string => publicUrl ?? `https://localhost:${operator.port}`;
  const sso = config.oidc && new SingleSignOn(login, config.oidc, () => `${operatorUrl()}/api/v1/session/sso/callback`);
  const ready = async (): Promise<Readiness> => ({
    serving: listens,
    faults: [...faultsOf(custodians), ...stranded, ...keyFaults(keys, clock()), ...(await ownerTrust())],
  });
  sampleAudit(metrics, registry.read);
  metrics.readinessFaults.from(async () => (await ready()).faults.map(({ part }) => [{ part }, 1]));
  const operator = opened.use(
    await startOperator({
      socketPath: join(config.dataDir, 'operator.sock'),
      address: config.operator.address,
      port: config.operator.port,
      listener: operatorCertificates,
      provisioning,
      custody: rotationOf(masterKey, log),
      audit,
      log,
      metrics,
      metricsOpen: config.metrics.open,
      tokens,
      events,
      webhooks,
      login,
      sso,
      url: operatorUrl,
      authenticate: authenticator({ login, tokens }),
      ready,
    }),
  );
  const inventory = opened.use(new Inventory(registry, metrics, clock));
  inventory.start(log);
  await gateway.listen();
  listens = true;
  finishRotation(masterKey, log);

  const firstSecret = login.settings.passwords ? await offerFirstAdministrator(login) : null;

  const all = opened.move();
  return {
    operatorUrl: operatorUrl(),
    firstAdministratorUrl: firstSecret && `${operatorUrl()}/first-administrator#${firstSecret}`,
    gatewayPorts: gateway.ports,
    operatorPort: operator.port,
    renewGatewayCertificates: renew,
    countInventory: () => inventory.count(),
    keepEvents: () => keeper.look(),
    failed: failure.promise,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** The custodians that are configured, by their names, each of them watched. */
function openCustodians(config: Config, seal: Seal, watching: WatchOptions): Map<string, WatchedCustodian> {
  const { vault, pkcs11 } = config;
  const { timeout } = config.custody;
  const all: Custodian[] = [createSoftwareCustodian(seal)];
  if (vault !== null) all.push(createVaultCustodian({ ...vault, timeout }));
  if (pkcs11 !== null) {
    all.push(createPkcs11Custodian({ ...pkcs11, timeout, withheldVariables: secretVariables(config) }));
  }
  return new Map(all.map((custodian) => [custodian.name, new WatchedCustodian(custodian, watching)]));
}

/** The environment variables with secrets that are this process's alone. */
function secretVariables({ custody: { masterKey, nextMasterKey }, vault, oidc }: Config): string[] {
  const places = [masterKey, nextMasterKey].flatMap((place) => (place?.in === 'variable' ? [place.name] : []));
  const secret = oidc?.clientSecret ?? null;
  if (secret !== null && 'variable' in secret) places.push(secret.variable);
  return vault !== null && 'variable' in vault.login ? [...places, vault.login.variable] : places;
}

/** The custodians that are away, as `/readyz` tells it. */
function faultsOf(custodians: ReadonlyMap<string, WatchedCustodian>): ReadinessFault[] {
  return [...custodians.values()].flatMap(({ name, trouble }): ReadinessFault[] => {
    if (trouble === null) return [];
    const { fault, message: reason } = trouble.problem;
    return [{ part: 'custody', custodian: name, fault, reason, since: formatInstant(trouble.since) }];
  });
}

/** Custodians that hold keys of ours and are not configured: each is told once, at the start. */
async function strandedKeyFaults({ registry, keys }: Issuer, now: number, log: Log): Promise<ReadinessFault[]> {
  return [...(await strandedKeys(registry.read, keys))].map(([custodian, count]): ReadinessFault => {
    const reason = `${count} key(s) lie in the custodian ${custodian}, which is not configured.`;
    log.warn({ custodian, keys: count }, reason);
    return { part: 'custody', custodian, fault: 'unavailable', reason, since: formatInstant(now) };
  });
}

/** Keys that could not be used the last time, though their custodian is there: the first of each custodian. */
function keyFaults({ failing }: HeldKeys, now: number): ReadinessFault[] {
  const first = new Map(failing.toReversed().map((each) => [each.key.custodian, each]));
  return [...first].map(([custodian, { problem, since }]) => {
    const at = formatInstant(Math.round(now - (performance.now() - since)));
    return { part: 'custody', custodian, fault: problem.fault, reason: problem.message, since: at };
  });
}

/** Keys of deleted accounts whose custodian was away at the time. */
async function destroyCondemned({ keys }: Issuer, log: Log): Promise<void> {
  for (const { key, error } of await keys.destroyCondemned()) {
    log.warn({ err: error, key: key.id, custodian: key.custodian }, 'a key could not be destroyed yet');
  }
}

/** A server that was killed leaves what it was doing half done: what nobody was told of is undone. */
async function settleWhatWasInterrupted(registry: Registry, log: Log): Promise<void> {
  const unready = await registry.write('removeUnreadyAccounts', {});
  const { abandoned } = await registry.write('settleInterrupted', {});
  if (unready.length > 0 || abandoned > 0) {
    log.info({ accounts: unready.length, certificates: abandoned }, 'undid what a killed server had left half done');
  }
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
