// Nodes, their database and the network between them fail at any moment under load: who has an answer is known to all.

import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import pg from 'pg';
import { overClient } from '../../src/registry/postgres.ts';
import { valueTypes } from '../../src/registry/postgres-connections.ts';
import type { Tables } from '../../src/registry/tables.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { NodeChildStart, Provisioned } from '../support/node-child.ts';
import { sharedOptions } from '../support/nodes.ts';
import { asked, type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import { deaths } from '../support/require.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

/** With so many nodes, of both stories 100. */
const failures = deaths(50);
/** Provisionings a second that are asked for, and how many wait for an answer at the most. */
const perSecond = 200;
const mostAtOnce = 48;
const program = join(import.meta.dirname, '../support/node-child.ts');

/** A node in a process of its own, behind a network of its own. */
class Node {
  readonly proxy: TcpProxy;
  readonly #start: NodeChildStart;
  readonly #heard: (provisioned: Provisioned) => void;
  #child: ChildProcess | null = null;

  constructor(proxy: TcpProxy, start: NodeChildStart, heard: (provisioned: Provisioned) => void) {
    this.proxy = proxy;
    this.#start = start;
    this.#heard = heard;
  }

  get isOpen(): boolean {
    return this.#child?.connected === true;
  }

  async start(triesLeft = 10): Promise<void> {
    const child = fork(program, [JSON.stringify(this.#start)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const open = await Promise.race([once(child, 'message').then(() => true), once(child, 'exit').then(() => false)]);
    // Its database may be away at that moment.
    if (!open && triesLeft > 0) return this.start(triesLeft - 1);
    assert.ok(open, 'the node does not start');
    child.on('message', (message: Provisioned) => this.#heard(message));
    this.#child = child;
  }

  provision(deviceId: string): void {
    this.#child!.send(deviceId, () => undefined);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
}

for (const count of [2, 4]) {
  describe(`${count} nodes on one PostgreSQL`, { timeout: 10 * 60_000 }, () => {
    test(`of which one, or the database, or the network fails ${failures} times under load`, async () => {
      await using held = new AsyncDisposableStack();
      const postgres = held.use(await startPostgres());
      await asked(postgres.url, 'create database fleet');
      const url = new URL(postgres.url);
      url.pathname = '/fleet';
      const { shared, directory } = sharedOptions({ 'database.url': url.href });
      held.defer(() => rmSync(directory, { recursive: true, force: true }));
      const fleetroot = held.use(await Fleetroot.start({ options: shared }));
      const { id: account } = await fleetroot.json('account', 'create', 'acme');
      await fleetroot.json('credentials', 'create', 'acme', '-o', fleetroot.file('c.zip'));
      const [key] = await fleetroot.json('provisioning-key', 'list', 'acme');
      const masterKey = String(shared['custody.master_key_file']);

      const answered = new Map<string, string>();
      const refused = new Map<string, string>();
      const waiting = new Set<string>();
      const heard = (provisioned: Provisioned) => {
        const { deviceId } = provisioned;
        waiting.delete(deviceId);
        if ('refused' in provisioned) return void refused.set(deviceId, provisioned.refused);
        assert.ok(!answered.has(deviceId), `${deviceId} was answered twice`);
        answered.set(deviceId, provisioned.tbsSha256);
      };
      const nodes = await Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const proxy = held.use(await TcpProxy.to(postgres.port));
          const dataDir = mkdtempSync(join(tmpdir(), 'fleetroot-node-'));
          held.defer(() => rmSync(dataDir, { recursive: true, force: true }));
          const env = {
            FLEETROOT_DATABASE_URL: proxy.through(url.href),
            FLEETROOT_DATABASE_PATIENCE: '3s',
            FLEETROOT_DATABASE_CONNECT_TIMEOUT: '1s',
            FLEETROOT_DATABASE_STATEMENT_TIMEOUT: '2s',
            FLEETROOT_CUSTODY_MASTER_KEY_FILE: masterKey,
            FLEETROOT_NODE_NAME: `node-${index}`,
          };
          const node = new Node(proxy, { dataDir, account, provisioningKey: key.id, env }, heard);
          held.defer(() => node.kill());
          await node.start();
          return node;
        }),
      );

      let named = 0;
      const load = setInterval(() => {
        const open = nodes.filter((node) => node.isOpen);
        if (waiting.size >= mostAtOnce || open.length === 0) return;
        const deviceId = `device-${(named += 1)}`;
        waiting.add(deviceId);
        open[named % open.length]!.provision(deviceId);
      }, 1_000 / perSecond);
      for (let failure = 0; failure < failures; failure += 1) {
        await pause(100 + ((failure * 37) % 150));
        await fail(failure, nodes[failure % count]!, postgres);
        // What a killed node had begun nobody will answer.
        if (failure % 4 === 0) waiting.clear();
      }
      clearInterval(load);
      await eventually(() => waiting.size === 0 || null).catch(() => undefined);

      const client = new pg.Client({ connectionString: url.href, types: valueTypes });
      await client.connect();
      held.defer(() => client.end());
      const db: Kysely<Tables> = overClient(client);
      await everyoneIsKnown(db, answered);
      // Whoever has no answer asks again, and is not stuck.
      for (const node of nodes) await node.kill();
      await Promise.all(nodes.map((node) => node.start()));
      const again = Array.from({ length: named }, (_, index) => `device-${index + 1}`).filter(
        (id) => !answered.has(id),
      );
      assert.ok(again.length > 0, 'no failure met a provisioning');
      assert.ok(answered.size > named / 10, `${answered.size} of ${named} were answered`);
      const known = new Set(
        (await db.selectFrom('devices').select('device_id').execute()).map(({ device_id }) => device_id),
      );
      // One whose certificate is recorded, though its answer was lost with its node, is a lost reply: another story.
      const unknown = again.filter((id) => !known.has(id));
      for (const id of unknown) nodes[0]!.provision(id);
      await eventually(() => unknown.every((id) => answered.has(id)) || null);
      await everyoneIsKnown(db, answered);
      const { uses } = await db.selectFrom('provisioning_keys').select('uses').executeTakeFirstOrThrow();
      const { devices } = await db
        .selectFrom('devices')
        .select(({ fn }) => fn.countAll<number>().as('devices'))
        .executeTakeFirstOrThrow();
      assert.equal(uses, devices, 'each device has cost one use');
      const log = fleetroot.file('audit.jsonl');
      await fleetroot.json('audit', 'export', '-o', log);
      const { code, stdout } = await fleetroot.command('audit', 'verify', log);
      assert.equal(code, 0, stdout);
    });
  });
}

/** Fails in one of four ways and mends it: a node is killed, the database is killed, the network is cut, the network is stuck. */
async function fail(kind: number, node: Node, postgres: PostgresServer): Promise<void> {
  switch (kind % 4) {
    case 0:
      await node.kill();
      await node.start();
      return;
    case 1:
      await postgres.kill();
      await postgres.start();
      return;
    case 2:
      node.proxy.cut();
      await pause(100);
      node.proxy.resume();
      return;
    default:
      node.proxy.stall();
      await pause(100);
      node.proxy.resume();
  }
}

/** Each answered device is in the registry, once, with the certificate that it was given. */
async function everyoneIsKnown(db: Kysely<Tables>, answered: ReadonlyMap<string, string>): Promise<void> {
  const rows = await db
    .selectFrom('devices')
    .innerJoin('certificates', 'certificates.device_uuid', 'devices.uuid')
    .select(['devices.device_id', 'certificates.tbs_sha256', 'certificates.state'])
    .where('certificates.state', '=', 'current')
    .execute();
  const certificates = new Map(rows.map(({ device_id, tbs_sha256 }) => [device_id, tbs_sha256]));
  assert.equal(certificates.size, rows.length, 'no device ID has two certificates');
  for (const [deviceId, tbsSha256] of answered) {
    assert.equal(certificates.get(deviceId), tbsSha256, `${deviceId} has a certificate that is not known`);
  }
}
