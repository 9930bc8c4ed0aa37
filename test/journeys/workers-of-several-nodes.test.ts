// Two nodes of two gateway processes each on one PostgreSQL: what one node takes back ends at each process of the other, and what a killed one left is settled.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { at, type Client, openClient } from '../../src/cli/client.ts';
import { askGateway, type Trusted } from '../../src/demo/device.ts';
import { eventually } from '../support/eventually.ts';
import { type Device, Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { newDatabase } from '../support/postgres.ts';
import { temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';
import { connectionsOf } from '../support/sockets.ts';

const devicesAtOnce = 16;
const options = { skip: process.platform === 'linux' ? needs('openssl', 'curl', 'unzip') : 'Linux', timeout: 240_000 };

describe('two nodes of two gateway processes each', options, () => {
  let held: AsyncDisposableStack;
  let near: ServeProcess;
  let far: ServeProcess;
  let api: Client;
  let image: Image;
  let pfx: Buffer;
  let gateway: Trusted;

  before(async () => {
    held = new AsyncDisposableStack();
    const { file } = held.use(await temporaryDirectory());
    const { url } = held.use(await newDatabase());
    await writeFile(file('master.key'), Buffer.alloc(32, 7).toString('base64'), { mode: 0o600 });
    await writeFile(
      file('fleetroot.toml'),
      `[database]\nurl = "${url}"\n[custody]\nmaster_key_file = "${file('master.key')}"\n`,
    );
    const words = ['--gateway-port', '0', '--workers', '2', '--config', file('fleetroot.toml')];
    const start = async (name: string) => held.use(await ServeProcess.start(file(name), ...words));
    [near, far] = await Promise.all([start('near'), start('far')]);
    api = openClient(file('near'));
    await api.post('/accounts', { name: 'acme', kind: 'test' });
    const made = await api.post<{ zip: string }>(at`/accounts/${'acme'}/credentials`, {});
    await writeFile(file('c.zip'), Buffer.from(made.zip, 'base64'));
    image = await Image.unpack(file('c.zip'));
    pfx = await readFile(join(image.dir, 'autoprov_credentials.p12'));
    gateway = { host: new URL(image.url).hostname, port: far.port, ca: await readFile(image.trusts) };
  });
  after(() => held.disposeAsync());

  /** The process in each place, the newest where one has taken another's. */
  function pidsOf({ said }: ServeProcess): Map<number, number> {
    const lines = said.split('\n').filter((line) => line.includes('a gateway process serves devices'));
    return new Map(lines.map((line) => JSON.parse(line)).map(({ worker, pid }) => [worker, pid]));
  }

  /** Connections on which the device is served, at least one on each process of a node: which it is the kernel decides. */
  async function holdOnEach(device: Device, node: ServeProcess): Promise<Line[]> {
    const lines: Line[] = [];
    for (;;) {
      const line = await Line.open(device.at(node));
      held.use(line);
      line.send('GET', '/device');
      assert.equal((await line.reply())?.status, 200);
      lines.push(line);
      const each = await Promise.all([...pidsOf(node).values()].map((pid) => connectionsOf(pid, node.port)));
      if (each.every((count) => count > 0)) return lines;
      assert.ok(lines.length < 100, 'the kernel gives all connections to one process');
    }
  }

  const provision = (deviceId: string) =>
    askGateway(gateway, { pfx }, 'POST', '/devices', JSON.stringify({ deviceId, ttl: '36000' })).catch(() => null);

  test('revoke at one ends what the device has open at each process of the other, before the call returns', async () => {
    const device = await image.at(near).boot('gone');
    const lines = await holdOnEach(device, far);
    await api.post(at`/accounts/${'acme'}/devices/${'gone'}/revoke` + '?confirm=1');
    const left = await Promise.all([...pidsOf(far).values()].map((pid) => connectionsOf(pid, far.port)));
    assert.deepEqual(left, [0, 0]);
    for (const line of lines) await line.closed();
    for (let time = 0; time < 4; time += 1) assert.equal((await device.at(far).whoAmI()).status, 403);
  });

  test('one that is killed in the middle of what it makes is replaced, and that is made anew', async () => {
    const answered = new Map<string, Buffer>();
    for (const [round, number] of [1, 2].entries()) {
      const pid = pidsOf(far).get(number)!;
      const asked = Array.from({ length: devicesAtOnce }, (_, index) => `killed-${round}-${index}`);
      const replies = asked.map(provision);
      await Promise.race(replies);
      process.kill(pid, 'SIGKILL');
      for (const [index, reply] of (await Promise.all(replies)).entries()) {
        if (reply?.status === 200) answered.set(asked[index]!, reply.body);
      }
      await eventually(() => pidsOf(far).get(number) !== pid);
      for (const deviceId of asked.filter((each) => !answered.has(each))) {
        const again = await eventually(async () => {
          const reply = await provision(deviceId);
          return reply?.status === 200 && reply;
        });
        answered.set(deviceId, again.body);
      }
    }
    for (const [deviceId, own] of answered) {
      const who = await askGateway({ ...gateway, port: near.port }, { pfx: own }, 'GET', '/device');
      assert.equal(who.json?.['device_id'], deviceId, who.text);
    }
    const devices = await api.list<{ device_id: string }>(at`/accounts/${'acme'}/devices`);
    const killed = devices.map(({ device_id }) => device_id).filter((id) => id.startsWith('killed-'));
    assert.deepEqual(new Set(killed), new Set(answered.keys()));
    const [key] = await api.list<{ uses: number }>(at`/accounts/${'acme'}/provisioning-keys`);
    assert.equal(key!.uses, answered.size + 1);
  });
});
