// Several processes serve devices on the same ports: what one does all know, what is revoked is gone on each, and one that dies is replaced.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { at, type Client, openClient } from '../../src/cli/client.ts';
import { askGateway, type Trusted } from '../../src/demo/device.ts';
import { eventually } from '../support/eventually.ts';
import { valueOf } from '../support/exposition.ts';
import { type Device, Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';
import { connectionsOf } from '../support/sockets.ts';
import { TlsClient } from '../support/tls-client.ts';

const workers = 2;
/** Each costs the start of a process: fewer where nobody asked for everything. */
const kills = process.env['FLEETROOT_TEST_REQUIRE'] === 'all' ? 12 : 3;
const devicesAtOnce = 16;

const options = { skip: process.platform === 'linux' ? needs('openssl', 'curl', 'unzip') : 'Linux', timeout: 300_000 };
const sessions = { skip: needs('cc', 'libssl') };

describe(`${workers} gateway processes`, options, () => {
  let desk: Awaited<ReturnType<typeof temporaryDirectory>>;
  let server: ServeProcess;
  let api: Client;
  let image: Image;
  let pfx: Buffer;
  let gateway: Trusted;
  const held: Line[] = [];

  before(async () => {
    desk = await temporaryDirectory();
    server = await ServeProcess.start(desk.file('data'), '--gateway-port', '0', '--workers', `${workers}`);
    api = openClient(desk.file('data'));
    await api.post('/accounts', { name: 'acme', kind: 'test' });
    const made = await api.post<{ zip: string }>(at`/accounts/${'acme'}/credentials`, {});
    await writeFile(desk.file('c.zip'), Buffer.from(made.zip, 'base64'));
    image = await Image.unpack(desk.file('c.zip'));
    pfx = await readFile(join(image.dir, 'autoprov_credentials.p12'));
    gateway = { host: new URL(image.url).hostname, port: server.port, ca: await readFile(image.trusts) };
  });
  after(async () => {
    for (const line of held) line.socket.destroy();
    await server[Symbol.asyncDispose]();
    await desk[Symbol.asyncDispose]();
  });

  const provision = (deviceId: string) =>
    askGateway(gateway, { pfx }, 'POST', '/devices', JSON.stringify({ deviceId, ttl: '36000' })).catch(() => null);

  /** The process in each place, the newest where one has taken another's. */
  function pids(): Map<number, number> {
    const lines = server.said.split('\n').filter((line) => line.includes('a gateway process serves devices'));
    return new Map(lines.map((line) => JSON.parse(line)).map(({ worker, pid }) => [worker, pid]));
  }

  async function get(path: string): Promise<{ status: number; text: string }> {
    const [, origin] = /(http:\S+)\/healthz/.exec(server.said) as unknown as [string, string];
    const response = await fetch(origin + path);
    return { status: response.status, text: await response.text() };
  }

  /** Connections on which the device is served, at least one on each process: which it is the kernel decides. */
  async function holdOnEach(device: Device): Promise<Line[]> {
    const lines: Line[] = [];
    for (;;) {
      const line = await Line.open(device);
      held.push(line);
      line.send('GET', '/device');
      assert.equal((await line.reply())?.status, 200);
      lines.push(line);
      const each = await Promise.all([...pids().values()].map((pid) => connectionsOf(pid, server.port)));
      if (each.every((count) => count > 0)) return lines;
      assert.ok(lines.length < 100, 'the kernel gives all connections to one process');
    }
  }

  const heldByAnybody = async () =>
    (await Promise.all([...pids().values()].map((pid) => connectionsOf(pid, server.port)))).reduce((a, b) => a + b);

  test('serve, and are told of: who is one process is another than who is asked', async () => {
    assert.equal(pids().size, workers);
    assert.deepEqual(JSON.parse((await get('/readyz')).text), { status: 'ready' });
  });

  for (const action of ['suspend', 'revoke']) {
    test(`${action} ends the device's connections on each, before the operator is answered`, async () => {
      const device = await image.boot(`gone-${action}`);
      const bystander = await image.boot(`stays-${action}`);
      const lines = await holdOnEach(device);
      using other = await Line.open(bystander);
      other.send('GET', '/device');
      assert.equal((await other.reply())?.status, 200);
      await eventually(async () => (await heldByAnybody()) === lines.length + 1);
      await api.post(at`/accounts/${'acme'}/devices/${`gone-${action}`}/${action}` + '?confirm=1');
      assert.equal(await heldByAnybody(), 1);
      for (const line of lines) await line.closed();
      other.send('GET', '/device');
      assert.equal((await other.reply())?.status, 200);
      for (let time = 0; time < 2 * workers; time += 1) assert.equal((await device.whoAmI()).status, 403);
    });
  }

  test('take up each other’s TLS sessions, and turn them away once the device is revoked', sessions, async () => {
    await using client = await TlsClient.build();
    const as = await image.boot('comes-again');
    const { host: sni, port } = gateway;
    const send = `GET /device HTTP/1.1\r\nHost: ${sni}\r\nConnection: close\r\n\r\n`;
    const session = client.file('session');
    for (const tls of ['1.2', '1.3'] as const) {
      const { reply } = await client.run({ port, sni, tls, as, send, sessionOut: session + tls });
      assert.equal(reply?.json.device_id, 'comes-again');
    }
    const again = async (expected: string) => {
      for (let time = 0; time < 4 * workers; time += 1) {
        const tls = time % 2 === 0 ? '1.2' : '1.3';
        const { handshake, reply } = await client.run({ port, sni, tls, send, sessionIn: session + tls });
        assert.ok(handshake?.resumed, `TLS ${tls}`);
        assert.equal(reply?.json.device_id ?? reply?.json.code, expected, `TLS ${tls}`);
      }
    };
    await again('comes-again');
    await api.post(at`/accounts/${'acme'}/devices/${'comes-again'}/revoke` + '?confirm=1');
    await again('device_revoked');
  });

  test('count together', async () => {
    const before = await get('/metrics');
    const name = 'fleetroot_provisionings_total';
    await Promise.all(Array.from({ length: 8 }, (_, index) => image.boot(`counted-${index}`)));
    const now = (await get('/metrics')).text;
    assert.equal(valueOf(now, name) - valueOf(before.text, name), 8);
    assert.equal(valueOf(now, 'fleetroot_gateway_processes'), workers);
    assert.match(now, /^process_resident_memory_bytes\{worker="2"\} \d+$/m);
    assert.equal(valueOf(now, 'fleetroot_custody_away', { custodian: 'software' }), 0);
    assert.equal(valueOf(now, 'fleetroot_build_info'), 1);
  });

  test('open what lies under the next master key as soon as a rotation begins', async () => {
    const device = await image.boot('before-rotation');
    await api.post('/custody/rotate-master');
    for (let time = 0; time < 4 * workers; time += 1) {
      assert.equal((await device.whoAmI()).status, 200);
      await image.boot(`after-rotation-${time}`);
    }
  });

  test(`one of them killed ${kills} times while devices are provisioned is replaced, and nothing that was answered is lost`, async () => {
    const [{ uses: usedBefore } = { uses: Number.NaN }] = await api.list<{ uses: number }>(
      at`/accounts/${'acme'}/provisioning-keys`,
    );
    const answered = new Map<string, Buffer>();
    let interrupted = 0;
    for (let round = 0; round < kills; round += 1) {
      const number = (round % workers) + 1;
      const pid = pids().get(number)!;
      const asked = Array.from({ length: devicesAtOnce }, (_, index) => `killed-${round}-${index}`);
      const replies = asked.map(provision);
      let isAnswered = false;
      const answer = Promise.race(replies).then(() => (isAnswered = true));
      // Now in the middle of what it makes for them, now of their handshakes.
      if (round % 2 === 0) await answer;
      else await eventually(async () => isAnswered || (await connectionsOf(pid, server.port)) > 0);
      process.kill(pid, 'SIGKILL');
      for (const [index, reply] of (await Promise.all(replies)).entries()) {
        const deviceId = asked[index]!;
        if (reply?.status === 200) answered.set(deviceId, reply.body);
        else interrupted += 1;
      }
      await eventually(() => pids().get(number) !== pid);
      for (const deviceId of asked.filter((each) => !answered.has(each))) {
        const again = await eventually(async () => {
          const reply = await provision(deviceId);
          return reply?.status === 200 && reply;
        });
        answered.set(deviceId, again.body);
      }
      await Promise.all(
        asked.map(async (deviceId) => {
          const who = await askGateway(gateway, { pfx: answered.get(deviceId) }, 'GET', '/device');
          assert.equal(who.json?.['device_id'], deviceId, who.text);
        }),
      );
    }
    assert.ok(interrupted > 0, 'no kill met an issuance');
    const devices = await api.list<{ device_id: string }>(at`/accounts/${'acme'}/devices`);
    const killed = devices.map(({ device_id }) => device_id).filter((id) => id.startsWith('killed-'));
    assert.deepEqual(new Set(killed), new Set(answered.keys()));
    assert.equal(killed.length, kills * devicesAtOnce);
    const [key] = await api.list<{ uses: number }>(at`/accounts/${'acme'}/provisioning-keys`);
    assert.equal(key!.uses - usedBefore, kills * devicesAtOnce);
    assert.deepEqual(JSON.parse((await get('/readyz')).text), { status: 'ready' });
  });

  test('one that hears nothing any more is ended, for an operator waits until all have heard', async () => {
    const [[number, pid] = [Number.NaN, Number.NaN]] = pids();
    const lines = await holdOnEach(await image.boot('while-stopped'));
    process.kill(pid, 'SIGSTOP');
    try {
      await api.post(at`/accounts/${'acme'}/devices/${'while-stopped'}/revoke` + '?confirm=1');
      assert.equal(await connectionsOf(pid, server.port), 0);
      for (const line of lines) await line.closed();
      await eventually(() => pids().get(number) !== pid);
    } finally {
      // Stopped, it would not even notice that the server is gone.
      if (isThere(pid)) process.kill(pid, 'SIGCONT');
    }
  });

  test('end with the process that writes, however that ends', async () => {
    const all = [...pids().values()];
    await server.kill();
    await eventually(() => all.every((pid) => !isThere(pid)));
  });
});

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
