// Histories on PostgreSQL, divided by days: each day a partition, made ahead and dropped whole; what has no day lies in the rest.

import type pg from 'pg';
import { type History, type HistoryDays, restOf } from './history-days.ts';

const day = 24 * 60 * 60 * 1000;

/**
 * How long a lock on a history is waited for, in milliseconds: whoever reads or writes it meanwhile waits behind. Less than
 * the second after which PostgreSQL looks for a deadlock: in one, it is this that gives way.
 */
const patience = 500;

/** A day that has a table of its own, by its first instant. */
interface Day {
  readonly table: string;
  readonly from: number;
}

/** The days of histories, over the connection of a transaction that is under way. */
export class PostgresDays implements HistoryDays {
  readonly #client: pg.ClientBase;
  readonly #quiet: () => Promise<void>;

  /** `quiet` waits until nobody else writes to a history, until the transaction's end. */
  constructor(client: pg.ClientBase, quiet: () => Promise<void>) {
    this.#client = client;
    this.#quiet = quiet;
  }

  rest(history: History): string {
    return restOf(history);
  }

  async make(history: History, { from, to }: { readonly from: number; readonly to: number }): Promise<void> {
    const known = new Set((await this.#days(history)).map((each) => each.from));
    for (let first = from - (from % day); first <= to; first += day) {
      if (!known.has(first)) await this.#briefly(() => this.#make(history, first));
    }
  }

  async dropOldest(history: History, before: number): Promise<boolean> {
    const [oldest] = await this.#days(history);
    if (!oldest || oldest.from + day > before) return false;
    const { table } = oldest;
    // By the index, account by account: a day may have very many rows.
    await this.#client.query(
      `insert into event_prunings (account_id, last_id)
      select id, last_id from accounts
        cross join lateral (select max(id) as last_id from "${table}" where account_id = accounts.id) as its
        where last_id is not null
      union all select '', max(id) from "${table}" having max(id) is not null
      on conflict (account_id) do update set last_id = greatest(event_prunings.last_id, excluded.last_id)`,
    );
    await this.#briefly(() => this.#client.query(`drop table "${table}"`));
    return true;
  }

  /** The oldest first. */
  async #days(history: History): Promise<Day[]> {
    const { rows } = await this.#client.query<{ table: string }>(
      `select relname as table from pg_inherits join pg_class on pg_class.oid = inhrelid
      where inhparent = '${history}'::regclass and relname like '${history}\\_day\\_%' order by relname`,
    );
    return rows.map(({ table }) => {
      const [year, month, date] = table.split('_').slice(-3).map(Number);
      return { table, from: Date.UTC(year!, month! - 1, date) };
    });
  }

  async #make(history: History, first: number): Promise<void> {
    const { rows } = await this.#client.query(`select 1 from ${restOf(history)} where at >= $1 and at < $2 limit 1`, [
      first,
      first + day,
    ]);
    if (rows.length > 0) return;
    const table = `${history}_day_${new Date(first).toISOString().slice(0, 10).replaceAll('-', '_')}`;
    // Made beside it and then attached, which those who read and write the other days do not wait for.
    await this.#client.query(`create table "${table}" (like ${history} including defaults)`);
    await this.#client.query(
      `alter table ${history} attach partition "${table}" for values from (${first}) to (${first + day})`,
    );
  }

  /** Changes the tables of a history while nobody writes to it, or fails soon. */
  async #briefly(change: () => Promise<unknown>): Promise<void> {
    await this.#client.query(`set local lock_timeout = ${patience}`);
    await this.#quiet();
    await change();
    await this.#client.query('set local lock_timeout to default');
  }
}
