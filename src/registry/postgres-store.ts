// The registry on PostgreSQL, where other nodes write too: writes in transactions of their own, changes told by all to all.

import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { Metrics, secondsSince } from '../metrics.ts';
import { Problem } from '../problem.ts';
import { presentActor, waitsForOthers } from './acting.ts';
import { Changes } from './changes.ts';
import type { Writing } from './commit-thread.ts';
import { asProblem, lockDirectory } from './database.ts';
import { migrate } from './migrate.ts';
import { Neighbours, type NodeName } from './neighbours.ts';
import { overClient, overConnections, postgresTypes } from './postgres.ts';
import {
  type AskedWrite,
  commitBatch,
  type CommitOptions,
  type Done,
  type Lane,
  lockKey,
  lockName,
  type WriteOutcome,
} from './postgres-commit.ts';
import { Connections, type PostgresSettings } from './postgres-connections.ts';
import {
  type ArgumentsIn,
  copied,
  type NameIn,
  type ResultIn,
  type Standing,
  type Store,
  type StoreOptions,
} from './store.ts';
import type { Tables } from './tables.ts';
import { lockOf, nameOf, type WriteLock } from './write-locks.ts';

type Writes = Writing['writes'];

/** Writes in one transaction at most, so that under a flood the first of them do not wait for the last. */
const batchLimit = 200;
/** How long a process waits for another one that does the same, and how often it looks, in milliseconds. */
const aloneWithin = 60_000;
const alonePause = 50;

/** How a store on PostgreSQL is opened. */
export interface PostgresStoreOptions extends Pick<StoreOptions, 'clock' | 'onFailure' | 'metrics' | 'instance'> {
  readonly postgres: PostgresSettings;
  readonly node: NodeName;
  /** The data directory, held against a second program; null where the program that started this one has it. */
  readonly directory: string | null;
  readonly writing: Writing;
}

interface Asked extends AskedWrite {
  readonly began: number;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Opens a database, upgrading it first. Throws Problem `conflict` where a newer program has made it what this one cannot
 * know, `unavailable` where it cannot be reached.
 */
export async function openPostgresStore<W extends Writes>({
  postgres,
  node,
  directory,
  writing,
  clock,
  onFailure,
  metrics = new Metrics(),
  instance = randomUUID(),
}: PostgresStoreOptions): Promise<Store<Tables, W>> {
  await using held = new AsyncDisposableStack();
  if (directory !== null) held.use(lockDirectory(directory));
  const connections = held.use(new Connections(postgres, postgres.writers, `fleetroot ${node.name}`));
  const readers = held.use(new Connections(postgres, postgres.readers, `fleetroot ${node.name} reading`));
  await upgrade(connections, writing, clock());
  const read = overConnections<Tables>(readers, (milliseconds) => metrics.registryReads.observe(milliseconds / 1_000));
  const changes = new Changes();
  // Set as soon as there is a store, before any change is told.
  let failed = onFailure;
  const neighbours = held.use(
    await Neighbours.join({ connections, node, instance, clock, changes, onFailure: (error) => failed(error) }),
  );
  const { patience, writers } = postgres;
  const commit = { connections, neighbours, writing, clock, instance, patience };
  const store = new PostgresStore<W>(read, changes, held.move(), { commit, metrics, onFailure, lanes: writers });
  failed = (error) => store.fail(error);
  return store;
}

/** Upgrades the database while no other process does. However long that takes: a large table is read from end to end. */
async function upgrade(connections: Connections, writing: Writing, now: number): Promise<void> {
  const client = await connections.patient();
  try {
    await migrate(overClient<Tables>(client), postgresTypes, writing.migrations, now, () =>
      lockName(client, 'migrations'),
    );
  } catch (error) {
    throw asProblem(error);
  } finally {
    await client.end();
  }
}

class PostgresStore<W extends Writes> implements Store<Tables, W> {
  readonly read: Kysely<Tables>;
  readonly changes: Changes;
  readonly counted = { writes: 0, commits: 0 };
  readonly instance: string;
  readonly #held: AsyncDisposableStack;
  readonly #commit: CommitOptions;
  readonly #metrics: Metrics;
  readonly #onFailure: (error: Error) => void;
  /** What waits, by the lock that it takes; those of one lock are written together, in their order. */
  readonly #waiting = new Map<string, { readonly lock: WriteLock; readonly asked: Asked[]; atWork: boolean }>();
  readonly #ready: string[] = [];
  /** Those that have no transaction under way. */
  readonly #lanes: Lane[];
  #pending = 0;
  #idle: PromiseWithResolvers<void> | null = null;
  #failed = false;
  #closed: Promise<void> | null = null;

