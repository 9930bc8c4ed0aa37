// Refusals as they happen, gathered and written about once a second, so that a storm of them costs one write.

import { createHash } from 'node:crypto';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { claimedDeviceId } from '../provisioning/device-identity.ts';
import type { Refusal } from '../provisioning/refusal.ts';
import { unassigned } from '../registry/refusals.ts';
import type { RefusalRecord } from '../registry/tables.ts';
import type { Registry } from '../registry/writer.ts';
import { certificateToPem } from '../x509/certificate.ts';
import type { Shown } from './shown.ts';
import type { Verdict } from './verdicts.ts';

const interval = 1000;
/** Beyond this many different ones of an account within a second, the rest is only counted in the log. */
const mostOfAccount = 250;
const mostGathered = 1000;
/** Certificates are kept up to this many characters of PEM, the leaf first. */
const longestChain = 32 * 1024;

/** Where a refusal happened. */
export interface RefusedAt {
  /** Null for a connection that belongs to no account. */
  readonly account_id: string | null;
  readonly address: string | null;
  readonly sni: string | null;
  readonly shown: Shown | null;
  /** What it had been found to be before. */
  readonly verdict: Verdict | null;
  /** The device ID that a provisioning key's holder asked for. */
  readonly askedDeviceId: string | null;
}

/** What is gathered of a refusal: all of its record but the ID. */
type Gathered = Omit<RefusalRecord, 'id'>;

export interface RefusalOptions {
  /** How many are kept for each account. */
  readonly kept: number;
  readonly clock: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Gathers refusals and writes them. */
export class Refusals implements AsyncDisposable {
  readonly #registry: Registry;
  readonly #kept: number;
  readonly #clock: () => number;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #timer: NodeJS.Timeout;
  /** By account and sameness. */
  readonly #gathered = new Map<string, Map<string, Gathered>>();
  #size = 0;
  #dropped = 0;

  constructor(registry: Registry, { kept, clock, log, metrics }: RefusalOptions) {
    this.#metrics = metrics;
    this.#registry = registry;
    this.#kept = kept;
    this.#clock = clock;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), interval).unref();
  }

  /** Notes a refusal. The same device failing the same way again adds to a count. */
  note({ code, rule, remedy }: Refusal, where: RefusedAt): void {
    this.#metrics.refusals.inc({ account: this.#metrics.accounts.of(where.account_id), code });
    const account_id = where.account_id ?? unassigned;
    const leaf = where.shown?.leaf ?? undefined;
    // The common name of a provisioning key's certificate is no device ID.
    const claimed = where.verdict?.kind === 'provisioning_key' ? null : claimedDeviceId(leaf);
    const device_id = where.askedDeviceId ?? claimed;
    const who = leaf ? leaf.publicKey.sha256 : `${where.address}`;
    const sameness = createHash('sha256')
      // Of a malformed request the sentence says which it was; other sentences hold times, and would never be the same.
      .update(JSON.stringify([code, device_id, who, where.sni, code === 'invalid_request' ? rule : null]))
      .digest('hex');
    const ofAccount = this.#gathered.get(account_id) ?? new Map<string, Gathered>();
    this.#gathered.set(account_id, ofAccount);
    const known = ofAccount.get(sameness);
    const at = this.#clock();
    if (known) {
      Object.assign(known, { at, count: known.count + 1, rule, remedy, address: where.address });
    } else if (ofAccount.size >= mostOfAccount || this.#size >= mostGathered) {
      this.#dropped += 1;
    } else {
      const { address, sni } = where;
      const entry = { account_id, sameness, first_at: at, at, count: 1, code, rule, remedy };
      ofAccount.set(sameness, { ...entry, device_id, address, sni, certificates: pemOf(where.shown) });
      this.#size += 1;
    }
  }

  /** Writes what has been gathered. */
  async flush(): Promise<void> {
    if (this.#dropped > 0) this.#log.warn({ dropped: this.#dropped }, 'more refusals than are kept in a second');
    this.#dropped = 0;
    if (this.#size === 0) return;
    const refusals = [...this.#gathered.values()].flatMap((ofAccount) => [...ofAccount.values()]);
    this.#gathered.clear();
    this.#size = 0;
    try {
      await this.#registry.write('recordRefusals', { refusals, limit: this.#kept });
    } catch (error) {
      this.#log.error({ err: error }, 'refusals could not be written');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}

function pemOf(shown: Shown | null): string {
  let pem = '';
  for (const der of shown?.ders ?? []) {
    const next = certificateToPem(der);
    if (pem.length + next.length > longestChain) break;
    pem += next;
  }
  return pem;
}
