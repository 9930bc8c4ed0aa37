// A server is told to end as a load balancer sees it: it says so, serves on for a while, closes its port, and finishes what it has begun.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { test } from 'node:test';
import { at, openClient } from '../../src/cli/client.ts';
import { eventually } from '../support/eventually.ts';
import { Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';

const options = { skip: needs('openssl', 'curl', 'unzip'), timeout: 180_000 };
const asked = JSON.stringify({ deviceId: 'under-way', ttl: '36000' });

/** A server and its account's image; `drain` is how long it is to serve on. */
async function start(directory: { file(name: string): string }, drain: string, workers: number) {
  const dir = directory.file('data');
  const config = directory.file('drain.toml');
  await writeFile(config, `[gateway]\ndrain = "${drain}"\n`);
  const server = await ServeProcess.start(dir, '--gateway-port', '0', '--workers', `${workers}`, '--config', config);
  const api = openClient(dir);
  await api.post('/accounts', { name: 'acme', kind: 'test' });
  const made = await api.post<{ zip: string }>(at`/accounts/${'acme'}/credentials`, {});
  await writeFile(directory.file('c.zip'), Buffer.from(made.zip, 'base64'));
  const image = await Image.unpack(directory.file('c.zip'));
  return { server, image, device: await image.boot('a-device') };
}

async function readiness({ said }: ServeProcess): Promise<{ status: number; detail?: string }> {
  const [, origin] = /(http:\S+)\/healthz/.exec(said) as unknown as [string, string];
  const response = await fetch(`${origin}/readyz`);
  return { status: response.status, ...((await response.json()) as object) };
}

/** A connection whose request has been read as far as its head, and waits for its body. */
async function halfAsked(image: Image): Promise<Line> {
  const line = await Line.open(await image.provisioner());
  line.send('POST', '/devices', { length: Buffer.byteLength(asked), fields: ['Expect: 100-continue'] });
  await line.interim();
  return line;
}

async function idle(device: Parameters<typeof Line.open>[0]): Promise<Line> {
  const line = await Line.open(device);
  line.send('GET', '/device');
  assert.equal((await line.reply())?.status, 200);
  return line;
}

function isClosed(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ port, host: '127.0.0.1' });
    probe.once('connect', () => resolve(false)).once('error', () => resolve(true));
    probe.once('connect', () => probe.destroy());
  });
}

for (const workers of process.platform === 'linux' ? [1, 2] : [1]) {
  test(`SIGTERM with ${workers} process(es) that serve`, options, async () => {
    await using desk = await temporaryDirectory();
    const { server, image, device } = await start(desk, workers === 1 ? '0s' : '10s', workers);
    await using _ended = server;
    const [underWay, hanging, unused] = [await halfAsked(image), await halfAsked(image), await idle(device)];
    const stopped = server.stop('SIGTERM');

    if (workers > 1) {
      const { status, detail } = await eventually(async () => {
        const ready = await readiness(server);
        return ready.status === 503 && ready;
      });
      assert.deepEqual([status, detail], [503, 'The server is ending.']);
      const newcomer = await device.whoAmI();
      assert.equal(newcomer.status, 200, 'who comes meanwhile is served');
      assert.equal(newcomer.headers.get('connection'), 'close');
    }

    await eventually(() => isClosed(server.port));
    await unused.closed();
    underWay.socket.write(asked);
    const reply = await underWay.reply();
    assert.equal(reply?.status, 200);
    await underWay.closed();
    // It never says what it wants: that keeps the server from ending in order no longer than was promised.
    assert.equal(await stopped, 0);
    await hanging.closed();

    if (workers === 1) {
      await using again = await ServeProcess.start(desk.file('data'), '--gateway-port', `${server.port}`);
      const made = await image.device(reply.body);
      assert.equal(
        (await made.whoAmI()).json.device_id,
        'under-way',
        'what it was answered is known when the server is back',
      );
      assert.equal(await again.stop(), 0);
    }
  });
}
