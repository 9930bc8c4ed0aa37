// Who may ask a line: stations by certificate and by password, from where and at what address, and until when.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { addPasswordStation, addStation, type Answer, call, type Client } from '../support/factory-service.ts';
import { deviceRequest, FactoryProcess, openService, openWindow } from '../support/factory-service.ts';
import { factoryCli, startLine, type TestLine } from '../support/factory.ts';
import { succeed } from '../support/process.ts';
import { takeCommands } from '../../src/factory/control.ts';
import { stationActions } from '../../src/factory/stations.ts';

const est = '/.well-known/est/simpleenroll';
const day = 24 * 60 * 60 * 1000;

/** Asks both ways, is refused both ways, and gives the sentence. */
async function refused(
  line: TestLine,
  url: string,
  client: Client,
  { status, code, more = [] }: { status: number; code: string; more?: string[] },
): Promise<string> {
  const asked = ['--data-binary', `@${line.file('dev-1.csr')}`, ...more];
  const json = await call(line, `${url}/sign`, client, asked);
  const plain = await call(line, url + est, client, asked);
  assert.equal(json.status, status, json.body);
  assert.equal(plain.status, status, plain.body);
  assert.equal(json.headers['content-type'], 'application/json; charset=utf-8');
  assert.equal(plain.headers['content-type'], 'text/plain; charset=utf-8');
  const told = JSON.parse(json.body) as { code: string; description: string; hint: string | null };
  assert.deepEqual(Object.keys(told), ['code', 'description', 'hint']);
  assert.equal(told.code, code);
  assert.equal(plain.body, `${told.description}\n`);
  const challenge = status === 401 ? 'Basic realm="fleetroot factory", charset="UTF-8"' : undefined;
  assert.equal(plain.headers['www-authenticate'], challenge);
  return told.description;
}

async function accepted(line: TestLine, url: string, client: Client, more: string[] = []): Promise<Answer> {
  const answer = await call(line, `${url}/sign`, client, ['--data-binary', `@${line.file('dev-1.csr')}`, ...more]);
  assert.equal(answer.status, 200, answer.body);
  return answer;
}

