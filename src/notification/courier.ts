// The courier of one webhook: makes messages of what has happened, and attempts each until it arrives or is given up.

import type { Seal } from '../custody/seal.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Outbound } from '../outbound.ts';
import { type AttemptResult, nextAttemptAt } from '../registry/deliveries.ts';
import type { Webhook, WebhookDelivery } from '../registry/event-tables.ts';
import { webhookById, webhookSecrets } from '../registry/webhooks.ts';
import type { Registry } from '../registry/writer.ts';
import { type Answer, attempt } from './attempt.ts';
import { signaturesOf } from './webhook-secret.ts';

/** Attempts under way at once to one webhook, while they succeed and while they do not. */
const atOnce = { well: 4, failing: 1 };
/** After this time, in milliseconds, an attempt of which nothing was heard counts as lost. */
const lease = 60_000;
/** The waits between attempts, in milliseconds: the first, what each is multiplied by, and the longest. */
const backOff = { first: 5_000, factor: 4, longest: 4 * 60 * 60 * 1000 };
/** A wait is shortened or lengthened by up to this part, so that those who failed together do not all come back together. */
const jitter = 0.2;
/** How long to wait where the registry failed, in milliseconds. */
const afterError = 5_000;

/** What couriers share. */
export interface CourierOptions {
  readonly registry: Registry;
  readonly seal: Seal;
  readonly outbound: Outbound;
  readonly clock: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  readonly ending: AbortSignal;
  /** Takes up to `wished` places among the attempts of all couriers; gives how many. */
  readonly take: (wished: number, courier: Courier) => number;
  readonly giveBack: (places: number) => void;
  /** Called when the receiver has said that it is gone. */
  readonly onGone: () => void;
}

/** When to try again after so many attempts have failed; null once that would be after the message is given up. */
function retryAt(
  { attempts, give_up_at }: Pick<WebhookDelivery, 'attempts' | 'give_up_at'>,
  now: number,
  random: number,
): number | null {
  const wait = Math.min(backOff.first * backOff.factor ** (attempts - 1), backOff.longest);
  const at = now + Math.round(wait * (1 - jitter + 2 * jitter * random));
  return at > give_up_at ? null : at;
}

/** The courier of one webhook. */
export class Courier {
  readonly #id: string;
  readonly #options: CourierOptions;
  readonly #underWay = new Set<Promise<void>>();
  #run: Promise<void> | null = null;
  #again = false;
  #nextAt: number | null = null;

  constructor(id: string, options: CourierOptions) {
    this.#id = id;
    this.#options = options;
  }

  /** Has it look for work, now or as soon as it has finished looking. */
  wake(): void {
    if (this.#options.ending.aborted) return;
    this.#again = true;
    this.#run ??= this.#work().finally(() => (this.#run = null));
  }

  /** Wakes it where an attempt is due. */
  look(): void {
    if (this.#nextAt !== null && this.#nextAt <= this.#options.clock()) this.wake();
  }

  /** Waits for what is under way. */
  async settled(): Promise<void> {
    await this.#run;
    await Promise.all(this.#underWay);
  }

  async #work(): Promise<void> {
    const { clock, log, ending } = this.#options;
    try {
      while (this.#again && !ending.aborted) {
        this.#again = false;
        this.#nextAt = null;
        await this.#look();
      }
    } catch (error) {
      if (ending.aborted) return;
      log.error({ err: error, webhook: this.#id }, 'a webhook could not be served');
      this.#nextAt = clock() + afterError;
    }
  }

  async #look(): Promise<void> {
    const { registry, take, giveBack, clock } = this.#options;
    const { more } = await registry.write('queueDeliveries', { webhook_id: this.#id });
    if (more) this.#again = true;
    const webhook = await webhookById(registry.read, this.#id);
    if (!webhook || webhook.state !== 'active') return;
    const places = this.#freePlaces(webhook);
    this.#nextAt = await nextAttemptAt(registry.read, this.#id);
    // While all its places are taken, the next to become free wakes it.
    if (places <= 0) this.#nextAt = null;
    if (this.#nextAt === null || this.#nextAt > clock()) return;
    const taken = take(places, this);
    if (taken === 0) return;
    const leased = await this.#lease(taken).catch((error: unknown) => {
      giveBack(taken);
      throw error;
    });
    giveBack(taken - leased.length);
    for (const delivery of leased) this.#send(webhook, delivery);
    if (leased.length > 0) this.#again = true;
  }

  #freePlaces({ failing_since }: Webhook): number {
    return (failing_since === null ? atOnce.well : atOnce.failing) - this.#underWay.size;
  }

  #lease(limit: number): Promise<WebhookDelivery[]> {
    const { registry, clock } = this.#options;
    return registry.write('leaseDeliveries', { webhook_id: this.#id, limit, until: clock() + lease });
  }

  #send(webhook: Webhook, delivery: WebhookDelivery): void {
    const { giveBack, log, ending } = this.#options;
    const sending = this.#attempt(webhook, delivery)
      .catch((error: unknown) => {
        if (!ending.aborted) log.error({ err: error, webhook: webhook.id, delivery: delivery.id }, 'a delivery failed');
      })
      .finally(() => {
        this.#underWay.delete(sending);
        giveBack(1);
        this.wake();
      });
    this.#underWay.add(sending);
  }

  async #attempt(webhook: Webhook, delivery: WebhookDelivery): Promise<void> {
    const { registry, seal, outbound, clock, metrics, ending, onGone } = this.#options;
    const now = clock();
    const { id, body } = delivery;
    const timestamp = Math.floor(now / 1000);
    const secrets = await webhookSecrets(registry.read, webhook.id, now);
    const signature = signaturesOf(seal, secrets, { id, timestamp, body });
    const { url, ca } = webhook;
    const answer = await attempt({ url, ca, id, timestamp, signature, body }, outbound, ending);
    // Cut short by our own end: the next start tries again.
    if (ending.aborted && answer.status === null) return;
    const result = this.#judge(delivery, answer);
    metrics?.webhookAttempts.inc({ outcome: result.delivered ? 'delivered' : 'failed' });
    await registry.write('settleDelivery', { id, result });
    if (result.gone) onGone();
  }

  /** Anything in the 200s has arrived (Standard Webhooks, "Webhook delivery"); 410 asks to be sent nothing more. */
  #judge(delivery: WebhookDelivery, answer: Answer): AttemptResult {
    const { clock, random } = this.#options;
    const { status } = answer;
    if (status !== null && status >= 200 && status < 300) {
      return { delivered: true, status, fault: null, gone: false, retry_at: null };
    }
    const fault = status === null ? answer.fault : `The receiver answered with the status ${status}.`;
    return { delivered: false, status, fault, gone: status === 410, retry_at: retryAt(delivery, clock(), random()) };
  }
}
