// One batch of writes as one transaction on PostgreSQL: tried again where that may help, its end found out where the connection broke.

import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { Problem } from '../problem.ts';
import { type Actor, waitsForOthers } from './acting.ts';
import type { Change } from './changes.ts';
import type { Writing } from './commit-thread.ts';
import { asProblem, type Tx } from './database.ts';
import type { Neighbours } from './neighbours.ts';
import type { AuditNote, NewEvent } from './notes.ts';
import { isBroken, isTransient, overClient } from './postgres.ts';
import { away, type Connections } from './postgres-connections.ts';
import { PostgresDays } from './postgres-days.ts';
import type { Tables } from './tables.ts';
import type { WriteLock } from './write-locks.ts';

/** Between two tries, at the most, in milliseconds. */
const retryPause = 20;

/** A write that is asked for. */
export interface AskedWrite {
  readonly name: string;
  readonly args: unknown;
  readonly now: number;
  readonly by: Actor;
  readonly rehearsal: boolean;
  /** When it is given up, by `performance.now()`. */
  readonly until: number;
}

export type WriteOutcome = { readonly value: unknown } | { readonly error: unknown };

/** What a transaction did, once it is committed. */
export interface Done {
  readonly outcomes: WriteOutcome[];
  readonly changes: Change[];
  readonly events: boolean;
  /** The number of the last of its changes that other nodes are to confirm; null where nobody waits for that. */
  readonly toConfirm: number | null;
}

/** One of the transactions that a process has under way at a time, each with a row of its own that says which it did last. */
export interface Lane {
  readonly number: number;
  /** The last batch that was begun on it. */
  batch: number;
}

/** How far a transaction has come. */
interface Commit {
  /** What it does, once its commit is asked for. */
  asked: Done | null;
  /** Under which its changes are recorded. */
  readonly numbers: number[];
}

export interface CommitOptions {
  readonly connections: Connections;
  readonly neighbours: Neighbours;
  readonly writing: Writing;
  readonly clock: () => number;
  readonly instance: string;
  /** How long the end of a transaction is asked for whose connection broke, in milliseconds. */
  readonly patience: number;
}

/**
 * Runs a batch as one transaction, again where the connection broke before its commit was asked for or where another
 * transaction was in the way. Where it broke during the commit, the database is asked what became of it. Throws Problem
 * `unavailable` where nothing of it has happened, or where nobody can say, which the Problem then does.
 */
export async function commitBatch(
  options: CommitOptions,
  lane: Lane,
  lock: WriteLock,
  batch: readonly AskedWrite[],
): Promise<Done> {
  const { connections, patience } = options;
  const until = batch[0]!.until;
  for (;;) {
    const client = await connections.take(Math.max(0, until - performance.now()));
    const commit: Commit = { asked: null, numbers: [] };
    lane.batch += 1;
    try {
      const done = await transact(options, client, { lane, lock, batch, commit });
      client.release();
      return done;
    } catch (error) {
      const broken = isBroken(error);
      if (!broken) await client.query('rollback').catch(() => undefined);
      client.release(broken);
      let committed = false;
      try {
        committed =
          broken && commit.asked !== null && (await hasCommitted(options, lane, performance.now() + patience));
      } finally {
        if (!committed) options.neighbours.disown(commit.numbers);
      }
      if (committed) return commit.asked!;
      if (!broken && !isTransient(error)) throw error;
      if (performance.now() >= until) throw broken ? away(error) : error;
      await pause(retryPause * Math.random());
    }
  }
}

/** A number for advisory locks: PostgreSQL knows them by 64 bits, within the database. */
export function lockKey(name: string): string {
  return createHash('sha256').update(`fleetroot ${name}`).digest().readBigInt64BE().toString();
}

/** Waits, in a transaction, until this has a name to itself, until the transaction's end. */
export async function lockName(client: pg.ClientBase, name: string): Promise<void> {
  await client.query(`select pg_advisory_xact_lock(${lockKey(name)})`);
}

/**
 * Begins a transaction that has what `lock` says to itself. Each of its statements is to see what was committed before
 * the lock was given, so the isolation is said, whatever the database's default is. The lane's row says that this batch is
 * done when, and only when, the transaction is: a transaction's own number does not, which a server that died before it
 * wrote anything of it gives to another.
 */
async function begin(client: pg.ClientBase, instance: string, lane: Lane, lock: WriteLock): Promise<void> {
  const all = lockKey('everything');
  const locks =
    lock.length === 0
      ? [`pg_advisory_xact_lock(${all})`]
      : [`pg_advisory_xact_lock_shared(${all})`, ...lock.map((name) => `pg_advisory_xact_lock(${lockKey(name)})`)];
  await client.query(
    `begin isolation level read committed read write; select ${locks.join(', ')}; ` +
      `insert into lanes (instance, lane, batch) values (${pg.escapeLiteral(instance)}, ${lane.number}, ${lane.batch}) ` +
      'on conflict (instance, lane) do update set batch = excluded.batch',
  );
}

