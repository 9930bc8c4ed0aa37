// What the line's service makes of hostile requests and crowds: each has its sentence, and the line goes on.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import { type Answer, addStation, call, type Client, deviceRequest } from '../support/factory-service.ts';
import { FactoryProcess, openService, openWindow, readAnswer } from '../support/factory-service.ts';
import { eventually } from '../support/eventually.ts';
import { factoryCli, startLine, type TestLine } from '../support/factory.ts';
import { execute, succeed } from '../support/process.ts';

const est = '/.well-known/est/simpleenroll';

/** The beginning of a request's header, as an EST client has it. */
const head = `POST ${est} HTTP/1.1\r\nHost: x\r\nContent-Type: application/pkcs10\r\n`;

/** What a TLS client of Node's needs to be a station. */
async function credentials(line: TestLine, { station }: Client) {
  const [cert, key, ca] = await Promise.all(
    [join(station!, 'station.crt'), join(station!, 'station.key'), join(line.dir, 'station-ca.crt')].map((file) =>
      readFile(file),
    ),
  );
  return { cert, key, ca } as { cert: Buffer; key: Buffer; ca: Buffer };
}

/** Connects as a station and sends octets as they are; gives all that comes back until the connection ends. */
async function exchange(
  url: string,
  options: tls.ConnectionOptions,
  octets: readonly (string | Uint8Array)[],
): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = tls.connect({ host: hostname, port: Number(port), ...options });
  await once(socket, 'secureConnect');
  let heard = '';
  socket.on('data', (part: Buffer) => (heard += part.toString('latin1')));
  socket.on('error', () => undefined);
  for (const part of octets) socket.write(part);
  await once(socket, 'close');
  return heard;
}

