// Registries for tests: every backend that the contract suite loops over, and an account filled in every table.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import pg from 'pg';
import { type CompiledQuery, type Insertable, Kysely } from 'kysely';
import { theServer } from '../../src/registry/acting.ts';
import type { Change } from '../../src/registry/changes.ts';
import { type Db, openForWriting, type Tx } from '../../src/registry/database.ts';
import type { IdentityTables } from '../../src/registry/identity-tables.ts';
import type { NodeTables } from '../../src/registry/node-tables.ts';
import type { AuditNote, NewEvent } from '../../src/registry/notes.ts';
import { migrate } from '../../src/registry/migrate.ts';
import { migrations } from '../../src/registry/migrations.ts';
import { overClient, postgresTypes } from '../../src/registry/postgres.ts';
import { type PostgresSettings, valueTypes } from '../../src/registry/postgres-connections.ts';
import { SqliteDialect, sqliteTypes } from '../../src/registry/sqlite-dialect.ts';
import type { OperatorTables } from '../../src/registry/operator-tables.ts';
import type { Account, Tables } from '../../src/registry/tables.ts';
import type { StoreOptions } from '../../src/registry/store.ts';
import { openRegistry, openSharedRegistry, type Registry } from '../../src/registry/writer.ts';
import { rowsOfOperator } from './operator-rows.ts';
import { newDatabase } from './postgres.ts';

/** A place for one registry, gone with everything in it when disposed of. */
export interface Home extends Disposable {
  readonly directory: string;
  /** The file of a registry on SQLite; elsewhere there is none. */
  readonly file: string;
  /** The file, or the URL of the database. */
  place(): Promise<string>;
  open(options?: Partial<StoreOptions>): Promise<Registry>;
  /** The database itself, migrated, for calling functions of the registry without the writer. `heard` gets every query. */
  database(heard?: (query: CompiledQuery) => void): Promise<Db>;
  /** The tables that a query reads from end to end. */
  scannedBy(query: CompiledQuery): string[] | Promise<string[]>;
  /** The tables of which a query reads, or sorts, all that an account has; told by SQLite alone. */
  walkedBy?(query: CompiledQuery): string[];
}

export interface Backend {
  name: string;
  /** `empty`: not even migrated. */
  home(options?: { empty?: boolean }): Home;
}

export const sqlite: Backend = { name: 'SQLite', home: sqliteHome };
const postgres: Backend = { name: 'PostgreSQL', home: postgresHome };
export const backends: readonly Backend[] = [sqlite, postgres];

