// The line's service as stations use it: EST and POST /sign over real TLS, by curl and openssl.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { call, type Client, deviceRequest, FactoryProcess } from '../support/factory-service.ts';
import { addPasswordStation, addStation, openService, openWindow } from '../support/factory-service.ts';
import { eventually } from '../support/eventually.ts';
import { factoryCli, startLine, type TestLine } from '../support/factory.ts';
import { execute, succeed } from '../support/process.ts';

const est = '/.well-known/est';

/** Has openssl read the reply of an EST server; gives the subjects of the certificates in it. */
async function subjectsIn(line: TestLine, body: string): Promise<string[]> {
  const der = line.file('reply.p7');
  assert.equal((await execute('openssl', ['base64', '-d', '-out', der], { input: body })).code, 0);
  const plain = await execute('base64', ['-d'], { input: body });
  assert.equal(plain.code, 0, 'GNU base64 reads it too');
  assert.deepEqual(plain.bytes, await readFile(der));
  const printed = await succeed('openssl', ['pkcs7', '-inform', 'DER', '-in', der, '-print_certs', '-noout']);
  return printed.split('\n').filter((each) => each.startsWith('subject='));
}

/** The certificate in the reply to an enrollment, PEM. */
async function certificateIn(line: TestLine, body: string): Promise<string> {
  assert.equal((await subjectsIn(line, body)).length, 1, 'clients take the first certificate for theirs');
  const words = ['pkcs7', '-inform', 'DER', '-in', line.file('reply.p7'), '-print_certs'];
  const printed = await succeed('openssl', words);
  return printed.slice(printed.indexOf('-----BEGIN'), printed.indexOf('-----END')) + '-----END CERTIFICATE-----\n';
}

test('the guide on one page: a station is added, a window opened, and curl has its certificate', async () => {
  await using line = await startLine({ quota: 100, pattern: 'dev-.*' });
  await using service = await FactoryProcess.start(line.dir);
  // What is said comes by another way than what is answered.
  const logged = (text: string) => eventually(() => service.said.includes(text));
  const dir = line.file('bench-1');
  const added = await factoryCli(line.dir, ['station', 'add', 'bench-1', '--network', '127.0.0.0/8', '-o', dir]);
  assert.equal(added.code, 0, added.stderr);
  await line.at('addOrder', { name: 'order-1', batch: null, proof: 'station', devices: null });
  const early = await deviceRequest(line, 'dev-0');
  const refused = await call(line, `${service.url}/sign`, { station: dir }, ['--data-binary', `@${early.request}`]);
  assert.equal(refused.status, 403);
  await logged('"code":"window_closed","method":"POST","route":"/sign","address":"127.0.0.1"');
  const asked = { order: 'order-1', quota: 50, lasts: '8h', station: null, batch: null, proof: null } as const;
  await line.at('openWindow', asked);
  const { request, key } = await deviceRequest(line, 'dev-1');

  const words = ['-sS', '--fail', '--cacert', `${dir}/station-ca.crt`, '--cert', `${dir}/station.crt`];
  const chain = await succeed('curl', [
    ...words,
    ...['--key', `${dir}/station.key`, '--data-binary', `@${request}`, '-o', line.file('dev-1.crt')],
    ...['-w', '%{http_code} %{content_type} %{ssl_verify_result}', `${service.url}/sign`],
  ]);
  assert.equal(chain, '200 application/pem-certificate-chain 0');
  const verified = await succeed('openssl', [
    ...['verify', '-purpose', 'sslclient', '-CAfile', line.rootFile, '-untrusted', line.file('dev-1.crt')],
    line.file('dev-1.crt'),
  ]);
  assert.match(verified, /dev-1\.crt: OK/);
  const publicKey = await succeed('openssl', ['x509', '-in', line.file('dev-1.crt'), '-noout', '-pubkey']);
  assert.equal(publicKey, await succeed('openssl', ['pkey', '-in', key, '-pubout']));

  const again = await call(line, `${service.url}${est}/order-1/simpleenroll`, { station: dir }, [
    ...['--data-binary', `@${request}`, '-H', 'Content-Type: application/pkcs10'],
  ]);
  assert.equal(again.status, 200, again.body);
  const leaf = await certificateIn(line, again.body);
  assert.ok((await readFile(line.file('dev-1.crt'), 'utf8')).startsWith(leaf), 'the same certificate once more');

  await logged('"device":"dev-1","order":"order-1","outcome":"issued","station":"bench-1"');
  await logged('"device":"dev-1","order":"order-1","outcome":"same","station":"bench-1"');
  const listed = await factoryCli(line.dir, ['station', 'list']);
  assert.match(listed.stdout, /bench-1 +active +certificate +127\.0\.0\.0\/8 +any/);
  assert.equal(await service.stop(), 0);
});