async function transact(
  options: CommitOptions,
  client: pg.PoolClient,
  { lane, lock, batch, commit }: { lane: Lane; lock: WriteLock; batch: readonly AskedWrite[]; commit: Commit },
): Promise<Done> {
  const { instance, writing } = options;
  await begin(client, instance, lane, lock);
  const db = overClient<Tables>(client);
  const days = new PostgresDays(client, () => lockName(client, 'feed'));
  const outcomes: WriteOutcome[] = [];
  const changes: Change[] = [];
  const events: NewEvent[] = [];
  let confirm = false;
  let saved: 'no' | 'yes' | 'used' = 'no';
  const alone = batch.length === 1;
  for (const { name, args, now, by, rehearsal } of batch) {
    const kept = { changes: changes.length, events: events.length };
    const audited: AuditNote[] = [];
    const undo = async () => {
      changes.length = kept.changes;
      events.length = kept.events;
      await client.query('rollback to savepoint request');
      saved = 'yes';
    };
    if ((!alone || rehearsal) && saved !== 'yes') {
      await client.query(saved === 'no' ? 'savepoint request' : 'release savepoint request; savepoint request');
      saved = 'yes';
    }
    try {
      const write = writing.writes[name] as (tx: Tx, args: unknown) => Promise<unknown>;
      const tx: Tx = {
        db,
        now,
        by,
        instance,
        changed: (change) => void changes.push(change),
        audit: (note) => void audited.push(note),
        event: (event) => void events.push(event),
        // PostgreSQL's vacuum decides when the pages of a deleted row are written over.
        purge: () => {},
        days,
      };
      const value = await write(tx, args);
      if (rehearsal) {
        await undo();
      } else {
        await writing.keep(tx, audited, []);
        if (!alone) saved = 'used';
        confirm ||= changes.length > kept.changes && waitsForOthers(by);
      }
      outcomes.push({ value });
    } catch (error) {
      if (isBroken(error) || isTransient(error)) throw error;
      outcomes.push({ error: asProblem(error) });
      if (alone && !rehearsal) {
        await client.query('rollback');
        return { outcomes, changes: [], events: false, toConfirm: null };
      }
      await undo();
    }
  }
  const { numbers } = commit;
  const last = await recordTold(options, client, { changes, events, confirm, numbers });
  commit.asked = { outcomes, changes, events: events.length > 0, toConfirm: confirm ? last : null };
  await client.query('commit');
  return commit.asked;
}

/** Events in one statement at most: PostgreSQL counts the parameters of one with 16 bits. */
const rowsAtOnce = 1_000;

/**
 * Records what is told, at the very end and one transaction after the other, so that the numbers of changes and events
 * rise in the order in which they are committed: whoever reads on from the last one that he saw has missed none.
 * Gives the number of the last change.
 */
async function recordTold(
  { writing, neighbours, clock }: CommitOptions,
  client: pg.PoolClient,
  {
    changes,
    events,
    confirm,
    numbers,
  }: { changes: readonly Change[]; events: readonly NewEvent[]; confirm: boolean; numbers: number[] },
): Promise<number | null> {
  if (changes.length === 0 && events.length === 0) return null;
  await lockName(client, 'feed');
  const now = clock();
  const db = overClient<Tables>(client);
  for (let at = 0; at < events.length; at += rowsAtOnce) {
    await writing.keep({ db, now } as Tx, [], events.slice(at, at + rowsAtOnce));
  }
  return neighbours.record(db, changes, { numbers, confirm, events: events.length > 0 });
}

/**
 * Whether the lane's last batch was done, whose commit was asked for and not answered. The lane's row is asked for by the
 * statement that writes it, so that a transaction that is still under way at the server is waited for, also the one that
 * makes the row.
 */
async function hasCommitted({ connections, instance }: CommitOptions, lane: Lane, until: number): Promise<boolean> {
  for (;;) {
    let error: unknown;
    try {
      const client = await connections.take(Math.max(0, until - performance.now()));
      try {
        const { rows } = await client.query<{ batch: number }>(
          'insert into lanes (instance, lane, batch) values ($1, $2, 0) ' +
            'on conflict (instance, lane) do update set batch = lanes.batch returning batch',
          [instance, lane.number],
        );
        client.release();
        return rows[0]?.batch === lane.batch;
      } catch (failed) {
        client.release(true);
        throw failed;
      }
    } catch (failed) {
      error = failed;
    }
    if (performance.now() < until) {
      await pause(retryPause);
      continue;
    }
    throw new Problem(
      'unavailable',
      'The database went away while it committed this: whether it was done, nobody can say.',
      'Look whether it was done when PostgreSQL is back, before asking for it again.',
      { cause: error },
    );
  }
}