function sqliteHome(): Home {
  const directory = mkdtempSync(join(tmpdir(), 'fleetroot-registry-'));
  const file = join(directory, 'registry.db');
  const opened: DatabaseSync[] = [];
  return {
    directory,
    file,
    place: async () => file,
    open: (options = {}) =>
      openRegistry({
        file,
        clock: Date.now,
        onFailure: (error) => {
          throw error;
        },
        ...options,
      }),
    async database(heard = () => {}) {
      const database = openForWriting(file);
      opened.push(database);
      const db: Db = new Kysely<Tables>({ dialect: new SqliteDialect(database), log: (event) => heard(event.query) });
      await migrate(db, sqliteTypes, migrations, Date.now());
      return db;
    },
    scannedBy({ sql, parameters }) {
      using database = new DatabaseSync(file, { readOnly: true });
      const steps = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...(parameters as SQLInputValue[]));
      // An index that is read through whole ("SCAN devices USING INDEX …") is a scan too; rows that were given are none.
      return steps.flatMap(({ detail }) => /^SCAN (?!\d+-ROW VALUES)(\w+)/.exec(String(detail))?.[1] ?? []);
    },
    walkedBy({ sql, parameters }) {
      using database = new DatabaseSync(file, { readOnly: true });
      const steps = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...(parameters as SQLInputValue[]));
      const sorts = steps.some(({ detail }) => /^USE TEMP B-TREE FOR (ORDER|GROUP) BY/.test(String(detail)));
      return steps.flatMap(({ detail }) => {
        const [, table, by] = /^SEARCH (\w+) .*\((.*)\)$/.exec(String(detail)) ?? [];
        const whole = by === 'account_id=?' && (sorts || !/ limit /.test(sql));
        return table !== undefined && whole ? [table] : [];
      });
    },
    [Symbol.dispose]() {
      for (const database of opened) database.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** How a database is spoken to where nothing about it matters. */
export function settingsFor(url: string): PostgresSettings {
  return {
    url,
    ca: null,
    tls: false,
    certificate: null,
    readers: 3,
    writers: 3,
    statementTimeout: 30_000,
    connectTimeout: 10_000,
    patience: 20_000,
  };
}

function postgresHome({ empty = false } = {}): Home {
  const held = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'fleetroot-registry-'));
  held.defer(() => rmSync(directory, { recursive: true, force: true }));
  const made = newDatabase({ migrated: !empty });
  made.then(
    (database) => held.use(database),
    () => undefined,
  );
  return {
    directory,
    file: join(directory, 'registry.db'),
    place: async () => (await made).url,
    open: async ({ metrics, ...options } = {}) =>
      openSharedRegistry({
        postgres: settingsFor((await made).url),
        node: { id: 'node', name: 'node', version: 'test' },
        directory: null,
        clock: options.clock ?? Date.now,
        onFailure:
          options.onFailure ??
          ((error) => {
            throw error;
          }),
        ...(metrics && { metrics }),
      }),
    async database(heard = () => {}) {
      const client = new pg.Client({ connectionString: (await made).url, types: valueTypes });
      await client.connect();
      held.defer(() => client.end());
      const db = overClient<Tables>(client, heard);
      await migrate(db, postgresTypes, migrations, Date.now());
      return db;
    },
    async scannedBy({ sql, parameters }) {
      const client = new pg.Client((await made).url);
      await client.connect();
      try {
        // What it would do with many rows: here there are few, for which reading all of them is cheapest.
        await client.query('set enable_seqscan = off');
        const { rows } = await client.query({ text: `explain ${sql}`, values: [...parameters] });
        const lines = rows.map((row) => String(Object.values(row)[0]));
        return lines.flatMap((line) => /Seq Scan on (\w+)/.exec(line)?.[1] ?? []);
      } finally {
        await client.end();
      }
    },
    // The database goes with the server at the latest.
    [Symbol.dispose]: () => void held.disposeAsync().catch(() => undefined),
  };
}

/** A transaction as the writer gives it, that keeps the changes, audit notes and events it is told. */
export function transactionOn(
  db: Db,
  now = 1_800_000_000_000,
): Tx & { changes: Change[]; notes: AuditNote[]; events: NewEvent[] } {
  const changes: Change[] = [];
  const notes: AuditNote[] = [];
  const events: NewEvent[] = [];
  return {
    db,
    now,
    by: theServer,
    instance: 'this-process',
    changes,
    notes,
    events,
    changed: (change) => void changes.push(change),
    audit: (note) => void notes.push(note),
    event: (event) => void events.push(event),
    purge: () => {},
    days: null,
  };
}

/** What a test account is made of when nothing about it matters. */
export function someAccount(id: string, kind: 'test' | 'production' = 'test'): Account {
  return {
    id,
    name: `${id}-name`,
    kind,
    admission: 'automatic',
    rekey: 'accept',
    key_type: 'p256',
    validity_seconds: 86_400,
    device_id_pattern: null,
    namespace: `${id}-namespace`,
    created_at: 1,
    ready_at: 2,
    owner_key: null,
    deleted_at: null,
    gateway_incomplete: null,
  };
}

