// What is counted and measured: every metric of the server, named as Prometheus has it, for whoever scrapes `/metrics`.

import { collectDefaultMetrics, Counter, Gauge, Histogram, type Metric, Registry } from 'prom-client';
import { AccountLabels } from './metrics/account-labels.ts';
import { PlainHistogram, RequestCounts } from './metrics/at-requests.ts';
import { allTogether, type OfProcess, type Snapshot } from './metrics/of-processes.ts';
import { programVersion } from './version.ts';

/** How a metric is told of in docs/metrics.md. */
export interface Documented {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}

/** Values of a gauge that are read when it is scraped: the labels of each, and the value. */
export type Samples = Iterable<readonly [labels: Record<string, string>, value: number]>;

/** A gauge whose values are somewhere already. */
export interface Sampled {
  /** Has `read` asked at every scrape from now on. */
  from(read: () => Samples | Promise<Samples>): void;
}

/** From a quick signature to the patience of a client, in seconds. */
const calls = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** A read is done within this process; in seconds. */
const reads = [0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5];
const sizes = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000];

/** What a process says of itself is of the process, however many servers it has: made once, when first scraped. */
let ofProcess: Registry | null = null;

function processMetrics(): Registry {
  if (ofProcess === null) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess });
    // Gauges that are named as counters are: what reads the format strictly complains of them.
    for (const what of ['handles', 'requests', 'resources'])
      ofProcess.removeSingleMetric(`nodejs_active_${what}_total`);
  }
  return ofProcess;
}

