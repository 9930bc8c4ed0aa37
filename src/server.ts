// The composition root: opens everything in order, hands it down as values, closes it in reverse.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Config } from './config.ts';
import { completeGateways, renewGateways } from './issuing/gateway-renewal.ts';
import type { Issuer } from './issuing/issuer.ts';
import type { Log } from './log.ts';
import { Metrics } from './metrics.ts';
import { openLogin } from './login/login.ts';
import { offerFirstAdministrator } from './login/operators.ts';
import { SingleSignOn } from './login/single-sign-on.ts';
import { Tokens } from './login/tokens.ts';
import { startOperator } from './operator/api.ts';
import { authenticator } from './operator/auth.ts';
import type { Readiness } from './operator/readiness.ts';
import { createOutbound } from './outbound.ts';
import { checkpointTargets } from './notification/checkpoint-targets.ts';
import { watchOwnerTrust } from './provisioning/owner-standing.ts';
import type { Provisioning } from './provisioning/provisioning.ts';
import { TrustFile } from './provisioning/trust-file.ts';
import { Inventory } from './server/inventory.ts';
import { Retention } from './server/retention.ts';
import { AuditKeeper, sampleAudit } from './server/audit-keeper.ts';
import { noBackups, openBackups } from './server/backups.ts';
import { custodianFaults, keyFaults, strandedKeyFaults } from './server/custodians.ts';
import { finishRotation, openMasterKey, rotationFaults, rotationOf } from './server/master-key.ts';
import { custodyEvent, openNotifications } from './server/notifications.ts';
import { openOperatorCertificates } from './server/operator-certificate.ts';
import { databaseFaults, faultsFrom, openServerRegistry, settleInterrupted } from './server/registry.ts';
import { restorationFaults } from './server/restoration.ts';
import { openGateway, openServing } from './server/serving.ts';
import { renewTicketKeys } from './server/ticket-keys.ts';
import { canSharePorts } from './server/shared-ports.ts';
import { Workers } from './server/workers.ts';

/** How often gateway certificates and keys to be destroyed are looked at, in milliseconds. */
const renewalInterval = 60 * 60 * 1000;

/** How often the keys of TLS tickets are looked at, in milliseconds. */
const ticketKeyInterval = 30 * 1000;

/** How often owner-signed trust is looked at, in milliseconds: the registry may have been changed past this program. */
const ownerTrustInterval = 3 * 1000;

/** What devices connect to: this process itself, or gateway processes. */
interface Front {
  readonly ports: readonly number[];
  listen(provisioning: Provisioning): Promise<void>;
  drain(): void;
  finish(): Promise<void>;
  /** Gateway processes read the keys of TLS tickets in their own time. */
  refreshTickets?(): Promise<void>;
}

/** A server that serves. Disposing of it ends it at once, and what devices have under way; after `drain` there is none. */
export interface Server extends AsyncDisposable {
  readonly gatewayPorts: readonly number[];
  readonly operatorPort: number;
  /** The link that makes the first administrator, within 15 minutes; null where there is one. */
  readonly firstAdministratorUrl: string | null;
  /** Where operators reach it. */
  readonly operatorUrl: string;
  /** Renews the gateway certificates that are due now; done every hour by itself. */
  renewGatewayCertificates(): Promise<void>;
  /** Makes the next key of TLS tickets where that is due; done twice a minute by itself. */
  renewTicketKeys(): Promise<void>;
  /** Counts for the metrics what there is; done every half minute by itself. */
  countInventory(): Promise<void>;
  /** Tells of what ends soon and of refusals that were gathered, and takes away what is old; done every minute by itself. */
  keepEvents(): Promise<void>;
  /**
   * Ends the serving of devices in order: `/readyz` fails at once, for `gateway.drain` whoever comes is served still, then
   * the ports close. Resolves when what was under way is finished, which takes 8 seconds at the most.
   */
  drain(): Promise<void>;
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
  const own = opened.use(await openServerRegistry(config, { clock, onFailure: failure.resolve, metrics }));
  const workers = (await hasWorkers(config, log))
    ? opened.use(new Workers({ config, registry: own, metrics, log, clock, onFailure: failure.resolve }))
    : null;
  const registry = workers?.registry ?? own;
  const starting = opened.use(await own.alone('start'));
  const rotation = rotationFaults(clock);
  const masterKey = opened.use(
    await openMasterKey(config, registry, log, async () => workers?.followRotation(), rotation.tell),
  );
  const { seal } = masterKey;
  opened.use(await settleInterrupted(config, registry, log));

