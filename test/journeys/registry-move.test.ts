// A server outgrows its machine: its registry is carried over to PostgreSQL, killed on the way, and nothing of it is lost.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { at, openClient } from '../../src/cli/client.ts';
import { askGateway, type Trusted } from '../../src/demo/device.ts';
import { PostgresDays } from '../../src/registry/postgres-days.ts';
import { commandLine } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { Image } from '../support/image.ts';
import { newDatabase } from '../support/postgres.ts';
import { temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** Events that are there beside those of the devices: more than one transaction carries over. */
const manyEvents = 1_600;
const aDay = 24 * 60 * 60 * 1000;

test('a registry moves to PostgreSQL, and its devices do not notice', { skip: needs('unzip') }, async () => {
  await using desk = await temporaryDirectory();
  await using processes = new AsyncDisposableStack();
  await using database = await newDatabase({ migrated: true });
  const data = desk.file('data');
  const file = join(data, 'registry.db');
  const server = processes.use(await ServeProcess.start(data, '--gateway-port', '0'));
  const { port } = server;
  const api = openClient(data);
  await api.post('/accounts', { name: 'acme', kind: 'test' });
  const made = await api.post<{ zip: string }>(at`/accounts/acme/credentials`, { max_uses: 100 });
  await writeFile(desk.file('c.zip'), Buffer.from(made.zip, 'base64'));
  const image = await Image.unpack(desk.file('c.zip'));
  const gateway: Trusted = { host: new URL(image.url).hostname, port, ca: await readFile(image.trusts) };
  const pfx = await readFile(join(image.dir, 'autoprov_credentials.p12'));
  const has = new Map<string, Buffer>();
  const provision = async (deviceId: string) => {
    const { status, body, text } = await askGateway(gateway, { pfx }, 'POST', '/devices', JSON.stringify({ deviceId }));
    assert.equal(status, 200, text);
    has.set(deviceId, body);
  };
  for (const device of ['one', 'two', 'three']) await provision(device);
  await api.post(at`/accounts/acme/devices/three/revoke` + '?confirm=1');
  const move = (url: string, dir = data) =>
    commandLine(['registry', 'move', '--data', dir], {
      env: { FLEETROOT_DATABASE_URL: url, FLEETROOT_DATABASE_TLS: 'off' },
    });
  assert.match((await move(database.url)).stderr, /Another Fleetroot is running on/);
  assert.match((await commandLine(['registry', 'move', '--data', data], {})).stderr, /No database is named/);
  await server.kill();
  fill(file);
  await cp(data, desk.file('copy'), { recursive: true, filter: (from) => !from.endsWith('.sock') });

  // Killed in the middle of a table, twice: what is there is not begun on, and is gone on with.
  await killedAt(database.url, data, 'accounts');
  await settings(data, database.url);
  await assert.rejects(
    ServeProcess.start(data, '--gateway-port', '0'),
    /The database has a part of a registry that is being moved into it/,
  );
  await killedAt(database.url, data, 'events');
  await using asking = await connected(database.url);
  const carried = async () => Number((await asking.client.query('select count(*) from events')).rows[0].count);
  assert.ok((await carried()) > 0);
  const { code, stdout, stderr } = await move(database.url);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /each the same there, and its audit log is whole/);
  assert.ok((await carried()) > manyEvents);
  // The late ones lie in their days, as those do that are written there.
  const late = "select 1 from events_rest where type <> 'custody.back' limit 1";
  assert.equal((await asking.client.query(late)).rows.length, 0);

  // The file counts no more, and nothing is mixed with what is in the database.
  assert.match((await move(database.url)).stderr, /The database is not empty/);
  await writeFile(join(data, 'fleetroot.toml'), '');
  await assert.rejects(ServeProcess.start(data, '--gateway-port', '0'), /was moved: .* What is in its file is old/);
  assert.equal((await readFile(join(data, 'registry.moved'), 'utf8')).includes('@'), false);

  await settings(data, database.url);
  const moved = processes.use(await ServeProcess.start(data, '--gateway-port', String(port)));
  const arrive = async (device: string) =>
    (await askGateway(gateway, { pfx: has.get(device) }, 'GET', '/device')).status;
  assert.deepEqual(await Promise.all(['one', 'two', 'three'].map(arrive)), [200, 200, 403]);
  await provision('four');
  assert.equal(await arrive('four'), 200);
  const [key] = await api.list<{ uses: number }>(at`/accounts/acme/provisioning-keys`);
  assert.equal(key?.uses, 4);
  assert.equal((await api.get<{ ok: boolean }>('/audit/verification')).ok, true);
  // A number that an event had which is gone is not given again.
  const { rows } = await asking.client.query<{ id: string }>('select max(id) as id from events');
  assert.ok(Number(rows[0]!.id) > 900_000);
  assert.equal(await moved.stop(), 0);

  // A file that was written to after a move of it began is not what is there: that is said, and no server begins on it.
  await using other = await newDatabase({ migrated: true });
  const copy = desk.file('copy');
  await killedAt(other.url, copy, 'events');
  {
    using registry = new DatabaseSync(join(copy, 'registry.db'));
    registry.exec("UPDATE accounts SET name = 'changed'");
  }
  const changed = await move(other.url, copy);
  assert.deepEqual(
    [changed.code, /accounts is not in the new database as it is in the file/.test(changed.stderr)],
    [1, true],
  );
  assert.equal(existsSync(join(copy, 'registry.moved')), false);
  await settings(copy, other.url);
  await assert.rejects(ServeProcess.start(copy, '--gateway-port', '0'), /a part of a registry/);
});

