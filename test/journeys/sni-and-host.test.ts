// Which account is spoken to: by SNI, by the Host field, by the address; two that disagree get nowhere.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { call, type Device, type Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { execute } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { type Attack, type Sequel, TlsClient } from '../support/tls-client.ts';

const unknown = ['unknown.example', 'gateway.localhost', 'x.gateway.localhost', '10.0.0.1', 'xn--nicode-2ya.example'];

describe('the account that is spoken to', { skip: needs('cc', 'libssl', 'openssl', 'curl') }, () => {
  let fleetroot: Fleetroot;
  let client: TlsClient;
  let mine: Image;
  let other: Image;
  let device: Device;
  /** The generated hosts of the two accounts. */
  let host: string;
  let otherHost: string;

  before(async () => {
    client = await TlsClient.build();
    fleetroot = await Fleetroot.start();
    for (const name of ['mine', 'other']) await fleetroot.json('account', 'create', name);
    mine = await fleetroot.image('mine');
    other = await fleetroot.image('other');
    host = new URL(mine.url).hostname;
    otherHost = new URL(other.url).hostname;
    device = await mine.boot('dev-1');
    await fleetroot.json('account', 'host', 'add', 'mine', 'devices.example');
    await fleetroot.json('account', 'host', 'add', 'mine', '127.0.0.2');
    await fleetroot.json('account', 'host', 'add', 'other', '127.0.0.3');
  });
  after(async () => {
    await fleetroot[Symbol.asyncDispose]();
    await client[Symbol.asyncDispose]();
  });

  /** `GET /device` as the device of `mine`, with these Host fields. */
  function ask(attack: Omit<Attack, 'port'>, ...hosts: string[]): Promise<Sequel> {
    const fields = hosts.map((field) => `Host: ${field}\r\n`).join('');
    const send = `GET /device HTTP/1.1\r\n${fields}Connection: close\r\n\r\n`;
    return client.run({ port: fleetroot.port, as: device, send, ...attack });
  }

  /** The device ID, or the code of the refusal; null where the handshake failed. */
  async function outcome(attack: Omit<Attack, 'port'>, ...hosts: string[]): Promise<string | null> {
    const { handshake, reply } = await ask(attack, ...hosts);
    return handshake && (reply?.json.device_id ?? reply?.json.code);
  }

  const unassigned = (): Promise<any[]> => fleetroot.json('refusal', 'list', '--unassigned');

  test('is the one of the SNI, where the Host field names a host of it, however that is written', async () => {
    for (const field of [
      host,
      `${host}:${fleetroot.port}`,
      `${host}:1`,
      host.toUpperCase(),
      `${host}.`,
      `${host}.:443`,
      'devices.example',
      '127.0.0.2',
      '127.0.0.2:8000',
    ]) {
      assert.equal(await outcome({ sni: host }, field), 'dev-1', field);
    }
    for (const sni of [host.toUpperCase(), 'DEVICES.example']) assert.equal(await outcome({ sni }, host), 'dev-1', sni);
  });

  test('is none where the Host field names a host of another account or of none: 421', async () => {
    const fields = [otherHost, '127.0.0.3', '127.0.0.1', '[::1]', '[::ffff:127.0.0.3]', 'nobody.example', `x.${host}`];
    for (const tls of ['1.2', '1.3'] as const) {
      for (const field of fields) {
        const { reply } = await ask({ sni: host, tls }, field);
        assert.deepEqual([reply?.status, reply?.json.code], [421, 'misdirected_request'], field);
      }
    }
    // The other way round: its certificate is not looked at in an account that the Host field does not name.
    assert.equal(await outcome({ sni: otherHost }, host), 'misdirected_request');
    assert.equal(await outcome({ sni: otherHost }, otherHost), 'certificate_untrusted');
  });

  test('is none without exactly one Host field that is a host: 400', async () => {
    for (const fields of [
      [],
      [''],
      [host, host],
      [host, otherHost],
      [otherHost, host],
      [`${host}, ${otherHost}`],
      [`${host},${otherHost}`],
      [`${otherHost}@${host}`],
      [`${host}/x`],
      [`${host}:x`],
      [`${host}:`],
      [`${host}..`],
      [`${host}\t${otherHost}`],
      [`[${host}]`],
      ['[127.0.0.2'],
      ['127.0.0.2]'],
      ['127.2'],
      ['0x7f.0.0.2'],
      ['2130706434'],
      ['%3127.0.0.2'],
      ['*'],
    ]) {
      const { reply } = await ask({ sni: host }, ...fields);
      assert.deepEqual([reply?.status, reply?.json.code], [400, 'invalid_request'], fields.join(' | '));
    }
  });

  test('is the one that has the address, without SNI; the Host field is that address or a host of it', async () => {
    for (const field of [
      '127.0.0.2',
      `127.0.0.2:${fleetroot.port}`,
      host,
      'devices.example',
      '[::ffff:127.0.0.2]',
      '[::ffff:7f00:2]',
    ]) {
      assert.equal(await outcome({ address: '127.0.0.2' }, field), 'dev-1', field);
    }
    for (const field of [otherHost, '127.0.0.3', '127.0.0.1', 'nobody.example']) {
      assert.equal(await outcome({ address: '127.0.0.2' }, field), 'misdirected_request', field);
    }
    assert.equal(await outcome({ address: '127.0.0.3' }, '127.0.0.3'), 'certificate_untrusted');
    assert.equal(await outcome({ address: '127.0.0.3' }, host), 'misdirected_request');
  });

  test('is the one of the SNI even at an address of another', async () => {
    assert.equal(await outcome({ address: '127.0.0.3', sni: host }, host), 'dev-1');
    for (const field of ['127.0.0.3', otherHost]) {
      assert.equal(await outcome({ address: '127.0.0.3', sni: host }, field), 'misdirected_request', field);
    }
  });

  test('is the one that has the IPv6 address', async () => {
    await fleetroot.json('account', 'host', 'add', 'mine', '[0:0::0:1]');
    const answer = await call({ ...device, url: `https://[::1]:${fleetroot.port}` }, '/device');
    assert.equal(answer.json.device_id, 'dev-1');
    await fleetroot.json('account', 'host', 'remove', 'mine', '::1');
    assert.equal((await call({ ...device, url: `https://[::1]:${fleetroot.port}` }, '/device')).status, 0);
  });

  test('a host that has gone to another account takes nobody along, not even who is connected', async () => {
    await fleetroot.json('account', 'host', 'add', 'mine', 'moving.example');
    const url = `https://moving.example:${fleetroot.port}`;
    using line = await Line.open({ ...device, url, trusts: (await fleetroot.image('mine')).trusts });
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 200);
    await fleetroot.json('account', 'host', 'remove', 'mine', 'moving.example');
    await fleetroot.json('account', 'host', 'add', 'other', 'moving.example');
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 421);
    assert.equal(await outcome({ sni: 'moving.example' }, 'moving.example'), 'certificate_untrusted');
    assert.equal(await outcome({ sni: 'moving.example' }, host), 'misdirected_request');
  });

  test('nor does an address that has gone to another account, which nobody names in a handshake', async () => {
    await fleetroot.json('account', 'host', 'add', 'mine', '127.0.0.9');
    const raw = net.connect({ host: '127.0.0.9', port: fleetroot.port });
    const key = await readFile(device.key);
    const socket = tls.connect({
      socket: raw,
      cert: await readFile(device.certificate),
      key,
      rejectUnauthorized: false,
    });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    const ask = async (): Promise<string> => {
      socket.write('GET /device HTTP/1.1\r\nHost: 127.0.0.9\r\n\r\n');
      return String((await once(socket, 'data'))[0]);
    };
    assert.match(await ask(), /^HTTP\/1\.1 200 /);
    await fleetroot.json('account', 'host', 'remove', 'mine', '127.0.0.9');
    await fleetroot.json('account', 'host', 'add', 'other', '127.0.0.9');
    assert.match(await ask(), /^HTTP\/1\.1 421 /);
    socket.destroy();
    await fleetroot.json('account', 'host', 'remove', 'other', '127.0.0.9');
  });

  test('is settled by the first ClientHello, whatever host a second one names', async () => {
    for (const retrySni of [host, otherHost, 'nobody.example', '']) {
      const hello = { sni: host, retrySni, tls: '1.3' } as const;
      assert.equal(await outcome(hello, host), 'dev-1', retrySni);
      assert.equal(await outcome(hello, otherHost), 'misdirected_request', retrySni);
    }
    const late = await ask({ address: '127.0.0.3', retrySni: host, tls: '1.3' }, host);
    assert.deepEqual([late.handshake?.version, late.received], ['TLSv1.3', ''], 'no host at first');
    assert.equal(await outcome({ sni: 'nobody.example', retrySni: host, tls: '1.3' }, host), null);
  });

  test('one that is unknown ends the handshake, and stands in the list of refusals of nobody', async () => {
    for (const sni of unknown) assert.equal(await outcome({ sni }, host), null, sni);
    await outcome({ sni: 'unknown.example' }, host);
    const refused = await eventually(async () => {
      const found = (await unassigned()).filter(({ sni }) => unknown.includes(sni));
      return found.length === unknown.length && found.some(({ count }) => count === 2) && found;
    });
    for (const { code, rule, address, sni, count, device_id } of refused) {
      assert.equal(code, 'misdirected_request');
      assert.ok(rule.includes(JSON.stringify(sni)), rule);
      assert.deepEqual([address, device_id], ['127.0.0.1', null]);
      assert.equal(count, sni === 'unknown.example' ? 2 : 1);
    }
  });

  test('none at all, without SNI at an address of nobody, ends it too, on either version', async () => {
    for (const tls of ['1.2', '1.3'] as const) assert.equal(await outcome({ address: '127.0.0.4', tls }, host), null);
    const refusal = await eventually(
      async () => (await unassigned()).find(({ sni, count }) => sni === null && count >= 2) ?? null,
    );
    assert.match(refusal.rule, /named no host \(no SNI\), and the address it came to, 127\.0\.0\.4,/);
    assert.equal(refusal.address, '127.0.0.1');
  });

  test('what a stranger writes into its SNI does nothing to the terminal that shows it', async () => {
    await client.run({ port: fleetroot.port, sni: '\u001b[2J\u202eevil\u0007', send: '' });
    await eventually(async () => (await unassigned()).some(({ sni }) => sni?.includes('evil')));
    const { stdout } = await fleetroot.command('refusal', 'list', '--unassigned');
    assert.match(stdout, /evil/);
    assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  test("the guide's s_client, which asks nothing, is no refusal", async () => {
    const before = await fleetroot.json('refusal', 'list', 'mine');
    const others = await unassigned();
    const to = ['-connect', `127.0.0.1:${fleetroot.port}`, '-servername', host, '-showcerts'];
    for (const version of ['-tls1_2', '-tls1_3']) {
      const { stdout } = await execute('openssl', ['s_client', ...to, version]);
      assert.equal(stdout.match(/-BEGIN CERTIFICATE-/g)?.length, 2);
    }
    // Refusals are written in their order: when one that came later is there, so would be these.
    await outcome({ sni: otherHost }, 'later.example');
    await eventually(async () =>
      (await fleetroot.json('refusal', 'list', 'other')).some(({ rule }: { rule: string }) =>
        rule.includes('later.example'),
      ),
    );
    assert.deepEqual(await fleetroot.json('refusal', 'list', 'mine'), before);
    assert.deepEqual(await unassigned(), others);
  });
});