/**
 * All metrics of one server. Made in server.ts and handed down; whoever is given none counts for nobody. A label's values
 * are few and ours: an account by its name, and only so many accounts (account-labels.ts); never a device.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #documented: Documented[] = [];
  readonly #byAccount: Counter[] = [];
  /** Which accounts have series of their own. */
  readonly accounts: AccountLabels;
  #scrape: Promise<string> | null = null;
  #others: () => Promise<readonly OfProcess[]> = async () => [];

  /** `accounts` is how many accounts have series of their own at the most. */
  constructor({ accounts = 100 }: { accounts?: number } = {}) {
    this.accounts = new AccountLabels(accounts, (label) => this.#forgetAccount(label));
    this.#buildInfo.set({ version: programVersion(), node: process.version }, 1);
  }

  readonly #buildInfo = this.#gauge('fleetroot_build_info', 'Always 1; its labels say what runs.', ['version', 'node']);
  readonly readinessFaults = this.#sampled(
    'fleetroot_readiness_faults',
    'What is amiss while devices are served, as /readyz tells it.',
    ['part'],
  );

  readonly workers = this.#sampled(
    'fleetroot_gateway_processes',
    'Processes that serve devices beside the one that is scraped; none where that one does it itself.',
    [],
  );

  readonly handshakes = this.#ofAccounts(
    'fleetroot_handshakes_total',
    'TLS handshakes on the device gateway that have ended: done, resumed (an earlier session, taken up again), unknown_host, no_host, over_rate, crowded_out, timed_out, failed.',
    ['outcome'],
  );
  readonly handshakeDuration = this.#plainHistogram(
    'fleetroot_handshake_duration_seconds',
    'From the connection to the end of a handshake that was done.',
    calls,
  );
  readonly crowdedOut = this.#counter(
    'fleetroot_connections_crowded_out_total',
    'Connections on the device gateway that were ended to make room for others, or for lack of it.',
    [],
  );
  readonly proxyHeadersRefused = this.#counter(
    'fleetroot_proxy_headers_refused_total',
    'Connections from load balancers that did not begin with a header of the PROXY protocol, and were ended.',
    [],
  );
  readonly deviceConnections = this.#sampled(
    'fleetroot_device_connections',
    'Connections that are open on the device gateway, their handshake done.',
    ['account'],
  );
  readonly unidentifiedConnections = this.#sampled(
    'fleetroot_unidentified_connections',
    'Connections on the device gateway of whom it is not known yet who they are.',
    [],
  );
  readonly waitingConnections = this.#sampled(
    'fleetroot_waiting_connections',
    'Connections on the device gateway that wait for their turn to begin a handshake.',
    [],
  );
  readonly deviceRequests = this.#ofRequests(
    'fleetroot_device_requests_total',
    'Requests on the device gateway that have ended, by the class of the status (2xx; none where there was no reply).',
    'status',
  );
  readonly deviceRequestDuration = this.#plainHistogram(
    'fleetroot_device_request_duration_seconds',
    'From a request on the device gateway to the end of its reply, back ends and slow clients among it.',
    calls,
  );
  readonly refusals = this.#ofAccounts(
    'fleetroot_refusals_total',
    'Connections and requests that were turned away, by the rule that failed (docs/errors.md).',
    ['code'],
  );
  readonly provisionings = this.#ofAccounts(
    'fleetroot_provisionings_total',
    'Devices that came to have an identity here: by shared credentials (provisioned, or the code of the refusal) and by device credentials (added, pending).',
    ['method', 'outcome'],
  );
  readonly provisioningDuration = this.#histogram(
    'fleetroot_provisioning_duration_seconds',
    'Making a device its key and certificate by shared credentials, until both are on the disk.',
    ['outcome'],
    calls,
  );

  readonly issuingDuration = this.#histogram(
    'fleetroot_issuing_duration_seconds',
    'Issuing a certificate: recording it, signing it, recording it.',
    ['profile', 'outcome'],
    calls,
  );
  readonly custodyDuration = this.#histogram(
    'fleetroot_custody_duration_seconds',
    'Calls to what holds private keys: done, away (nothing was asked of it), or the fault.',
    ['custodian', 'operation', 'outcome'],
    calls,
  );
  readonly custodyAway = this.#sampled(
    'fleetroot_custody_away',
    '1 while the custodian does nothing, else 0.',
    ['custodian'],
    'max',
  );

  readonly registryReads = this.#plainHistogram(
    'fleetroot_registry_read_duration_seconds',
    'Queries of the database, each of which holds the event loop.',
    reads,
  );
  readonly registryWrites = this.#histogram(
    'fleetroot_registry_write_duration_seconds',
    'From asking for a write until it is on the disk (written) or nothing of it is left (refused, by a rule or since the disk fails).',
    ['outcome'],
    calls,
  );
  readonly registryCommits = this.#histogram(
    'fleetroot_registry_commit_duration_seconds',
    'Transactions in the thread that writes, of one write or many.',
    [],
    calls,
  );
  readonly registryCommitSizes = this.#histogram(
    'fleetroot_registry_commit_writes',
    'Writes that went into one transaction.',
    [],
    sizes,
  );
  readonly registryWaiting = this.#sampled(
    'fleetroot_registry_waiting_writes',
    'Writes that have been asked for and not answered.',
    [],
  );
  readonly registrySize = this.#sampled(
    'fleetroot_registry_size_bytes',
    'The database and its write-ahead log on the disk.',
    ['file'],
  );

  readonly devices = this.#sampled('fleetroot_devices', 'Devices by their state.', ['account', 'state']);
  readonly certificates = this.#sampled(
    'fleetroot_certificates',
    'Certificates in use that end within so many days, those that have ended among them (0: those alone; +Inf: all). Cumulative: pick one days_left.',
    ['account', 'kind', 'days_left'],
  );
  readonly provisioningKeys = this.#sampled('fleetroot_provisioning_keys', 'Provisioning keys by their state.', [
    'account',
    'state',
  ]);
  readonly factoryFindings = this.#sampled(
    'fleetroot_factory_findings',
    'Certificates that manifests of factory lines and what has come do not agree on, as manifest reconcile tells them; none without a manifest.',
    ['account', 'kind'],
  );
  readonly inventoryTime = this.#sampled(
    'fleetroot_inventory_timestamp_seconds',
    'When devices, certificates and provisioning keys were last counted, in seconds since 1970.',
    [],
  );

  readonly operatorRequests = this.#counter(
    'fleetroot_operator_requests_total',
    "Calls of the operators' API, by operation (docs/openapi.json; none for a path that is not there) and status.",
    ['operation', 'status'],
  );
  readonly operatorRequestDuration = this.#histogram(
    'fleetroot_operator_request_duration_seconds',
    "From a call of the operators' API to the end of its reply.",
    ['method'],
    calls,
  );
  readonly operatorConnections = this.#sampled(
    'fleetroot_operator_connections',
    "Connections that are open on the operators' listeners.",
    ['listener'],
  );

  readonly auditUnchained = this.#sampled(
    'fleetroot_audit_unchained',
    '1 while the audit log has entries that are not chained yet, which is a second at the most, else 0.',
    [],
  );
  readonly auditCheckpoint = this.#sampled(
    'fleetroot_audit_checkpoint_timestamp_seconds',
    'When the last signed checkpoint of the audit log was made, in seconds since 1970; 0 before the first.',
    [],
  );
  readonly auditUncovered = this.#sampled(
    'fleetroot_audit_uncovered_entries',
    'Entries of the audit log that are chained and under no signed checkpoint yet; one is signed every hour.',
    [],
  );
  readonly webhookAttempts = this.#counter(
    'fleetroot_webhook_attempts_total',
    'Deliveries of events to webhooks that were tried: delivered or failed.',
    ['outcome'],
  );
  readonly eventStreams = this.#sampled('fleetroot_event_streams', 'Streams of events that are open.', []);

  /** Every metric of ours, for the docs. */
  get documented(): readonly Documented[] {
    return this.#documented;
  }

  /** The content type of `scrape`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All values at this moment, as text. Who asks while somebody is being answered gets the same answer. */
  scrape(): Promise<string> {
    this.#scrape ??= this.#collect().finally(() => (this.#scrape = null));
    return this.#scrape;
  }

  /** Has every scrape tell of other processes of the same server, too. */
  withOthers(read: () => Promise<readonly OfProcess[]>): void {
    this.#others = read;
  }

  /** All values at this moment, for the process that is scraped. */
  async snapshot(): Promise<Snapshot> {
    const [ours, process] = await Promise.all([this.#registry.getMetricsAsJSON(), processMetrics().getMetricsAsJSON()]);
    return { ours, process };
  }

  async #collect(): Promise<string> {
    const others = await this.#others();
    if (others.length > 0) return allTogether(await this.snapshot(), others);
    const [ours, process] = await Promise.all([this.#registry.metrics(), processMetrics().metrics()]);
    return `${ours}\n${process}`;
  }

  #counter<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> {
    this.#documented.push({ name, type: 'counter', labels: labelNames, help });
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  /** A counter with the account's label first. */
  #ofAccounts<Label extends string>(name: string, help: string, labels: readonly Label[]): Counter<Label | 'account'> {
    const counter = this.#counter(name, help, ['account' as const, ...labels]);
    this.#byAccount.push(counter);
    return counter;
  }

  /** The same where one is counted at every request. */
  #ofRequests(name: string, help: string, label: string): RequestCounts {
    this.#documented.push({ name, type: 'counter', labels: ['account', label], help });
    const counts = new RequestCounts();
    const counter = new Counter({
      name,
      help,
      labelNames: ['account', label],
      registers: [this.#registry],
      collect() {
        for (const [account, value, count] of counts.take()) this.inc({ account, [label]: value }, count);
      },
    });
    this.#byAccount.push(counter);
    return counts;
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Gauge<Label> {
    this.#documented.push({ name, type: 'gauge', labels: labelNames, help });
    return new Gauge({ name, help, labelNames, registers: [this.#registry], aggregator: 'first' });
  }

  /** `together` is how the values of several processes make one. */
  #sampled(name: string, help: string, labelNames: readonly string[], together: 'sum' | 'max' = 'sum'): Sampled {
    this.#documented.push({ name, type: 'gauge', labels: labelNames, help });
    const sources: (() => Samples | Promise<Samples>)[] = [];
    const gauge = new Gauge({
      name,
      help,
      labelNames,
      registers: [],
      aggregator: together,
      async collect() {
        const samples = await Promise.all(sources.map(async (read) => read()));
        this.reset();
        for (const [labels, value] of samples.flatMap((each) => [...each])) this.inc(labels, value);
      },
    });
    this.#registry.registerMetric(gauge);
    return { from: (read) => void sources.push(read) };
  }

  #histogram<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    buckets: number[],
  ): Histogram<Label> {
    this.#documented.push({ name, type: 'histogram', labels: labelNames, help });
    return new Histogram({ name, help, labelNames, buckets, registers: [this.#registry] });
  }

  /** One without labels. */
  #plainHistogram(name: string, help: string, buckets: readonly number[]): PlainHistogram {
    this.#documented.push({ name, type: 'histogram', labels: [], help });
    const histogram = new PlainHistogram({ name, help, buckets });
    this.#registry.registerMetric(histogram as unknown as Metric);
    return histogram;
  }

  /** What was counted of an account that has no series of its own any more is gone: in `other` it would be a jump. */
  async #forgetAccount(label: string): Promise<void> {
    for (const counter of this.#byAccount) {
      const { values } = await (counter as Metric & Counter).get();
      for (const { labels } of values)
        if (labels['account'] === label) counter.remove(labels as Record<string, string>);
    }
  }
}

/** Seconds since an instant of `performance.now()`. */
export function secondsSince(began: number): number {
  return (performance.now() - began) / 1_000;
}
