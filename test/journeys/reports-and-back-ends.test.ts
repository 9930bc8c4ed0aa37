// What a device tells of itself, and the calls that go on to an account's back ends.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { BackEnd } from '../support/back-end.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Device } from '../support/image.ts';
import { execute, succeed } from '../support/process.ts';

const ecus = JSON.stringify({
  primary_ecu_serial: 'ecu-1',
  ecus: [
    {
      ecu_serial: 'ecu-1',
      hardware_identifier: 'qemux86-64',
      clientKey: { keytype: 'RSA', keyval: { public: 'PEM' } },
    },
  ],
});
const config =
  '[p11]\nmodule = "/usr/lib/softhsm.so"\npass = "1234"\n[provision]\np12_password = "hunter2"\nserver = "https://x"\n';

/** The calls of an aktualizr that starts, in its order. */
const calls = [
  ['POST', '/director/ecus', ecus, 'application/json'],
  ['PUT', '/system_info', '{"id":"machine","class":"system"}', 'application/json'],
  [
    'PUT',
    '/system_info/network',
    '{"local_ipv4":"10.0.2.15","mac":"52:54:00:12:34:56","hostname":"qemu"}',
    'application/json',
  ],
  ['PUT', '/core/installed', '[]', 'application/json'],
  ['POST', '/system_info/config', config, 'application/toml'],
] as const;

