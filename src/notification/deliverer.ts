// Delivers events to all webhooks: one courier each, so that a receiver that hangs keeps nobody else waiting.

import type { Seal } from '../custody/seal.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Outbound } from '../outbound.ts';
import { eventsAfter, newestEventId } from '../registry/events.ts';
import { activeWebhooks } from '../registry/webhooks.ts';
import type { Registry } from '../registry/writer.ts';
import { Courier, type CourierOptions } from './courier.ts';

/** Attempts under way at once, of all webhooks. */
const mostUnderWay = 256;
/** How long events are gathered before couriers are woken by them, in milliseconds. */
const gathering = 200;
/** How often attempts that have become due are looked for, in milliseconds. */
const interval = 1_000;
/** Events that are read at a time. */
const page = 500;

/** What deliveries are made with. */
export interface DelivererOptions {
  /** Whether no other process delivers from this registry. */
  readonly alone: boolean;
  readonly registry: Registry;
  readonly seal: Seal;
  readonly outbound: Outbound;
  readonly clock: () => number;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  readonly random?: () => number;
}

/** Delivers while it is open. */
export class Deliverer implements AsyncDisposable {
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #ending = new AbortController();
  readonly #sharedByCouriers: CourierOptions;
  /** By the ID of the webhook, with the account whose events it is sent; null for those of all. */
  readonly #couriers = new Map<string, { readonly courier: Courier; readonly account_id: string | null }>();
  /** Those that no courier is left for, until what they have under way has ended. */
  readonly #leaving = new Set<Promise<void>>();
  readonly #hungry = new Set<Courier>();
  readonly #held = new DisposableStack();
  #free = mostUnderWay;
  #position = 0;
  #gathering: NodeJS.Timeout | null = null;

  private constructor({ registry, random = Math.random, ...options }: DelivererOptions) {
    this.#registry = registry;
    this.#log = options.log;
    this.#sharedByCouriers = {
      ...options,
      registry,
      random,
      ending: this.#ending.signal,
      take: (wished, courier) => this.#take(wished, courier),
      giveBack: (places) => this.#giveBack(places),
      onGone: () => this.reload(),
    };
    this.#held.defer(registry.changes.follow(() => this.#gather()));
    this.#held.defer(
      registry.changes.listen(({ kind }) => {
        if (kind === 'account' || kind === 'everything') this.reload();
      }),
    );
    const timer = setInterval(() => this.#look(), interval).unref();
    this.#held.defer(() => clearInterval(timer));
  }

  /** Begins to deliver. Where nobody else does from this registry, what was under way at its last end is attempted at once; else when its lease ends. */
  static async open(options: DelivererOptions): Promise<Deliverer> {
    const deliverer = new Deliverer(options);
    deliverer.#position = await newestEventId(options.registry.read);
    if (options.alone) await options.registry.write('releaseDeliveries', {});
    await deliverer.#reload();
    return deliverer;
  }

  /** Says that webhooks have come, gone or changed. */
  reload(): void {
    this.#reload().catch((error: unknown) => this.#failed(error));
  }

  /** Says that a webhook has something to do. */
  wake(webhook_id: string): void {
    this.#couriers.get(webhook_id)?.courier.wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#held.dispose();
    this.#ending.abort();
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    const couriers = [...this.#couriers.values()].map(({ courier }) => courier.settled());
    await Promise.all([...couriers, ...this.#leaving]);
  }

  async #reload(): Promise<void> {
    const present = await activeWebhooks(this.#registry.read);
    if (this.#ending.signal.aborted) return;
    const ids = new Set(present.map(({ id }) => id));
    for (const [id, { courier }] of this.#couriers) {
      if (ids.has(id)) continue;
      this.#couriers.delete(id);
      this.#hungry.delete(courier);
      const left = courier.settled().finally(() => this.#leaving.delete(left));
      this.#leaving.add(left);
    }
    for (const { id, account_id } of present) {
      if (!this.#couriers.has(id)) {
        this.#couriers.set(id, { courier: new Courier(id, this.#sharedByCouriers), account_id });
      }
      this.wake(id);
    }
  }

  #look(): void {
    for (const { courier } of this.#couriers.values()) courier.look();
  }

  #gather(): void {
    if (this.#couriers.size === 0 || this.#gathering !== null || this.#ending.signal.aborted) return;
    this.#gathering = setTimeout(() => {
      this.#gathering = null;
      this.#wakeConcerned().catch((error: unknown) => this.#failed(error));
    }, gathering).unref();
  }

  /** Wakes those for whom something has happened. */
  async #wakeConcerned(): Promise<void> {
    const { read } = this.#registry;
    const upTo = await newestEventId(read);
    const accounts = new Set<string | null>();
    while (this.#position < upTo) {
      const events = await eventsAfter(read, null, { after: this.#position, upTo, limit: page });
      for (const { account_id } of events) accounts.add(account_id);
      this.#position = events.length < page ? upTo : events.at(-1)!.id;
    }
    for (const { courier, account_id } of this.#couriers.values()) {
      if (account_id === null || accounts.has(account_id)) courier.wake();
    }
  }

  #take(wished: number, courier: Courier): number {
    const taken = Math.min(wished, this.#free);
    this.#free -= taken;
    if (taken === 0) this.#hungry.add(courier);
    return taken;
  }

  #giveBack(places: number): void {
    this.#free += places;
    for (const courier of [...this.#hungry].slice(0, this.#free)) {
      this.#hungry.delete(courier);
      courier.wake();
    }
  }

  #failed(error: unknown): void {
    if (!this.#ending.signal.aborted) this.#log.error({ err: error }, 'webhooks could not be looked at');
  }
}
