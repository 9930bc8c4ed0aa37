// A registry as large as one gets: a million devices, made by inserts once and kept for the next measurement.

import { hash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { hashOfEntry } from '../src/registry/audit-chain.ts';
import { type BenchAccount, Fleetroot } from './fleetroot.ts';

/** How large, and how much of it is real: the devices of the first account that have keys and can connect. */
export interface BigSize {
  readonly devices: number;
  readonly accounts: number;
  readonly revoked: number;
  readonly real: number;
}

export const bigSize: BigSize = { devices: 1_000_000, accounts: 10_000, revoked: 100_000, real: 200 };

/** Of all devices this part is in the first account; the others are spread over the other accounts. */
const inFirst = 0.5;
const day = 24 * 60 * 60 * 1000;

type Row = Record<string, SQLInputValue>;

/** What a column of text has. */
function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new Error(`${column} is no text.`);
  return value;
}

/**
 * The data directory of a server with such a registry, at `dir`: made where it is not there yet, whole or not at all. Gives
 * the first account, whose devices are real; a server made it, and everything else is its rows over and over, with IDs and
 * digests of their own. Each device has its certificate, its entry in the audit log, and an event.
 */
export async function bigRegistry(dir: string, size: BigSize = bigSize): Promise<BenchAccount> {
  const made = join(dir, 'big-registry.json');
  if (existsSync(made)) {
    const kept = JSON.parse(readFileSync(made, 'utf8')) as { size: BigSize; account: BenchAccount };
    if (JSON.stringify(kept.size) === JSON.stringify(size)) return kept.account;
  }
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  let account: BenchAccount;
  {
    await using fleetroot = await Fleetroot.start(dir);
    [account] = (await fleetroot.fill(1, size.real)) as [BenchAccount];
  }
  new Filling(join(dir, 'registry.db'), size).run();
  writeFileSync(made, JSON.stringify({ size, account }));
  return account;
}

class Filling {
  readonly #database: DatabaseSync;
  readonly #size: BigSize;

  constructor(file: string, size: BigSize) {
    this.#database = new DatabaseSync(file);
    this.#size = size;
  }