test('each reason for which a station may not ask is one sentence, by EST and by JSON', async (t) => {
  let now = Date.now();
  await using line = await startLine({ options: { 'factory.address': ['127.0.0.1', '127.0.0.3'] } });
  await using running = await openService(line, { clock: () => now });
  const { factory, service, url } = running;
  const second = service.at.map(({ address, port }) => `https://${address}:${port}`)[1]!;
  await openWindow(factory, 'order-1');
  await deviceRequest(line, 'dev-1');
  const bench = await addStation(line, factory, 'bench-1', { networks: ['127.0.0.2', '10.0.0.0/8'] });
  const fixed = await addStation(line, factory, 'bench-2', { address: '127.0.0.3' });
  const basic = await addPasswordStation(factory, 'bench-3', ['127.0.0.0/30']);

  await t.test('nothing shown', async () => {
    const sentence = await refused(line, url, {}, { status: 401, code: 'station_unknown' });
    assert.equal(sentence, 'Neither the certificate nor the password of a station was sent.');
  });
  await t.test("a stranger's certificate, its name that of a station", async () => {
    const words = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=bench-1'];
    const files = ['-keyout', line.file('stranger.key'), '-out', line.file('stranger.crt')];
    await succeed('openssl', ['req', '-x509', ...words, ...files]);
    const stranger = { certificate: line.file('stranger.crt'), key: line.file('stranger.key') };
    const sentence = await refused(line, url, stranger, { status: 401, code: 'station_unknown' });
    assert.equal(sentence, 'The certificate shown is of no station of this factory.');
  });
  await t.test('another network', async () => {
    const sentence = await refused(line, url, bench, { status: 403, code: 'station_not_allowed' });
    assert.equal(sentence, 'The station "bench-1" may not ask from 127.0.0.1, which is in none of its networks.');
    await accepted(line, url, bench, ['--interface', '127.0.0.2']);
  });
  await t.test('another address of ours', async () => {
    const sentence = await refused(line, url, fixed, { status: 403, code: 'station_not_allowed' });
    assert.equal(sentence, 'The station "bench-2" may ask at 127.0.0.3 alone, and not at 127.0.0.1.');
    await accepted(line, second, fixed);
  });
  await t.test('a header that says otherwise changes nothing', async () => {
    const more = ['-H', 'X-Forwarded-For: 127.0.0.2', '-H', 'Forwarded: for=127.0.0.2', '-H', 'X-Real-IP: 127.0.0.2'];
    await refused(line, url, bench, { status: 403, code: 'station_not_allowed', more });
  });
  await t.test('a password, in the first request', async () => {
    await accepted(line, url, basic);
    const sentence = await refused(line, second, basic, {
      status: 403,
      code: 'station_not_allowed',
      more: ['--interface', '127.0.0.5'],
    });
    assert.equal(sentence, 'The station "bench-3" may not ask from 127.0.0.5, which is in none of its networks.');
  });
  await t.test('a wrong password, one of a station without any, one of nobody', async () => {
    for (const password of ['bench-3:wrong', 'bench-1:', 'bench-3:', 'nobody:wrong']) {
      const more = ['--interface', `127.0.0.${password.length}`];
      const sentence = await refused(line, url, { password }, { status: 401, code: 'station_unknown', more });
      assert.equal(sentence, 'There is no station of that name with that password.');
    }
  });
  await t.test('what is no Basic', async () => {
    for (const value of ['Bearer abc', 'Basic', 'Basic !!!', 'Basic bm9jb2xvbg==']) {
      const more = ['-H', `Authorization: ${value}`];
      const sentence = await refused(line, url, bench, { status: 401, code: 'station_unknown', more });
      assert.equal(sentence, 'The Authorization header is not the name and password of a station.');
    }
  });
  await t.test('guesses are bounded, and the right password is let in all the same', async () => {
    const guess = () =>
      call(line, `${url}/sign`, { password: 'bench-3:guess' }, ['-d', 'x', '--interface', '127.0.0.2']);
    const statuses: number[] = [];
    for (let count = 0; count < 12; count += 1) statuses.push((await guess()).status);
    assert.deepEqual(statuses, [...Array<number>(10).fill(401), 429, 429]);
    const last = await guess();
    assert.equal(last.headers['retry-after'], '5');
    assert.equal((JSON.parse(last.body) as { code: string }).code, 'too_many_requests');
    await accepted(line, url, basic, ['--interface', '127.0.0.2']);
    now += 6_000;
    assert.equal((await guess()).status, 401, 'one more after a while');
  });
  await t.test('removed', async () => {
    await stationActions.removeStation(factory, { name: 'bench-2' });
    const sentence = await refused(line, second, fixed, { status: 401, code: 'station_unknown' });
    assert.equal(sentence, 'The station "bench-2" has been removed.');
    await stationActions.removeStation(factory, { name: 'bench-3' });
    assert.equal(
      await refused(line, second, basic, { status: 401, code: 'station_unknown' }),
      'The station "bench-3" has been removed.',
    );
  });
  await t.test('what anybody on the line may know, others may not', async () => {
    for (const path of ['/.well-known/est/cacerts', '/.well-known/est/order-1/csrattrs', '/readyz']) {
      assert.equal((await call(line, url + path, {}, ['--interface', '127.0.0.2'])).status, 200);
      const answer = await call(line, url + path, {}, ['--interface', '127.0.0.9']);
      assert.equal(answer.status, 403);
      assert.match(answer.body, /No station may ask from 127\.0\.0\.9\./);
    }
    assert.equal((await call(line, `${url}/healthz`, {}, ['--interface', '127.0.0.9'])).status, 200);
  });
  await t.test('expired', async () => {
    now += 5 * 365 * day;
    const more = ['--interface', '127.0.0.2', '-k'];
    const sentence = await refused(line, url, bench, { status: 403, code: 'certificate_expired', more });
    assert.equal(sentence, 'The certificate of the station "bench-1" has expired.');
    const [shown] = await stationActions.listStations(factory, {});
    assert.equal(shown!.state, 'expired');
  });
});