  const outbound = createOutbound(config.outbound.allow);
  const notifications = opened.use(await openNotifications(config, { registry, seal, outbound, clock, log, metrics }));
  const { events, webhooks, keeper } = notifications;
  const trustFile = await TrustFile.open(config.dataDir, config.trust.ownerFile);
  const serving = opened.use(
    openServing(config, {
      registry,
      seal,
      trustFile,
      outbound,
      log,
      clock,
      metrics,
      onWell: () => {
        workers?.knowCustodians(custodians);
        tend(complete);
      },
      tell: (news) => {
        workers?.knowCustodians(custodians);
        void keeper.note(custodyEvent(news));
      },
      port: () => gateway.ports[0] ?? 0,
    }),
  );
  const { provisioning, custodians, keys } = serving;
  const { issuer } = provisioning;
  const targets = checkpointTargets({ file: config.audit.checkpointFile, syslog: config.audit.syslog });
  const audit = opened.use(await AuditKeeper.open({ registry, keys, clock, targets, log }));
  const operatorCertificates = await openOperatorCertificates(config, { issuer, seal, log });
  const renew = async () => {
    await using _turn = await own.alone('renewal');
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
  const stranded = await strandedKeyFaults(issuer, clock(), log);

  const gateway: Front = workers ?? opened.use(openGateway(config, provisioning, { log, metrics }));
  const renewTickets = async () => {
    const { resumption, ticketKeyLifetime: lifetime } = config.gateway;
    if (resumption === 'on') await renewTicketKeys(registry, seal, { now: clock(), lifetime, log });
    await gateway.refreshTickets?.();
  };
  await renewTickets();
  every(ticketKeyInterval, () => {
    renewTickets().catch((error: unknown) =>
      log.error({ err: error }, 'the keys of TLS tickets could not be looked at'),
    );
  });
  let listens = false;
  let ending = false;
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
  const registryFaults = faultsFrom(registry, async () => [
    ...(await ownerTrust()),
    ...(await restorationFaults(registry)),
  ]);
  const ready = async (): Promise<Readiness> => ({
    serving: listens && workers?.serving !== false,
    ending,
    faults: [
      ...databaseFaults(config, registry, clock()),
      ...rotation.faults(),
      ...custodianFaults(custodians),
      ...stranded,
      ...keyFaults(issuer, clock()),
      ...((await workers?.faults()) ?? []),
      ...(await registryFaults()),
    ],
  });
  sampleAudit(metrics, registry.read);
  metrics.readinessFaults.from(async () => (await ready()).faults.map(({ part }) => [{ part }, 1]));
  const backups =
    config.database.url === null
      ? opened.use(await openBackups({ dataDir: config.dataDir, masterKey, clock }))
      : noBackups;
  const operator = opened.use(
    await startOperator({
      socketPath: join(config.dataDir, 'operator.sock'),
      address: config.operator.address,
      port: config.operator.port,
      listener: operatorCertificates,
      provisioning,
      custody: rotationOf(masterKey, log),
      audit,
      backups,
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
  const retention = opened.use(new Retention({ registry, clock, ...config.retention, log }));
  const inventory = opened.use(new Inventory(registry, metrics, clock));
  inventory.start(log);
  if (workers !== null) {
    await Promise.allSettled([...custodians.values()].map((custodian) => custodian.check()));
    workers.knowCustodians(custodians);
  }
  await gateway.listen(provisioning);
  listens = true;
  await starting[Symbol.asyncDispose]();
  finishRotation(masterKey, log);

  const firstSecret = login.settings.passwords ? await offerFirstAdministrator(login) : null;

  const all = opened.move();
  return {
    operatorUrl: operatorUrl(),
    firstAdministratorUrl: firstSecret && `${operatorUrl()}/first-administrator#${firstSecret}`,
    gatewayPorts: gateway.ports,
    operatorPort: operator.port,
    renewGatewayCertificates: renew,
    renewTicketKeys: renewTickets,
    countInventory: () => inventory.count(),
    async keepEvents() {
      await keeper.look();
      await retention.look();
    },
    failed: failure.promise,
    async drain() {
      ending = true;
      gateway.drain();
      await pause(config.gateway.drain);
      await gateway.finish();
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Whether devices are served by processes of their own: where several cannot share a port, this one serves them. */
async function hasWorkers({ gateway: { workers } }: Config, log: Log): Promise<boolean> {
  if (workers === 1 || (await canSharePorts())) return workers > 1;
  log.warn({ workers }, 'one process serves all: on this system several cannot listen on one port');
  return false;
}

/** Keys of deleted accounts whose custodian was away at the time. */
async function destroyCondemned({ keys }: Issuer, log: Log): Promise<void> {
  for (const { key, error } of await keys.destroyCondemned()) {
    log.warn({ err: error, key: key.id, custodian: key.custodian }, 'a key could not be destroyed yet');
  }
}
