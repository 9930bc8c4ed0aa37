// The gateway processes, as the control process keeps them: as many as there are to be, writing through it, told of every change.

import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Config } from '../config.ts';
import type { Watched } from '../custody/custodian.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { ReadinessFault } from '../operator/readiness.ts';
import { ownerStanding } from '../provisioning/owner-standing.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import type { TrustFile } from '../provisioning/trust-file.ts';
import { accountById } from '../registry/accounts.ts';
import { actAs, presentActor, waitsForOthers, writingFor } from '../registry/acting.ts';
import type { Outcome } from '../registry/commit-thread.ts';
import { failureOf } from '../registry/forwarding-store.ts';
import type { Registry, WriteName } from '../registry/writer.ts';
import { formatInstant } from '../time.ts';
import type { LetIn } from '../custody/beside-custodian.ts';
import { Confirmations } from './confirmations.ts';
import { requireFreePorts } from './shared-ports.ts';
import type { FromWorker, ToWorker } from './worker-messages.ts';
import { WorkerMetrics } from './worker-metrics.ts';
import { WorkerProcess } from './worker-process.ts';

/** How long a process may take to end in order, in milliseconds: a little more than it gives itself. */
const endsWithin = 8_000;
/** How long whoever asks for health waits for what a process has to add, in milliseconds. */
const healthWithin = 1_000;
/** One that has served for so long, in milliseconds, is replaced at once when it ends. */
const shortLife = 5_000;
const longestPause = 2_000;
/** So many in a row that do not come to serve: the next will not either. */
const mostFailures = 5;

/** What the control process has. */
export interface WorkersParts {
  readonly config: Config;
  /** The one that writes. */
  readonly registry: Registry;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: () => number;
  readonly onFailure: (error: Error) => void;
}

/** A place for a gateway process, which is taken by one after the other. */
interface Place {
  readonly number: number;
  process: WorkerProcess;
  /** Since when nobody serves there (milliseconds since 1970), and why; null while somebody does. */
  away: { readonly since: number; readonly reason: string } | null;
  shortLives: number;
  failures: number;
}

export class Workers implements AsyncDisposable {
  /** The control process's registry: `write` resolves when every gateway process has heard of it, an operator's when they have acted. */
  readonly registry: Registry;
  readonly #parts: WorkersParts;
  readonly #places: Place[] = [];
  #trustFile: TrustFile | null = null;
  #letIn: LetIn = new Set();
  #ports: readonly number[];
  readonly #confirmations = new Confirmations(() => this.#processes);
  readonly #metrics = new WorkerMetrics();
  /** What is being written for each. */
  readonly #underWay = new Map<WorkerProcess, Set<Promise<unknown>>>();
  #ending = false;

