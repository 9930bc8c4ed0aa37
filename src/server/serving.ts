// What every process opens that serves devices, be it the whole server or one of its gateway processes.

import type { Config } from '../config.ts';
import type { Seal } from '../custody/seal.ts';
import type { WatchedCustodian, WatchOptions } from '../custody/watch.ts';
import { Gateway } from '../gateway/listener.ts';
import type { GatewayCredentials } from '../gateway/faces.ts';
import { openGatewayKey } from '../issuing/gateway-ca.ts';
import { HeldKeys } from '../issuing/held-keys.ts';
import { Issuer } from '../issuing/issuer.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Outbound } from '../outbound.ts';
import { Problem } from '../problem.ts';
import { KeyPool } from '../provisioning/key-pool.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import type { TrustFile } from '../provisioning/trust-file.ts';
import { gatewayCasOf, gatewayCertificateOf } from '../registry/gateway-cas.ts';
import type { Registry } from '../registry/writer.ts';
import { certificateToPem } from '../x509/certificate.ts';
import { encodePem } from '../x509/pem.ts';
import type { LetIn } from '../custody/beside-custodian.ts';
import { openCustodians } from './custodians.ts';
import { openTicketKeys } from './ticket-keys.ts';

/** How often keys that could not be used are tried again, in milliseconds. */
const recheckInterval = 10 * 1000;

/** What a process has of its own, and what was opened before. */
export interface ServingParts extends Omit<WatchOptions, 'metrics'> {
  readonly registry: Registry;
  readonly seal: Seal;
  readonly trustFile: TrustFile;
  readonly outbound: Outbound;
  readonly metrics: Metrics;
  /** In a process beside the control process: the custodians that have let that one in. */
  readonly letIn?: () => LetIn;
  /** The first gateway port; known once the gateway listens. */
  readonly port: () => number;
}

/** What issues and judges in a process. Disposing of it lets go of the custodians. */
export interface Serving extends AsyncDisposable {
  readonly provisioning: Provisioning;
  readonly keys: HeldKeys;
  readonly custodians: ReadonlyMap<string, WatchedCustodian>;
}

/** Opens the custodians and what works with them. */
export function openServing(config: Config, parts: ServingParts): Serving {
  using opened = new DisposableStack();
  const { registry, seal, trustFile, outbound, metrics, clock, port } = parts;
  const custodians = openCustodians(config, seal, parts, parts.letIn);
  const keys = new HeldKeys({ registry, custodians, newKeysIn: config.custody.default });
  const issuer = new Issuer({ registry, keys, clock, metrics });
  const keyPool = opened.use(new KeyPool());
  const timer = setInterval(() => void keys.recheckFailing(), recheckInterval).unref();
  opened.defer(() => clearInterval(timer));
  const { domain, publicPort } = config.gateway;
  const gateway = { domain, publicPort: () => publicPort ?? port() };
  const all = opened.move();
  return {
    provisioning: { registry, issuer, seal, keyPool, trustFile, outbound, clock, gateway },
    keys,
    custodians,
    async [Symbol.asyncDispose]() {
      all.dispose();
      await Promise.all([...custodians.values()].map((custodian) => custodian[Symbol.asyncDispose]()));
    },
  };
}

/** The device gateway of this process; it listens when it is told to. `shared` are ports that other processes have too. */
export function openGateway(
  { database, gateway: { defaultAccount, ...listening }, refusals, limits }: Config,
  provisioning: Provisioning,
  { shared = null, log, metrics }: { shared?: readonly number[] | null; log: Log; metrics: Metrics },
): Gateway {
  const { registry, seal } = provisioning;
  const ports = shared ?? listening.ports;
  const refuseAfter = database.whenCutOff === 'refuse' ? database.grace : null;
  // The kernel gives each worker as many connections as another: together they have what a node has.
  const share = shared === null ? 1 : listening.workers;
  const rates = {
    accountHandshakes: limits.accountHandshakes / share,
    accountProvisionings: limits.accountProvisionings / share,
    keyProvisionings: limits.keyProvisionings / share,
  };
  return new Gateway(
    {
      ...listening,
      ports,
      reusePort: shared !== null,
      defaultAccount,
      refusalsKept: refusals.kept,
      refuseAfter,
      rates,
    },
    {
      provisioning,
      credentialsOf: (account_id) => gatewayCredentials(registry, seal, account_id),
      ticketKeys: () => openTicketKeys(registry, seal),
      log,
      metrics,
    },
  );
}

/** What TLS needs in process: the account's present gateway certificate, its CA, and its key opened. */
async function gatewayCredentials(
  registry: Registry,
  seal: Provisioning['seal'],
  account_id: string,
): Promise<GatewayCredentials> {
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
