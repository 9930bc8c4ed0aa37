// What it costs to remember an issuance on SQLite: the three writes of a provisioning, with and without what hangs on them.

import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import { theServer } from '../src/registry/acting.ts';
import { chainAuditEntries } from '../src/registry/audit.ts';
import { type Db, openForWriting, overSqlite, type Tx } from '../src/registry/database.ts';
import { beginIssuance, completeIssuance, settleReply } from '../src/registry/device-issuance.ts';
import { migrate } from '../src/registry/migrate.ts';
import { migrations } from '../src/registry/migrations.ts';
import type { AuditNote, NewEvent } from '../src/registry/notes.ts';
import { sqliteTypes } from '../src/registry/sqlite-dialect.ts';
import { insertAuditEntries, insertEvents } from '../src/registry/writer-notes.ts';
import { insertRows, rowsOf } from '../test/support/registry.ts';

const rounds = 5;
/** Issuances of a round, and those whose writes share a transaction: as many as 64 connections at once come to. */
const inRound = 640;
const together = 32;

/** What of an issuance is left out. */
interface Variant {
  readonly name: string;
  readonly audit?: false;
  readonly chain?: false;
  readonly events?: false;
  /** Tables whose secondary indexes are gone, but for the one that an issuance itself reads. */
  readonly bare?: readonly string[];
}

const variants: readonly Variant[] = [
  { name: 'all of it' },
  { name: 'audit entries not chained', chain: false },
  { name: 'no audit entries', audit: false, chain: false },
  { name: 'no events', events: false },
  { name: 'neither', audit: false, chain: false, events: false },
  { name: 'no secondary indexes of audit_entries and events', bare: ['audit_entries', 'events'] },
  { name: 'none of devices', bare: ['devices'] },
  { name: 'none of certificates', bare: ['certificates'] },
  {
    name: 'neither, and no secondary indexes at all',
    audit: false,
    chain: false,
    events: false,
    bare: ['devices', 'certificates'],
  },
];

const rows = rowsOf('bench');
const account_id = rows.accounts[0]!.id;
const [root, key] = [rows.fleet_root_cas[0]!, rows.provisioning_keys[0]!];

/** A registry of a variant's own, and the CPU times of its rounds, in microseconds for one issuance. */
class Registry {
  readonly variant: Variant;
  readonly times: number[] = [];
  readonly #database: DatabaseSync;
  readonly #db: Db;

  private constructor(variant: Variant, database: DatabaseSync) {
    this.variant = variant;
    this.#database = database;
    this.#db = overSqlite(database);
  }

  static async open(variant: Variant, file: string): Promise<Registry> {
    const registry = new Registry(variant, openForWriting(file));
    const db = registry.#db;
    await migrate(db, sqliteTypes, migrations, 1);
    await insertRows(db, rows);
    await db.updateTable('provisioning_keys').set({ max_uses: null }).execute();
    for (const table of variant.bare ?? []) {
      const indexes = await sql<{ name: string }>`
        select name from sqlite_master where type = 'index' and tbl_name = ${table}
          and sql is not null and name <> 'certificates_of_device'`.execute(db);
      for (const { name } of indexes.rows) registry.#database.exec(`DROP INDEX ${name}`);
    }
    return registry;
  }

  async round(): Promise<void> {
    const before = process.cpuUsage();
    for (let made = 0; made < inRound; made += together) await this.#issue();
    const { user, system } = process.cpuUsage(before);
    this.times.push((user + system) / inRound);
  }

  /** So many at once, in three transactions, as the commit thread writes them; then the chain, as once a second. */
  async #issue(): Promise<void> {
    const issued = Array.from({ length: together }, () => {
      const device_id = `device-${randomUUID()}`;
      const digest = (of: string) => createHash('sha256').update(`${of} ${device_id}`).digest('hex');
      const {
        state,
        sha256: _,
        created_at,
        first_used_at,
        device_uuid,
        reply,
        counted_use,
        ...row
      } = rows.certificates[0]!;
      const certificate = {
        ...row,
        tbs_sha256: digest('tbs'),
        serial: digest('serial').slice(0, 32),
        public_key_sha256: digest('key'),
        subject_name: device_id,
        der: new Uint8Array(420),
        fleet_root_ca_id: root.id,
        provisioning_key_id: key.id,
      };
      return { certificate, sha256: digest('whole') };
    });
    await this.#transaction(
      issued.map(
        ({ certificate }) =>
          (tx) =>
            beginIssuance(tx, { certificate }),
      ),
    );
    await this.#transaction(
      issued.map(({ certificate: { tbs_sha256 }, sha256 }) => (tx) => {
        return completeIssuance(tx, { account_id, tbs_sha256, sha256, der: new Uint8Array(520) });
      }),
    );
    await this.#transaction(
      issued.map(({ certificate: { tbs_sha256 } }) => (tx) => {
        return settleReply(tx, { account_id, tbs_sha256, reply: 'arrived' });
      }),
    );
    if (this.variant.chain !== false) {
      await this.#transaction([(tx) => chainAuditEntries(tx, { log: 'bench', limit: together })]);
    }
  }

  async #transaction(writes: readonly ((tx: Tx) => Promise<unknown>)[]): Promise<void> {
    this.#database.exec('BEGIN IMMEDIATE');
    for (const write of writes) {
      this.#database.exec('SAVEPOINT request');
      const [notes, events]: [AuditNote[], NewEvent[]] = [[], []];
      const tx: Tx = {
        db: this.#db,
        now: Date.now(),
        by: theServer,
        instance: 'bench',
        changed: () => {},
        audit: (note) => void notes.push(note),
        event: (event) => void events.push(event),
        purge: () => {},
        days: null,
      };
      await write(tx);
      if (this.variant.audit !== false) await insertAuditEntries(tx, tx.by, notes);
      if (this.variant.events !== false) await insertEvents(tx, events);
      this.#database.exec('RELEASE request');
    }
    this.#database.exec('COMMIT');
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

using held = new DisposableStack();
const dir = mkdtempSync(join(tmpdir(), 'fleetroot-bench-'));
held.defer(() => rmSync(dir, { recursive: true, force: true }));
const registries: Registry[] = [];
for (const [index, variant] of variants.entries()) {
  registries.push(held.use(await Registry.open(variant, join(dir, `${index}.db`))));
}
for (const registry of registries) await registry.round();
for (const registry of registries) registry.times.length = 0;
// The rounds take turns, so that a machine that slows down slows all of them.
for (let round = 0; round < rounds; round += 1) for (const registry of registries) await registry.round();

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1]!;
const whole = registries[0]!;
console.log(`Node ${process.version}; medians of ${rounds} rounds of ${inRound}, ${together} to a transaction`);
console.log('CPU time  of all of it');
for (const { variant, times } of registries) {
  const share = median(times.map((time, round) => time / whole.times[round]!));
  console.log(`${`${median(times).toFixed(0)} µs`.padStart(8)}  ${share.toFixed(2).padStart(12)}  ${variant.name}`);
}
