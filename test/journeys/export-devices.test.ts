// 50,000 devices are exported to a client who reads slowly, while others are served; whoever goes away is forgotten.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import { operatorCall } from '../support/operator-call.ts';
import { execute, succeed } from '../support/process.ts';
import { needs } from '../support/require.ts';

const devices = 50_000;

describe('an export of 50,000 devices', { skip: needs('curl'), timeout: 300_000 }, () => {
  let fleetroot: Fleetroot;

  before(async () => {
    fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    await fleetroot.restart(async () => {
      using registry = new DatabaseSync(fleetroot.file('registry.db'), { timeout: 10_000 });
      registry.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN');
      const insert = registry.prepare(
        `INSERT INTO devices (uuid, account_id, device_id, state, method, fleet_root_ca_id, first_seen)
         SELECT ?, account_id, ?, 'active', 'device', id, 1 FROM fleet_root_cas`,
      );
      for (let index = 0; index < devices; index += 1) insert.run(crypto.randomUUID(), `d${index}`);
      registry.exec('COMMIT');
    });
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  async function open(): Promise<IncomingMessage> {
    const socketPath = fleetroot.file('operator.sock');
    const call = request({ socketPath, path: '/api/v1/accounts/acme/device-export?format=jsonl' }).end();
    call.on('error', () => undefined);
    const [reply] = (await once(call, 'response')) as [IncomingMessage];
    return reply;
  }

  test('comes whole to a client who lets it wait, and nobody waits for him', async () => {
    const reply = await open();
    assert.equal(reply.headers['content-type'], 'application/jsonl; charset=utf-8');
    reply.pause();
    for (let call = 0; call < 20; call += 1) {
      assert.equal((await operatorCall(fleetroot.dir, 'GET', '/accounts/acme/devices?limit=5')).json.length, 5);
    }
    const ids = new Set<string>();
    const text = (await reply.toArray()).join('');
    for (const line of text.trimEnd().split('\n')) ids.add(JSON.parse(line).device_id);
    assert.equal(ids.size, devices);
  });

  test('whoever goes away midway, fifty times, leaves a server that goes on', async () => {
    for (let call = 0; call < 50; call += 1) (await open()).destroy();
    const counts = await fleetroot.json('device', 'count', 'acme');
    assert.equal(counts.devices, devices);
  });

  test('the command writes a new file, or to stdout, of those that fit', async () => {
    const file = fleetroot.file('devices.csv');
    const { stdout } = await fleetroot.command('device', 'export', 'acme', '-o', file);
    assert.equal(stdout, `${file} is written.\n`);
    assert.equal((await succeed('wc', ['-l', file])).split(' ')[0], String(devices + 1));
    assert.equal((await fleetroot.command('device', 'export', 'acme', '-o', file)).code, 1);
    const some = await fleetroot.command('device', 'export', 'acme', '--format', 'jsonl', '--prefix', 'd4999');
    assert.deepEqual(
      some.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).device_id),
      ['d4999', 'd49990', 'd49991', 'd49992', 'd49993', 'd49994', 'd49995', 'd49996', 'd49997', 'd49998', 'd49999'],
    );
  });

  test('curl reads it like any file', async () => {
    const url = 'http://localhost/api/v1/accounts/acme/device-export';
    const { code, stdout } = await execute('curl', ['-sSf', '--unix-socket', fleetroot.file('operator.sock'), url]);
    assert.equal(code, 0);
    assert.equal(stdout.split('\r\n').length, devices + 2);
  });
});
