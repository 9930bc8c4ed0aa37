// What the metrics tell of devices, certificates and provisioning keys: counted in the background, a page at a time.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Log } from '../log.ts';
import type { Metrics, Samples } from '../metrics.ts';
import { reconcile } from '../provisioning/reconciliation.ts';
import { accountById, listAccounts } from '../registry/accounts.ts';
import { fleetRootCasOf, fleetRootCertificatesOf } from '../registry/fleet-root-cas.ts';
import { gatewayCasOf, gatewayCertificateOf } from '../registry/gateway-cas.ts';
import {
  type ByEnd,
  type ByState,
  countDevices,
  countDevicesByEnd,
  type Page,
  provisioningKeysAfter,
} from '../registry/inventory.ts';
import { provisioningCaOf } from '../registry/provisioning-cas.ts';
import type { Registry } from '../registry/writer.ts';

/** How long after a count the next one begins at the earliest, in milliseconds. */
const interval = 30_000;
/** And at the earliest after so many times what the last one took: of a very large fleet it is done less often. */
const restsFor = 50;
/** Rows that are counted at once: about a millisecond, in which nothing else is done. */
const pageSize = 2_000;
const day = 24 * 60 * 60 * 1000;
/** What is told of certificates: how many end within so many days. */
const daysLeft = [0, 1, 7, 30, 90];
const deviceStates = ['pending', 'active', 'suspended', 'revoked'] as const;

/** Sums by their labels. */
class Tally {
  readonly #sums = new Map<string, { labels: Record<string, string>; value: number }>();

  add(labels: Record<string, string>, value: number): void {
    const key = JSON.stringify(labels);
    const sum = this.#sums.get(key);
    if (sum) sum.value += value;
    else this.#sums.set(key, { labels, value });
  }

  get samples(): Samples {
    return [...this.#sums.values()].map(({ labels, value }) => [labels, value] as const);
  }
}

/** Counts, and keeps what was counted until it is counted again. */
export class Inventory implements AsyncDisposable {
  readonly #registry: Registry;
  readonly #metrics: Metrics;
  readonly #clock: () => number;
  readonly #stopListening: () => void;
  #counted: {
    readonly at: number;
    readonly devices: Samples;
    readonly certificates: Samples;
    readonly keys: Samples;
    readonly findings: Samples;
  } | null = null;
  #counting: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #ended = false;

