// The log of a real server: one line a call, each with the request's ID, and nothing in it that a stranger put there.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { Image } from '../support/image.ts';
import { execute, temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { run } from '../../src/cli/program.ts';
import { ServeProcess } from '../support/serve.ts';

const needle = 'hunter2-correct-horse';
const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

describe('the log of requests', { skip: needs('curl') }, () => {
  let desk: Awaited<ReturnType<typeof temporaryDirectory>>;
  let server: ServeProcess;

  before(async () => {
    desk = await temporaryDirectory();
    server = await ServeProcess.start(desk.path, '--gateway-port', '0');
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await desk[Symbol.asyncDispose]();
  });

  const url = () => `http://127.0.0.1:${/127\.0\.0\.1:(\d+)\/healthz/.exec(server.said)?.[1]}`;
  const entries = (): any[] =>
    server.said
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  const lineOf = (id: string) => eventually(() => entries().find(({ request }) => request === id) ?? null);

  /** Calls over the socket or TCP; gives the request's ID as it was told, and the status. */
  async function call(path: string, headers: Record<string, string> = {}, overSocket = true) {
    const to = overSocket ? { socketPath: join(desk.path, 'operator.sock') } : { port: new URL(url()).port };
    const made = request({ ...to, path, headers: { host: 'localhost', connection: 'close', ...headers } }).end();
    const [response] = await once(made, 'response');
    response.resume();
    await once(response, 'end');
    return { id: String(response.headers['x-request-id']), status: response.statusCode };
  }

  test('has one line of each call: which, what came of it, by whom, from where', async () => {
    const { id, status } = await call('/api/v1/accounts/nobody-here');
    assert.equal(status, 404);
    assert.match(id, uuid);
    const line = await lineOf(id);
    assert.deepEqual([line.method, line.route, line.status], ['GET', '/api/v1/accounts/:account', 404]);
    assert.deepEqual(line.by, { kind: 'socket', id: null, name: 'socket' });
    assert.ok(Number.isInteger(line.ms) && line.finished === true);
    const { id: other } = await call('/api/v1/accounts', {}, false);
    assert.deepEqual([(await lineOf(other)).by, (await lineOf(other)).address], [null, '127.0.0.1']);
    assert.equal(entries().filter((entry) => entry.request === id).length, 1);
  });

  test('takes an ID from the socket alone, where it is one, and gives every other request its own', async () => {
    const mine = '0e37df36-f698-11e6-8dd4-cb9ced3df976';
    assert.equal((await call('/api/v1/accounts', { 'x-request-id': mine })).id, mine);
    assert.equal((await lineOf(mine)).route, '/api/v1/accounts');
    for (const bad of ['1', `${mine}x`, mine.toUpperCase(), '../../etc', `${mine}, ${mine}`]) {
      assert.match((await call('/api/v1/accounts', { 'x-request-id': bad })).id, uuid);
      assert.notEqual((await call('/api/v1/accounts', { 'x-request-id': bad })).id, bad);
    }
    const another = '0e37df36-f698-11e6-8dd4-000000000000';
    const { id } = await call('/api/v1/accounts', { 'x-request-id': another }, false);
    assert.notEqual(id, another);
    await lineOf(id);
    assert.ok(!server.said.includes(another));
  });

  test('is not told what logs somebody in, nor what stands in a path or query', async () => {
    const headers = { authorization: `Bearer ${needle}`, cookie: `__Host-fleetroot=${needle}` };
    for (const path of [`/api/v1/accounts?token=${needle}`, `/${needle}`, `/api/v1/accounts/${needle}/devices`]) {
      for (const overSocket of [true, false]) await lineOf((await call(path, headers, overSocket)).id);
    }
    assert.ok(!server.said.includes(needle));
  });

  test('has no line and nothing for a terminal that a caller put there', async () => {
    const hostile = '%0d%0a{%22level%22:50,%22msg%22:%22forged%22}%1b[2J%c2%9b31m';
    const agent = '\u00a0\u009b31m"}';
    const { id } = await call(`/api/v1/accounts/${hostile}/devices/${hostile}?x=${hostile}`, {
      'user-agent': agent,
      'x-request-id': agent,
    });
    await lineOf(id);
    await execute('curl', ['-s', '-A', '\u001b[31m', `${url()}/${hostile}`]);
    await execute('curl', ['-sk', `https://127.0.0.1:${server.port}/`]);
    assert.ok(!entries().some(({ msg }) => msg === 'forged'));
    assert.doesNotMatch(server.said, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/);
  });

  test('does not tell of probes and scrapes that went well', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics']) assert.equal((await call(path, {}, false)).status, 200);
    await lineOf((await call('/api/v1/accounts')).id);
    assert.deepEqual(
      entries().filter(({ route }) => route === '/healthz' || route === '/metrics'),
      [],
    );
  });

  test('a device is told the ID of its request too', async () => {
    const silent = { out: () => {}, err: () => {}, ask: async () => null, askSecret: async () => null };
    const zip = desk.file('credentials.zip');
    for (const words of [
      ['account', 'create', 'acme'],
      ['credentials', 'create', 'acme', '-o', zip],
    ]) {
      assert.equal(await run([...words, '--data', desk.path], {}, silent), 0);
    }
    const image = await Image.unpack(zip);
    const provisioned = await image.provision('car-1');
    assert.equal(provisioned.status, 200);
    assert.match(provisioned.headers.get('x-request-id') ?? '', uuid);
    const refused = await image.provision('car-1');
    assert.equal(refused.status, 409);
    assert.match(refused.headers.get('x-request-id') ?? '', uuid);
    assert.notEqual(refused.headers.get('x-request-id'), provisioned.headers.get('x-request-id'));
  });
});
