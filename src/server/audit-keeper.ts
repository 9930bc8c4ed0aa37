// What keeps the audit log: chains its entries within a second, has it signed every hour and at the end, pushes that out.

import { randomUUID } from 'node:crypto';
import { type CheckpointSigning, checkpointKey, makeCheckpoint } from '../issuing/audit-checkpoint.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { CheckpointTarget } from '../notification/checkpoint-targets.ts';
import { type SignedCheckpoint, signedCheckpoint } from '../registry/audit-chain.ts';
import { auditCheckpoints, auditHead, auditLogId, hasUnchained } from '../registry/audit.ts';
import type { Db } from '../registry/database.ts';

/** How often entries are looked for that have no number yet, in milliseconds. */
const chainInterval = 300;
/** Entries that one write chains: others that wait for the writer are not to wait long. */
const chainedAtOnce = 500;
/** How often a checkpoint is made, in milliseconds. */
const checkpointInterval = 60 * 60 * 1000;
/** How often one is tried again that could not be made or pushed, in milliseconds. */
const retryInterval = 30 * 1000;
/** How long the last checkpoint may keep the server from ending, in milliseconds. */
const patience = 8_000;

/** What the keeper works with. */
export interface AuditKeeping extends CheckpointSigning {
  readonly targets: readonly CheckpointTarget[];
  readonly log: Log;
}

/** The audit log while the server runs. Disposing of it chains what is left, and signs and pushes a last checkpoint. */
export class AuditKeeper implements AsyncDisposable {
  readonly #keeping: AuditKeeping;
  readonly #timers: NodeJS.Timeout[] = [];
  /** One thing after the other: what is under way, whatever becomes of it. */
  #chaining: Promise<unknown> = Promise.resolve();
  #signing: Promise<unknown> = Promise.resolve();
  #looking = false;
  /** Told once, not at every look. */
  #failing = false;
  #due = true;
  /** What each target has not got yet: a later checkpoint covers what an earlier one did. */
  readonly #owed = new Map<CheckpointTarget, SignedCheckpoint>();

  private constructor(keeping: AuditKeeping) {
    this.#keeping = keeping;
  }

  /** Begins. The key is made where there is none; a custodian that is away delays it, and nothing else. */
  static async open(keeping: AuditKeeping): Promise<AuditKeeper> {
    const keeper = new AuditKeeper(keeping);
    await keeper.#alone(() => checkpointKey(keeping)).catch((error: unknown) => keeper.#tell(error));
    await keeper.#oweTheLast();
    keeper.#every(chainInterval, () => keeper.#look());
    keeper.#every(checkpointInterval, () => void (keeper.#due = true));
    keeper.#every(retryInterval, () => void keeper.#catchUp());
    return keeper;
  }

  /**
   * Chains what waits and signs a checkpoint over it, which is pushed out meanwhile. Gives null where nothing was ever
   * done. Throws CustodyProblem.
   */
  async checkpoint(): Promise<SignedCheckpoint | null> {
    await this.chain();
    const last = await this.#alone(() => makeCheckpoint(this.#keeping));
    this.#due = false;
    if (last?.made) {
      for (const target of this.#keeping.targets) this.#owed.set(target, last.checkpoint);
      void this.#push();
    }
    return last?.checkpoint ?? null;
  }

  /** Chains what waits. */
  async chain(): Promise<void> {
    const before = this.#chaining;
    const chaining = (async () => {
      await before.catch(() => {});
      const { registry } = this.#keeping;
      while (await hasUnchained(registry.read)) {
        await registry.write('chainAuditEntries', { log: randomUUID(), limit: chainedAtOnce });
      }
    })();
    this.#chaining = chaining;
    await chaining;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    const enough = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => enough.resolve('late'), patience);
    const last = (async () => {
      await this.checkpoint();
      await this.#push();
    })().catch((error: unknown) => this.#tell(error));
    if ((await Promise.race([last, enough.promise])) === 'late') {
      this.#keeping.log.warn('the last checkpoint of the audit log was not made in time: the next start makes it');
    }
    clearTimeout(timer);
    // Nothing of it is to be under way when the registry closes.
    await this.#chaining.catch(() => {});
  }

  #every(interval: number, work: () => void): void {
    this.#timers.push(setInterval(work, interval).unref());
  }

  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.chain()
      .then(
        () => (this.#failing = false),
        (error: unknown) => {
          if (!this.#failing) this.#keeping.log.error({ err: error }, 'the audit log cannot be chained');
          this.#failing = true;
        },
      )
      .finally(() => (this.#looking = false));
  }

  /** The checkpoint that is due, and what a target is owed. */
  async #catchUp(): Promise<void> {
    if (this.#due) await this.checkpoint().catch((error: unknown) => this.#tell(error));
    await this.#push();
  }

  /** One that a server signed which was killed before it had pushed it. */
  async #oweTheLast(): Promise<void> {
    const { registry, targets } = this.#keeping;
    const [last] = await auditCheckpoints(registry.read, { limit: 1 });
    const log = await auditLogId(registry.read);
    if (last === undefined || log === null) return;
    for (const target of targets) this.#owed.set(target, signedCheckpoint(log, last));
    void this.#push();
  }

  async #push(): Promise<void> {
    await Promise.all(
      [...this.#owed].map(async ([target, checkpoint]) => {
        try {
          await target.push(checkpoint);
          if (this.#owed.get(target) === checkpoint) this.#owed.delete(target);
        } catch (error) {
          const { message } = error as Error;
          this.#keeping.log.warn({ target: target.name, reason: message }, 'a checkpoint could not be pushed yet');
        }
      }),
    );
  }

  async #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const before = this.#signing;
    const working = (async () => {
      await before.catch(() => {});
      return work();
    })();
    this.#signing = working;
    return working;
  }

  #tell(error: unknown): void {
    this.#due = true;
    const { message } = error as Error;
    this.#keeping.log.warn({ reason: message }, 'no checkpoint of the audit log could be signed yet');
  }
}

/** Has the metrics tell how far the log is chained and signed. */
export function sampleAudit(metrics: Metrics, db: Db): void {
  metrics.auditUnchained.from(async () => [[{}, (await hasUnchained(db)) ? 1 : 0]]);
  metrics.auditCheckpoint.from(async () =>
    (await auditCheckpoints(db, { limit: 1 })).map(({ at }) => [{}, at / 1_000]),
  );
  metrics.auditUncovered.from(async () => {
    const [last] = await auditCheckpoints(db, { limit: 1 });
    return [[{}, ((await auditHead(db))?.number ?? 0) - (last?.number ?? 0)]];
  });
}