/** Rows that are many, one that refers to its own table, and a number that was given and is gone. */
function fill(file: string): void {
  using registry = new DatabaseSync(file);
  const event = registry.prepare(
    "INSERT INTO events (account_id, at, type, data) VALUES (NULL, 1, 'custody.back', '{}')",
  );
  for (let count = 0; count < manyEvents; count += 1) event.run();
  registry.exec(`
    INSERT INTO events (id, account_id, at, type, data) VALUES (900000, NULL, 1, 'custody.back', '{}');
    DELETE FROM events WHERE id = 900000;
    UPDATE fleet_root_cas SET successor_id = id`);
}

function settings(dir: string, url: string): Promise<void> {
  return writeFile(join(dir, 'fleetroot.toml'), `[database]\nurl = "${url}"\ntls = "off"\n`);
}

/** Moves until a row of this table waits for another who is about to write it, and kills the move there. */
async function killedAt(url: string, dir: string, table: 'accounts' | 'events'): Promise<void> {
  await using blocking = await connected(url);
  await using asking = await connected(url);
  await madeDays(asking.client);
  await blocking.client.query('begin');
  using registry = new DatabaseSync(join(dir, 'registry.db'), { readOnly: true });
  if (table === 'events') {
    const late = registry.prepare('SELECT max(id) AS id FROM events').get() as { id: number };
    await blocking.client.query("insert into events (id, at, type, data) values ($1, 1, 'custody.back', '{}')", [
      late.id,
    ]);
  } else {
    const row = registry.prepare('SELECT * FROM accounts LIMIT 1').get() as Record<string, unknown>;
    const names = Object.keys(row);
    const places = names.map((_, index) => `$${index + 1}`);
    const values = Object.values(row);
    await blocking.client.query(`insert into accounts (${names.join()}) values (${places.join()})`, values);
  }
  const child: ChildProcess = spawn(process.execPath, [main, 'registry', 'move', '--data', dir, '--to', url], {
    stdio: 'ignore',
    env: { ...process.env, FLEETROOT_DATABASE_TLS: 'off' },
  });
  const ended = once(child, 'exit');
  const waits = async () => (await asking.client.query('select 1 from pg_locks where not granted')).rows.length > 0;
  await eventually(async () => child.exitCode !== null || waits());
  assert.equal(child.exitCode, null, 'the move did not come to the row');
  child.kill('SIGKILL');
  await ended;
  await blocking.client.query('rollback');
  // Its connection goes when the server finds nobody there, and with it the lock against a second move.
  const others = `select 1 from pg_stat_activity where application_name = 'fleetroot move' and datname = current_database()`;
  await eventually(async () => (await asking.client.query(others)).rows.length === 0);
}

/** Makes the days of its events before the move does, which would wait there for whoever writes one. */
async function madeDays(client: pg.Client): Promise<void> {
  const now = Date.now();
  await client.query('begin');
  await new PostgresDays(client, async () => {}).make('events', { from: now - aDay, to: now + aDay });
  await client.query('commit');
}

async function connected(url: string): Promise<{ client: pg.Client } & AsyncDisposable> {
  const client = new pg.Client(url);
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.end() };
}
