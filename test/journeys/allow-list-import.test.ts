// A factory's list of 100,000 devices: imported as it arrives, with labels, and whole or not at all where that is asked for.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { type ClientRequest, request } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { openClient } from '../../src/cli/client.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { operatorCall } from '../support/operator-call.ts';
import { succeed, temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';

const rows = 100_000;
const row = (index: number): string => `vin-${String(index).padStart(6, '0')},W${index},${index % 50}\n`;
const head = 'device_id,VIN,Batch No\n';

/** Begins an import over the socket and sends half of a file; whoever asked ends it. */
async function beginImport(dir: string, query: string, content: string): Promise<ClientRequest> {
  const call = request({
    socketPath: join(dir, 'operator.sock'),
    method: 'POST',
    path: `/api/v1/accounts/acme/allow-list${query}`,
    headers: { 'content-type': 'application/octet-stream', 'content-length': content.length * 2 },
  });
  call.on('error', () => undefined);
  call.write(content);
  await once(call, 'drain');
  return call;
}

function staged(dir: string): number {
  using registry = new DatabaseSync(join(dir, 'registry.db'), { readOnly: true });
  return Number(registry.prepare('SELECT count(*) AS rows FROM staged_allow_list').get()!['rows']);
}

function imports(dir: string): number {
  using registry = new DatabaseSync(join(dir, 'registry.db'), { readOnly: true });
  return Number(registry.prepare('SELECT count(*) AS imports FROM allow_list_imports').get()!['imports']);
}

describe('a list of 100,000 devices', { skip: needs('openssl', 'curl', 'unzip'), timeout: 300_000 }, () => {
  let fleetroot: Fleetroot;
  const file = (): string => fleetroot.file('shipment.csv');
  const counts = () => fleetroot.json('allow-list', 'count', 'acme');

  async function upload(path: string, query = ''): Promise<any> {
    const url = `http://localhost/api/v1/accounts/acme/allow-list${query}`;
    const body = ['-H', 'content-type: application/octet-stream', '-H', 'transfer-encoding: chunked', '-T', path];
    return JSON.parse(
      await succeed('curl', ['-sS', '--unix-socket', fleetroot.file('operator.sock'), '-X', 'POST', ...body, url]),
    );
  }

  before(async () => {
    fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    const stream = createWriteStream(file());
    stream.write(head);
    for (let index = 0; index < rows; index += 1) stream.write(index === 70_000 ? `uuid:no,W,1\n` : row(index));
    stream.end();
    await once(stream, 'finish');
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  test('is first looked at: what would come of it, and what is wrong', async () => {
    const report = await upload(file(), '?dry_run=true');
    assert.deepEqual([report.rows, report.added, report.faults_total], [rows, rows - 1, 1]);
    assert.equal(report.faults[0].line, 70_002);
    assert.match(report.faults[0].fault, /begins with "uuid:"/);
    assert.equal((await counts()).entries, 0);
  });

  test('with a wrong row is not imported where all or nothing is asked for', async () => {
    const problem = await upload(file(), '?all_or_nothing=true');
    assert.deepEqual([problem.status, problem.code, problem.line], [400, 'invalid_request', 70_002]);
    assert.match(problem.detail, /^Line 70002: .* Nothing was imported\.$/);
    assert.deepEqual([(await counts()).entries, staged(fleetroot.dir), imports(fleetroot.dir)], [0, 0, 0]);
  });

  test('is imported but for that row, and once more changes nothing', async () => {
    const { added, already, updated, faults_total } = await upload(file());
    assert.deepEqual([added, already, updated, faults_total], [rows - 1, 0, 0, 1]);
    const again = await upload(file());
    assert.deepEqual([again.added, again.already, again.updated], [0, rows - 1, 0]);
    assert.deepEqual(await counts(), { entries: rows - 1, joined: 0, never_seen: rows - 1 });
  });

  test('labels the devices that join, and those that have when it is repeated; who was never seen is told', async () => {
    const image = await fleetroot.image('acme');
    const device = await image.boot('vin-000007');
    const found = async (...filter: string[]) =>
      (await fleetroot.json('device', 'list', 'acme', ...filter)).map((each: { device_id: string }) => each.device_id);
    assert.deepEqual(await found('--label', 'vin=W7'), ['vin-000007']);
    assert.deepEqual(await found('--label', 'batch_no'), ['vin-000007']);
    assert.equal((await counts()).never_seen, rows - 1);
    assert.equal((await device.whoAmI()).status, 200);
    await eventually(async () => (await counts()).never_seen === rows - 2);
    await writeFile(fleetroot.file('again.csv'), 'device_id,Line\nvin-000007,B\n');
    const again = await fleetroot.json('allow-list', 'import', 'acme', fleetroot.file('again.csv'), '--all-or-nothing');
    assert.deepEqual([again.added, again.already, again.updated], [0, 1, 1]);
    const shown = await fleetroot.json('device', 'show', 'acme', 'vin-000007');
    assert.deepEqual(shown.labels, { vin: 'W7', batch_no: '7', line: 'B' });
    const path = '/accounts/acme/allow-list?limit=2&seen=';
    const seen = (await operatorCall(fleetroot.dir, 'GET', `${path}seen`)).json;
    assert.deepEqual(
      seen.map(({ device_id, labels }: any) => [device_id, labels]),
      [['vin-000007', shown.labels]],
    );
    const never = (await operatorCall(fleetroot.dir, 'GET', `${path}never`)).json;
    assert.deepEqual(
      never.map(({ device_id, device: joined }: any) => [device_id, joined]),
      [
        ['vin-000000', null],
        ['vin-000001', null],
      ],
    );
  });

  test('leaves nothing where the connection breaks midway', async () => {
    await fleetroot.json('account', 'create', 'other');
    const half = head + Array.from({ length: 30_000 }, (_, index) => row(200_000 + index)).join('');
    const before = (await counts()).entries;
    const call = await beginImport(fleetroot.dir, '?all_or_nothing=true', half);
    await eventually(() => staged(fleetroot.dir) > 0);
    call.destroy();
    await eventually(() => staged(fleetroot.dir) === 0 && imports(fleetroot.dir) === 0);
    assert.equal((await counts()).entries, before);
  });
});

test(
  'a server that is killed midway has imported nothing of what was to be kept whole',
  { timeout: 120_000 },
  async () => {
    await using directory = await temporaryDirectory();
    let server = await ServeProcess.start(directory.path, '--gateway-port', '0');
    const api = openClient(directory.path);
    await api.post('/accounts', { name: 'acme', kind: 'test' });
    const half = head + Array.from({ length: 30_000 }, (_, index) => row(index)).join('');
    await beginImport(directory.path, '?all_or_nothing=true', half);
    await eventually(() => staged(directory.path) > 0);
    await server.kill();
    server = await ServeProcess.start(directory.path, '--gateway-port', '0');
    assert.deepEqual([staged(directory.path), imports(directory.path)], [0, 0]);
    assert.deepEqual(await api.get('/accounts/acme/allow-list/counts'), { entries: 0, joined: 0, never_seen: 0 });
    assert.equal(await server.stop(), 0);
  },
);