  constructor(parts: WorkersParts) {
    const { registry, metrics, config } = parts;
    this.#parts = parts;
    this.#ports = config.gateway.ports;
    this.registry = this.#confirming(registry);
    // On a shared database each process hears by itself too, and the writer that asks waits for this one as for the others.
    const waits = config.database.url !== null;
    registry.changes.listen((change) => {
      this.#tellAll({ kind: 'changes', number: this.#confirmations.next(), changes: [change] });
      return waits ? this.#confirmations.all(true) : undefined;
    });
    metrics.accounts.listen((accounts) => this.#tellAll({ kind: 'accounts', accounts }));
    metrics.withOthers(() => this.#metrics.read(this.#serving));
    metrics.workers.from(() => [[{}, this.#serving.length]]);
  }

  /** The ports listened on, in the order configured. */
  get ports(): readonly number[] {
    return this.#ports;
  }

  /** Whether any process serves devices. */
  get serving(): boolean {
    return this.#serving.length > 0;
  }

  get #processes(): WorkerProcess[] {
    return this.#places.map(({ process }) => process);
  }

  get #serving(): WorkerProcess[] {
    return this.#places.filter(({ away }) => away === null).map(({ process }) => process);
  }

  /** Starts the processes; the first one picks the ports that are to be picked. Throws Problem where one cannot serve. */
  async listen({ trustFile }: Pick<Provisioning, 'trustFile'>): Promise<void> {
    this.#trustFile = trustFile;
    trustFile.listen((account_id, pin) => this.#tellAll({ kind: 'pin', account_id, pin }));
    const { workers, ports, address } = this.#parts.config.gateway;
    await requireFreePorts(ports, address);
    const since = this.#parts.clock();
    for (let number = 1; number <= workers; number += 1) {
      const away = { since, reason: 'It is being started.' };
      this.#places.push({ number, process: this.#fork(number), away, shortLives: 0, failures: 0 });
    }
    const [first, ...others] = this.#places as [Place, ...Place[]];
    this.#ports = await this.#start(first);
    await Promise.all(others.map((place) => this.#start(place)));
    for (const place of this.#places) void this.#keep(place);
  }

  #fork(number: number): WorkerProcess {
    const process: WorkerProcess = new WorkerProcess(number, randomUUID(), {
      onWrite: (message) => void this.#write(process, message),
      onOwner: (account_id) => void this.#lookAtOwner(account_id),
      onConfirmed: () => this.#confirmations.release(),
    });
    return process;
  }

  /** Resolves with the ports when the process in the place serves; rejects with why it does not. */
  async #start(place: Place): Promise<readonly number[]> {
    const { config, metrics, log, clock } = this.#parts;
    const { number, process } = place;
    try {
      const ports = await process.start(() => ({
        message: {
          kind: 'start',
          number,
          instance: process.instance,
          config,
          ports: this.#ports,
          pins: [...(this.#trustFile?.pins ?? [])],
          letIn: [...this.#letIn],
          accounts: metrics.accounts.all,
        },
        told: this.#confirmations.last,
      }));
      // A rotation may have begun since it read the master keys, when it was not among those that were told.
      await process.ask('nextMasterKey');
      place.away = null;
      place.failures = 0;
      log.info({ worker: number, pid: process.pid }, 'a gateway process serves devices');
      return ports;
    } catch (error) {
      process.kill();
      place.failures += 1;
      place.away = { since: place.away?.since ?? clock(), reason: (error as Error).message };
      throw error;
    }
  }

  /** Has the place taken by another process whenever the one in it has ended. */
  async #keep(place: Place): Promise<void> {
    const { log, clock, onFailure } = this.#parts;
    while (!this.#ending) {
      const began = performance.now();
      const served = place.away === null;
      const how = await place.process.ended;
      this.#confirmations.release();
      this.#metrics.keep(place.process);
      if (served) place.away = { since: clock(), reason: `The process ${how}.` };
      await this.#settle(place.process);
      if (this.#ending) return;
      log.error({ worker: place.number, how }, 'a gateway process has ended: another takes its place');
      if (place.failures >= mostFailures) {
        onFailure(new Error(`The gateway process ${place.number} cannot be started: ${place.away?.reason}`));
        return;
      }
      place.shortLives = performance.now() - began >= shortLife ? 0 : place.shortLives + 1;
      if (place.shortLives > 1) await pause(Math.min(longestPause, 50 * 2 ** place.shortLives), null, { ref: false });
      if (this.#ending) return;
      place.process = this.#fork(place.number);
      await this.#start(place).catch(() => undefined);
    }
  }

  /** What a process that is gone was making is abandoned, once all that it had asked for is written or refused. */
  async #settle(process: WorkerProcess): Promise<void> {
    const { registry, log } = this.#parts;
    await Promise.all([...(this.#underWay.get(process) ?? [])]);
    this.#underWay.delete(process);
    try {
      const { abandoned } = await registry.write('settleInterrupted', { gone: [process.instance], before: 0 });
      if (abandoned > 0) log.info({ certificates: abandoned }, 'undid what a gateway process had left half done');
    } catch (error) {
      if (!this.#ending) log.error({ err: error }, 'what a gateway process had left half done could not be undone');
    }
  }

  /** Writes for a process. It hears what that changed before it is answered. */
  async #write(process: WorkerProcess, { id, write }: Extract<FromWorker, { kind: 'write' }>): Promise<void> {
    const { registry } = this.#parts;
    const { name, args, by, rehearsal } = write;
    const run = rehearsal ? registry.rehearse : registry.write;
    const writing = writingFor(process.instance, () =>
      actAs(by, () => run.call(registry, name as WriteName, args as never)),
    ).then(
      (value): Outcome => ({ value }),
      (error: unknown): Outcome => failureOf(error),
    );
    const underWay = this.#underWay.get(process) ?? new Set();
    this.#underWay.set(process, underWay.add(writing));
    const outcome = await writing;
    underWay.delete(writing);
    await this.#confirmations.all(false);
    process.tell({ kind: 'answer', id, outcome });
  }

  /**
   * Tells which custodians have let this process in. One that is away may be there for the others, and says itself if not;
   * one that has shut this process out is not to be tried by the others, too.
   */
  knowCustodians(custodians: ReadonlyMap<string, Watched>): void {
    const open = [...custodians].filter(
      ([name, { trouble }]) => trouble === null || (this.#letIn.has(name) && trouble.problem.fault !== 'denied'),
    );
    this.#letIn = new Set(open.map(([name]) => name));
    this.#tellAll({ kind: 'letIn', custodians: [...this.#letIn] });
  }

  async #lookAtOwner(account_id: string): Promise<void> {
    const { registry, log } = this.#parts;
    try {
      const account = await accountById(registry.read, account_id);
      if (account && this.#trustFile) await ownerStanding({ registry, trustFile: this.#trustFile }, account);
    } catch (error) {
      log.error({ err: error, account: account_id }, 'owner-signed trust cannot be told');
    }
  }

  #confirming(registry: Registry): Registry {
    const confirmed = async <Result>(written: Promise<Result>): Promise<Result> => {
      const result = await written;
      await this.#confirmations.all(waitsForOthers(presentActor()));
      return result;
    };
    return {
      read: registry.read,
      changes: registry.changes,
      instance: registry.instance,
      get standing() {
        return registry.standing;
      },
      get counted() {
        return registry.counted;
      },
      write: (name, args) => confirmed(registry.write(name, args)),
      rehearse: (name, args) => registry.rehearse(name, args),
      alone: (what, signal) => registry.alone(what, signal),
      [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
    };
  }

  #tellAll(message: ToWorker): void {
    for (const process of this.#processes) if (process.serves) process.tell(message);
  }

  /** The processes that are away, and what is amiss in the others. */
  async faults(): Promise<ReadinessFault[]> {
    const all = this.#places.map(async ({ number, process, away }): Promise<ReadinessFault[]> => {
      if (away === null) return process.ask('faults', healthWithin).catch(() => []);
      return [{ part: 'worker', worker: number, reason: away.reason, since: formatInstant(away.since) }];
    });
    return (await Promise.all(all)).flat();
  }

  /** Has every process open what lies under the next master key; one that cannot gives way to one that does. */
  async followRotation(): Promise<void> {
    const serving = this.#processes.filter(({ serves }) => serves);
    await Promise.all(serving.map((process) => process.ask('nextMasterKey').catch(() => process.kill())));
  }

  /** From now on each reply is the last of its connection. */
  drain(): void {
    this.#tellAll({ kind: 'drain' });
  }

  /** The ports close, what is under way is finished, and the processes end; whatever hangs is cut off. */
  async finish(): Promise<void> {
    this.#ending = true;
    for (const process of this.#processes) {
      if (process.serves) process.tell({ kind: 'end' });
      else process.kill();
    }
    const late = setTimeout(() => this.#killAll(), endsWithin);
    await Promise.all(this.#processes.map(({ ended }) => ended));
    clearTimeout(late);
  }

  #killAll(): void {
    for (const process of this.#processes) process.kill();
  }

  /** Ends what is left at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    this.#killAll();
    await Promise.all(this.#processes.map(({ ended }) => ended));
  }
}