test('hostile bodies are refused with a sentence, whoever sends them', async (t) => {
  await using line = await startLine();
  await using running = await openService(line);
  const { factory, url } = running;
  const station = await addStation(line, factory, 'bench-1');
  await openWindow(factory, 'order-1');
  const shown = await credentials(line, station);
  const { request } = await deviceRequest(line, 'dev-1');
  const other = await deviceRequest(line, 'dev-2');
  const pem = await readFile(request, 'utf8');
  const second = await readFile(other.request, 'utf8');
  const key = await readFile(other.key, 'utf8');
  const der = Buffer.from(pem.replace(/-----.*-----|\s/g, ''), 'base64');

  const bodies: [string, string | Buffer, number, RegExp][] = [
    ['nothing', '', 400, /^There is no request: nothing was sent\.$/],
    ['no base64', 'MIIB!!!!', 400, /neither DER nor PEM nor base64/],
    ['base64 cut', der.toString('base64').slice(0, -7), 400, /cut, or padded wrongly/],
    ['DER cut', der.subarray(0, -7), 400, /malformed/],
    ['two requests as PEM', pem + second, 400, /more than one request/],
    ['two requests as DER', Buffer.concat([der, der]), 400, /more than one request/],
    ['two requests as base64', `${der.toString('base64')}\n${der.toString('base64')}`, 400, /more than one request/],
    ['its private key with it', pem + key, 400, /private key/],
    ['a certificate', await readFile(line.rootFile), 400, /certificate|CERTIFICATE/],
    ['armour without an end', pem.slice(0, -30), 400, /not base64 between BEGIN and END/],
    ['a forged signature', Buffer.concat([der.subarray(0, -1), Buffer.from([der.at(-1)! ^ 1])]), 400, /signature/],
    ['more than 128 KiB', 'A'.repeat(128 * 1024 + 1), 413, /larger than the 128 KiB/],
    ['1 MiB', Buffer.alloc(1024 * 1024), 413, /larger than the 128 KiB/],
  ];
  for (const [what, body, status, sentence] of bodies) {
    await t.test(what, async () => {
      for (const chunked of [[], ['-H', 'Transfer-Encoding: chunked']]) {
        const words = ['-H', 'Content-Type: application/pkcs10', '-H', 'Expect:', ...chunked, '--data-binary', '@-'];
        const plain = await call(line, url + est, station, words, body);
        assert.equal(plain.status, status, plain.body);
        assert.match(plain.body.slice(0, -1), sentence);
        assert.match(plain.body, /^[^\n]+\.\n$/);
        const json = await call(line, `${url}/sign`, station, words, body);
        assert.equal(json.status, status);
        assert.match((JSON.parse(json.body) as { description: string }).description, sentence);
      }
    });
  }

  await t.test('64 KiB of extensions', async () => {
    const many = `subjectAltName=${Array.from({ length: 4_000 }, (_, n) => `DNS:device-${n}.example`).join(',')}`;
    const big = await deviceRequest(line, 'dev-big', { more: ['-addext', many] });
    const answer = await call(line, url + est, station, ['--data-binary', `@${big.request}`]);
    assert.equal(answer.status, 400);
    assert.equal(answer.body, 'The request is larger than 64 KiB.\n');
  });
  await t.test('extensions that are asked for are not what is given', async () => {
    const wishes = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'subjectAltName=DNS:evil.example'];
    const wishing = await deviceRequest(line, 'dev-wishing', { more: wishes });
    const answer = await call(line, `${url}/sign`, station, ['--data-binary', `@${wishing.request}`]);
    assert.equal(answer.status, 200, answer.body);
    const printed = await succeed('openssl', ['x509', '-noout', '-text'], { input: answer.body });
    assert.doesNotMatch(printed, /CA:TRUE|evil/);
  });

  await t.test('a header that is too large', async () => {
    const heard = readAnswer(await exchange(url, shown, [`${head}X: ${'x'.repeat(20_000)}\r\n\r\n`]));
    assert.equal(heard.status, 431);
  });
  await t.test('two lengths, and what is no HTTP', async () => {
    for (const octets of [
      `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `${head}Content-Length: 4\r\nContent-Length: 5\r\n\r\nMIIBx`,
      `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
      'nonsense\r\n\r\n',
    ]) {
      const heard = readAnswer(await exchange(url, shown, [octets]));
      assert.equal(heard.status, 400, octets);
    }
  });
  await t.test('requests in one go are answered in their order', async () => {
    const asked = (device: string, more = '') =>
      `POST /sign HTTP/1.1\r\nHost: x\r\n${more}Content-Length: ${Buffer.byteLength(device)}\r\n\r\n${device}`;
    const heard = await exchange(url, shown, [asked(pem) + asked('x') + asked(second, 'Connection: close\r\n')]);
    assert.deepEqual(heard.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 400', 'HTTP/1.1 200']);
  });
  await t.test('more requests in one go than anybody needs', async () => {
    const heard = await exchange(url, shown, ['GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(150)]);
    assert.ok((heard.match(/HTTP\/1\.1 200/g) ?? []).length < 150);
  });
  await t.test('paths and methods that there are not', async () => {
    const sentences: [string, string[], number, RegExp][] = [
      ['/.well-known/est/serverkeygen', ['-d', 'x'], 404, /makes no keys/],
      ['/.well-known/est/order-1/fullcmc', ['-d', 'x'], 404, /takes no CMC/],
      ['/.well-known/est/order-1/nothing', [], 404, /^There is no such path\.$/],
      ['/.well-known/est', [], 404, /^There is no such path\.$/],
      ['/.well-known/est/simpleenroll', [], 405, /^This path takes POST alone\.$/],
      ['/.well-known/est/cacerts', ['-d', 'x'], 405, /^This path takes GET alone\.$/],
      ['/.well-known/est/%zz/cacerts', [], 400, /percent-encoded/],
      [`/.well-known/est/${'x'.repeat(2_000)}/cacerts`, [], 400, /too long/],
    ];
    for (const [path, words, status, sentence] of sentences) {
      const answer = await call(line, url + path, station, words);
      assert.equal(answer.status, status, path);
      assert.match(answer.body.slice(0, -1), sentence);
    }
    const json = await call(line, `${url}/sign`, station, ['-X', 'PUT', '-d', 'x']);
    assert.equal(json.status, 405);
    assert.equal(json.headers['allow'], 'POST');
    assert.equal((JSON.parse(json.body) as { code: string }).code, 'method_not_allowed');
  });
  await t.test('any octets', async () => {
    const agent = new https.Agent({ keepAlive: true, ...shown });
    const post = async (path: string, body: Uint8Array): Promise<Pick<Answer, 'status' | 'body'>> => {
      const sent = https.request(url + path, { method: 'POST', agent });
      sent.end(body);
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      let text = '';
      for await (const part of response.setEncoding('utf8')) text += part as string;
      return { status: response.statusCode ?? 0, body: text };
    };
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.string({ unit: 'grapheme', maxLength: 100 }).map((text) => Buffer.from(text)),
      fc.base64String({ maxLength: 300 }).map((text) => Buffer.from(text)),
      fc.tuple(fc.nat(der.length - 1), fc.nat(255)).map(([at, by]) => {
        const bent = Buffer.from(der);
        bent[at]! ^= by;
        return bent;
      }),
      fc.tuple(fc.nat(pem.length), fc.nat(pem.length)).map(([a, b]) => Buffer.from(pem.slice(a) + pem.slice(0, b))),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(est, '/sign', '/.well-known/est/x/simpleenroll'), octets, async (path, body) => {
        const answer = await post(path, body);
        // The request itself may be among them.
        if (answer.status === 200) return;
        assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.body}`);
        const sentence =
          path === '/sign' ? (JSON.parse(answer.body) as { description: string }).description : answer.body;
        assert.match(sentence, /^[^\n]+\.\n?$/);
      }),
      { numRuns: 300 },
    );
    agent.destroy();
  });
});

test('what never ends is ended', async (t) => {
  await using line = await startLine();
  const waiting = async (limits: { requestTimeout: number; headersTimeout: number }, name: string) => {
    const running = await openService(line, { limits });
    return { running, shown: await credentials(line, await addStation(line, running.factory, name)) };
  };
  await t.test('chunks that never end', async () => {
    // Long enough for the header on a machine that stalls: what is late is the body.
    const { running, shown } = await waiting({ requestTimeout: 9_000, headersTimeout: 8_000 }, 'bench-1');
    await using service = running;
    const { url } = service;
    const heard = readAnswer(
      await exchange(url, shown, [`${head}Transfer-Encoding: chunked\r\n\r\n`, '4\r\nMIIB\r\n']),
    );
    assert.equal(heard.status, 408);
    assert.equal(heard.headers['content-type'], 'text/plain; charset=utf-8');
    assert.equal(heard.body, 'The request took too long to arrive.\n');
  });
  await t.test('a header that never ends', async () => {
    const { running, shown } = await waiting({ requestTimeout: 2_000, headersTimeout: 1_000 }, 'bench-2');
    await using service = running;
    const { url } = service;
    const heard = readAnswer(await exchange(url, shown, ['POST /sign HTTP/1.1\r\nHost: x\r\n']));
    assert.equal(heard.status, 408);
    assert.equal((JSON.parse(heard.body) as { code: string }).code, 'request_timeout');
  });
});

test('the handshake is TLS 1.2 or 1.3, by X25519, P-256 or P-384, and asks for a certificate of any CA', async (t) => {
  await using line = await startLine();
  await using running = await openService(line);
  const { hostname, port } = new URL(running.url);
  const handshake = (...words: string[]) =>
    execute('openssl', [
      ...['s_client', '-connect', `${hostname}:${port}`, '-CAfile', join(line.dir, 'station-ca.crt')],
      ...['-verify_return_error', '-verify_ip', hostname, ...words],
    ]);
  for (const version of ['-tls1_2', '-tls1_3']) {
    // In TLS 1.2 the certificate's curve has to be among the client's, too (RFC 8422 §5.1).
    const groups = version === '-tls1_2' ? ['X25519:P-256', 'P-256'] : ['X25519', 'P-256', 'P-384'];
    for (const group of groups) {
      await t.test(`${version} ${group}`, async () => {
        const { code, stdout } = await handshake(version, '-groups', group);
        assert.equal(code, 0, stdout);
        const key = { 'X25519:P-256': 'X25519', X25519: 'X25519', 'P-256': 'prime256v1', 'P-384': 'secp384r1' }[group];
        assert.match(stdout, new RegExp(`Server Temp Key: .*${key}`));
        assert.match(stdout, /Verify return code: 0/);
        assert.match(stdout, /No client certificate CA names sent/);
      });
    }
    await t.test(`${version} P-521 alone is refused`, async () => {
      assert.notEqual((await handshake(version, '-groups', 'P-521')).code, 0);
    });
    await t.test(`${version} gives nothing to resume by`, async () => {
      const file = line.file(`${version}.session`);
      await handshake(version, '-sess_out', file);
      const { stdout } = await handshake(version, '-sess_in', file);
      assert.doesNotMatch(stdout, /Reused, TLS/);
    });
  }
  await t.test('TLS 1.1 is refused', async () => {
    assert.notEqual((await handshake('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0')).code, 0);
  });
  await t.test('the certificate names this machine', async () => {
    const { stdout } = await handshake('-showcerts');
    const text = await succeed('openssl', ['x509', '-noout', '-text'], { input: stdout });
    assert.match(text, /DNS:localhost/);
    assert.match(text, /IP Address:127\.0\.0\.1, IP Address:0:0:0:0:0:0:0:1/);
    assert.match(text, /TLS Web Server Authentication/);
  });
});

test('of 100 at once that a quota of 10 is for, 10 are made', async () => {
  await using line = await startLine();
  await using running = await openService(line);
  const { factory, url } = running;
  const station = await addStation(line, factory, 'bench-1');
  await openWindow(factory, 'order-1', 10);
  const devices = Array.from({ length: 100 }, (_, index) => `dev-${index}`);
  const make = 'openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null';
  const script = `for device in ${devices.join(' ')}; do ${make} -subj /CN=$device -out $device.csr 2>&-; done`;
  await succeed('sh', ['-ec', script], { cwd: line.file('.') });
  const config = devices.map((device) =>
    [
      `url = ${url}/sign`,
      `data-binary = "@${line.file(`${device}.csr`)}"`,
      `cert = ${station.station}/station.crt`,
      `key = ${station.station}/station.key`,
      `cacert = ${line.dir}/station-ca.crt`,
      `output = ${line.file(`${device}.out`)}`,
      'no-keepalive',
      `write-out = "%{http_code} %header{fleetroot-warning}\\n"`,
    ].join('\n'),
  );
  const answers = await succeed(
    'curl',
    ['-sS', '--parallel', '--parallel-immediate', '--parallel-max', '100', '-K', '-'],
    {
      input: config.join('\nnext\n'),
    },
  );
  const lines = answers.trim().split('\n');
  assert.equal(lines.length, 100);
  const issued = lines.filter((answer) => answer.startsWith('200'));
  assert.equal(issued.length, 10);
  assert.equal(lines.filter((answer) => answer.startsWith('403')).length, 90);
  const warned = issued.filter((answer) => /\d+ of the 10 devices of the window are made\./.test(answer));
  assert.ok(warned.length >= 3, 'those that found 8 or more made, or being made');
  const [window] = await factory.records.read.selectFrom('windows').select(['used', 'quota']).execute();
  assert.deepEqual(window, { used: 10, quota: 10 });
  const certificates = await factory.records.read.selectFrom('certificates').select('state').execute();
  assert.deepEqual(
    certificates,
    Array.from({ length: 10 }, () => ({ state: 'made' })),
  );
});

test('a crowd of idle connections from one address does not stop the line', async () => {
  await using line = await startLine();
  const strangers = { all: 40, fromOneAddress: 20, share: 5 };
  await using running = await openService(line, { limits: { strangers, handshakeTimeout: 3_600_000 } });
  const { factory, url } = running;
  const station = await addStation(line, factory, 'bench-1');
  await openWindow(factory, 'order-1');
  const { request } = await deviceRequest(line, 'dev-1');
  const { hostname, port } = new URL(url);
  const crowd: net.Socket[] = [];
  for (let count = 0; count < 60; count += 1) {
    const socket = net.connect({ host: hostname, port: Number(port) }).on('error', () => undefined);
    crowd.push(socket.resume());
  }
  await eventually(() => crowd.filter((socket) => socket.closed).length >= 40);
  const answer = await call(line, `${url}/sign`, station, ['--data-binary', `@${request}`]);
  assert.equal(answer.status, 200, answer.body);
  for (const socket of crowd) socket.destroy();
});

test('a crowd from many addresses ends none of an address that has its share alone', async () => {
  await using line = await startLine();
  const strangers = { all: 30, fromOneAddress: 20, share: 5 };
  await using running = await openService(line, { limits: { strangers, handshakeTimeout: 3_600_000 } });
  const { hostname, port } = new URL(running.url);
  const idle = async (localAddress: string): Promise<net.Socket> => {
    const socket = net.connect({ host: hostname, port: Number(port), localAddress }).on('error', () => undefined);
    await once(socket.resume(), 'connect');
    return socket;
  };
  const few: net.Socket[] = [];
  for (let count = 0; count < 5; count += 1) few.push(await idle('127.0.0.2'));
  const crowd: net.Socket[] = [];
  for (const address of ['127.0.0.3', '127.0.0.4', '127.0.0.5']) {
    for (let count = 0; count < 20; count += 1) crowd.push(await idle(address));
  }
  await eventually(() => crowd.filter((socket) => socket.closed).length >= 35);
  assert.deepEqual(new Set(few.map((socket) => socket.closed)), new Set([false]));
  for (const socket of [...few, ...crowd]) socket.destroy();
});

test('what is being answered when the end comes is answered', async () => {
  await using line = await startLine();
  await using service = await FactoryProcess.start(line.dir);
  const added = await factoryCli(line.dir, ['station', 'add', 'bench-1', '-o', line.file('bench-1')]);
  assert.equal(added.code, 0, added.stderr);
  const shown = await credentials(line, { station: line.file('bench-1') });
  const { hostname, port } = new URL(service.url);
  const idle = tls.connect({ host: hostname, port: Number(port), ...shown }).on('error', () => undefined);
  await once(idle, 'secureConnect');
  const asking = tls.connect({ host: hostname, port: Number(port), ...shown });
  await once(asking, 'secureConnect');
  let heard = '';
  asking.on('data', (part: Buffer) => (heard += part.toString('utf8')));
  asking.write('POST /sign HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n');
  await eventually(() => heard.includes('100 Continue'));
  const idleEnded = once(idle.resume(), 'close');
  const answered = once(asking, 'close');
  const ended = service.stop();
  await idleEnded;
  asking.write('x');
  await answered;
  assert.match(heard, /HTTP\/1\.1 400 /, 'the reply came');
  assert.equal(await ended, 0);
});

test('what cannot be recorded is 503, and later the same request is answered', async () => {
  await using line = await startLine();
  await using service = await FactoryProcess.start(line.dir);
  const added = await factoryCli(line.dir, ['station', 'add', 'bench-1', '-o', line.file('bench-1')]);
  assert.equal(added.code, 0, added.stderr);
  await line.at('addOrder', { name: 'order-1', batch: null, proof: 'station', devices: null });
  const asked = { order: 'order-1', quota: 1, lasts: '8h', station: null, batch: null, proof: null } as const;
  await line.at('openWindow', asked);
  const { request } = await deviceRequest(line, 'dev-1');
  const ask = (path: string) =>
    call(line, service.url + path, { station: line.file('bench-1') }, ['--data-binary', `@${request}`]);
  // No file of this process may grow beyond an octet: as a full disk, and a machine can have one of these at will.
  const pid = String(service.child.pid);
  await succeed('prlimit', ['--pid', pid, '--fsize=1:unlimited']);
  for (const path of ['/sign', est]) {
    const refused = await ask(path);
    assert.equal(refused.status, 503, refused.body);
    assert.equal(refused.headers['retry-after'], '5');
    assert.doesNotMatch(refused.body, /BEGIN CERTIFICATE/);
  }
  await succeed('prlimit', ['--pid', pid, '--fsize=unlimited:unlimited']);
  const answer = await ask('/sign');
  assert.equal(answer.status, 200, `the quota of one is left: ${answer.body}`);
});

test('a line that cannot sign yet does not serve', async () => {
  await using line = await startLine();
  const empty = line.file('empty');
  const refused = await factoryCli(empty, ['serve', '--port', '0']);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /This line has no CA yet/);
});