describe('gateway.default_account', { skip: needs('cc', 'libssl') }, () => {
  test('serves connections without SNI at an address of nobody, and no others', async () => {
    await using client = await TlsClient.build();
    await using fleetroot = await Fleetroot.start({ options: { 'gateway.default_account': 'mine' } });
    const ask = async (attack: Omit<Attack, 'port'>, field: string): Promise<Sequel> =>
      client.run({
        port: fleetroot.port,
        send: `GET /device HTTP/1.1\r\nHost: ${field}\r\nConnection: close\r\n\r\n`,
        ...attack,
      });
    // It is not there yet.
    assert.equal((await ask({}, '127.0.0.1')).handshake, null);
    await fleetroot.json('account', 'create', 'mine');
    await fleetroot.json('account', 'create', 'other');
    const image = await fleetroot.image('mine');
    const device = await image.boot('dev-1');
    const stranger = await (await fleetroot.image('other')).boot('dev-1');
    const host = new URL(image.url).hostname;

    for (const field of ['127.0.0.1', host])
      assert.equal((await ask({ as: device }, field)).reply?.json.device_id, 'dev-1');
    assert.equal((await ask({ as: stranger }, '127.0.0.1')).reply?.json.code, 'certificate_untrusted');
    assert.equal((await ask({ as: device }, '127.0.0.9')).reply?.json.code, 'misdirected_request');
    assert.equal((await ask({ as: device, sni: 'unknown.example' }, '127.0.0.1')).handshake, null);
    await fleetroot.json('account', 'host', 'add', 'other', '127.0.0.1');
    assert.equal((await ask({ as: device }, '127.0.0.1')).reply?.json.code, 'certificate_untrusted');
    assert.equal((await ask({ as: device, address: '127.0.0.5' }, host)).reply?.json.device_id, 'dev-1');
    await fleetroot.json('account', 'delete', 'mine', '--yes');
    assert.equal((await ask({ as: device, address: '127.0.0.5' }, host)).handshake, null);
  });
});
