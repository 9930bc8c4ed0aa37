// Nonsense of every kind at the device gateway, on every layer: it answers or hangs up, and goes on serving devices.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { certificateToPem, parseCertificates } from '../../src/x509/certificate.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Caller, Device } from '../support/image.ts';
import { needs } from '../support/require.ts';

/** How often each kind is tried, and from which seed: FLEETROOT_NONSENSE=2000 and FLEETROOT_SEED=7 say otherwise. */
const numRuns = Number(process.env['FLEETROOT_NONSENSE'] ?? 100);
const seed = Number(process.env['FLEETROOT_SEED'] ?? 1);
const atOnce = 100;

/** One change to some bytes: flipped, cut out, doubled or put in. */
const change = fc.record({
  kind: fc.constantFrom('flip', 'cut', 'double', 'insert', 'truncate', 'length'),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 16 }),
});

function changed(original: Buffer, changes: readonly { kind: string; at: number; bytes: Uint8Array }[]): Buffer {
  let result = Buffer.from(original);
  for (const { kind, at, bytes } of changes) {
    const offset = Math.floor(at * result.length);
    const [head, tail] = [result.subarray(0, offset), result.subarray(offset)];
    if (kind === 'truncate') result = head;
    else if (kind === 'cut') result = Buffer.concat([head, tail.subarray(bytes.length)]);
    else if (kind === 'double') result = Buffer.concat([head, tail.subarray(0, bytes.length), tail]);
    else if (kind === 'insert') result = Buffer.concat([head, bytes, tail]);
    else if (kind === 'length' && tail.length > 0) tail.writeUInt8([0, 1, 0x7f, 0x80, 0x84, 0xff][bytes[0]! % 6]!);
    else if (tail.length > 0) tail.writeUInt8(tail[0]! ^ bytes[0]!);
  }
  return result;
}

const changes = fc.array(change, { minLength: 1, maxLength: 6 });