  /** `held` is all that was opened for it. */
  constructor(
    read: Kysely<Tables>,
    changes: Changes,
    held: AsyncDisposableStack,
    {
      commit,
      metrics,
      onFailure,
      lanes,
    }: { commit: CommitOptions; metrics: Metrics; onFailure: (error: Error) => void; lanes: number },
  ) {
    this.read = read;
    this.changes = changes;
    this.instance = commit.instance;
    this.#held = held;
    this.#commit = commit;
    this.#metrics = metrics;
    this.#onFailure = onFailure;
    this.#lanes = Array.from({ length: lanes }, (_, number) => ({ number, batch: 0 }));
    metrics.registryWaiting.from(() => [[{}, this.#pending]]);
  }

  get standing(): Standing {
    return this.#commit.neighbours.standing;
  }

  write<N extends NameIn<W>>(name: N, args: ArgumentsIn<W, N>): Promise<ResultIn<W, N>> {
    return this.#ask(name, args, false);
  }

  rehearse<N extends NameIn<W>>(name: N, args: ArgumentsIn<W, N>): Promise<ResultIn<W, N>> {
    return this.#ask(name, args, true);
  }

  async alone(what: string, signal?: AbortSignal): Promise<AsyncDisposable> {
    const until = performance.now() + aloneWithin;
    const client = await this.#commit.connections.single();
    try {
      for (;;) {
        signal?.throwIfAborted();
        const { rows } = await client.query<{ mine: number }>(
          `select pg_try_advisory_lock(${lockKey(`alone ${what}`)}) as mine`,
        );
        if (rows[0]!.mine === 1) return { [Symbol.asyncDispose]: () => client.end() };
        if (performance.now() >= until) {
          throw new Problem(
            'unavailable',
            `Another node has been at it for a minute: ${what}.`,
            'See to that one first.',
          );
        }
        await pause(alonePause);
      }
    } catch (error) {
      await client.end();
      throw error;
    }
  }

  #ask(name: string, args: unknown, rehearsal: boolean): Promise<never> {
    if (this.#closed || this.#failed) {
      return Promise.reject(new Problem('unavailable', 'Nothing more is written: the program is ending.'));
    }
    const { promise, resolve, reject } = Promise.withResolvers<never>();
    const began = performance.now();
    const { clock, patience } = this.#commit;
    try {
      const lock = lockOf(name, args);
      const key = nameOf(lock);
      const own = { name, args: copied(args), now: clock(), by: presentActor(), rehearsal };
      let queue = this.#waiting.get(key);
      if (!queue) this.#waiting.set(key, (queue = { lock, asked: [], atWork: false }));
      queue.asked.push({ ...own, began, until: began + patience, resolve, reject });
      this.#pending += 1;
      if (queue.asked.length === 1 && !queue.atWork) this.#ready.push(key);
      // What the same turn asks for goes into the same transaction.
      queueMicrotask(() => this.#next());
    } catch (error) {
      reject(error);
    }
    return promise;
  }

  #next(): void {
    while (this.#lanes.length > 0 && this.#ready.length > 0) {
      const lane = this.#lanes.pop()!;
      const key = this.#ready.shift()!;
      const queue = this.#waiting.get(key)!;
      const batch = queue.asked.splice(0, batchLimit);
      queue.atWork = true;
      void this.#settle(lane, queue.lock, batch).finally(() => {
        queue.atWork = false;
        this.#lanes.push(lane);
        if (queue.asked.length > 0) this.#ready.push(key);
        else this.#waiting.delete(key);
        this.#next();
      });
    }
  }

  /** Writes a batch and answers it, at once or, to who waits for the other nodes, when they have acted. Never rejects. */
  async #settle(lane: Lane, lock: WriteLock, batch: Asked[]): Promise<void> {
    const began = performance.now();
    let done: Done;
    try {
      done = await commitBatch(this.#commit, lane, lock, batch);
    } catch (error) {
      for (const asked of batch) this.#answer(asked, { error: asProblem(error) });
      return;
    }
    this.counted.commits += 1;
    this.counted.writes += batch.length;
    this.#metrics.registryCommits.observe(secondsSince(began));
    this.#metrics.registryCommitSizes.observe(batch.length);
    const told = this.#tellHere(done);
    const later = done.toConfirm === null ? [] : batch.filter(({ by }) => waitsForOthers(by));
    for (const [index, asked] of batch.entries()) {
      if (!later.includes(asked)) this.#answer(asked, done.outcomes[index]!);
    }
    if (later.length === 0) return;
    const actors = later.map(({ by }) => by);
    void this.#commit.neighbours.confirmed(done.toConfirm!, told, actors).then(() => {
      for (const asked of later) this.#answer(asked, done.outcomes[batch.indexOf(asked)]!);
    });
  }

  #tellHere({ changes, events }: Done): Promise<unknown> {
    const told = changes.map(async (change) => {
      try {
        await this.changes.tell(change);
      } catch (error) {
        this.fail(error as Error);
      }
    });
    if (events) this.changes.tellOfEvents();
    return Promise.all(told);
  }

  /** Takes nothing more: what a listener could not act on may still be acted on as it was. */
  fail(error: Error): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#onFailure(error);
  }

  #answer({ began, resolve, reject }: Asked, outcome: WriteOutcome): void {
    const written = 'value' in outcome;
    this.#metrics.registryWrites.observe({ outcome: written ? 'written' : 'refused' }, secondsSince(began));
    if (written) resolve(outcome.value as never);
    else reject(outcome.error);
    this.#pending -= 1;
    if (this.#pending === 0) this.#idle?.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    if (this.#pending > 0) await (this.#idle = Promise.withResolvers<void>()).promise;
    await this.#held.disposeAsync();
  }
}