test('what EST clients really send is read, and what they read is sent', async (t) => {
  await using line = await startLine({ quota: 100 });
  await using running = await openService(line);
  const { factory, url } = running;
  const station = await addStation(line, factory, 'bench-1');
  await openWindow(factory, 'order-1');
  const { request } = await deviceRequest(line, 'dev-1');
  const pem = await readFile(request, 'utf8');
  const der = line.file('dev-1.der');
  await succeed('openssl', ['req', '-in', request, '-outform', 'DER', '-out', der]);
  const octets = await readFile(der);
  const base64 = octets.toString('base64');
  const columns = (width: number, end: string) => base64.replace(new RegExp(`.{1,${width}}`, 'g'), `$&${end}`);

  const type = ['-H', 'Content-Type: application/pkcs10'];
  const chunked = ['-H', 'Transfer-Encoding: chunked'];
  const encoding = ['-H', 'Content-Transfer-Encoding: base64'];
  const ways: [string, string | Buffer, string[]][] = [
    ['estclient: chunked, 76 columns, CRLF', columns(76, '\r\n'), [...type, ...chunked, ...encoding]],
    ['RFC 8951: no Content-Transfer-Encoding, one line', base64, type],
    ['libest: 64 columns, LF', columns(64, '\n'), [...type, ...encoding]],
    ['white space of all kinds', columns(7, ' \t\r\n\n'), type],
    ['PEM armour', pem, type],
    ['DER', octets, [...type, '-H', 'Content-Transfer-Encoding: binary']],
    ['no Content-Type', pem, ['-H', 'Content-Type:']],
    ["curl's own Content-Type", pem, []],
    ['HTTP/1.0', pem, ['--http1.0']],
    ['100-continue', pem, ['-H', 'Expect: 100-continue']],
  ];
  let first: string | null = null;
  for (const path of [`${est}/simpleenroll`, `${est}/order-1/simpleenroll`]) {
    for (const [what, body, words] of ways) {
      await t.test(`${path}: ${what}`, async () => {
        const answer = await call(line, url + path, station, [...words, '--data-binary', '@-'], body);
        assert.equal(answer.status, 200, answer.body);
        assert.equal(answer.headers['content-type'], 'application/pkcs7-mime; smime-type=certs-only');
        assert.equal(answer.headers['content-transfer-encoding'], 'base64');
        assert.match(answer.body, /^([A-Za-z0-9+/]{64}\n)+([A-Za-z0-9+/=]{1,64}\n)?$/);
        assert.deepEqual(await subjectsIn(line, answer.body), ['subject=CN = dev-1']);
        first ??= answer.body;
        assert.equal(answer.body, first, 'each repeat gives the same certificate');
      });
    }
  }

  const cas = await call(line, `${url}${est}/cacerts`, {});
  assert.equal(cas.headers['content-transfer-encoding'], 'base64');
  assert.match(cas.headers['content-type']!, /^application\/pkcs7-mime/);
  const subjects = await subjectsIn(line, cas.body);
  assert.equal(subjects.length, 2);
  assert.ok(subjects.includes('subject=O = Acme, CN = line-1'));
  assert.equal((await call(line, `${url}${est}/order-1/cacerts`, {})).body, cas.body);

  const attributes = await call(line, `${url}${est}/csrattrs`, {});
  assert.equal(attributes.headers['content-type'], 'application/csrattrs');
  assert.equal((await execute('openssl', ['base64', '-d', '-out', der], { input: attributes.body })).code, 0);
  const parsed = await succeed('openssl', ['asn1parse', '-inform', 'DER', '-in', der]);
  assert.match(parsed, /id-ecPublicKey[\s\S]*prime256v1[\s\S]*ecdsa-with-SHA256/);
});

