// What the metrics tell of devices, certificates and provisioning keys: counted in the background, a page at a time.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Log } from '../log.ts';
import type { Metrics, Samples } from '../metrics.ts';
import { reconcile } from '../provisioning/reconciliation.ts';
import { accountById, listAccounts } from '../registry/accounts.ts';
import {
  accountsWithLines,
  authoritiesAfter,
  authorityKinds,
  type ByEnd,
  type ById,
  type ByKind,
  countDevices,
  countDevicesByEnd,
  type Page,
  provisioningKeysAfter,
} from '../registry/inventory.ts';
import type { ProvisioningKey } from '../registry/tables.ts';
import type { Registry } from '../registry/writer.ts';

/** How long after a count the next one begins at the earliest, in milliseconds. */
const interval = 30_000;
/** And at the earliest after so many times what the last one took: of a very large fleet it is done less often. */
const restsFor = 200;
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
  /** The certificates of devices by their ends: nothing counts them but a walk, which is made less often. */
  #ends: Samples = [];
  /** When the next such walk is due, by the clock of `performance`. */
  #endsDue = -Infinity;
  #counting: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #ended = false;

  constructor(registry: Registry, metrics: Metrics, clock: () => number) {
    this.#registry = registry;
    this.#metrics = metrics;
    this.#clock = clock;
    metrics.devices.from(() => this.#counted?.devices ?? []);
    metrics.certificates.from(() => (this.#counted ? [...this.#ends, ...this.#counted.certificates] : []));
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
    this.#take(false)
      .catch((error: unknown) => log.error({ err: error }, 'devices and certificates could not be counted'))
      .finally(() => {
        if (this.#ended) return;
        const wait = Math.max(interval, (performance.now() - began) * restsFor);
        this.#timer = setTimeout(() => this.start(log), wait).unref();
      });
  }

  /** Counts now. Who asks while it is being counted waits for a count that began after he asked. */
  count(): Promise<void> {
    return this.#take(true);
  }

  /** `whole`: with the walk, due or not. */
  async #take(whole: boolean): Promise<void> {
    await this.#counting;
    this.#counting ??= this.#count(whole).finally(() => (this.#counting = null));
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

  async #count(whole: boolean): Promise<void> {
    const now = this.#clock();
    const { read } = this.#registry;
    const states = await this.#walk((after: ByKind | null, most) => countDevices(read, after, most));
    const owned = new Map<string, number>();
    for (const { account_id, devices } of states) owned.set(account_id, (owned.get(account_id) ?? 0) + devices);
    const accounts = await this.#walk(async (after: string | null, most) => {
      const page = await listAccounts(read, { after: after ?? '', limit: most });
      return {
        counts: page.map(({ id, name }) => ({ id, name })),
        next: page.length < most ? null : page.at(-1)!.name,
      };
    });
    const ofMost = (id: string) => owned.get(id) ?? 0;
    await this.#metrics.accounts.rank(accounts.toSorted((one, other) => ofMost(other.id) - ofMost(one.id)));

    const label = (account_id: string) => this.#metrics.accounts.of(account_id);
    const devices = new Tally();
    for (const { id } of accounts) for (const state of deviceStates) devices.add({ account: label(id), state }, 0);
    for (const each of states) devices.add({ account: label(each.account_id), state: each.state }, each.devices);

    const ends = daysLeft.map((days) => now + days * day);
    const within = (notAfter: number) => ends.map((end) => (notAfter < end ? 1 : 0));
    const certificates = new Tally();
    for (const of of authorityKinds) {
      const all = await this.#walk((after: ById | null, most) => authoritiesAfter(read, of, after, most));
      for (const { account_id, kind, not_after } of all) {
        addWithin(certificates, { account: label(account_id), kind }, 1, within(not_after));
      }
    }
    const keys = new Tally();
    for (const key of await this.#walk((after: ById | null, most) => provisioningKeysAfter(read, after, most))) {
      const account = label(key.account_id);
      const state = stateOf(key, now);
      keys.add({ account, state }, 1);
      if (state === 'active' || state === 'expired') {
        addWithin(certificates, { account, kind: 'provisioning_key' }, 1, within(key.not_after));
      }
    }
    const findings = new Tally();
    for (const id of await accountsWithLines(read)) {
      if (this.#ended) return;
      await nextTurn();
      for (const [kind, count] of await this.#findings(id)) findings.add({ account: label(id), kind }, count);
    }
    if (whole || performance.now() >= this.#endsDue) await this.#countEnds(ends);
    this.#counted = {
      at: now,
      devices: devices.samples,
      certificates: certificates.samples,
      keys: keys.samples,
      findings: findings.samples,
    };
  }

  async #countEnds(ends: readonly number[]): Promise<void> {
    const began = performance.now();
    const { read } = this.#registry;
    const certificates = new Tally();
    const byEnd = await this.#walk((after: ByEnd | null, most) => countDevicesByEnd(read, after, most, ends));
    for (const { account_id, all, before } of byEnd) {
      addWithin(certificates, { account: this.#metrics.accounts.of(account_id), kind: 'device' }, all, before);
    }
    this.#ends = certificates.samples;
    this.#endsDue = performance.now() + (performance.now() - began) * restsFor;
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
}

/** What a provisioning key is good for at an instant. */
function stateOf(
  { not_after, max_uses, uses, disabled_at }: Pick<ProvisioningKey, 'not_after' | 'max_uses' | 'uses' | 'disabled_at'>,
  now: number,
): 'disabled' | 'expired' | 'exhausted' | 'active' {
  if (disabled_at !== null) return 'disabled';
  if (not_after < now) return 'expired';
  return max_uses !== null && uses >= max_uses ? 'exhausted' : 'active';
}

/** Adds certificates: all of them, and how many end within each of `daysLeft`. */
function addWithin(tally: Tally, labels: { account: string; kind: string }, all: number, before: number[]): void {
  for (const [index, days] of daysLeft.entries()) tally.add({ ...labels, days_left: `${days}` }, before[index] ?? 0);
  tally.add({ ...labels, days_left: '+Inf' }, all);
}