test("a removed station's open connection ends", { timeout: 300_000 }, async () => {
  await using line = await startLine();
  await using running = await openService(line, { limits: { idleTimeout: 3_600_000 } });
  const { factory, url } = running;
  await using _commands = await takeCommands(factory);
  const { station } = await addStation(line, factory, 'bench-1');
  const files = [`${station}/station.crt`, `${station}/station.key`, join(line.dir, 'station-ca.crt')];
  const [cert, key, ca] = await Promise.all(files.map((file) => readFile(file)));
  const { hostname, port } = new URL(url);
  const socket = tls.connect({ host: hostname, port: Number(port), cert: cert!, key: key!, ca: ca! });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  socket.write('POST /sign HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx');
  const [heard] = (await once(socket, 'data')) as [Buffer];
  assert.match(heard.toString('latin1'), /^HTTP\/1\.1 400 /);
  const closed = once(socket, 'close');
  assert.equal((await factoryCli(line.dir, ['station', 'remove', 'bench-1'])).code, 0);
  await closed;
});

test('a station is added by a key of its own, and its files are not written twice', async () => {
  await using line = await startLine();
  await using service = await FactoryProcess.start(line.dir);
  await line.at('addOrder', { name: 'order-1', batch: null, proof: 'station', devices: null });
  const asked = { order: 'order-1', quota: 5, lasts: '8h', station: null, batch: null, proof: null } as const;
  await line.at('openWindow', asked);
  await deviceRequest(line, 'dev-1');
  const own = await deviceRequest(line, 'whatever', { name: 'own' });
  const dir = line.file('own');
  const words = ['station', 'add', 'own', '--request', own.request, '-o', dir];
  const added = await factoryCli(line.dir, words);
  assert.equal(added.code, 0, added.stderr);
  const subject = await succeed('openssl', ['x509', '-in', join(dir, 'station.crt'), '-noout', '-subject']);
  assert.match(subject, /CN = own/, 'its name is what people gave it, not what it asked for');
  await accepted(line, service.url, { certificate: join(dir, 'station.crt'), key: own.key });
  assert.equal((await factoryCli(line.dir, words)).code, 1, 'nothing is overwritten');

  const taken = await factoryCli(line.dir, ['station', 'add', 'own', '-o', line.file('again')]);
  assert.equal(taken.code, 1);
  assert.match(taken.stderr, /There is, or was, a station "own"/);
  await assert.rejects(stat(line.file('again')), 'a key that came to nothing is not left');
  const twice = await factoryCli(line.dir, ['station', 'add', 'two', '--request', own.request, '-o', line.file('two')]);
  assert.match(twice.stderr, /The key is that of the station "own"/);
  await writeFile(line.file('text.csr'), 'nothing');
  for (const [more, sentence] of [
    [
      ['--request', line.file('text.csr'), '-o', line.file('x')],
      /neither DER nor PEM nor base64|cut, or padded wrongly/,
    ],
    [['--network', '10.0.0.0/33', '-o', line.file('x')], /"10\.0\.0\.0\/33" is no network/],
    [['--address', 'here', '-o', line.file('x')], /"here" is no IP address/],
    [['--basic', '--request', own.request], /--basic and --request do not go together/],
  ] as const) {
    const refusal = await factoryCli(line.dir, ['station', 'add', 'x', ...more]);
    assert.notEqual(refusal.code, 0);
    assert.match(refusal.stderr, sentence);
    await assert.rejects(stat(line.file('x')), 'nothing is left of what came to nothing');
  }
  const posing = ['--data-binary', `@${own.request}`];
  const device = await call(
    line,
    `${service.url}/sign`,
    { certificate: join(dir, 'station.crt'), key: own.key },
    posing,
  );
  assert.equal(device.status, 422, "a station's key is no device's");
});

test('a password is shown once, and kept nowhere', async () => {
  await using line = await startLine();
  await using service = await FactoryProcess.start(line.dir);
  const added = await factoryCli(line.dir, ['station', 'add', 'bench-1', '--basic', '--json']);
  assert.equal(added.code, 0, added.stderr);
  const { password } = JSON.parse(added.stdout) as { password: string };
  assert.match(password, /^[A-Za-z0-9_-]{43}$/);
  const answer = await call(line, `${service.url}/sign`, { password: `bench-1:${password}` }, ['-d', 'x']);
  assert.equal(answer.status, 400, answer.body);
  assert.equal(await service.stop(), 0);
  for (const file of ['factory.db', 'station-ca.crt']) {
    assert.equal((await readFile(join(line.dir, file))).includes(password), false);
  }
  assert.equal(service.said.includes(password), false);
});
