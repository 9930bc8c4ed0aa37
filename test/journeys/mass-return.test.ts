// A fleet that comes back all at once, or runs wild: it is served as fast as can be, and nobody else waits for it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { clientHello } from '../support/client-hello.ts';
import { eventually } from '../support/eventually.ts';
import { valueOf } from '../support/exposition.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Device, Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { needs } from '../support/require.ts';

/** A device that has connected and begun its handshake. */
class Returning {
  readonly socket: net.Socket;
  /** Whether the server has begun its side: it has signed for this one. */
  served = false;
  ended = false;

  constructor(port: number) {
    this.socket = net.connect(port, '127.0.0.1');
    this.socket.on('error', () => undefined);
    this.socket.once('data', () => {
      this.served = true;
    });
    this.socket.once('close', () => {
      this.ended = true;
    });
  }
}

/** So many devices that are connected, all of which then begin at once. */
async function returning(port: number, count: number): Promise<Returning[]> {
  const all = Array.from({ length: count }, () => new Returning(port));
  await Promise.all(all.map(({ socket }) => once(socket, 'connect')));
  return all;
}

const dispose = (all: readonly Returning[]): void => all.forEach(({ socket }) => socket.destroy());
const servedOf = (all: readonly Returning[]): number => all.filter(({ served }) => served).length;

