import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import fastify, { type FastifyInstance } from 'fastify';
import { listenOnSocket } from '../../src/listen-on-socket.ts';
import { socketPath } from '../../src/socket-path.ts';
import { temporaryDirectory } from '../support/process.ts';

function answering(text: string): FastifyInstance {
  const app = fastify();
  app.get('/', async () => text);
  return app;
}

async function ask(path: string): Promise<string> {
  using short = socketPath(path);
  const call = request({ socketPath: short.path, path: '/', headers: { connection: 'close' } }).end();
  const [response] = await once(call, 'response');
  return (await response.toArray()).join('');
}

test('the socket is its owner’s alone, whatever the umask, and goes when it is closed', async () => {
  await using desk = await temporaryDirectory();
  const path = desk.file('operator.sock');
  const before = process.umask(0);
  const app = answering('here');
  const listening = await listenOnSocket(app, path).finally(() => process.umask(before));
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal(await ask(path), 'here');
  assert.deepEqual(readdirSync(desk.path), ['operator.sock']);
  listening[Symbol.dispose]();
  await app.close();
  assert.deepEqual(readdirSync(desk.path), []);
});

test('until its mode is set, it lies where nobody else can come', async () => {
  await using desk = await temporaryDirectory();
  const path = desk.file('operator.sock');
  const app = answering('here');
  const seen: string[] = [];
  app.server.prependListener('listening', () => {
    for (const name of readdirSync(desk.path))
      seen.push(`${name} ${(statSync(desk.file(name)).mode & 0o777).toString(8)}`);
  });
  using _listening = await listenOnSocket(app, path);
  assert.deepEqual(seen, ['.operator.sock 700']);
  await app.close();
});

test('a socket that a killed server left is replaced, as is what it had begun', async () => {
  await using desk = await temporaryDirectory();
  const path = desk.file('operator.sock');
  await writeFile(path, 'a leftover');
  await mkdir(desk.file('.operator.sock'));
  await writeFile(desk.file('.operator.sock/s'), 'another');
  const app = answering('anew');
  using _listening = await listenOnSocket(app, path);
  assert.equal(await ask(path), 'anew');
  assert.deepEqual(readdirSync(desk.path), ['operator.sock']);
  await app.close();
});

test('a directory of any length is served and reached, without a change of directory', async () => {
  await using desk = await temporaryDirectory();
  const dir = join(desk.path, ...Array.from({ length: 30 }, () => 'a-rather-long-name'));
  await mkdir(dir, { recursive: true });
  const path = join(dir, 'operator.sock');
  const here = process.cwd();
  const app = answering('deep');
  using _listening = await listenOnSocket(app, path);
  assert.equal(await ask(path), 'deep');
  assert.equal(process.cwd(), here);
  await app.close();
});

test('a short path is taken as it is, a long one leaves nothing behind', async () => {
  {
    using short = socketPath('/tmp/operator.sock');
    assert.equal(short.path, '/tmp/operator.sock');
  }
  const long = socketPath(`/tmp/${'x'.repeat(200)}/operator.sock`);
  assert.ok(Buffer.byteLength(long.path) <= 103);
  long[Symbol.dispose]();
  assert.equal(existsSync(join(long.path, '../..')), false);
});
