// `GET /device` on the short path: whatever is sent, the same is answered as HTTP answers, to the byte.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { readPlainRequest } from '../../src/gateway/plain-request.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Device } from '../support/image.ts';
import { needs } from '../support/require.ts';

const host = 'plain.example';
const plain = `GET /device HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: device\r\nAccept: */*\r\n\r\n`;
/** Has its connection go on to HTTP for good. */
const unusual = plain.replace('Accept: */*', 'X-Any: 1');
const last = unusual.replace('X-Any: 1', 'X-Any: 1\r\nConnection: close');
const close = plain.replace('Accept: */*', 'Connection: close');

describe('a plain `GET /device` is', () => {
  const read = (text: string) => readPlainRequest(Buffer.from(text, 'latin1'));

  test('one with a host, and with fields that change nothing', () => {
    assert.deepEqual(read(plain), { host, last: false });
    assert.deepEqual(read(plain.replace(host, `${host}:8443`)), { host, last: false });
    assert.deepEqual(read(plain.replace('Accept: */*', 'connection: Keep-Alive')), { host, last: false });
    assert.deepEqual(read(plain.replace('Accept: */*', 'CONNECTION: close')), { host, last: true });
  });

  test('none that is written in any other way', () => {
    for (const [from, to] of others) assert.equal(read(plain.replace(from, to)), null, JSON.stringify(to));
    for (let size = 0; size < plain.length; size += 1) assert.equal(read(plain.slice(0, size)), null);
    assert.equal(read(`${plain}x`), null);
  });
});

/** Ways to write another request, or the same otherwise: what stands in the place of what. */
const others: readonly (readonly [string, string])[] = [
  ['GET', 'get'],
  ['GET', 'HEAD'],
  ['GET', 'POST'],
  ['GET', ' GET'],
  ['GET', '\r\nGET'],
  ['/device', '/device/'],
  ['/device', '/device?x'],
  ['/device', '/%64evice'],
  ['/device', `https://${host}/device`],
  ['/device ', '/device  '],
  ['HTTP/1.1', 'HTTP/1.0'],
  ['HTTP/1.1', 'HTTP/2.0'],
  ['HTTP/1.1\r\n', 'HTTP/1.1\n'],
  ['\r\nHost', '\nHost'],
  ['Host: ', 'Host:'],
  ['Host: ', 'Host:\t'],
  ['Host: ', 'Host : '],
  ['Host: ', 'Host:  '],
  ['Host: plain.example', 'Host: PLAIN.example'],
  ['Host: plain.example', 'Host: '],
  ['Host: plain.example', 'Host: plain.example '],
  ['Host: plain.example', 'Host: plain.example:'],
  ['Host: plain.example', 'Host: plain.example:8443:8443'],
  ['Host: plain.example', 'Host: user@plain.example'],
  ['Host: plain.example', 'Host: plain.example\r\nHost: plain.example'],
  ['Host: plain.example\r\n', ''],
  ['User-Agent: device', 'User-Agent: dev\0ice'],
  ['User-Agent: device', 'User-Agent: dev\tice'],
  ['User-Agent: device', 'User-Agent: dev\u00e9ice'],
  ['User-Agent: device', 'User-Agent: device\r\n folded'],
  ['User-Agent: device', 'User-Agent'],
  ['User-Agent: device', 'User_Agent: device'],
  ['User-Agent: device', `User-Agent: ${'x'.repeat(3000)}`],
  ['Accept: */*', 'Content-Length: 0'],
  ['Accept: */*\r\n\r\n', 'Content-Length: 3\r\n\r\nabc'],
  ['Accept: */*', 'Transfer-Encoding: chunked'],
  ['Accept: */*', 'Expect: 100-continue'],
  ['Accept: */*', 'Upgrade: h2c'],
  ['Accept: */*', 'Connection: upgrade'],
  ['Accept: */*', 'Connection: close, keep-alive'],
  ['Accept: */*', 'Connection: close\r\nConnection: keep-alive'],
  ['\r\n\r\n', '\r\n\n'],
  ['\r\n\r\n', '\n\n'],
  ['\r\n\r\n', '\r\n\r\n\r\n'],
  ['*/*\r\n\r\n', `*/*\r\n\r\n${plain}`],
];