describe('nonsense', { skip: needs('openssl', 'curl', 'unzip'), timeout: 20 * 60_000 }, () => {
  let fleetroot: Fleetroot;
  let device: Device;
  let provisioner: Caller;
  let host: string;
  let trusted: { ca: Buffer; servername: string; port: number };

  before(async () => {
    const options = {
      'gateway.handshake_timeout': '1s',
      'gateway.headers_timeout': '500ms',
      'gateway.request_timeout': '1s',
      'gateway.idle_timeout': '300ms',
    };
    fleetroot = await Fleetroot.start({ options });
    await fleetroot.json('account', 'create', 'acme');
    const image = await fleetroot.image('acme');
    device = await image.boot('dev-1');
    provisioner = await image.provisioner();
    host = new URL(image.url).hostname;
    trusted = { ca: await readFile(image.trusts), servername: host, port: fleetroot.port };
  });
  after(() => fleetroot[Symbol.asyncDispose]());
  // Whatever has not been caught in the server fails the test, since the server runs in the same process.
  afterEach(async () => assert.equal((await device.whoAmI()).status, 200));

  const credentialsOf = async (caller: Caller): Promise<{ cert: Buffer; key: Buffer }> => ({
    cert: await readFile(caller.certificate!),
    key: await readFile(caller.key!),
  });

  /** Sends bytes over TCP and waits until the server ends the connection. */
  async function overTcp(bytes: Uint8Array): Promise<void> {
    const socket = net.connect(fleetroot.port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write(bytes);
    await once(socket, 'close');
  }

  /** Sends bytes over TLS and gives what comes until the end; an empty text where TLS did not come about. */
  function overTls(bytes: Uint8Array, credentials: { cert: string | Buffer; key: Buffer } | null): Promise<string> {
    return new Promise((resolve) => {
      let heard = '';
      try {
        const socket = connect({ ...trusted, host: '127.0.0.1', ...credentials });
        // Not closed after it: Node takes a client that has closed its half for one that wants no reply.
        socket.on('secureConnect', () => socket.write(bytes));
        socket.on('data', (part: Buffer) => void (heard += part.toString('latin1')));
        socket.on('error', () => undefined);
        socket.on('close', () => resolve(heard));
      } catch {
        // A certificate that not even the client takes.
        resolve('');
      }
    });
  }

  /** Every reply is a whole one, and none says that the server has failed. */
  function checkReplies(heard: string): void {
    for (const [, status] of heard.matchAll(/^HTTP\/1\.1 (\d{3})/gm)) {
      assert.ok(
        [100, 200, 400, 403, 404, 405, 408, 409, 413, 415, 421, 431].includes(Number(status)),
        heard.slice(0, 500),
      );
    }
  }

  /** Tries a sample, many at once, since nonsense is often answered by silence until a time-out. */
  async function check<T>(arbitrary: fc.Arbitrary<T>, attempt: (value: T) => Promise<void>): Promise<void> {
    const values = fc.sample(arbitrary, { numRuns, seed });
    for (let from = 0; from < values.length; from += atOnce) {
      await Promise.all(values.slice(from, from + atOnce).map(attempt)).catch((cause: Error) => {
        throw new Error(`FLEETROOT_SEED=${seed}: ${cause.message}`, { cause });
      });
    }
  }

  /** The first bytes of a real client. */
  async function clientHello(): Promise<Buffer> {
    const server = net.createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1', servername: host });
    client.on('error', () => undefined);
    const [socket] = (await once(server, 'connection')) as [net.Socket];
    const [hello] = (await once(socket, 'data')) as [Buffer];
    client.destroy();
    socket.destroy();
    server.close();
    return hello;
  }

  test('instead of TLS', () => check(fc.uint8Array({ maxLength: 2_000 }), overTcp));

  test('in a ClientHello', async () => {
    const hello = await clientHello();
    await check(changes, (some) => overTcp(changed(hello, some)));
  });

  test('instead of HTTP', async () => {
    const credentials = await credentialsOf(device);
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 2_000 }),
      fc.string({ unit: fc.constantFrom(...'GET /:\r\n 01.a') }).map((text) => Buffer.from(text)),
    );
    await check(bytes, async (some) => checkReplies(await overTls(some, credentials)));
  });

  test('in requests', async () => {
    const body = JSON.stringify({ primary_ecu_serial: 'p', ecus: [] });
    const requests = [
      `GET /device HTTP/1.1\r\nHost: ${host}\r\nAccept: */*\r\n\r\n`,
      `POST /director/ecus HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      `PUT /core/installed HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\n[]\r\n0\r\nX: y\r\n\r\n`,
      `GET /device HTTP/1.1\r\nHost: ${host}\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nCONNECT /device HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    ];
    const credentials = await credentialsOf(device);
    await check(fc.tuple(fc.constantFrom(...requests), changes), async ([request, some]) => {
      checkReplies(await overTls(changed(Buffer.from(`${request}${request}`), some), credentials));
    });
  });

  test('in JSON', async () => {
    const wish = fc.record({ deviceId: fc.anything(), ttl: fc.anything() }, { requiredKeys: [] });
    const ecu = fc.record(
      { ecu_serial: fc.anything(), hardware_identifier: fc.anything(), clientKey: fc.anything() },
      { requiredKeys: [] },
    );
    const ecus = fc.record(
      { primary_ecu_serial: fc.anything(), ecus: fc.oneof(fc.anything(), fc.array(ecu)) },
      { requiredKeys: [] },
    );
    const json = (value: unknown): string => {
      try {
        return JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? `${inner}` : inner)) ?? '';
      } catch {
        return '[';
      }
    };
    const any = fc.oneof(fc.anything(), wish, ecus);
    const nested = fc.integer({ min: 1, max: 30_000 }).map((depth) => '['.repeat(depth));
    for (const [caller, method, path] of [
      [provisioner, 'POST', '/devices'],
      [device, 'POST', '/director/ecus'],
      [device, 'PUT', '/system_info'],
    ] as const) {
      const credentials = await credentialsOf(caller);
      await check(fc.oneof(any.map(json), fc.json(), nested, fc.string()), async (text) => {
        const body = Buffer.from(text);
        const head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
        checkReplies(await overTls(Buffer.concat([Buffer.from(head), body]), credentials));
      });
    }
  });

  test('in TOML', async () => {
    const credentials = await credentialsOf(device);
    const config =
      '[p11]\npass = "1"\nx = [1, {a = 1979-05-27T07:32:00Z}]\n[[a.b]]\nc = """\n\\u00e4"""\nd = 0x1f\ne = -inf\n';
    const deep = fc
      .integer({ min: 1, max: 20_000 })
      .chain((depth) =>
        fc.constantFrom(
          `a = ${'['.repeat(depth)}`,
          `a${'.a'.repeat(depth)} = 1`,
          `[${'a.'.repeat(depth)}a]`,
          `a = ${'{a='.repeat(depth)}`,
        ),
      );
    const changedConfig = changes.map((some) => changed(Buffer.from(config), some));
    await check(
      fc.oneof(
        changedConfig,
        deep.map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 300 }),
      ),
      async (some) => {
        const head = `POST /system_info/config HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Type: application/toml\r\nContent-Length: ${some.length}\r\n\r\n`;
        checkReplies(await overTls(Buffer.concat([Buffer.from(head), some]), credentials));
      },
    );
  });

  test('in certificates', async () => {
    const { cert, key } = await credentialsOf(device);
    const [certificate] = parseCertificates(cert);
    const request = Buffer.from(`GET /device HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    await check(changes, async (some) => {
      const der = changed(certificate!.der, some);
      const heard = await overTls(request, { cert: certificateToPem(der), key });
      checkReplies(heard);
      assert.ok(
        !heard.startsWith('HTTP/1.1 200') || der.equals(certificate!.der) || sameContent(der, certificate!.tbs),
        'a changed certificate got in',
      );
    });
  });

  /** Changes outside of what is signed: in the signature, where another form of it may verify. */
  const sameContent = (der: Buffer, tbs: Buffer): boolean => der.includes(tbs);
});
