// Strangers who connect and say nothing, by the thousand: they make room for each other, and devices come through.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Device } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { needs } from '../support/require.ts';

const most = 300;
/** What every TLS connection begins with: a handshake record of 512 bytes, of which no more follows. */
const beginning = Buffer.of(0x16, 0x03, 0x01, 0x02, 0x00);

/** A TCP connection that is only that. */
class Silent {
  readonly socket: net.Socket;
  ended = false;

  constructor(port: number) {
    this.socket = net.connect(port, '127.0.0.1');
    this.socket.on('error', () => undefined);
    this.socket.once('close', () => {
      this.ended = true;
    });
  }

  static async connect(port: number): Promise<Silent> {
    const silent = new Silent(port);
    await once(silent.socket, 'connect');
    return silent;
  }
}

describe('connections that say nothing', { skip: needs('openssl', 'curl', 'unzip'), timeout: 60_000 }, () => {
  let fleetroot: Fleetroot;
  let device: Device;
  const opened: Silent[] = [];

  before(async () => {
    fleetroot = await Fleetroot.start({
      options: { 'gateway.max_unauthenticated': most, 'gateway.handshake_timeout': '30s' },
    });
    await fleetroot.json('account', 'create', 'acme');
    device = await (await fleetroot.image('acme')).boot('dev-1');
  });
  after(async () => {
    for (const { socket } of opened) socket.destroy();
    await fleetroot[Symbol.asyncDispose]();
  });

  async function connect(count: number): Promise<Silent[]> {
    const silents: Silent[] = [];
    // One after the other, so that there is an oldest.
    for (let n = 0; n < count; n += 1) silents.push(await Silent.connect(fleetroot.port));
    opened.push(...silents);
    return silents;
  }

  test('two thousand: only the newest stay, those that have begun stay longest, and a device gets in all the while', async () => {
    using served = await Line.open(device);
    served.send('GET', '/device');
    assert.equal((await served.reply())?.status, 200);

    const begun = await connect(20);
    for (const { socket } of begun) socket.write(beginning);
    const before = await connect(most);
    await eventually(() => before.filter(({ ended }) => ended).length === 20);
    const over = new AbortController();
    const flood = connect(2_000).finally(() => over.abort());
    do assert.equal((await device.whoAmI()).status, 200);
    while (!over.signal.aborted);
    const silents = [...before, ...(await flood)];

    const left = most - begun.length;
    await eventually(() => silents.filter(({ ended }) => !ended).length <= left);
    // Each call of the device has taken a place for a moment.
    const staying = silents.filter(({ ended }) => !ended);
    assert.ok(staying.length > left / 2, `${staying.length} stay`);
    assert.deepEqual(staying, silents.slice(-staying.length));
    assert.ok(begun.every(({ ended }) => !ended));
    // Whoever has been let in is not one of them.
    served.send('GET', '/device');
    assert.equal((await served.reply())?.status, 200);
  });

  test('once they are gone, there is room again', async () => {
    for (const { socket } of opened) socket.destroy();
    const [silent] = await connect(1);
    for (let n = 0; n < 5; n += 1) assert.equal((await device.whoAmI()).status, 200);
    assert.equal(silent?.ended, false);
  });
});

describe(
  'a handshake that does not come to its end',
  { skip: needs('openssl', 'curl', 'unzip'), timeout: 60_000 },
  () => {
    test('is ended in its time, silent or drop by drop, and is no refusal', async () => {
      await using fleetroot = await Fleetroot.start({ options: { 'gateway.handshake_timeout': '400ms' } });
      await fleetroot.json('account', 'create', 'acme');
      const device = await (await fleetroot.image('acme')).boot('dev-1');
      const silent = await Silent.connect(fleetroot.port);
      const half = await Silent.connect(fleetroot.port);
      half.socket.write(beginning);
      const dripping = await Silent.connect(fleetroot.port);
      dripping.socket.write(beginning);
      const drops = setInterval(() => dripping.socket.write('\0'), 50);
      await eventually(() => [silent, half, dripping].every(({ ended }) => ended));
      clearInterval(drops);
      assert.equal((await device.whoAmI()).status, 200);
      assert.deepEqual(await fleetroot.json('refusal', 'list', '--unassigned'), []);
    });
  },
);