  constructor(registry: Registry, metrics: Metrics, clock: () => number) {
    this.#registry = registry;
    this.#metrics = metrics;
    this.#clock = clock;
    metrics.devices.from(() => this.#counted?.devices ?? []);
    metrics.certificates.from(() => this.#counted?.certificates ?? []);
    metrics.provisioningKeys.from(() => this.#counted?.keys ?? []);
    metrics.factoryFindings.from(() => this.#counted?.findings ?? []);
    metrics.inventoryTime.from(() => (this.#counted ? [[{}, this.#counted.at / 1_000]] : []));
    this.#stopListening = registry.changes.listen((change) => {
      if (change.kind === 'account') this.#follow(change.account_id).catch(() => {});
    });
  }

  /** Counts at once, and from then on by itself. What cannot be counted is logged, and tried again. */
  start(log: Log): void {
    const began = performance.now();
    this.count()
      .catch((error: unknown) => log.error({ err: error }, 'devices and certificates could not be counted'))
      .finally(() => {
        if (this.#ended) return;
        const wait = Math.max(interval, (performance.now() - began) * restsFor);
        this.#timer = setTimeout(() => this.start(log), wait).unref();
      });
  }

  /** Counts now. Who asks while it is being counted waits for a count that began after he asked. */
  async count(): Promise<void> {
    await this.#counting;
    this.#counting ??= this.#count().finally(() => (this.#counting = null));
    await this.#counting;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#stopListening();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#counting?.catch(() => {});
  }

  /** A new account is told of by its name from the first, where there is room; one that is gone no longer. */
  async #follow(account_id: string): Promise<void> {
    const account = await accountById(this.#registry.read, account_id);
    if (account) this.#metrics.accounts.add(account);
    else await this.#metrics.accounts.remove(account_id);
  }

  async #count(): Promise<void> {
    const now = this.#clock();
    const { read } = this.#registry;
    const states = await this.#walk((after: ByState | null, most) => countDevices(read, after, most));
    const owned = new Map<string, number>();
    for (const { account_id, devices } of states) owned.set(account_id, (owned.get(account_id) ?? 0) + devices);
    const accounts = await listAccounts(read);
    const ofMost = (id: string) => owned.get(id) ?? 0;
    await this.#metrics.accounts.rank(accounts.toSorted((one, other) => ofMost(other.id) - ofMost(one.id)));

    const label = (account_id: string) => this.#metrics.accounts.of(account_id);
    const devices = new Tally();
    for (const { id } of accounts) for (const state of deviceStates) devices.add({ account: label(id), state }, 0);
    for (const each of states) devices.add({ account: label(each.account_id), state: each.state }, each.devices);

    const certificates = new Tally();
    const ends = daysLeft.map((days) => now + days * day);
    const byEnd = await this.#walk((after: ByEnd | null, most) => countDevicesByEnd(read, after, most, ends));
    for (const { account_id, all, before } of byEnd) {
      addWithin(certificates, { account: label(account_id), kind: 'device' }, all, before);
    }
    const keys = new Tally();
    const findings = new Tally();
    for (const { id } of accounts) {
      if (this.#ended) return;
      await nextTurn();
      for (const [kind, notAfter] of await this.#authorities(id)) {
        const before = ends.map((end) => (notAfter < end ? 1 : 0));
        addWithin(certificates, { account: label(id), kind }, 1, before);
      }
      for (const { state, notAfter } of await this.#provisioningKeys(id, now)) {
        keys.add({ account: label(id), state }, 1);
        const before = ends.map((end) => (notAfter < end ? 1 : 0));
        if (state === 'active' || state === 'expired') {
          addWithin(certificates, { account: label(id), kind: 'provisioning_key' }, 1, before);
        }
      }
      for (const [kind, count] of await this.#findings(id)) findings.add({ account: label(id), kind }, count);
    }
    this.#counted = {
      at: now,
      devices: devices.samples,
      certificates: certificates.samples,
      keys: keys.samples,
      findings: findings.samples,
    };
  }

  /** All pages of a walk; between two of them everything else has its turn. */
  async #walk<Count, Cursor>(
    next: (after: Cursor | null, most: number) => Promise<Page<Count, Cursor>>,
  ): Promise<Count[]> {
    const all: Count[] = [];
    for (let after: Cursor | null = null; !this.#ended;) {
      const page: Page<Count, Cursor> = await next(after, pageSize);
      all.push(...page.counts);
      after = page.next;
      if (after === null) break;
      await nextTurn();
    }
    return all;
  }

  /** The certificates of an account that its gateway or its trust rests on, each with its end. */
  async #authorities(account_id: string): Promise<[kind: string, notAfter: number][]> {
    const { read } = this.#registry;
    const gateway = await gatewayCertificateOf(read, account_id);
    const gatewayCas = await gatewayCasOf(read, account_id);
    const provisioningCa = await provisioningCaOf(read, account_id);
    const disabled = new Set(
      (await fleetRootCasOf(read, account_id)).filter(({ state }) => state === 'disabled').map(({ id }) => id),
    );
    const roots = await fleetRootCertificatesOf(read, account_id);
    return [
      ...(gateway ? [['gateway', gateway.not_after] as [string, number]] : []),
      ...gatewayCas
        .filter(({ state }) => state !== 'retired')
        .map(({ not_after }): [string, number] => ['gateway_ca', not_after]),
      ...(provisioningCa ? [['provisioning_ca', provisioningCa.not_after] as [string, number]] : []),
      ...roots
        .filter(({ fleet_root_ca_id }) => !disabled.has(fleet_root_ca_id))
        .map(({ role, not_after }): [string, number] => [
          role === 'anchor' ? 'fleet_root_ca' : 'intermediate',
          not_after,
        ]),
    ];
  }

  /** What factory lines have accounted for held against what has come; nothing for an account without such a line. */
  async #findings(account_id: string): Promise<[kind: string, count: number][]> {
    const { lines, missing, coming, shared, beyond, strangers, unaccounted } = await reconcile(
      this.#registry.read,
      account_id,
    );
    if (lines.length === 0) return [];
    const found = { never_seen: missing, coming, shared, beyond, stranger: strangers, unaccounted };
    return Object.entries(found).map(([kind, { count }]) => [kind, count]);
  }

  async #provisioningKeys(account_id: string, now: number): Promise<{ state: string; notAfter: number }[]> {
    const all: { state: string; notAfter: number }[] = [];
    for (let after = ''; !this.#ended; await nextTurn()) {
      const page = await provisioningKeysAfter(this.#registry.read, account_id, after, pageSize);
      for (const { not_after: notAfter, max_uses, uses, disabled_at } of page) {
        const isUsedUp = max_uses !== null && uses >= max_uses;
        const state =
          disabled_at !== null ? 'disabled' : notAfter < now ? 'expired' : isUsedUp ? 'exhausted' : 'active';
        all.push({ state, notAfter });
      }
      if (page.length < pageSize) break;
      after = page.at(-1)!.id;
    }
    return all;
  }
}

/** Adds certificates: all of them, and how many end within each of `daysLeft`. */
function addWithin(tally: Tally, labels: { account: string; kind: string }, all: number, before: number[]): void {
  for (const [index, days] of daysLeft.entries()) tally.add({ ...labels, days_left: `${days}` }, before[index] ?? 0);
  tally.add({ ...labels, days_left: '+Inf' }, all);
}
