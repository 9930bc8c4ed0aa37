// The operators' port: TLS with a certificate that is made or given, plain HTTP on loopback alone, and strict headers.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, readFile, stat, utimes } from 'node:fs/promises';
import net from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { Strangers } from '../../src/operator/strangers.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { Openssl } from '../support/openssl.ts';
import { execute } from '../support/process.ts';
import { needs } from '../support/require.ts';

const day = 24 * 60 * 60 * 1000;
const programs = { skip: needs('openssl', 'curl') };

interface Reply {
  /** How curl ended: 0, 60 for a certificate that it does not trust, … */
  readonly code: number | null;
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

async function curl(...args: string[]): Promise<Reply> {
  const { code, stdout } = await execute('curl', ['--silent', '--include', '--max-time', '20', ...args]);
  const [head = '', ...body] = stdout.split('\r\n\r\n');
  const [line = '', ...fields] = head.split('\r\n');
  const headers = fields.map((field): [string, string] => {
    const at = field.indexOf(':');
    return [field.slice(0, at).toLowerCase(), field.slice(at + 1).trim()];
  });
  return { code, status: Number(line.split(' ')[1]), headers: new Map(headers), body: body.join('\r\n\r\n') };
}

/** The certificate that the operators' port shows to the next who come. */
async function shownBy({ server: { operatorPort } }: Fleetroot): Promise<X509Certificate> {
  const socket = connectTls({ port: operatorPort, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return new X509Certificate(raw);
}

describe('the certificate that the server makes', programs, () => {
  let fleetroot: Fleetroot;
  let ca: string;
  let now = Date.now();
  const at = (host: string): string => `https://${host}:${fleetroot.server.operatorPort}`;

  before(async () => {
    fleetroot = await Fleetroot.start({
      clock: () => now,
      options: { 'operator.hosts': ['fleet.example', '192.0.2.7'] },
    });
    ca = fleetroot.file('operator-ca.crt');
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  test('is trusted by whoever trusts operator-ca.crt, under each name of the server, and by nobody else', async () => {
    for (const host of ['localhost', '127.0.0.1', 'fleet.example', hostname()]) {
      const { operatorPort } = fleetroot.server;
      const to = ['--connect-to', `${host}:${operatorPort}:127.0.0.1:${operatorPort}`];
      const { code, status, body } = await curl('--cacert', ca, ...to, `${at(host)}/healthz`);
      assert.deepEqual([code, status, body], [0, 200, '{"status":"ok"}'], host);
    }
    assert.equal((await curl(`${at('localhost')}/healthz`)).code, 60);
    const elsewhere = ['--connect-to', `::127.0.0.1:${fleetroot.server.operatorPort}`];
    assert.equal((await curl('--cacert', ca, ...elsewhere, `${at('other.example')}/healthz`)).code, 60);
  });

  test('has the names of the server, for TLS servers alone, under a CA of that purpose, which anybody may read', async () => {
    const shown = await shownBy(fleetroot);
    assert.match(shown.subjectAltName!, /^DNS:localhost, IP Address:127\.0\.0\.1, IP Address:0:0:0:0:0:0:0:1, /);
    for (const name of ['DNS:fleet.example', 'IP Address:192.0.2.7']) assert.ok(shown.subjectAltName!.includes(name));
    assert.deepEqual(shown.keyUsage, ['1.3.6.1.5.5.7.3.1']);
    const own = new X509Certificate(await readFile(ca));
    assert.match(own.subject, /^O=Fleetroot\nCN=Fleetroot operator CA [0-9a-f-]{36}$/);
    assert.ok(own.ca && own.verify(own.publicKey) && shown.verify(own.publicKey));
    assert.equal((await stat(ca)).mode & 0o777, 0o644);
    using openssl = new Openssl();
    await copyFile(ca, `${openssl.directory}/ca.crt`);
    const { operatorPort } = fleetroot.server;
    const { stdout } = await execute('openssl', [
      's_client',
      ...['-connect', `127.0.0.1:${operatorPort}`, '-CAfile', ca, '-verify_return_error'],
      ...['-verify_hostname', 'localhost', '-purpose', 'sslserver'],
    ]);
    assert.match(stdout, /Verify return code: 0 \(ok\)/);
  });

  test("is that CA's, whose key is in custody; no account has it", async () => {
    const keys = await fleetroot.json('custody', 'list');
    const [key] = keys.filter(({ purpose }: { purpose: string }) => purpose === 'operator-ca');
    assert.deepEqual(
      [key.account, key.account_name, key.custodian, key.state, key.used_by.kind],
      ['', null, 'software', 'held', 'operator_ca'],
    );
    assert.equal((await fleetroot.json('custody', 'check')).ok, true);
  });

  test('stays over a restart and the rotation of the master key that its own key is sealed under', async () => {
    const before = await shownBy(fleetroot);
    const { code, stderr } = await fleetroot.command('custody', 'rotate-master', '--yes');
    assert.equal(code, 0, stderr);
    await fleetroot.restart();
    assert.equal((await shownBy(fleetroot)).fingerprint256, before.fingerprint256);
  });

  test('is renewed by itself before it ends, under the same CA', async () => {
    const before = await shownBy(fleetroot);
    now += 59 * day;
    await fleetroot.renew();
    assert.equal((await shownBy(fleetroot)).fingerprint256, before.fingerprint256);
    now += 2 * day;
    await fleetroot.renew();
    const renewed = await shownBy(fleetroot);
    assert.notEqual(renewed.fingerprint256, before.fingerprint256);
    assert.ok(Date.parse(renewed.validTo) > Date.parse(before.validTo));
    assert.ok(renewed.verify(new X509Certificate(await readFile(ca)).publicKey));
  });

  test('is refused to TLS 1.1', async () => {
    const { operatorPort } = fleetroot.server;
    const speak = (...version: string[]) =>
      execute('openssl', ['s_client', '-connect', `127.0.0.1:${operatorPort}`, ...version]);
    assert.match((await speak('-tls1_3')).stdout, /New, TLSv1\.3/);
    assert.match((await speak('-tls1_2')).stdout, /New, TLSv1\.2/);
    assert.doesNotMatch((await speak('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0')).stdout, /New, TLSv1/);
  });
});

test('other hosts in the configuration have another certificate made, of the same CA', programs, async () => {
  await using fleetroot = await Fleetroot.start();
  const before = await shownBy(fleetroot);
  const caBefore = await readFile(fleetroot.file('operator-ca.crt'), 'utf8');
  await fleetroot.restart(async () => {
    await execute('sh', ['-c', `printf '[operator]\\nhosts = "new.example"\\n' > ${fleetroot.file('fleetroot.toml')}`]);
  });
  const shown = await shownBy(fleetroot);
  assert.ok(!before.subjectAltName!.includes('new.example') && shown.subjectAltName!.includes('DNS:new.example'));
  assert.equal(await readFile(fleetroot.file('operator-ca.crt'), 'utf8'), caBefore);
});

describe('a certificate that is given', programs, () => {
  const openssl = new Openssl();
  after(() => openssl[Symbol.dispose]());
  const make = (name: string): string =>
    openssl.run(
      `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=${name} \\
        -addext subjectAltName=DNS:localhost -keyout ${name}.key -out ${name}.crt 2>/dev/null`,
    );

  test('is shown, and read again when both files have been replaced; what is no pair changes nothing', async () => {
    using files = new Openssl();
    const place = (file: string): string => `${files.directory}/${file}`;
    const put = async (name: string, ...endings: string[]): Promise<void> => {
      for (const ending of endings) await copyFile(openssl.directory + `/${name}.${ending}`, place(`server.${ending}`));
    };
    make('first');
    make('second');
    await put('first', 'crt', 'key');
    await using fleetroot = await Fleetroot.start({
      options: { 'operator.certificate_file': place('server.crt'), 'operator.key_file': place('server.key') },
    });
    const subject = async (): Promise<string> => (await shownBy(fleetroot)).subject;
    assert.equal(await subject(), 'CN=first');
    await assert.rejects(stat(fleetroot.file('operator-ca.crt')), { code: 'ENOENT' });
    const url = `https://localhost:${fleetroot.server.operatorPort}/healthz`;
    assert.equal((await curl('--cacert', place('server.crt'), url)).status, 200);

    await put('second', 'crt');
    // Looked at by now, whenever that was last: a second has passed since.
    await fleetroot.renew();
    assert.equal(await subject(), 'CN=first');
    await put('second', 'key');
    assert.ok(await eventually(async () => (await subject()) === 'CN=second'));
    await utimes(place('server.crt'), new Date(), new Date());
    await fleetroot.renew();
    assert.equal(await subject(), 'CN=second');
  });

  test('has the start refused where it is no pair, or half of one', async () => {
    make('third');
    make('fourth');
    const file = (name: string): string => `${openssl.directory}/${name}`;
    const faults: [certificate: string, key: string | null, RegExp][] = [
      ['third.crt', 'fourth.key', /the key is not that of the certificate \(.*third\.crt, .*fourth/],
      ['third.crt', 'none.key', /ENOENT.*none\.key/],
      ['third.key', 'third.key', /The operators' certificate cannot be used/],
      ['third.crt', null, /operator\.certificate_file and operator\.key_file are given together/],
    ];
    for (const [certificate, key, message] of faults) {
      const options = {
        'operator.certificate_file': file(certificate),
        ...(key !== null && { 'operator.key_file': file(key) }),
      };
      await assert.rejects(Fleetroot.start({ options }), { code: 'invalid_request', message });
    }
  });
});

describe('plain HTTP', programs, () => {
  let fleetroot: Fleetroot;
  const afar = Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === 'IPv4' && !each.internal)?.address;

  before(async () => {
    fleetroot = await Fleetroot.start({
      options: { 'operator.address': '0.0.0.0', 'operator.hosts': ['fleet.example', ...(afar ? [afar] : [])] },
    });
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  test('is spoken on loopback, to a host that is known: no page of another name reaches the API that way', async () => {
    const origin = `http://127.0.0.1:${fleetroot.server.operatorPort}`;
    for (const host of [
      '127.0.0.1',
      'localhost',
      'localhost:1234',
      '[::1]:80',
      'fleet.example',
      'FLEET.example:8080',
    ]) {
      assert.equal((await curl('-H', `Host: ${host}`, `${origin}/healthz`)).status, 200, host);
    }
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '192.0.2.9', '[', '']) {
      for (const path of ['/healthz', '/api/v1/accounts', '/api/v1/openapi.json', '/none']) {
        const { status, body } = await curl('-H', `Host: ${host || ' '}`, origin + path);
        assert.deepEqual([status, JSON.parse(body).code], [400, 'invalid_request'], `${host} ${path}`);
      }
    }
  });

  test(
    'from elsewhere is answered once, with what to do; HTTPS is spoken there',
    { skip: afar === undefined },
    async () => {
      const { operatorPort } = fleetroot.server;
      const { status, headers, body } = await curl(`http://${afar}:${operatorPort}/healthz`);
      assert.equal(status, 400);
      assert.equal(headers.get('content-type'), 'application/problem+json; charset=utf-8');
      assert.equal(headers.get('connection'), 'close');
      assert.match(JSON.parse(body).hint, /Speak HTTPS/);
      const ca = fleetroot.file('operator-ca.crt');
      assert.equal((await curl('--cacert', ca, `https://${afar}:${operatorPort}/healthz`)).status, 200);
    },
  );
});

describe('the headers', programs, () => {
  let fleetroot: Fleetroot;
  before(async () => {
    fleetroot = await Fleetroot.start();
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  const strict: Record<string, RegExp> = {
    'content-security-policy': /^default-src 'none';.*frame-ancestors 'none'/,
    'x-content-type-options': /^nosniff$/,
    'x-frame-options': /^DENY$/,
    'referrer-policy': /^no-referrer$/,
    'cross-origin-opener-policy': /^same-origin$/,
    'cross-origin-resource-policy': /^same-origin$/,
    'cache-control': /^no-store$/,
  };

  test('are strict on every reply, and by TLS the browser is told to stay with it', async () => {
    const { operatorPort } = fleetroot.server;
    const calls = ['/healthz', '/api/v1/accounts', '/api/v1/openapi.json', '/api/v1/docs', '/none'];
    for (const path of calls) {
      const secure = await curl(
        '--cacert',
        fleetroot.file('operator-ca.crt'),
        `https://127.0.0.1:${operatorPort}${path}`,
      );
      const plain = await curl(`http://127.0.0.1:${operatorPort}${path}`);
      for (const { headers } of [secure, plain]) {
        for (const [name, value] of Object.entries(strict))
          assert.match(headers.get(name) ?? '', value, `${path} ${name}`);
        assert.ok(![...headers.keys()].some((name) => /^access-control-|^server$|^x-powered-by$/.test(name)), path);
      }
      assert.equal(secure.headers.get('strict-transport-security'), 'max-age=31536000', path);
      assert.equal(plain.headers.get('strict-transport-security'), undefined, path);
    }
  });

  test('are there too where no route is reached, for an address that is none', async () => {
    const { status, headers } = await curl(`http://127.0.0.1:${fleetroot.server.operatorPort}/accounts/%ff`);
    assert.equal(status, 400);
    for (const name of ['content-security-policy', 'x-content-type-options', 'cache-control'])
      assert.match(headers.get(name) ?? '', strict[name]!, name);
  });

  test('let no page of another origin in, whatever it asks for', async () => {
    const origin = `http://127.0.0.1:${fleetroot.server.operatorPort}`;
    const asked = ['-H', 'Origin: https://evil.example', '-H', 'Access-Control-Request-Method: POST'];
    for (const method of ['OPTIONS', 'GET', 'POST']) {
      const { status, headers } = await curl('-X', method, ...asked, `${origin}/api/v1/accounts`);
      assert.ok(status >= 400, method);
      assert.ok(![...headers.keys()].some((name) => name.startsWith('access-control-')), method);
    }
  });
});

describe('strangers at the operators’ port', { timeout: 600_000, ...programs }, () => {
  const crowd = process.env['FLEETROOT_TEST_REQUIRE'] === 'all' ? 10_000 : 3_000;
  /** What half-open and slow clients have sent: nothing, the beginning of TLS, that of a request, a body without end. */
  const beginnings = [
    '',
    '\x16\x03\x01\x02\x00',
    'GET /healthz HT',
    'POST /api/v1/accounts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{',
  ];

  test('end, the oldest first, when there are too many; who is somebody is none of them', async () => {
    const strangers = new Strangers(3);
    const accepted: net.Socket[] = [];
    const server = net.createServer((socket) => {
      strangers.add(socket.on('error', () => undefined));
      accepted.push(socket);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as net.AddressInfo;
    const clients: net.Socket[] = [];
    try {
      for (let n = 0; n < 6; n += 1) {
        clients.push(net.connect(port, '127.0.0.1').on('error', () => undefined));
        await eventually(() => accepted.length === n + 1);
        if (n === 0) strangers.remove(accepted[0]!);
      }
      const ended = accepted.map(({ destroyed }) => destroyed);
      assert.deepEqual(ended, [false, true, true, false, false, false]);
      strangers.serve(accepted[3]!);
      strangers[Symbol.dispose]();
      assert.deepEqual(
        accepted.map(({ destroyed }) => destroyed),
        [false, true, true, false, true, true],
      );
    } finally {
      for (const socket of [...clients, ...accepted]) socket.destroy();
      server.close();
    }
  });

  test(`${crowd} who stall keep nobody out, and hold no more than their places`, async () => {
    await using fleetroot = await Fleetroot.start();
    const { operatorPort: port } = fleetroot.server;
    const ca = fleetroot.file('operator-ca.crt');
    const open = new Set<net.Socket>();
    const stall = async (n: number): Promise<void> => {
      const socket = net.connect(port, '127.0.0.1');
      open.add(socket);
      socket.on('error', () => undefined).once('close', () => open.delete(socket));
      await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => undefined);
      if (!socket.destroyed) socket.write(beginnings[n % beginnings.length]!);
    };
    try {
      for (let n = 0; n < crowd; n += 100) {
        await Promise.all(Array.from({ length: 100 }, (_, each) => stall(n + each)));
        if (n % 1_000 > 0) continue;
        const { code, status } = await curl('--cacert', ca, `https://localhost:${port}/healthz`);
        assert.deepEqual([code, status], [0, 200], `after ${n}`);
      }
      await eventually(() => open.size <= 2_048);
      assert.equal((await curl('--cacert', ca, `https://localhost:${port}/healthz`)).status, 200);
      assert.equal((await curl(`http://127.0.0.1:${port}/readyz`)).status, 200);
      assert.equal((await fleetroot.command('account', 'list')).code, 0);
    } finally {
      for (const socket of open) socket.destroy();
    }
  });
});
