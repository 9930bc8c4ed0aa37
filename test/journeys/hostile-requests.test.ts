// Requests made to confuse: targets that climb, fields that lie, two requests in one. None reaches further than it may.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { BackEnd } from '../support/back-end.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Caller, Device, Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { needs } from '../support/require.ts';

describe('a request that is made to confuse', { skip: needs('openssl', 'curl', 'unzip') }, () => {
  let fleetroot: Fleetroot;
  let backEnd: BackEnd;
  let image: Image;
  let device: Device;
  let provisioner: Caller;
  let host: string;
  let uuid: string;

  before(async () => {
    fleetroot = await Fleetroot.start();
    backEnd = await BackEnd.open();
    backEnd.answer = (_, response) => void response.writeHead(200, { 'content-length': 2 }).end('{}');
    await fleetroot.json('account', 'create', 'acme');
    image = await fleetroot.image('acme');
    device = await image.boot('dev-1');
    provisioner = await image.provisioner();
    host = new URL(device.url).host;
    uuid = (await device.whoAmI()).json.uuid;
    await fleetroot.json(
      'upstream',
      'set',
      'acme',
      '/',
      `http://127.0.0.1:${backEnd.port}/base`,
      '--rewrite',
      '/of/{device_uuid}',
    );
  });
  after(async () => {
    await fleetroot[Symbol.asyncDispose]();
    await backEnd[Symbol.asyncDispose]();
  });
  beforeEach(() => void (backEnd.asked.length = 0));
  afterEach(async () => assert.equal((await device.whoAmI()).status, 200));

  /** Sends these bytes on a connection of its own and gives the first reply, and all that follows until the end. */
  async function say(
    bytes: string,
    caller: Caller = device,
  ): Promise<{ status: number | null; code: string | null; more: number }> {
    using line = await Line.open(caller);
    line.socket.write(bytes, 'latin1');
    const reply = await line.reply();
    let more = 0;
    if (reply !== null) {
      line.socket.end();
      while (await line.reply()) more += 1;
    }
    return { status: reply?.status ?? null, code: reply && jsonCode(reply.body), more };
  }

  /** Every reply of the gateway's own is JSON with a code and a description. */
  function jsonCode(body: Buffer): string | null {
    const said = JSON.parse(body.toString());
    if (said.code !== undefined) assert.equal(typeof said.description, 'string');
    return said.code ?? null;
  }

  const get = (target: string, ...fields: string[]): string =>
    [`GET ${target} HTTP/1.1`, `Host: ${host}`, ...fields, '', ''].join('\r\n');

  test('by a target that is not in origin form, or could lead elsewhere: 400', async () => {
    for (const target of [
      `https://${host}/device`,
      'http://other.example/device',
      'other.example:443',
      '*',
      'device',
      '?/device',
      '/../device',
      '/a/../../other',
      '/a/..',
      '/a/.',
      '/./a',
      '/a/%2e%2e/b',
      '/a/%2E%2e/b',
      '/a/.%2e/b',
      '/a/%2e./b',
      '/a/%2e/b',
      '/a/..;x=1/b',
      '/a/..;/b',
      '/a/.;/b',
      '/a/%2e%2e;/b',
      '/a%2fb',
      '/a%2Fb',
      '/a/..%2fb',
      '/a%5cb',
      '/a/..%5C..',
      '/a\\..\\b',
      '//a',
      '//other.example/a',
      '/a//b',
      '/%64evice',
      '/d%65vices',
      '/system_info/con%66ig',
      '/a%2Db',
      '/a%5Fb',
      '/%31',
      '/a/%00',
      '/a/%0d%0aX:%20y',
      '/a/%7f',
      '/a/%',
      '/a/%zz',
      '/a/%2',
      '/a#b',
      '/a?b#c',
      '/a\u00e4',
      '/a\u0001',
      '/a\tb',
    ]) {
      const { status, code, more } = await say(get(target));
      assert.deepEqual([status, code, more], [400, 'invalid_request', 0], target);
    }
    assert.deepEqual(backEnd.asked, []);
  });

  test('by a method that makes a tunnel or another protocol: it is answered as plain HTTP or not at all', async () => {
    for (const line of [`CONNECT ${host}`, 'CONNECT /device', 'OPTIONS *', 'PRI *']) {
      const { status, code } = await say(`${line} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      assert.deepEqual([status, code], [400, 'invalid_request'], line);
    }
    assert.equal(
      (await say(get('/device', 'Connection: upgrade', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'))).status,
      200,
    );
    assert.deepEqual(backEnd.asked, []);
  });

  test('by what looks odd and is legal, it goes through as it came, below its own UUID', async () => {
    for (const target of [
      '/...',
      '/a/.b',
      '/a/b..',
      '/a/..b/c',
      '/a%20b/%C3%A4%3b%5B%5d%40%60%7B%7E',
      '/a%2Eb%3f%3A',
      "/a/b;v=1,(2)!$&'*+=:@~",
      '/a/?b=/../c//d',
      '/a/b?',
    ]) {
      assert.equal((await say(get(target))).status, 200);
      assert.equal(backEnd.last.url, `/base/of/${uuid}${target}`);
    }
  });

  test('by fields that only the gateway may set: the back end is told the truth, once', async () => {
    const forged = ['x-ats-device-uuid', 'X-ATS-Namespace', 'x_ats_device_uuid', 'X_Ats-Namespace', 'x-ats-anything'];
    forged.push('Client-Cert', 'client_cert', 'Client-Cert-Chain', 'CLIENT_CERT_CHAIN', 'Forwarded', 'X-Forwarded-For');
    forged.push(
      'x_forwarded_host',
      'X-Forwarded-Client-Cert',
      'X-Real-IP',
      'x_real_ip',
      'Keep-Alive',
      'Proxy-Connection',
      'TE',
    );
    const lies = forged.flatMap((name) => [`${name}: evil`, `${name}:evil`, `${name}: `]);
    const named = 'Connection: x-ats-namespace, X-ATS-Device-UUID, client-cert, x-secret, host, content-length';
    const kept = ['X-Secret: evil', 'X-Kept: good', 'Cookie: a=b'];
    assert.equal((await say(get('/a', ...lies, named, ...kept, ...lies))).status, 200);

    const names = backEnd.last.rawHeaders
      .filter((_, at) => at % 2 === 0)
      .map((name) => name.toLowerCase().replaceAll('_', '-'));
    const values = backEnd.last.rawHeaders.filter((_, at) => at % 2 === 1);
    assert.deepEqual(names.toSorted(), [
      'client-cert',
      'connection',
      'cookie',
      'host',
      'x-ats-device-uuid',
      'x-ats-namespace',
      'x-kept',
    ]);
    assert.ok(!values.includes('evil'));
    assert.equal(backEnd.last.headers['x-ats-device-uuid'], uuid);
    assert.equal(backEnd.last.headers['x-ats-namespace'], 'acme');
    assert.match(`${backEnd.last.headers['client-cert']}`, /^:[A-Za-z0-9+/]+=*:$/);
  });

  test('by trailers, which come when nobody looks: they are not passed on', async () => {
    const chunked = get('/a', 'Transfer-Encoding: chunked', 'Trailer: x-ats-device-uuid').replace('GET', 'POST');
    assert.equal((await say(`${chunked}2\r\n{}\r\n0\r\nx-ats-device-uuid: evil\r\nHost: evil\r\n\r\n`)).status, 200);
    assert.deepEqual({ ...backEnd.last.trailers }, {});
    assert.equal(backEnd.last.headers.trailer, undefined);
    assert.equal(backEnd.last.body.toString(), '{}');
  });

  test('by more fields than are read: 431, for one that is dropped in silence may be the one that counts', async () => {
    for (const [field, count] of [
      ['a:b', 1_500],
      ['a:b', 5_000],
      [`a: ${'b'.repeat(20_000)}`, 1],
    ] as const) {
      const { status, code } = await say(
        get('/a', ...Array<string>(count).fill(field), 'Content-Length: 0', `Host: evil`),
      );
      assert.deepEqual([status, code], [431, 'headers_too_large']);
    }
    assert.deepEqual([(await say(get(`/${'a'.repeat(20_000)}`))).status], [431]);
    assert.deepEqual(backEnd.asked, []);
  });

  describe('as two in one', () => {
    const hidden = (): string => `GET /hidden HTTP/1.1\r\nHost: ${host}\r\nx-ats-device-uuid: evil\r\n\r\n`;

    test('by a length that is told twice or not in the one way: 400, and the connection ends', async () => {
      const body = hidden();
      const hex = body.length.toString(16);
      const post = (...fields: string[]): string => get('/a', ...fields).replace('GET', 'POST');
      for (const bytes of [
        post(`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked') + `0\r\n\r\n${body}`,
        post('Transfer-Encoding: chunked', 'Content-Length: 4') + `${hex}\r\n${body}\r\n0\r\n\r\n`,
        post('Content-Length: 0', `Content-Length: ${body.length}`) + body,
        post(`Content-Length: 0, ${body.length}`) + body,
        post(`Content-Length: +${body.length}`) + body,
        post(`Content-Length: -1`) + body,
        post(`Content-Length: 0x10`) + body,
        post(`Content-Length: 99999999999999999999`) + body,
        post('Transfer-Encoding: xchunked') + `0\r\n\r\n${body}`,
        post('Transfer-Encoding: chunked, identity') + `0\r\n\r\n${body}`,
        post('Transfer-Encoding : chunked') + `0\r\n\r\n${body}`,
        post('Transfer-Encoding: chunked', 'Transfer-Encoding: identity') + `0\r\n\r\n${body}`,
        post('Transfer-Encoding:\x0bchunked') + `0\r\n\r\n${body}`,
        post('Transfer-Encoding: chunked') + `0x0\r\n\r\n${body}`,
        post('Transfer-Encoding: chunked') + `-1\r\n\r\n${body}`,
        post('Transfer-Encoding: chunked') + `ffffffffffffffff0\r\n\r\n${body}`,
        post('Transfer-Encoding: chunked') + `2\r\n{}x\r\n0\r\n\r\n${body}`,
        post('Transfer-Encoding: chunked') + `2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
        post('X: y\r\n Content-Length: 3') + body,
        post('X: y\n Content-Length: 3') + body,
        post('X: y\rContent-Length: 3') + body,
        post('X: \0') + body,
        post(' Content-Length: 3') + body,
        post('Content-Length 3') + body,
        `GET /a HTTP/1.1\nHost: ${host}\n\n${body}`,
        `GET /a HTTP/1.1\r\nHost: ${host}\n\r\n${body}`,
        `GET /a b HTTP/1.1\r\nHost: ${host}\r\n\r\n${body}`,
        `GET /a HTTP/1.1 \r\nHost: ${host}\r\n\r\n${body}`,
        `GET /a HTTQ/1.1\r\nHost: ${host}\r\n\r\n${body}`,
        `GE\0T /a HTTP/1.1\r\nHost: ${host}\r\n\r\n${body}`,
        `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03`,
      ]) {
        const { status, code, more } = await say(bytes);
        assert.deepEqual([status, code, more], [400, 'invalid_request', 0], JSON.stringify(bytes));
      }
      assert.ok(!backEnd.asked.some(({ url }) => url.includes('hidden')));
    });

    test('by a body where none is expected: the back end sees one request with that body, whatever the method', async () => {
      const body = hidden();
      for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'PUT']) {
        for (const framed of [
          `Content-Length: ${body.length}\r\n\r\n${body}`,
          `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
          `Connection: content-length, transfer-encoding\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        ]) {
          backEnd.asked.length = 0;
          using line = await Line.open(device);
          line.socket.write(`${method} /a HTTP/1.1\r\nHost: ${host}\r\n${framed}`, 'latin1');
          await eventually(() => backEnd.asked.length > 0);
          assert.equal(backEnd.last.body.toString(), body, `${method} ${framed}`);
          assert.equal(backEnd.asked.length, 1);
        }
      }
    });
  });

  test('behind one that is refused, it is not acted on, in the same breath or later', async () => {
    const report = (address: string): string => {
      const body = JSON.stringify({ local_ipv4: address, mac: 'm', hostname: 'h' });
      return `PUT /system_info/network HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    };
    const misdirected = get('/device').replace(host, 'other.example');
    await say(misdirected + report('6.6.6.6'));
    using line = await Line.open(device);
    line.socket.write(misdirected);
    assert.equal((await line.reply())?.status, 421);
    line.socket.write(report('6.6.6.6'));
    await line.closed();
    // What is sent in one go and not refused is answered in its order, and acted on in it.
    using other = await Line.open(device);
    other.socket.write(report('1.1.1.1') + report('2.2.2.2') + get('/device'));
    for (const status of [200, 200, 200]) assert.equal((await other.reply())?.status, status);
    assert.deepEqual(
      backEnd.asked.map(({ body }) => JSON.parse(body.toString()).local_ipv4),
      ['1.1.1.1', '2.2.2.2'],
    );
  });

  test('in a crowd of thousands at once, none of which waits for its reply: the connection ends, and little is kept', async () => {
    const silent = backEnd.answer;
    backEnd.answer = () => undefined;
    using line = await Line.open(device);
    line.socket.write(get('/slow') + get('/device').repeat(5_000));
    assert.equal(await line.reply().catch(() => null), null);
    backEnd.answer = silent;
    // As many as anybody needs are answered in their order.
    using other = await Line.open(device);
    other.socket.write(get('/device').repeat(50));
    for (let n = 0; n < 50; n += 1) assert.equal((await other.reply())?.status, 200);
  });

  test('by a body that is held back until the operator has closed the door: the door is closed', async () => {
    const [{ id }] = await fleetroot.json('fleet-root', 'list', 'acme');
    const body = JSON.stringify({ deviceId: 'sneaked-in', ttl: '1' });
    for (const [shut, open, code] of [
      [['fleet-root', 'close', 'acme', id], ['fleet-root', 'activate', 'acme', id], 'fleet_root_ca_closed'],
      [['fleet-root', 'disable', 'acme', id], ['fleet-root', 'activate', 'acme', id], 'fleet_root_ca_disabled'],
      [
        ['account', 'set', 'acme', '--device-id-pattern', 'no'],
        ['account', 'set', 'acme', '--device-id-pattern', '.*'],
        'device_id_not_allowed',
      ],
      [
        ['account', 'set', 'acme', '--admission', 'allow-list'],
        ['account', 'set', 'acme', '--admission', 'automatic'],
        'device_id_not_allowed',
      ],
    ] as const) {
      using line = await Line.open(provisioner);
      line.send('GET', '/device');
      assert.equal((await line.reply())?.status, 403);
      using held = await Line.open(provisioner);
      held.socket.write(
        `POST /devices HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
      );
      await held.interim();
      await fleetroot.json(...shut);
      held.socket.write(body);
      assert.equal(jsonCode((await held.reply())?.body ?? Buffer.of()), code);
      await fleetroot.json(...open);
    }
    assert.ok(
      !(await fleetroot.json('device', 'list', 'acme')).some(
        ({ device_id }: { device_id: string }) => device_id === 'sneaked-in',
      ),
    );
  });

  test('by a device ID that is none, of any length: it is refused, and what is kept of it is small', async () => {
    for (const deviceId of ['', ' ', 'a\0b', '\u202eevil', 'x'.repeat(60_000), 'uuid:1', '\ud800', '\u001b[2J']) {
      const body = JSON.stringify({ deviceId, ttl: '1' });
      const asked = `POST /devices HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
      const { status, code } = await say(asked + Buffer.from(body).toString('latin1'), provisioner);
      assert.deepEqual([status, code], [403, 'device_id_invalid'], deviceId);
    }
    const refusal = await eventually(
      async () =>
        (await fleetroot.json('refusal', 'list', 'acme')).find(
          ({ code, count }: { code: string; count: number }) => code === 'device_id_invalid' && count === 8,
        ) ?? null,
    );
    assert.equal(refusal.device_id, null);
    assert.ok(refusal.rule.length < 500);
  });

  test('what HTTP could not read is kept on record as a refusal, too', async () => {
    const refusal = await eventually(
      async () =>
        (await fleetroot.json('refusal', 'list', 'acme')).find(({ rule }: { rule: string }) =>
          rule.includes('no HTTP/1.1'),
        ) ?? null,
    );
    assert.equal(refusal.code, 'invalid_request');
  });
});

describe(
  'a request that takes its time or its room',
  { skip: needs('openssl', 'curl', 'unzip'), timeout: 60_000 },
  () => {
    let fleetroot: Fleetroot;
    let image: Image;
    let device: Device;
    let host: string;
    before(async () => {
      const options = {
        'gateway.headers_timeout': '300ms',
        'gateway.request_timeout': '600ms',
        'gateway.idle_timeout': '300ms',
      };
      fleetroot = await Fleetroot.start({ options });
      await fleetroot.json('account', 'create', 'acme');
      image = await fleetroot.image('acme');
      device = await image.boot('dev-1');
      host = new URL(device.url).host;
    });
    after(() => fleetroot[Symbol.asyncDispose]());

    for (const tls of ['TLSv1.2', 'TLSv1.3'] as const) {
      test(`one that never begins, never ends its header, its body or a chunk is ended with 408, drop by drop too (${tls})`, async () => {
        const slow = [
          ['', ''],
          ['GET /device HTTP/1.1\r\nX', 'x'],
          [`PUT /system_info HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100000\r\n\r\n`, 'x'],
          [`PUT /system_info HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n`, 'x'],
        ] as const;
        const waitFor = async (begin: string, drop: string): Promise<void> => {
          using line = await Line.open(device, { tls });
          line.socket.write(begin);
          const dripping = setInterval(() => line.socket.write(drop), 50);
          const reply = await line.reply();
          clearInterval(dripping);
          assert.equal(reply?.status, 408);
          assert.equal(JSON.parse(`${reply?.body}`).code, 'request_timeout');
          await line.closed();
        };
        await Promise.all(slow.flatMap(([begin, drop]) => [waitFor(begin, ''), waitFor(begin, drop)]));
      });
    }

    test('one that comes without the body that it is to have is 400, and nobody waits for it', async () => {
      for (const [method, path, caller] of [
        ['POST', '/devices', await image.provisioner()],
        ['PUT', '/system_info', device],
      ] as const) {
        for (const fields of [[], ['Expect: 100-continue'], ['Content-Length: 0']]) {
          using line = await Line.open(caller);
          line.send(method, path, { fields });
          if (fields[0]?.startsWith('Expect')) await line.interim();
          assert.equal(JSON.parse(`${(await line.reply())?.body}`).code, 'invalid_request');
          await line.closed();
        }
      }
    });

    test('a connection that has been served and says no more is ended', async () => {
      using line = await Line.open(device);
      line.send('GET', '/device');
      assert.equal((await line.reply())?.status, 200);
      await line.closed();
    });

    test('one that is too large is 413, before it has all come where it says so, and the connection ends', async () => {
      for (const [method, path, limit, caller] of [
        ['POST', '/devices', 65_536, await image.provisioner()],
        ['POST', '/director/ecus', 65_536, device],
        ['PUT', '/system_info', 1_048_576, device],
        ['PUT', '/core/installed', 1_048_576, device],
      ] as const) {
        using announced = await Line.open(caller);
        announced.send(method, path, { length: limit + 1 });
        assert.equal(JSON.parse(`${(await announced.reply())?.body}`).code, 'body_too_large');
        await announced.closed();
        using chunked = await Line.open(caller);
        chunked.socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`);
        chunked.socket.write(`${(limit + 1).toString(16)}\r\n${' '.repeat(limit + 1)}\r\n`);
        const reply = await chunked.reply();
        assert.equal(reply?.status, 413, path);
        await chunked.closed();
      }
    });
  },
);