describe('what a device tells of itself', () => {
  let fleetroot: Fleetroot;
  let device: Device;
  let uuid: string;

  before(async () => {
    fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    device = await (await fleetroot.image('acme')).boot('device-1');
    uuid = (await device.whoAmI()).json.uuid;
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  for (const slash of ['', '/']) {
    test(`every call of a starting aktualizr succeeds, twice, at paths ending in "${slash}"`, async () => {
      for (const [method, path, body, contentType] of [...calls, ...calls]) {
        const answer = await device.call(path + slash, { method, body, contentType });
        assert.equal(answer.status, 200, `${method} ${path}: ${answer.body}`);
      }
      const { reports } = await fleetroot.json('device', 'show', 'acme', 'device-1');
      const kinds = reports.map((report: { kind: string }) => report.kind).sort();
      assert.deepEqual(kinds, ['config', 'ecus', 'installed', 'network', 'system_info']);
    });
  }

  test('the secrets in a configuration are nowhere in the data directory', async () => {
    await device.call('/system_info/config', { method: 'POST', body: config, contentType: 'application/toml' });
    for (const secret of ['hunter2', '"1234"']) {
      assert.equal((await execute('grep', ['-rlaF', secret, fleetroot.dir])).stdout, '');
    }
  });

  test('a configuration that cannot be parsed is refused, and its words are in no answer', async () => {
    const answer = await device.call('/system_info/config', {
      method: 'POST',
      body: '[p11\npass = "geheim"',
      contentType: 'application/toml',
    });
    assert.equal(answer.status, 400);
    assert.equal(answer.json.code, 'invalid_request');
    assert.ok(!answer.body.includes('geheim'));
  });

  test('a configuration that is nested beyond reason is refused, in whatever way it is written', async () => {
    for (const levels of [1_001, 2_000, 20_000]) {
      const name = 'a'.concat('.a'.repeat(levels - 1));
      for (const body of [`${name} = 1\n`, `[${name}]\nb = 1\n`, `a = ${'['.repeat(levels)}${']'.repeat(levels)}\n`]) {
        const answer = await device.call('/system_info/config', {
          method: 'POST',
          body,
          contentType: 'application/toml',
        });
        assert.deepEqual([answer.status, answer.json.code], [400, 'invalid_request'], `${levels}: ${body.slice(0, 8)}`);
      }
    }
  });

  test('bodies are bounded by their kind, and say of which kind they are', async () => {
    const large = JSON.stringify({ data: 'x'.repeat(1_100_000) });
    assert.equal((await device.call('/system_info', { method: 'PUT', body: large })).status, 413);
    const medium = JSON.stringify({ data: 'x'.repeat(70_000) });
    assert.equal((await device.call('/director/ecus', { method: 'POST', body: medium })).json.code, 'body_too_large');
    assert.equal((await device.call('/system_info', { method: 'PUT', body: medium })).status, 200);
    const typed = await device.call('/system_info', { method: 'PUT', body: '{}', contentType: 'text/html' });
    assert.equal(typed.json.code, 'unsupported_media_type');
    assert.equal(
      (await device.call('/director/ecus', { method: 'POST', body: '{"ecus":[]}' })).json.code,
      'invalid_request',
    );
  });

  test('without a back end, everything else is 404 and what is known by another method is 405', async () => {
    assert.equal((await device.call('/director/targets.json')).json.code, 'not_found');
    const deleted = await device.call('/system_info', { method: 'DELETE' });
    assert.deepEqual([deleted.json.code, deleted.headers.get('allow')], ['method_not_allowed', 'PUT']);
  });

  test('a back end gets the call with the identity of the device, and its answer is the answer', async () => {
    await using backEnd = await BackEnd.open();
    const base = `http://127.0.0.1:${backEnd.port}`;
    await fleetroot.json(
      'upstream',
      'set',
      'acme',
      '/director',
      `${base}/base`,
      '--rewrite',
      '/api/v1/device/{device_uuid}',
    );
    const answer = await device.call('/director/a%20b.json?x=1', {
      curl: [
        '-H',
        'x-ats-device-uuid: other',
        '-H',
        'X_Ats_Namespace: other',
        '-H',
        'Forwarded: for=1.2.3.4',
        '-H',
        'X-Real-IP: 1.2.3.4',
        '-H',
        'Client-Cert: :AAAA:',
        '-H',
        'Connection: X-Secret',
        '-H',
        'X-Secret: 1',
      ],
    });
    assert.equal(answer.status, 200);
    assert.equal(answer.json.from, 'back end');
    assert.equal(answer.headers.get('x-back-end'), 'yes');
    const { url, headers } = backEnd.last;
    assert.equal(url, `/base/api/v1/device/${uuid}/a%20b.json?x=1`);
    assert.equal(headers['x-ats-device-uuid'], uuid);
    assert.equal(headers['x-ats-namespace'], 'acme');
    for (const name of ['x_ats_namespace', 'forwarded', 'x-real-ip', 'x-secret'])
      assert.equal(headers[name], undefined);
    const der = await execute('openssl', ['x509', '-in', device.certificate, '-outform', 'DER']);
    assert.equal(headers['client-cert'], `:${der.bytes.toString('base64')}:`);

    backEnd.answer = (_, response) => {
      response.writeHead(418, { 'content-type': 'text/plain' });
      response.end('ecu_already_registered');
    };
    const recorded = await device.call('/director/ecus', { method: 'POST', body: ecus });
    assert.equal(recorded.status, 418);
    assert.equal(backEnd.last.body.toString(), ecus);
    await fleetroot.json('upstream', 'remove', 'acme', '/director');
    assert.equal((await device.call('/director/ecus', { method: 'POST', body: ecus })).status, 200);
  });

  test('a configuration goes on without its secrets', async () => {
    await using backEnd = await BackEnd.open();
    await fleetroot.json('upstream', 'set', 'acme', '/system_info', `http://127.0.0.1:${backEnd.port}`);
    await device.call('/system_info/config', { method: 'POST', body: config, contentType: 'application/toml' });
    const passed = backEnd.last.body.toString();
    assert.match(passed, /softhsm\.so/);
    assert.ok(!passed.includes('hunter2') && !passed.includes('1234'));
    await fleetroot.json('upstream', 'remove', 'acme', '/system_info');
  });

  test('the longest prefix of whole segments wins', async () => {
    await using short = await BackEnd.open();
    await using long = await BackEnd.open();
    await fleetroot.json('upstream', 'set', 'acme', '/repo', `http://127.0.0.1:${short.port}`);
    await fleetroot.json('upstream', 'set', 'acme', '/repo/targets', `http://127.0.0.1:${long.port}`);
    await device.call('/repo/targets/1');
    await device.call('/repo/targets-old');
    assert.deepEqual(
      [short.asked.map(({ url }) => url), long.asked.map(({ url }) => url)],
      [['/repo/targets-old'], ['/repo/targets/1']],
    );
    assert.equal((await device.call('/repository')).status, 404);
    for (const prefix of ['/repo', '/repo/targets']) await fleetroot.json('upstream', 'remove', 'acme', prefix);
  });

  test('bodies stream both ways, larger than memory would like', async () => {
    await using backEnd = await BackEnd.open();
    backEnd.answer = (_, response) => {
      response.writeHead(200);
      response.end(Buffer.alloc(8_000_000, 'b'));
    };
    await fleetroot.json('upstream', 'set', 'acme', '/treehub', `http://127.0.0.1:${backEnd.port}`);
    const body = Buffer.alloc(8_000_000, 'a');
    const answer = await device.call('/treehub/objects', {
      method: 'POST',
      body,
      contentType: 'application/octet-stream',
    });
    assert.equal(answer.body.length, 8_000_000);
    assert.equal(backEnd.last.body.length, body.length);
    await fleetroot.json('upstream', 'remove', 'acme', '/treehub');
  });

  test("over HTTPS the back end is verified, and shown the account's client certificate", async () => {
    const made = (name: string) => [fleetroot.file(`${name}.key`), fleetroot.file(`${name}.crt`)] as const;
    for (const [name, san] of [
      ['server', 'IP:127.0.0.1'],
      ['gateway', 'DNS:gateway'],
    ] as const) {
      const [key, crt] = made(name);
      const self = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
      await succeed('openssl', [
        ...self,
        '-subj',
        `/CN=${name}`,
        '-addext',
        `subjectAltName=${san}`,
        '-keyout',
        key,
        '-out',
        crt,
      ]);
    }
    const [serverKey, serverCrt] = made('server');
    const [clientKey, clientCrt] = made('gateway');
    await using backEnd = await BackEnd.open({
      key: await readFile(serverKey),
      cert: await readFile(serverCrt),
      ca: await readFile(clientCrt),
      requestCert: true,
      rejectUnauthorized: true,
    });
    const url = `https://127.0.0.1:${backEnd.port}`;
    await fleetroot.json('upstream', 'set', 'acme', '/events', url);
    assert.equal((await device.call('/events', { method: 'POST', body: '[]' })).json.code, 'upstream_unavailable');
    const credentials = ['--ca', serverCrt, '--certificate', clientCrt, '--key', clientKey];
    const shown = await fleetroot.command('upstream', 'set', 'acme', '/events', url, ...credentials, '--json');
    assert.equal(shown.code, 0, shown.stderr);
    assert.ok(!shown.stdout.includes('PRIVATE KEY'));
    assert.equal((await device.call('/events', { method: 'POST', body: '[]' })).status, 200);
    assert.equal(backEnd.last.client, 'CN=gateway');
    await fleetroot.json('upstream', 'remove', 'acme', '/events');
  });

  test('a back end that is away is 502, one that is silent 504, and the device is told which', async () => {
    await using backEnd = await BackEnd.open();
    backEnd.answer = () => undefined;
    const silent = `http://127.0.0.1:${backEnd.port}`;
    await fleetroot.json('upstream', 'set', 'acme', '/campaigner', silent, '--timeout', '1s');
    assert.equal((await device.call('/campaigner/campaigns')).json.code, 'upstream_timeout');
    await fleetroot.json('upstream', 'set', 'acme', '/campaigner', 'http://127.0.0.1:1');
    assert.equal((await device.call('/campaigner/campaigns')).json.code, 'upstream_unavailable');
    await fleetroot.json('upstream', 'remove', 'acme', '/campaigner');
  });

  test('a back end whose answer cannot be passed on is 502, and everything goes on', async () => {
    let head = '';
    const backEnd = createServer((socket) => void socket.once('data', () => socket.end(`${head}\r\n\r\n`, 'latin1')));
    backEnd.listen(0, '127.0.0.1');
    await once(backEnd, 'listening');
    await fleetroot.json(
      'upstream',
      'set',
      'acme',
      '/repo',
      `http://127.0.0.1:${(backEnd.address() as AddressInfo).port}`,
    );
    for (const line of [
      '200 O\u0001K',
      '099 Odd',
      '101 Switching',
      '101 Switching\r\nConnection: upgrade\r\nUpgrade: x',
      'no',
    ]) {
      head = `HTTP/1.1 ${line}`;
      const answer = await device.call('/repo/root.json');
      assert.deepEqual([answer.status, answer.json?.code], [502, 'upstream_unavailable'], line);
    }
    assert.equal((await device.whoAmI()).status, 200);
    await fleetroot.json('upstream', 'remove', 'acme', '/repo');
    backEnd.close();
  });

  test('a kept connection that the back end closes just then: what may be asked twice is, anything else is 502', async () => {
    const asked: string[] = [];
    const backEnd = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (first) => {
        asked.push(first.toString('latin1').split('/', 1)[0]!);
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}');
        socket.once('data', () => {
          asked.push('closed');
          socket.destroy();
        });
      });
    });
    backEnd.listen(0, '127.0.0.1');
    await once(backEnd, 'listening');
    const { port } = backEnd.address() as AddressInfo;
    await fleetroot.json('upstream', 'set', 'acme', '/repo', `http://127.0.0.1:${port}`);
    for (let n = 0; n < 2; n += 1) assert.equal((await device.call('/repo/root.json')).status, 200);
    assert.deepEqual(asked, ['GET ', 'closed', 'GET ']);
    for (const call of [{ method: 'POST', body: '{}' }, { method: 'DELETE' }]) {
      assert.equal((await device.call('/repo/root.json')).status, 200);
      asked.length = 0;
      const { status, json } = await device.call('/repo/root.json', call);
      assert.deepEqual([status, json.code, asked], [502, 'upstream_unavailable', ['closed']], call.method);
    }
    await fleetroot.json('upstream', 'remove', 'acme', '/repo');
    backEnd.close();
  });

  test('what is under way at a back end goes on while the account is changed', async () => {
    await using backEnd = await BackEnd.open();
    const begun = Promise.withResolvers<ServerResponse>();
    backEnd.answer = (_, response) => {
      response.writeHead(200, { 'content-length': 8 }).write('half');
      begun.resolve(response);
    };
    await fleetroot.json('upstream', 'set', 'acme', '/treehub', `http://127.0.0.1:${backEnd.port}`);
    const answer = device.call('/treehub/objects/1');
    const response = await begun.promise;
    await fleetroot.json('account', 'host', 'add', 'acme', 'another.example');
    await fleetroot.json('upstream', 'remove', 'acme', '/treehub');
    response.end('half');
    const { status, body, curl } = await answer;
    assert.deepEqual([status, body.toString(), curl], [200, 'halfhalf', 0]);
    assert.equal((await device.call('/treehub/objects/1')).status, 404);
  });

  test('nothing of a caller who is not an active device is passed on', async () => {
    await using backEnd = await BackEnd.open();
    await fleetroot.json('upstream', 'set', 'acme', '/', `http://127.0.0.1:${backEnd.port}`);
    await fleetroot.json('device', 'suspend', 'acme', 'device-1');
    assert.equal((await device.call('/anything')).json.code, 'device_suspended');
    await fleetroot.json('device', 'resume', 'acme', 'device-1');
    assert.equal((await device.call('/device')).json.device_id, 'device-1');
    assert.equal((await device.call('/devices', { method: 'POST', body: '{}' })).json.code, 'not_a_provisioning_key');
    assert.equal(backEnd.asked.length, 0);
    assert.equal((await device.call('/anything')).status, 200);
    await fleetroot.json('upstream', 'remove', 'acme', '/');
  });

  test('`upstream preset ota-community` writes the table of the open-source deployment, namespace and all', async () => {
    await using backEnd = await BackEnd.open();
    await fleetroot.json('upstream', 'preset', 'acme', 'ota-community', `http://127.0.0.1:${backEnd.port}/{service}`);
    const expected = [
      ['/director/targets.json', `/director/api/v1/device/${uuid}/targets.json`],
      ['/repo/root.json', '/reposerver/api/v1/user_repo/root.json'],
      ['/treehub/refs', '/treehub/api/v2/refs'],
      ['/campaigner/campaigns', '/campaigner/api/v2/device/campaigns'],
      ['/events', `/device-registry/api/v1/devices/${uuid}/events`],
    ] as const;
    for (const [path, there] of expected) {
      await device.call(path);
      assert.equal(backEnd.last.url, there);
      assert.equal(backEnd.last.headers['x-ats-namespace'], 'default');
    }
    await device.call('/core/installed', { method: 'PUT', body: '[]' });
    assert.equal(backEnd.last.url, `/device-registry/api/v1/mydevice/${uuid}/packages`);
  });
});
