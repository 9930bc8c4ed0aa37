// The other processes on the same database: what they change is heard here, what is changed here is confirmed by them.

import { setTimeout as pause } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import type pg from 'pg';
import { type Actor, noteUnconfirmed } from './acting.ts';
import type { Change, Changes } from './changes.ts';
import { overClient } from './postgres.ts';
import type { Connections } from './postgres-connections.ts';
import type { Standing } from './store.ts';
import type { Tables } from './tables.ts';

/** What a process is known by. */
export interface NodeName {
  /** The node's own for good, kept in its data directory, whose lock says that no other process has it now. */
  readonly id: string;
  /** What people know it by. */
  readonly name: string;
  readonly version: string;
}

interface Options {
  readonly connections: Connections;
  readonly node: NodeName;
  readonly instance: string;
  readonly clock: () => number;
  readonly changes: Changes;
  readonly onFailure: (error: Error) => void;
}

/** What is told of a change travels by these channels; what was missed is read from the table. */
const changed = 'fleetroot_changed';
const confirmed = 'fleetroot_confirmed';

/** How often changes are looked for without having been told of any, and how often a process says that it is there, in milliseconds. */
const pollInterval = 1_000;
/** A process that has not been heard of for so long is not waited for. */
const silentAfter = 5_000;
/** One that has not been heard of for so long is given up: its rows are taken away. */
const forgottenAfter = 24 * 60 * 60 * 1000;
/** How long the others are waited for. */
const confirmWithin = 2_000;
/** How long changes are kept for who was cut off. */
const keptFor = 60 * 60 * 1000;
const pageSize = 1_000;
const reconnectPause = 200;
/** How long a process that ends tries to say so. */
const leaveWithin = 2_000;

