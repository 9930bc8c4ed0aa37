// Behind a load balancer: the addresses that it names are those that count, and nobody else's word about them does.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Balancer } from '../support/balancer.ts';
import { eventually } from '../support/eventually.ts';
import { valueOf } from '../support/exposition.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { call, type Device, type Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { binaryHeader, headerOf, localHeader, tlv } from '../support/proxy-header.ts';
import { needs } from '../support/require.ts';

/** The balancers of these stories; the server itself is reached from 127.0.0.1, as by anybody. */
const listed = '127.0.0.21';
const alsoListed = '127.0.0.45';
const client = '198.51.100.7';
const called = '203.0.113.9';
const settings = { 'gateway.proxies': [listed, '127.0.0.44/30'] };

/** Connects from an address, says so much, and gives what it heard until the end. */
async function say(port: number, from: string, bytes: Uint8Array, { close = false } = {}): Promise<string> {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress: from });
  let heard = '';
  socket.on('error', () => undefined).on('data', (part: Buffer) => (heard += part.toString('latin1')));
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  if (bytes.length > 0) socket.write(bytes);
  if (close) socket.end();
  await closed;
  return heard;
}

describe('behind a load balancer', { skip: needs('openssl', 'curl', 'unzip'), timeout: 120_000 }, () => {
  let fleetroot: Fleetroot;
  let image: Image;
  let device: Device;
  let balancer: Balancer;

  before(async () => {
    fleetroot = await Fleetroot.start({ options: settings });
    await fleetroot.json('account', 'create', 'acme');
    image = await fleetroot.image('acme');
    device = await image.boot('dev-1');
    balancer = await Balancer.start(fleetroot.port, { from: listed, header: headerOf(client, called) });
  });
  after(async () => {
    balancer[Symbol.dispose]();
    await fleetroot[Symbol.asyncDispose]();
  });

  const refused = async (): Promise<number> =>
    valueOf(await fleetroot.metrics(), 'fleetroot_proxy_headers_refused_total');

  test('a device is served, and whoever is refused comes from where the balancer says', async () => {
    assert.equal((await device.at(balancer).whoAmI()).json.device_id, 'dev-1');
    const { json } = await call(image.at(balancer).stranger, '/device');
    assert.equal(json.code, 'certificate_required');
    const [refusal] = await eventually(async () => {
      const all = await fleetroot.json('refusal', 'list', 'acme');
      return all.length > 0 && all;
    });
    assert.equal(refusal.address, client);
  });

  test('the networks of a provisioning key are compared with the client, not with the balancer', async () => {
    const ofClient = await fleetroot.image('acme', '--network', '198.51.100.0/24');
    const ofBalancer = await fleetroot.image('acme', '--network', `${listed}/32`);
    assert.equal((await ofClient.at(balancer).provision('dev-2')).status, 200);
    assert.equal((await ofClient.provision('dev-3')).json.code, 'network_not_allowed');
    assert.equal((await ofBalancer.at(balancer).provision('dev-3')).json.code, 'network_not_allowed');
    const entries = await fleetroot.json('audit', 'list', 'acme');
    assert.ok(JSON.stringify(entries).includes(JSON.stringify(client)), JSON.stringify(entries, null, 1));
  });

  test('without a server name it is the account of the address that was called', async () => {
    await fleetroot.json('account', 'host', 'add', 'acme', called);
    const nameless = { ...device, url: `https://${called}:${balancer.port}` };
    const words = { curl: ['--connect-to', `::127.0.0.1:${balancer.port}`] };
    assert.equal((await call(nameless, '/device', words)).json.device_id, 'dev-1');
    balancer.header = headerOf(client, '203.0.113.10');
    assert.equal((await call(nameless, '/device', words)).status, 0);
    const unassigned = await eventually(async () => {
      const all = await fleetroot.json('refusal', 'list', '--unassigned');
      return all.length > 0 && all;
    });
    assert.deepEqual([unassigned.length, unassigned[0].address], [1, client]);
    assert.match(unassigned[0].rule, /203\.0\.113\.10/);
    await fleetroot.json('account', 'host', 'remove', 'acme', called);
    balancer.header = headerOf(client, called);
  });

  test('in one segment with the ClientHello, cut at every byte, byte by byte, of version 1, with TLVs', async () => {
    const served = async (header: Buffer, pieces: readonly number[]) => {
      using cutting = await Balancer.start(fleetroot.port, { from: alsoListed, header, pieces });
      using line = await Line.open(device.at(cutting));
      line.send('GET', '/device');
      assert.equal((await line.reply())?.status, 200, `${pieces.slice(0, 2)}`);
    };
    const header = headerOf(client, called);
    await served(header, []);
    // The last of these cut the header of the first TLS record.
    for (let at = 1; at < header.length + 8; at += 1) await served(header, [at]);
    await served(
      header,
      Array.from({ length: header.length + 300 }, () => 1),
    );
    await served(headerOf(client, called, tlv(4, Buffer.alloc(2_000))), [40, 1_000]);
    await served(Buffer.from(`PROXY TCP4 ${client} ${called} 40000 443\r\n`), [3]);
    assert.equal(await refused(), 0);
  });

  test("a balancer's own checks are quiet, and served as its own where they ask for something", async () => {
    const before = await fleetroot.json('refusal', 'list', '--unassigned');
    await say(fleetroot.port, listed, Buffer.alloc(0), { close: true });
    await say(fleetroot.port, listed, localHeader, { close: true });
    await say(fleetroot.port, listed, Buffer.from('PROXY UNKNOWN\r\n'), { close: true });
    using own = await Balancer.start(fleetroot.port, { from: listed, header: localHeader });
    const ofBalancer = await fleetroot.image('acme', '--network', `${listed}/32`);
    assert.equal((await ofBalancer.at(own).provision('dev-4')).status, 200);
    assert.equal(await refused(), 0);
    assert.deepEqual(await fleetroot.json('refusal', 'list', '--unassigned'), before);
    assert.equal(valueOf(await fleetroot.metrics(), 'fleetroot_handshakes_total', { outcome: 'failed' }), 0);
  });

  test('nobody else is believed: a header is no TLS, and says nothing', async () => {
    for (const from of ['127.0.0.1', '127.0.0.22', '127.0.0.48']) {
      using forger = await Balancer.start(fleetroot.port, { from, header: headerOf(client, called) });
      assert.equal((await device.at(forger).whoAmI()).status, 0, from);
      using old = await Balancer.start(fleetroot.port, { from, header: Buffer.from('PROXY UNKNOWN\r\n') });
      assert.equal((await device.at(old).whoAmI()).status, 0, from);
    }
    // Nor is a client behind a balancer, which says one of its own behind the balancer's.
    const twice = Buffer.concat([headerOf(client, called), headerOf('192.0.2.66', called)]);
    using nested = await Balancer.start(fleetroot.port, { from: listed, header: twice });
    assert.equal((await device.at(nested).whoAmI()).status, 0);
    assert.equal(await refused(), 0, 'it was none of a balancer');
  });

  test('a balancer that sends none, or a wrong one, is not served, and is counted', async () => {
    const before = await refused();
    using silent = await Balancer.start(fleetroot.port, { from: alsoListed, header: Buffer.alloc(0) });
    assert.equal((await device.at(silent).whoAmI()).status, 0);
    // A client of which the balancer says that it does not know it; UDP; one that does not end.
    for (const family of [0x00, 0x12]) {
      assert.equal(await say(fleetroot.port, listed, binaryHeader({ family, content: Buffer.alloc(12) })), '');
    }
    assert.equal(await say(fleetroot.port, listed, headerOf(client, called, Buffer.alloc(5_000)).subarray(0, 20)), '');
    assert.equal(await refused(), before + 4);
    await say(fleetroot.port, listed, headerOf(client, called).subarray(0, 20), { close: true });
    assert.equal(await refused(), before + 5);
  });
});

describe('a header that does not come', { timeout: 60_000 }, () => {
  test('is waited for no longer than a handshake, whole or half', async () => {
    await using fleetroot = await Fleetroot.start({ options: { ...settings, 'gateway.handshake_timeout': '400ms' } });
    const half = headerOf(client, called).subarray(0, 20);
    const [none, some] = [say(fleetroot.port, listed, Buffer.alloc(0)), say(fleetroot.port, listed, half)];
    assert.deepEqual(await Promise.all([none, some]), ['', '']);
    assert.equal(valueOf(await fleetroot.metrics(), 'fleetroot_proxy_headers_refused_total'), 2);
    // After it, the client has as long.
    assert.equal(await say(fleetroot.port, listed, headerOf(client, called)), '');
    assert.equal(valueOf(await fleetroot.metrics(), 'fleetroot_proxy_headers_refused_total'), 2);
  });
});