describe('the short path', { skip: needs('openssl') }, () => {
  let fleetroot: Fleetroot;
  let device: Device;
  /** How far the server's clock is ahead. */
  let ahead = 0;
  let provisioner: { certificate: string | null; key: string | null };
  before(async () => {
    // What waits for more ends soon.
    fleetroot = await Fleetroot.start({
      options: { 'gateway.headers_timeout': '4s' },
      clock: () => Date.now() + ahead,
    });
    await fleetroot.json('account', 'create', 'acme');
    await fleetroot.json('account', 'host', 'add', 'acme', host);
    const image = await fleetroot.image('acme');
    device = await image.boot('dev-1');
    provisioner = await image.provisioner();
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  /** All that is answered to these parts, each sent when something has been answered to the one before; or done then. */
  async function answers(
    parts: readonly (string | (() => unknown))[],
    as: { certificate: string | null; key: string | null } = device,
  ) {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: fleetroot.port,
      servername: host,
      cert: await readFile(as.certificate!),
      key: await readFile(as.key!),
      rejectUnauthorized: false,
    });
    let received = '';
    socket.on('error', () => undefined).setEncoding('latin1');
    // It may be ended while something is sent, which is no error of this test's.
    const ended = once(socket, 'close').catch(() => undefined);
    socket.on('data', (part: string) => void (received += part));
    await once(socket, 'secureConnect');
    for (const part of parts) {
      if (typeof part === 'function') {
        await part();
        continue;
      }
      socket.write(Buffer.from(part, 'latin1'));
      await Promise.race([once(socket, 'data').catch(() => undefined), ended]);
    }
    await ended;
    return received
      .replaceAll(/^Date: .*$/gm, 'Date')
      .replaceAll(/^x-request-id: .*$/gm, 'x-request-id')
      .replaceAll(/"server_time":"[^"]*"/g, 'server_time');
  }

  test('answers as HTTP does, however often it is asked, and at the end', async () => {
    const asked = (one: string) => [one, one, one, last];
    const byHttp = await answers([unusual, ...asked(plain).slice(1)]);
    assert.match(byHttp, /^HTTP\/1\.1 200 OK\r\n/);
    assert.equal(byHttp.match(/"device_id":"dev-1"/g)?.length, 4);
    assert.equal(await answers(asked(plain)), byHttp);
    assert.equal(await answers([plain, close]), await answers([unusual, close]));
  });

  test('leaves to HTTP whatever is anything else', async () => {
    for (const [from, to] of others) {
      const other = plain.replace(from, to);
      const [short, http] = [await answers([plain, other + last]), await answers([unusual, other + last])];
      assert.equal(short, http, JSON.stringify(to));
    }
  });

  test('leaves to HTTP who is no device, and who is refused', async () => {
    assert.match(await answers([plain], provisioner), /^HTTP\/1\.1 403 [^]*"not_a_device"/);
    const elsewhere = plain.replace(`Host: ${host}`, 'Host: nobody.example');
    assert.match(await answers([elsewhere]), /^HTTP\/1\.1 421 [^]*"misdirected_request"/);
    await fleetroot.json('device', 'suspend', 'acme', 'dev-1');
    assert.match(await answers([plain]), /^HTTP\/1\.1 403 [^]*"device_suspended"/);
    await fleetroot.json('device', 'resume', 'acme', 'dev-1');
  });

  test('asks at each request anew whether the host is the account’s', async () => {
    const moved = await answers([plain, plain, () => fleetroot.json('account', 'host', 'remove', 'acme', host), close]);
    await fleetroot.json('account', 'host', 'add', 'acme', host);
    assert.equal(moved.match(/HTTP\/1\.1 200 /g)?.length, 2);
    assert.match(moved, /HTTP\/1\.1 421 [^]*"misdirected_request"/);
  });

  test('answers nobody any more who has been suspended, or whose certificate has ended', async () => {
    const suspended = await answers([plain, plain, () => fleetroot.json('device', 'suspend', 'acme', 'dev-1'), close]);
    await fleetroot.json('device', 'resume', 'acme', 'dev-1');
    assert.equal(suspended.match(/HTTP\/1\.1 /g)?.length, 2);
    const ended = Date.parse(/"certificate_not_after":"([^"]*)"/.exec(suspended)?.[1] ?? '') + 24 * 60 * 60 * 1000;
    // Before its connection is looked after, which ends it without a word.
    const expired = await answers([plain, plain, () => (ahead = ended - Date.now()), close]);
    ahead = 0;
    assert.equal(expired.match(/HTTP\/1\.1 200 /g)?.length, 2);
  });

  test('ends who says nothing in time, and says so', async () => {
    const silent = [answers([]), answers([plain.slice(0, 30)])];
    for (const answer of await Promise.all(silent)) assert.match(answer, /^HTTP\/1\.1 408 [^]*"request_timeout"/);
  });
});