/** The database's clock, in milliseconds: nodes' own may differ. */
const databaseNow = sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`;

/** Follows what others change until it is disposed of. */
export class Neighbours implements AsyncDisposable {
  readonly #options: Options;
  /** The last change that has been heard, by its number. */
  #position = 0;
  /** Which server and which history of it the position belongs to. */
  #history = '';
  /** When the database last answered, by `performance.now()` and by the clock. */
  #answered = performance.now();
  #answeredAt: number;
  #client: pg.Client | null = null;
  #wake: () => void = () => undefined;
  #woken = false;
  /** The numbers of changes that this process records and tells here itself, until they are met in the table. */
  readonly #mine = new Set<number>();
  readonly #confirmations = new Map<string, number>();
  readonly #waiters = new Set<() => void>();
  /** Resolves when all that was heard has been acted on: who confirms a change confirms those before it. */
  #acted: Promise<unknown> = Promise.resolve();
  #closing = false;
  #following: Promise<void> = Promise.resolve();
  #lastBeat = -Infinity;

  private constructor(options: Options) {
    this.#options = options;
    this.#answeredAt = options.clock();
  }

  /** Enters this process among the others and follows them. Throws where the database cannot be reached. */
  static async join(options: Options): Promise<Neighbours> {
    const neighbours = new Neighbours(options);
    await neighbours.#enter();
    neighbours.#following = neighbours.#follow();
    return neighbours;
  }

  /** Whether the database answers, and since when it does not. */
  get standing(): Standing {
    const silent = performance.now() - this.#answered;
    return silent < silentAfter ? { reachable: true } : { reachable: false, since: this.#answeredAt };
  }

  async #enter(): Promise<void> {
    const client = await this.#options.connections.take();
    try {
      const db = overClient<Tables>(client);
      await this.#insert(db);
      this.#history = await historyOf(db);
      this.#position = (await rangeOf(db)).last;
    } finally {
      client.release();
    }
  }

  async #insert(db: Kysely<Tables>): Promise<void> {
    const { node, instance } = this.#options;
    const { id: node_id, name, version } = node;
    await db
      .insertInto('nodes')
      .values({ instance, node_id, name, version, started_at: databaseNow, heard_at: databaseNow })
      .execute();
  }

  /**
   * Records changes in a transaction that holds the feed, and has the others told when it commits. Their numbers go into
   * `numbers`: here they are told by who commits them, or else disowned. Gives the last one.
   */
  async record(
    db: Kysely<Tables>,
    changes: readonly Change[],
    { numbers, confirm, events }: { numbers: number[]; confirm: boolean; events: boolean },
  ): Promise<number | null> {
    const rows = changes.map((change) => ({
      instance: this.#options.instance,
      at: databaseNow,
      change: JSON.stringify(change),
      confirm: confirm ? (1 as const) : (0 as const),
    }));
    for (let at = 0; at < rows.length; at += pageSize) {
      const page = db.insertInto('changes').values(rows.slice(at, at + pageSize));
      for (const { sequence } of await page.returning('sequence').execute()) {
        numbers.push(sequence);
        this.#mine.add(sequence);
      }
    }
    const told = [...(rows.length > 0 ? ['changes'] : []), ...(events ? ['events'] : [])].join(' ');
    await sql`select pg_notify(${changed}, ${told})`.execute(db);
    return numbers.length === 0 ? null : Math.max(...numbers);
  }

  /**
   * Takes back that changes of these numbers are told here by who commits them: of those, nobody can say whether they were
   * committed. What was is told when it is read, or now where it has been passed over.
   */
  disown(numbers: readonly number[]): void {
    const met = numbers.filter((number) => !this.#mine.delete(number));
    if (met.length > 0) this.#acted = Promise.all([this.#acted, this.#tell({ kind: 'everything' })]);
  }

  /**
   * Resolves when every other process has confirmed that it acted on the change of that number, and this one has; or
   * after a while. Those that have not are noted for who asked (acting.ts).
   */
  async confirmed(sequence: number, here: Promise<unknown>, by: readonly Actor[]): Promise<void> {
    const others = await this.#others().catch(() => null);
    if (others === null) return noteUnconfirmed(by, ['every other node: the database went away']);
    const missing = () => others.filter(({ instance }) => (this.#confirmations.get(instance) ?? 0) < sequence);
    const until = performance.now() + confirmWithin;
    const waitedFor = () => missing().some(({ silent }) => !silent) && performance.now() < until;
    let acted = false;
    const actedHere = here.then(() => (acted = true));
    await Promise.race([actedHere, pause(confirmWithin, undefined, { ref: false })]);
    while (waitedFor() && !this.#closing) {
      const told = Promise.withResolvers<void>();
      this.#waiters.add(told.resolve);
      await Promise.race([told.promise, pause(Math.max(1, until - performance.now()), undefined, { ref: false })]);
      this.#waiters.delete(told.resolve);
    }
    const names = missing().map(({ name }) => name);
    noteUnconfirmed(by, acted ? names : [this.#options.node.name, ...names]);
  }

  async #others(): Promise<{ instance: string; name: string; silent: boolean }[]> {
    const client = await this.#options.connections.take(confirmWithin);
    try {
      const rows = await overClient<Tables>(client)
        .selectFrom('nodes')
        .select(['instance', 'name', sql<number>`${databaseNow} - heard_at`.as('silence')])
        .where('instance', '!=', this.#options.instance)
        .execute();
      return rows.map(({ instance, name, silence }) => ({ instance, name, silent: silence > silentAfter }));
    } finally {
      client.release();
    }
  }

  /** Listens, and reads what it missed, over one connection after the other. */
  async #follow(): Promise<void> {
    while (!this.#closing) {
      let client: pg.Client | null = null;
      try {
        client = await this.#options.connections.single();
        await this.#listen(client);
      } catch {
        // Away: `standing` tells; what is missed meanwhile is read afterwards.
      } finally {
        this.#client = null;
        client?.end().catch(() => undefined);
      }
      if (!this.#closing) await pause(reconnectPause);
    }
  }

  async #listen(client: pg.Client): Promise<void> {
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => undefined);
    client.on('error', broken.reject);
    client.on('end', () => broken.reject(new Error('the connection has ended')));
    client.on('notification', ({ channel, payload = '' }) => this.#heard(channel, payload));
    this.#client = client;
    await client.query(`listen ${changed}; listen ${confirmed}`);
    const db = overClient<Tables>(client);
    await this.#placeIn(db);
    for (let beat = 0; !this.#closing; beat += 1) {
      await this.#catchUp(db);
      await this.#beat(db, beat);
      this.#answered = performance.now();
      this.#answeredAt = this.#options.clock();
      if (!this.#woken) {
        const woken = new Promise<void>((resolve) => (this.#wake = resolve));
        await Promise.race([woken, pause(pollInterval, undefined, { ref: false }), broken.promise]);
      }
      this.#woken = false;
    }
  }

  #heard(channel: string, payload: string): void {
    if (channel === confirmed) {
      const [instance, sequence] = payload.split(' ') as [string, string];
      this.#confirmations.set(instance, Math.max(this.#confirmations.get(instance) ?? 0, Number(sequence)));
      for (const tell of this.#waiters) tell();
      return;
    }
    if (payload.includes('events')) this.#options.changes.tellOfEvents();
    if (!payload.includes('changes')) return;
    this.#woken = true;
    this.#wake();
  }

  /**
   * After a fail-over, or where the database was restored, what had been committed last may be gone, and after long what was
   * to be read next: then nothing that is known here is sure.
   */
  async #placeIn(db: Kysely<Tables>): Promise<void> {
    const history = await historyOf(db);
    const { first, last } = await rangeOf(db);
    const another = this.#history !== history || last < this.#position || first > this.#position + 1;
    // By the clock too: a machine that sleeps stops the other one.
    const silent = Math.max(performance.now() - this.#answered, this.#options.clock() - this.#answeredAt);
    if (another || silent > keptFor / 2) {
      this.#position = last;
      this.#mine.clear();
      this.#acted = Promise.all([this.#acted, this.#tell({ kind: 'everything' })]);
      await this.#acted;
      this.#options.changes.tellOfEvents();
    }
    this.#history = history;
  }

  async #catchUp(db: Kysely<Tables>): Promise<void> {
    for (;;) {
      const rows = await db
        .selectFrom('changes')
        .select(['sequence', 'change', 'confirm'])
        .where('sequence', '>', this.#position)
        .orderBy('sequence')
        .limit(pageSize)
        .execute();
      const told: Promise<unknown>[] = [this.#acted];
      let toConfirm = false;
      for (const { sequence, change, confirm } of rows) {
        if (this.#mine.delete(sequence)) continue;
        told.push(this.#tell(JSON.parse(change) as Change));
        toConfirm ||= confirm === 1;
      }
      const last = rows.at(-1)?.sequence;
      if (last !== undefined) this.#position = last;
      this.#acted = Promise.all(told);
      if (toConfirm) void this.#confirm(last!, this.#acted);
      if (rows.length < pageSize) return;
    }
  }

  #tell(change: Change): Promise<unknown> {
    try {
      return this.#options.changes.tell(change);
    } catch (error) {
      this.#options.onFailure(error as Error);
      return Promise.resolve();
    }
  }

  async #confirm(sequence: number, acted: Promise<unknown>): Promise<void> {
    await acted;
    const payload = `${this.#options.instance} ${sequence}`;
    await this.#client?.query('select pg_notify($1, $2)', [confirmed, payload]).catch(() => undefined);
  }

  /** Says that this process is there; now and then takes away what nobody needs any more. */
  async #beat(db: Kysely<Tables>, beat: number): Promise<void> {
    const { instance } = this.#options;
    if (performance.now() - this.#lastBeat < pollInterval) return;
    this.#lastBeat = performance.now();
    const { numUpdatedRows } = await db
      .updateTable('nodes')
      .set({ heard_at: databaseNow })
      .where('instance', '=', instance)
      .executeTakeFirst();
    // Given up by the others after a long cut, or lost in a fail-over.
    if (numUpdatedRows === 0n) await this.#insert(db);
    if (beat % 60 !== 59) return;
    // The last one stays: it says how far the numbers have come (`#placeIn`).
    await db
      .deleteFrom('changes')
      .where('at', '<', sql<number>`${databaseNow} - ${keptFor}`)
      .where('sequence', '<', (changes) =>
        changes.selectFrom('changes').select(({ fn }) => fn.max('sequence').as('last')),
      )
      .execute();
    await db
      .deleteFrom('nodes')
      .where('heard_at', '<', sql<number>`${databaseNow} - ${forgottenAfter}`)
      .execute();
    await db
      .deleteFrom('lanes')
      .where('instance', 'not in', (nodes) => nodes.selectFrom('nodes').select('instance'))
      .execute();
  }

  /** Leaves the others in order: nobody waits for this process any more. Where the database is away, they find out by its silence. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    this.#wake();
    const left = this.#leave().catch(() => undefined);
    await Promise.race([left, pause(leaveWithin, undefined, { ref: false })]);
  }

  async #leave(): Promise<void> {
    const { instance, connections } = this.#options;
    await this.#following;
    const client = await connections.take(0);
    try {
      const db = overClient<Tables>(client);
      await db.deleteFrom('nodes').where('instance', '=', instance).execute();
      await db.deleteFrom('lanes').where('instance', '=', instance).execute();
    } finally {
      client.release();
    }
  }
}

/** Names the server, its timeline (which a fail-over changes) and the database (which is another after a restoration). */
async function historyOf(db: Kysely<Tables>): Promise<string> {
  const { rows } = await sql<{ history: string }>`
    select concat_ws(' ', (select system_identifier from pg_control_system()),
      substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
      (select oid from pg_database where datname = current_database())) as history`.execute(db);
  return rows[0]!.history;
}

/** The least and the greatest number of a change that is there; 0 where there is none. */
async function rangeOf(db: Kysely<Tables>): Promise<{ first: number; last: number }> {
  const { first, last } = await db
    .selectFrom('changes')
    .select(({ fn }) => [fn.min('sequence').as('first'), fn.max('sequence').as('last')])
    .executeTakeFirstOrThrow();
  return { first: first ?? 0, last: last ?? 0 };
}