test('the order is a label, a query, or the one that is open', async () => {
  await using line = await startLine({ quota: 100 });
  await using running = await openService(line);
  const { factory, url } = running;
  const station = await addStation(line, factory, 'bench-1');
  await openWindow(factory, 'order-1');
  await openWindow(factory, 'order-2');
  const enroll = async (path: string, device: string) => {
    const { request } = await deviceRequest(line, device);
    return call(line, url + path, station, ['--data-binary', `@${request}`]);
  };
  const open = 'Windows are open for 2 orders: order-1, order-2.';
  const unnamed = await enroll('/sign', 'dev-1');
  assert.equal(unnamed.status, 403);
  const { code, description, hint } = JSON.parse(unnamed.body) as Record<string, string>;
  assert.equal(code, 'window_closed');
  assert.match(description!, /^Windows are open for 2 orders: /);
  assert.match(hint!, /EST label or with \?order=/);
  const byEst = await enroll(`${est}/simpleenroll`, 'dev-1');
  assert.equal(byEst.status, 403);
  assert.equal(byEst.headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(byEst.body.length, open.length + 1, 'one sentence and its end');
  assert.equal((await enroll('/sign?order=order-2', 'dev-1')).status, 200);
  assert.equal((await enroll(`${est}/order-2/simpleenroll`, 'dev-2')).status, 200);
  const made = await factory.records.read.selectFrom('certificates').select('order_name').execute();
  assert.deepEqual(made, [{ order_name: 'order-2' }, { order_name: 'order-2' }]);
  const unknown = await enroll(`${est}/order-3/simpleenroll`, 'dev-3');
  assert.equal(unknown.status, 403);
  assert.equal(unknown.body, 'No window is open for the order "order-3" and the station "bench-1".\n');
  assert.equal((await enroll('/sign?order=order-1&order=x', 'dev-3')).status, 400);
});

test('a device that has a certificate has another for a new key, in place of the first', async (t) => {
  await using line = await startLine({ quota: 100 });
  await using running = await openService(line);
  const { factory, url } = running;
  const station = await addStation(line, factory, 'bench-1', { networks: ['127.0.0.1/32'] });
  await openWindow(factory, 'order-1');
  const made = async (device: string, name = device): Promise<Client & { request: string }> => {
    const { request, key } = await deviceRequest(line, device, { name });
    const answer = await call(line, `${url}/sign`, station, ['--data-binary', `@${request}`]);
    assert.equal(answer.status, 200, answer.body);
    await writeFile(line.file(`${name}.crt`), answer.body);
    return { certificate: line.file(`${name}.crt`), key, request };
  };
  const again = (client: Client, request: string, path = '/simplereenroll', more: string[] = []) =>
    call(line, url + est + path, client, ['--data-binary', `@${request}`, ...more]);
  const device = await made('dev-1');

  await t.test('the same key: the same certificate', async () => {
    const answer = await again(device, device.request);
    assert.equal(answer.status, 200, answer.body);
    const leaf = await certificateIn(line, answer.body);
    assert.ok((await readFile(device.certificate!, 'utf8')).startsWith(leaf));
  });
  await t.test('not from elsewhere than its station may ask from', async () => {
    const { request } = await deviceRequest(line, 'dev-1', { name: 'far' });
    const answer = await again(device, request, '/simplereenroll', ['--interface', '127.0.0.2']);
    assert.equal(answer.status, 403);
    assert.equal(answer.body, 'The station "bench-1" may not ask from 127.0.0.2, which is in none of its networks.\n');
  });
  await t.test('not under another subject, nor under one that names alone take for the same', async () => {
    for (const other of ['dev-2', 'DEV-1', '  dev-1']) {
      const { request } = await deviceRequest(line, other, { name: 'other' });
      const answer = await again(device, request);
      assert.equal(answer.status, 400);
      assert.equal(
        answer.body,
        'The request\'s subject is not that of the certificate shown, which is of the device "dev-1".\n',
      );
    }
  });
  await t.test('not for another order than it was made for', async () => {
    await openWindow(factory, 'order-2');
    const { request } = await deviceRequest(line, 'dev-1', { name: 'ordered' });
    const answer = await again(device, request, '/order-2/simplereenroll');
    assert.equal(answer.status, 400);
    assert.equal(answer.body, 'The certificate shown was made for the order "order-1", and not for "order-2".\n');
  });
  await t.test('not by a station, nor by nobody, nor by a stranger', async () => {
    const words = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=dev-1'];
    const files = ['-keyout', line.file('stranger.key'), '-out', line.file('stranger.crt')];
    await succeed('openssl', ['req', '-x509', ...words, ...files]);
    const stranger = { certificate: line.file('stranger.crt'), key: line.file('stranger.key') };
    const selfMade = { certificate: line.file('self.crt'), key: device.key! };
    const self = ['-key', device.key!, '-subj', '/CN=dev-1', '-out', selfMade.certificate];
    await succeed('openssl', ['req', '-x509', ...self]);
    for (const [client, sentence] of [
      [selfMade, 'The certificate shown was not made by this line.\n'],
      [station, 'The certificate shown was not made by this line.\n'],
      [stranger, 'The certificate shown was not made by this line.\n'],
      [{}, 'The device has not shown the certificate that it has.\n'],
    ] as const) {
      const answer = await again(client, device.request);
      assert.equal(answer.status, 401);
      assert.equal(answer.body, sentence);
    }
  });
  await t.test('a device is no station', async () => {
    const { request } = await deviceRequest(line, 'dev-1', { name: 'posing' });
    for (const path of ['/simpleenroll', '/order-1/simpleenroll']) {
      const answer = await again(device, request, path);
      assert.equal(answer.status, 401);
      assert.match(answer.body, /^The certificate shown is that of the device "dev-1", and only a station/);
    }
  });
  await t.test('a new key: a new certificate, and the first counts no more', async () => {
    const { request, key } = await deviceRequest(line, 'dev-1', { name: 'second' });
    const answer = await again(device, request);
    assert.equal(answer.status, 200, answer.body);
    await writeFile(line.file('second.crt'), await certificateIn(line, answer.body));
    const states = await factory.records.read
      .selectFrom('certificates')
      .select('state')
      .orderBy('created_at')
      .execute();
    assert.deepEqual(states, [{ state: 'withdrawn' }, { state: 'made' }]);
    const once = await again(device, device.request);
    assert.equal(once.status, 401);
    assert.equal(once.body, 'The certificate shown, of "dev-1", has been withdrawn.\n');
    const repeated = await again({ certificate: line.file('second.crt'), key }, request);
    assert.equal(repeated.body, answer.body);
  });
  await t.test('an answer that was lost is given again to the certificate that it took the place of', async () => {
    const answer = await again(device, line.file('second.csr'));
    assert.equal(answer.status, 200, answer.body);
    assert.equal(await certificateIn(line, answer.body), await readFile(line.file('second.crt'), 'utf8'));
  });
  await t.test('once in a window; a station that sends its own password has it made as often as it asks', async () => {
    const second = { certificate: line.file('second.crt'), key: line.file('second.key') };
    const { request } = await deviceRequest(line, 'dev-1', { name: 'third' });
    const used = () => factory.records.read.selectFrom('mandates').select('used').execute();
    const before = await used();
    const refused = await again(second, request);
    assert.equal(refused.status, 409);
    assert.equal(refused.body, 'The device "dev-1" has had a new key in this window already.\n');
    assert.deepEqual(await used(), before, 'nothing is charged');
    const { password } = await addPasswordStation(factory, 'bench-2');
    const answer = await again({ ...second, password: password! }, request);
    assert.equal(answer.status, 200, answer.body);
  });
});