describe('a fleet that comes back at once', { skip: needs('openssl', 'curl', 'unzip'), timeout: 120_000 }, () => {
  const waiting = 300;
  const options = { 'gateway.max_waiting': waiting, 'gateway.handshake_timeout': '5m' };
  let fleetroot: Fleetroot;
  let wild: Image;
  let hello: Buffer;
  let calmHello: Buffer;
  let device: Device;

  before(async () => {
    fleetroot = await Fleetroot.start({ options });
    for (const name of ['wild', 'calm']) await fleetroot.json('account', 'create', name);
    wild = await fleetroot.image('wild');
    hello = await clientHello({ servername: new URL(wild.url).hostname });
    const calm = await fleetroot.image('calm');
    calmHello = await clientHello({ servername: new URL(calm.url).hostname });
    device = await calm.boot('calm-1');
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  test('another account is served among the first, however many are before it', async () => {
    const fleet = await returning(fleetroot.port, waiting);
    for (const { socket } of fleet) socket.write(hello);
    const calm = new Returning(fleetroot.port);
    calm.socket.write(calmHello);
    await once(calm.socket, 'data');
    assert.ok(servedOf(fleet) < (2 / 3) * waiting, `${servedOf(fleet)} were served before it`);
    // And so is whoever asks for something.
    assert.equal((await device.whoAmI()).status, 200);
    dispose([calm, ...fleet]);
  });

  test('those that may not wait here wait with the kernel, and all are served', async () => {
    const count = async (outcome: string) =>
      valueOf(await fleetroot.metrics(), 'fleetroot_handshakes_total', { outcome });
    const before = await count('crowded_out');
    const fleet = await returning(fleetroot.port, 2 * waiting);
    for (const { socket } of fleet) socket.write(hello);
    let most = 0;
    await eventually(async () => {
      most = Math.max(most, valueOf(await fleetroot.metrics(), 'fleetroot_waiting_connections'));
      return fleet.every(({ served, ended }) => served || ended);
    });
    assert.ok(most > 0 && most <= waiting, `${most} were seen waiting`);
    const refused = fleet.filter(({ served }) => !served);
    assert.ok(refused.length < waiting / 2, `${refused.length} were refused`);
    assert.equal((await count('crowded_out')) - before, refused.length);
    dispose(fleet);
  });
});

describe('whoever has waited for too long', { timeout: 60_000 }, () => {
  test('is not served in vain', async () => {
    await using fleetroot = await Fleetroot.start({ options: { 'gateway.handshake_timeout': '300ms' } });
    await fleetroot.json('account', 'create', 'acme');
    const { hostname } = new URL((await fleetroot.json('account', 'show', 'acme')).gateway_url);
    const hello = await clientHello({ servername: hostname });
    const fleet = await returning(fleetroot.port, 100);
    const timedOut = { outcome: 'timed_out' };
    await eventually(async () => {
      const metrics = await fleetroot.metrics();
      const gone = valueOf(metrics, 'fleetroot_handshakes_total', timedOut);
      return gone + valueOf(metrics, 'fleetroot_unidentified_connections') === fleet.length;
    });
    for (const { socket } of fleet) socket.write(hello);
    // The server has something else to do for longer than anybody waits: this process is the server's, too.
    const busyUntil = performance.now() + 600;
    while (performance.now() < busyUntil);
    await eventually(() => fleet.every(({ ended }) => ended));
    assert.equal(servedOf(fleet), 0);
    assert.equal(valueOf(await fleetroot.metrics(), 'fleetroot_handshakes_total', timedOut), fleet.length);
  });
});

describe('an account that is faster than it may be', { skip: needs('openssl', 'unzip'), timeout: 60_000 }, () => {
  // A bucket has what comes into it in ten seconds.
  const rate = 1;
  const options = {
    'limits.account_handshakes': rate,
    'limits.account_provisionings': 2 * rate,
    'limits.key_provisionings': rate,
  };
  let fleetroot: Fleetroot;

  before(async () => {
    fleetroot = await Fleetroot.start({ options });
    for (const name of ['wild', 'calm']) await fleetroot.json('account', 'create', name);
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  const refusalsOf = async (account: string) => {
    const all = await fleetroot.json('refusal', 'list', account);
    return all.map(({ code, count, address }: { code: string; count: number; address: string | null }) => ({
      code,
      count,
      address,
    }));
  };

  test('has no more handshakes, of whichever of its hosts; others have theirs, and it is told once', async () => {
    const { hostname } = new URL((await fleetroot.image('wild')).url);
    const hello = await clientHello({ servername: hostname });
    const fleet = await returning(fleetroot.port, 300);
    for (const { socket } of fleet) socket.write(hello);
    await eventually(() => fleet.every(({ served, ended }) => served || ended));
    const refused = fleet.length - servedOf(fleet);
    assert.ok(refused > 200, `${refused} were refused`);
    const outcomes = { account: 'wild', outcome: 'over_rate' };
    assert.equal(valueOf(await fleetroot.metrics(), 'fleetroot_handshakes_total', outcomes), refused);
    await eventually(async () => (await refusalsOf('wild'))[0]?.count === refused);
    assert.deepEqual(await refusalsOf('wild'), [{ code: 'too_many_requests', count: refused, address: null }]);
    dispose(fleet);
    using line = await Line.open((await fleetroot.image('calm')).stranger);
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 403);
  });

  /** Provisions on one connection until it is turned away; how many there were, and with what it was. */
  async function provision(image: Image): Promise<{ made: number; status: number | null; head: string }> {
    using line = await Line.open(await image.provisioner());
    let head = '';
    line.socket.on('data', (part: Buffer) => (head = part.toString('latin1')));
    for (let made = 0; ; made += 1) {
      line.send('POST', '/devices', { body: JSON.stringify({ deviceId: `device-${crypto.randomUUID()}` }) });
      const reply = await line.reply();
      if (reply?.status !== 200) return { made, status: reply?.status ?? null, head };
    }
  }

  test('is told when to come back where it provisions; its other keys go on, as far as the account may', async () => {
    const [one, other, third] = [
      await fleetroot.image('calm'),
      await fleetroot.image('calm'),
      await fleetroot.image('calm'),
    ];
    const first = await provision(one);
    assert.equal(first.status, 429);
    assert.ok(first.made >= 10, `${first.made} devices`);
    assert.match(first.head, /^retry-after: [1-9]\d*\r$/im);
    assert.match(first.head, /"code":"too_many_requests","description":"The provisioning key /);
    assert.ok((await provision(other)).made > 0);
    const last = await provision(third);
    assert.equal(last.status, 429);
    const provisionings = (outcome: string) => ({ account: 'calm', method: 'shared', outcome });
    const metrics = await fleetroot.metrics();
    assert.equal(valueOf(metrics, 'fleetroot_provisionings_total', provisionings('too_many_requests')), 3);
    await eventually(async () =>
      (await refusalsOf('calm')).some(
        ({ code, count }: { code: string; count: number }) => code === 'too_many_requests' && count === 3,
      ),
    );
  });
});