/** One row in every table that belongs to an account: each text and each byte string in it begins with `mark`. */
export function rowsOf(mark: string) {
  const bytes = (what: string) => new TextEncoder().encode(`${mark}-${what}`);
  const account_id = `${mark}-account`;
  const fleet_root_ca_id = `${mark}-root`;
  const provisioning_key_id = `${mark}-provisioning-key`;
  const device_uuid = `${mark}-device`;
  const certificate = {
    account_id,
    tbs_sha256: `${mark}-tbs`,
    sha256: `${mark}-sha256`,
    profile: 'device',
    state: 'current',
    serial: `${mark}-serial`,
    public_key_sha256: `${mark}-device-key`,
    not_before: 1,
    not_after: 9_000_000_000_000,
    device_uuid,
    subject_name: `${mark}-device-id`,
    fleet_root_ca_id,
    provisioning_key_id,
    der: bytes('der'),
    created_at: 1,
    first_used_at: null,
    reply: 'open',
    counted_use: 1,
  } as const;
  const fleetRootCa = {
    id: fleet_root_ca_id,
    account_id,
    name: `${mark}-root-name`,
    kind: 'generated',
    state: 'active',
    key_id: `${mark}-key`,
    subject: bytes('subject'),
    public_key_sha256: `${mark}-root-key`,
    successor_id: null,
    created_at: 1,
    admit: 'chain',
  } as const;
  const gatewayCa = {
    id: `${mark}-gateway-ca`,
    account_id,
    key_id: `${mark}-key`,
    state: 'active',
    certificate: bytes('gateway-ca'),
    sha256: `${mark}-gateway-ca-sha256`,
    not_after: 5,
    created_at: 1,
  } as const;
  return {
    accounts: [someAccount(account_id)],
    account_hosts: [
      { host: `${mark}.gateway.localhost`, account_id, kind: 'generated', added_at: 1 },
      { host: `${mark}.example`, account_id, kind: 'added', added_at: 2 },
    ],
    keys: [
      {
        id: `${mark}-key`,
        account_id,
        purpose: 'fleet-root-ca',
        custodian: 'software',
        key_type: 'p256',
        public_key: bytes('public-key'),
        public_key_sha256: `${mark}-key-sha256`,
        remembered: bytes('remembered'),
        created_at: 1,
        exportable: 1,
        destroyed_at: null,
        erased_at: null,
      },
    ],
    key_events: [
      { id: `${mark}-key-event`, key_id: `${mark}-key`, account_id, at: 1, event: 'created', custodian: 'software' },
      { id: `${mark}-export`, key_id: `${mark}-key`, account_id, at: 1, event: 'exported', custodian: 'software' },
    ],
    key_copies: [
      {
        id: `${mark}-key-copy`,
        key_id: `${mark}-key`,
        account_id,
        custodian: 'vault',
        remembered: bytes('remembered-elsewhere'),
        exportable: 0,
      },
    ],
    gateway_cas: [gatewayCa, { ...gatewayCa, id: `${mark}-standby-gateway-ca`, state: 'standby' }],
    gateway_certificates: [
      {
        id: `${mark}-gateway-certificate`,
        account_id,
        gateway_ca_id: `${mark}-gateway-ca`,
        certificate: bytes('gateway-certificate'),
        sealed_key: bytes('sealed-gateway-key'),
        hosts: `["${mark}.gateway.localhost"]`,
        not_after: 4,
        created_at: 1,
      },
    ],
    provisioning_cas: [
      {
        id: `${mark}-provisioning-ca`,
        account_id,
        key_id: `${mark}-key`,
        certificate: bytes('provisioning-ca'),
        not_after: 5,
        created_at: 1,
      },
    ],
    fleet_root_cas: [
      fleetRootCa,
      {
        ...fleetRootCa,
        id: `${mark}-root-2`,
        name: `${mark}-root-2-name`,
        public_key_sha256: `${mark}-root-2-key`,
        successor_id: fleet_root_ca_id,
      },
    ],
    fleet_root_certificates: [
      {
        account_id,
        fleet_root_ca_id,
        role: 'anchor',
        sha256: `${mark}-anchor-sha256`,
        public_key_sha256: `${mark}-root-key`,
        certificate: bytes('anchor'),
        not_after: 5,
        added_at: 1,
      },
    ],
    distrusted_keys: [
      { account_id, public_key_sha256: `${mark}-distrusted`, certificate: bytes('distrusted'), added_at: 1 },
    ],
    trust_sets: [
      { account_id, number: 1, document: bytes('document'), signature: bytes('signature'), accepted_at: 1 },
      { account_id, number: 2, document: bytes('document-2'), signature: bytes('signature-2'), accepted_at: 2 },
    ],
    narrowings: [
      {
        account_id,
        id: `${mark}-narrowing`,
        kind: 'close',
        fleet_root_ca_id,
        public_key_sha256: `${mark}-root-key`,
        set_number: 1,
        at: 1,
      },
    ],
    provisioning_keys: [
      {
        id: provisioning_key_id,
        account_id,
        description: `${mark}-description`,
        tbs_sha256: `${mark}-provisioning-key-tbs`,
        public_key_sha256: `${mark}-provisioning-key-key`,
        certificate: bytes('provisioning-key'),
        not_after: 9_000_000_000_000,
        max_uses: 10,
        uses: 1,
        device_id_pattern: null,
        networks: '[]',
        disabled_at: null,
        created_at: 1,
      },
    ],
    devices: [
      {
        uuid: device_uuid,
        account_id,
        device_id: `${mark}-device-id`,
        state: 'active',
        method: 'shared',
        fleet_root_ca_id,
        provisioning_key_id,
        allowed_root_id: null,
        reprovision_until: null,
        first_seen: 1,
        last_seen: null,
        certificate_not_after: 9_000_000_000_000,
        chain_id: `${mark}-chain`,
        labels: `{"vin":"${mark}-vin"}`,
      },
    ],
    // Of a kind that no other row here has: the database has counted the device itself.
    device_tallies: [
      {
        account_id,
        state: 'suspended',
        method: 'device',
        fleet_root_ca_id: `${mark}-root-2`,
        provisioning_key_id: '',
        devices: 0,
      },
    ],
    chain_certificates: [
      {
        account_id,
        chain_id: `${mark}-chain`,
        sha256: `${mark}-intermediate-sha256`,
        public_key_sha256: `${mark}-intermediate-key`,
        subject: `CN=${mark}`,
        certificate: bytes('intermediate'),
      },
    ],
    device_labels: [{ account_id, device_uuid, name: 'vin', value: `${mark}-vin` }],
    certificates: [certificate],
    reports: [
      {
        account_id,
        device_uuid,
        kind: 'ecus',
        content_type: `${mark}/json`,
        body: bytes('report'),
        received_at: 1,
      },
    ],
    allow_list: [{ account_id, device_id: `${mark}-allowed`, added_at: 1, labels: `{"vin":"${mark}-2"}` }],
    allow_list_imports: [{ account_id, id: `${mark}-import`, state: 'staging', started_at: 1 }],
    staged_allow_list: [{ account_id, import_id: `${mark}-import`, device_id: `${mark}-staged`, labels: null }],
    account_files: [{ account_id, entry: `${mark}-entry`, sealed_content: bytes('file'), updated_at: 1 }],
    manifest_lines: [
      {
        account_id,
        id: `${mark}-line`,
        fleet_root_ca_id,
        public_key_sha256: `${mark}-intermediate-key`,
        certificate: bytes('line'),
        name: `${mark}-line-name`,
        site: null,
        log_id: `${mark}-log`,
        last_number: 2,
        last_hash: `${mark}-hash`,
        last_made_at: 2,
        imported_at: 2,
        added_at: 1,
        swept_to: 0,
      },
    ],
    manifest_ranges: [{ account_id, line_id: `${mark}-line`, first: 1, last: 2, hashes: bytes('hashes') }],
    manifest_mandates: [
      {
        account_id,
        line_id: `${mark}-line`,
        id: `${mark}-mandate`,
        jws: `${mark}-mandate-jws`,
        quota: 10,
        used: 1,
        not_after: 9_000_000_000_000,
        device_id_pattern: '.*',
        order_name: null,
        added_at: 1,
      },
    ],
    manifest_orders: [
      { account_id, line_id: `${mark}-line`, order_name: `${mark}-order`, made: 1, withdrawn: 0, seen: 0, missing: 1 },
    ],
    manifest_certificates: [
      {
        account_id,
        tbs_sha256: `${mark}-manifest-tbs`,
        public_key_sha256: `${mark}-manifest-key`,
        device_id: `${mark}-made`,
        line_id: `${mark}-line`,
        number: 1,
        order_name: `${mark}-order`,
        batch: null,
        station: `${mark}-station`,
        mandate_id: `${mark}-mandate`,
        beyond: null,
        evidence: '{"kind":"station"}',
        made_at: 1,
        withdrawn_at: null,
        seen_at: null,
        came_at: null,
        shares: null,
      },
    ],
    manifest_strangers: [
      {
        account_id,
        tbs_sha256: `${mark}-stranger-tbs`,
        line_id: `${mark}-line`,
        device_id: `${mark}-stranger`,
        public_key_sha256: `${mark}-stranger-key`,
        first_seen: 1,
        last_seen: 1,
        admitted: 0,
        told_at: null,
      },
    ],
    upstreams: [
      {
        account_id,
        prefix: `/${mark}`,
        url: `https://${mark}.example`,
        rewrite: null,
        ca: null,
        certificate: null,
        sealed_key: bytes('upstream-key'),
        host: null,
        timeout_ms: 1_000,
        guarded: 1,
      },
    ],
    refusals: [
      {
        id: `${mark}-refusal`,
        account_id,
        sameness: `${mark}-sameness`,
        first_at: 1,
        at: 1,
        count: 1,
        code: 'certificate_untrusted',
        rule: `${mark}-rule`,
        remedy: `${mark}-remedy`,
        device_id: null,
        address: null,
        sni: null,
        certificates: '',
      },
    ],
    idempotency_keys: [
      {
        id: `${mark}-idempotency-key`,
        principal: `${mark}-principal`,
        account_id,
        fingerprint: `${mark}-fingerprint`,
        created_at: 1_799_999_999_999,
        answered_at: 1_799_999_999_999,
        status: 201,
        body: bytes('reply'),
      },
    ],
    operator_roles: [{ account_id, operator_id: `${mark}-operator`, role: 'auditor' }],
    tokens: [
      {
        id: `${mark}-token`,
        account_id,
        role: 'operator',
        description: `${mark}-token-description`,
        sha256: `${mark}-token-sha256`,
        maker_kind: 'operator',
        maker_id: `${mark}-operator`,
        maker_name: `${mark}-operator-name`,
        operator_id: `${mark}-operator`,
        created_at: 1,
        not_after: 9_000_000_000_000,
        last_used_at: null,
        last_address: null,
      },
    ],
    audit_entries: [
      {
        account_id,
        at: 1,
        action: 'device.revoke',
        actor_kind: 'operator',
        actor_id: `${mark}-operator`,
        object_kind: 'device',
        object_id: device_uuid,
        object_name: `${mark}-device-id`,
        result: 'done',
        body: `{"mark":"${mark}"}`,
        number: null,
        hash: null,
      },
    ],
    events: [{ account_id, at: 1, type: 'device.added', data: `{"mark":"${mark}"}` }],
    event_prunings: [{ account_id, last_id: 0 }],
    webhooks: [
      {
        id: `${mark}-webhook`,
        account_id,
        url: `https://${mark}.example/`,
        description: `${mark}-webhook-description`,
        types: null,
        ca: null,
        state: 'active',
        position: 0,
        failing_since: null,
        fault: `${mark}-fault`,
        created_at: 1,
      },
    ],
    webhook_secrets: [
      {
        id: `${mark}-webhook-secret`,
        account_id,
        webhook_id: `${mark}-webhook`,
        sealed: bytes('sealed-webhook-secret'),
        until: null,
        created_at: 1,
      },
    ],
    webhook_deliveries: [
      {
        id: `${mark}-delivery`,
        account_id,
        webhook_id: `${mark}-webhook`,
        event_id: 1,
        type: 'device.added',
        body: `${mark}-body`,
        state: 'pending',
        attempts: 0,
        status: null,
        fault: null,
        created_at: 1,
        give_up_at: 2,
        next_at: 1,
        leased: 0,
        settled_at: null,
      },
    ],
    refusal_tallies: [
      {
        account_id,
        code: 'certificate_expired',
        rule: `${mark}-rule`,
        told_at: 1,
        count: 1,
        first_at: 1,
        last_at: 1,
        device_ids: `["${mark}-refused"]`,
      },
    ],
    expiry_marks: [{ account_id, days: 30, not_after: 1, device_id: `${mark}-device-id` }],
  } satisfies {
    [
      Table in Exclude<
        keyof Tables,
        | keyof NodeTables
        | 'server'
        | 'migrations'
        | 'operator_cas'
        | 'operator_certificates'
        | 'ticket_keys'
        | 'audit_checkpoints'
        | keyof IdentityTables
        | Exclude<keyof OperatorTables, 'operator_roles'>
      >
    ]: Insertable<Tables[Table]>[];
  };
}

export type Rows = ReturnType<typeof rowsOf>;

/** Writes the rows in the order of the tables, which is that of their references. */
export async function insertRows(db: Db, rows: Rows): Promise<void> {
  const operators = rows.operator_roles.map(({ operator_id }) => rowsOfOperator(operator_id));
  for (const [table, some] of [...operators, rows].flatMap((each) => Object.entries(each))) {
    await db
      .insertInto(table as keyof Rows)
      .values(some)
      .execute();
  }
}
