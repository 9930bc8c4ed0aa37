// Three nodes are started anew, one after the other, under load behind a load balancer: no request and no provisioning is lost.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, openClient } from '../../src/cli/client.ts';
import { askGateway, type GatewayAnswer, type Trusted } from '../../src/demo/device.ts';
import { eventually } from '../support/eventually.ts';
import { type BalancedNode, HealthBalancer } from '../support/health-balancer.ts';
import { Image } from '../support/image.ts';
import { newDatabase } from '../support/postgres.ts';
import { temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';

const count = 3;
/** Clients that provision a device, call as it, and begin again. */
const clients = 4;

const options = { skip: needs('unzip'), timeout: 180_000 };

test(`${count} nodes are started anew one after the other, and nobody notices`, options, async () => {
  await using held = new AsyncDisposableStack();
  const { file } = held.use(await temporaryDirectory());
  const { url } = held.use(await newDatabase());
  await writeFile(file('master.key'), Buffer.alloc(32, 7).toString('base64'), { mode: 0o600 });
  await writeFile(
    file('fleetroot.toml'),
    `[database]\nurl = "${url}"\n[custody]\nmaster_key_file = "${file('master.key')}"\n[gateway]\ndrain = "1s"\n`,
  );
  const processes: (ServeProcess | null)[] = Array.from({ length: count }, () => null);
  const start = async (index: number) => {
    const dir = file(`node-${index}`);
    const words = ['--gateway-port', '0', '--config', file('fleetroot.toml')];
    processes[index] = held.use(await ServeProcess.start(dir, ...words));
  };
  await Promise.all(processes.map((_, index) => start(index)));
  const nodes = processes.map((_, index): BalancedNode => () => {
    const process = processes[index];
    const [, origin] = /(http:\S+)\/healthz/.exec(process?.said ?? '') ?? [];
    return process && origin ? { port: process.port, ready: `${origin}/readyz` } : null;
  });
  const balancer = held.use(await HealthBalancer.over(nodes));
  await eventually(() => nodes.every((node) => balancer.sendsTo(node)));

  const api = openClient(file('node-0'));
  await api.post('/accounts', { name: 'acme', kind: 'test' });
  const made = await api.post<{ zip: string }>(at`/accounts/${'acme'}/credentials`, {});
  await writeFile(file('c.zip'), Buffer.from(made.zip, 'base64'));
  const image = await Image.unpack(file('c.zip'));
  const provisioner = await readFile(join(image.dir, 'autoprov_credentials.p12'));
  const ca = await readFile(image.trusts);
  const through: Trusted = { host: new URL(image.url).hostname, port: balancer.port, ca };

  const devices = new Map<string, Buffer>();
  const lost: string[] = [];
  const over = new AbortController();
  let calls = 0;
  const ask = async (what: string, ...call: [Buffer, string, string, string?]): Promise<GatewayAnswer | null> => {
    const [pfx, ...rest] = call;
    calls += 1;
    const answer = await askGateway(through, { pfx }, ...rest).catch(
      (error: unknown) => void lost.push(`${what}: ${error}`),
    );
    if (answer && answer.status !== 200) lost.push(`${what}: ${answer.status} ${answer.text}`);
    return answer?.status === 200 ? answer : null;
  };
  const client = async (number: number): Promise<void> => {
    for (let turn = 0; !over.signal.aborted; turn += 1) {
      const deviceId = `device-${number}-${turn}`;
      const born = await ask(deviceId, provisioner, 'POST', '/devices', JSON.stringify({ deviceId, ttl: '36000' }));
      if (!born) continue;
      devices.set(deviceId, born.body);
      const who = await ask(`${deviceId} itself`, born.body, 'GET', '/device');
      if (who) assert.equal(who.json?.['device_id'], deviceId);
    }
  };
  const load = Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  try {
    for (const [index, node] of nodes.entries()) {
      const before = calls;
      await eventually(() => calls > before + 10);
      assert.equal(await processes[index]!.stop('SIGTERM'), 0);
      processes[index] = null;
      await start(index);
      await eventually(() => balancer.sendsTo(node));
    }
  } finally {
    over.abort();
    await load;
  }
  assert.deepEqual(lost, []);
  assert.ok(devices.size > count * clients, `${devices.size} devices are few`);
  const listed = await api.list<{ device_id: string }>(at`/accounts/${'acme'}/devices`);
  assert.deepEqual(new Set(listed.map(({ device_id }) => device_id)), new Set(devices.keys()));
  const [key] = await api.list<{ uses: number }>(at`/accounts/${'acme'}/provisioning-keys`);
  assert.equal(key!.uses, devices.size);
  // Whichever node a device comes to.
  const some = [...devices].filter((_, index) => index % Math.ceil(devices.size / 20) === 0);
  for (const [deviceId, pfx] of some) {
    for (const node of nodes) {
      const who = await askGateway({ ...through, port: node()!.port }, { pfx }, 'GET', '/device');
      assert.equal(who.json?.['device_id'], deviceId, who.text);
    }
  }
});