  run(): void {
    using database = this.#database;
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -524288');
    const accounts = this.#copyAccounts();
    // Sorted once at the end: entry by entry, most of the time would go into them.
    const indexes = this.#all(`
      select name, sql from sqlite_master where type = 'index' and sql is not null
        and tbl_name in ('devices', 'certificates', 'audit_entries', 'events')`);
    for (const index of indexes) database.exec(`drop index ${text(index, 'name')}`);
    this.#fillDevices(accounts);
    for (const index of indexes) database.exec(text(index, 'sql'));
    database.exec('ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)');
  }

  #all(sql: string): Row[] {
    return this.#database.prepare(sql).all();
  }

  /** Inserts rows of a table, some thousands to a transaction. */
  #inserter(table: string, columns: readonly string[]): (row: Row) => void {
    const marks = columns.map(() => '?').join(', ');
    const statement = this.#database.prepare(`insert into ${table} (${columns.join(', ')}) values (${marks})`);
    return (row) => void statement.run(...columns.map((column) => row[column] ?? null));
  }

  #inBatches(count: number, each: (n: number) => void): void {
    for (let from = 0; from < count; from += 10_000) {
      this.#database.exec('BEGIN');
      for (let n = from; n < Math.min(count, from + 10_000); n++) each(n);
      this.#database.exec('COMMIT');
    }
  }

  /** The first account again and again: its rows with other IDs. Gives the accounts' new rows that devices refer to. */
  #copyAccounts(): { account_id: string; fleet_root_ca_id: string; provisioning_key_id: string }[] {
    const tables = [
      ['accounts', ['id', 'name', 'namespace']],
      ['account_hosts', ['host']],
      ['keys', ['id', 'public_key_sha256']],
      ['key_events', ['id', 'key_id']],
      ['gateway_cas', ['id', 'key_id', 'sha256']],
      ['gateway_certificates', ['id', 'gateway_ca_id']],
      ['provisioning_cas', ['id', 'key_id']],
      ['fleet_root_cas', ['id', 'key_id', 'public_key_sha256']],
      ['fleet_root_certificates', ['fleet_root_ca_id', 'sha256', 'public_key_sha256']],
      ['provisioning_keys', ['id', 'tbs_sha256', 'public_key_sha256']],
    ] as const;
    const [{ id: first }] = this.#all('select id from accounts') as [{ id: string }];
    const templates = tables.map(([table, own]) => {
      const mine = table === 'accounts' ? 'id' : 'account_id';
      const rows = this.#all(`select * from ${table} where ${mine} = '${first}'`);
      return { own, rows, insert: this.#inserter(table, Object.keys(rows[0]!)) };
    });
    const [root] = this.#all('select id from fleet_root_cas') as [{ id: string }];
    const [key] = this.#all('select id from provisioning_keys') as [{ id: string }];
    const all = [{ account_id: first, fleet_root_ca_id: root.id, provisioning_key_id: key.id }];
    this.#inBatches(this.#size.accounts - 1, (n) => {
      const renamed = new Map<unknown, string>([[first, randomUUID()]]);
      const account_id = renamed.get(first)!;
      /** The same for the same value, so that references lead where they did. */
      const anew = (column: string, value: string): string => {
        const known = renamed.get(value);
        if (known !== undefined) return known;
        const fresh = column.endsWith('sha256') ? hash('sha256', `${n} ${value}`) : randomUUID();
        renamed.set(value, fresh);
        return fresh;
      };
      for (const { own, rows, insert } of templates) {
        for (const row of rows) {
          const copy: Row = { ...row, ...('account_id' in row && { account_id }) };
          for (const column of own) {
            const value = row[column];
            if (typeof value === 'string') copy[column] = anew(column, value);
          }
          if ('hosts' in row)
            copy['hosts'] = JSON.stringify(
              (JSON.parse(text(row, 'hosts')) as string[]).map((host) => anew('host', host)),
            );
          if ('namespace' in row) Object.assign(copy, { id: account_id, name: `big-${n}`, namespace: `big-${n}` });
          insert(copy);
        }
      }
      all.push({
        account_id,
        fleet_root_ca_id: renamed.get(root.id)!,
        provisioning_key_id: renamed.get(key.id)!,
      });
    });
    return all;
  }

  #fillDevices(
    accounts: readonly { account_id: string; fleet_root_ca_id: string; provisioning_key_id: string }[],
  ): void {
    const { devices, revoked, real } = this.#size;
    const [device] = this.#all(`select * from devices limit 1`) as [Row];
    const [certificate] = this.#all(`select * from certificates where profile = 'device' limit 1`) as [Row];
    const [entry] = this.#all(
      `select * from audit_entries where object_id = '${text(certificate, 'tbs_sha256')}' or action = 'certificate.issue' limit 1`,
    ) as [Row];
    const [event] = this.#all(`select * from events where type = 'device.added' limit 1`) as [Row];
    const [head] = this.#all('select number, hash from audit_entries order by number desc limit 1') as [Row];
    let [number, previous] = [Number(head['number'] ?? 0), text(head, 'hash')];
    const withoutId = (row: Row, id: string) => Object.keys(row).filter((column) => column !== id);
    const insertDevice = this.#inserter('devices', Object.keys(device));
    const insertCertificate = this.#inserter('certificates', Object.keys(certificate));
    const insertEntry = this.#inserter('audit_entries', withoutId(entry, 'sequence'));
    const insertEvent = this.#inserter('events', withoutId(event, 'id'));
    const now = Date.now();
    const first = Math.floor(devices * inFirst);
    this.#inBatches(devices - real, (n) => {
      const others = accounts.length - 1;
      const owner = accounts[n < first || others === 0 ? 0 : 1 + (n % others)]!;
      const uuid = randomUUID();
      const device_id = `vehicle-${n.toString().padStart(9, '0')}`;
      // Every so many, so that each account has some.
      const isRevoked = n % Math.round(devices / revoked) === 0;
      const first_seen = now - (n % 365) * day;
      const not_after = first_seen + 10 * 365 * day;
      const seen = { first_seen, last_seen: n % 10 === 1 ? null : now - (n % 30) * day };
      insertDevice({
        ...device,
        ...owner,
        uuid,
        device_id,
        ...seen,
        state: isRevoked ? 'revoked' : 'active',
        certificate_not_after: isRevoked ? null : not_after,
      });
      const tbs_sha256 = hash('sha256', uuid);
      insertCertificate({
        ...certificate,
        ...owner,
        tbs_sha256,
        sha256: hash('sha256', tbs_sha256),
        public_key_sha256: hash('sha256', device_id + uuid),
        serial: tbs_sha256.slice(0, 32),
        device_uuid: uuid,
        subject_name: device_id,
        state: isRevoked ? 'revoked' : 'current',
        created_at: first_seen,
        not_before: first_seen,
        not_after,
        reply: 'arrived',
      });
      const body = text(entry, 'body').replaceAll(text(entry, 'object_id'), uuid);
      previous = hashOfEntry(previous, (number += 1), body);
      insertEntry({
        ...entry,
        account_id: owner.account_id,
        object_id: uuid,
        object_name: device_id,
        body,
        number,
        hash: previous,
      });
      insertEvent({ ...event, account_id: owner.account_id, at: now - (n % 6) * day });
    });
  }
}

if (import.meta.main) {
  const dir = process.argv[2];
  if (dir === undefined) throw new Error('Usage: node bench/big-registry.ts DIRECTORY');
  const began = performance.now();
  await bigRegistry(dir);
  console.log(`${dir}: made in ${((performance.now() - began) / 1000).toFixed(0)} s`);
}
