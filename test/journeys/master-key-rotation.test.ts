// The master key is replaced while the server works, and while the power fails: nobody notices, and nothing is lost.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { at, openClient } from '../../src/cli/client.ts';
import { askGateway, type Trusted } from '../../src/demo/device.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { Image } from '../support/image.ts';
import { temporaryDirectory } from '../support/process.ts';
import { deaths } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';

const everything = process.env['FLEETROOT_TEST_REQUIRE'] === 'all';

describe('a rotation of the master key', () => {
  test('while accounts are made, files set, gateway CAs switched and devices provisioned', async () => {
    await using server = await Fleetroot.start();
    const api = openClient(server.dir);
    await server.json('account', 'create', 'acme');
    const image = await server.image('acme');
    const early = await image.boot('early');
    const old = await readFile(server.file('master.key'));

    let round = 0;
    const rounds = everything ? 12 : 4;
    const setFile = (index: number) =>
      api.put(at`/accounts/acme/files/${`file-${index}`}`, Buffer.from(`content ${index}`));
    const work: (() => Promise<unknown>)[] = [
      async () => server.json('account', 'create', `account-${round}`),
      async () => setFile(round),
      async () => server.json('account', 'gateway-ca', 'switch', `account-${round - 1}`),
      async () => image.boot(`device-${round}`),
      async () => server.renew(),
    ];
    await server.json('account', 'create', 'account-0');
    for (round = 1; round <= rounds; round += 1) {
      const rotation = api.post<{ values: number }>('/custody/rotate-master');
      const results = await Promise.allSettled(work.map((each) => each()));
      for (const result of results) if (result.status === 'rejected') throw result.reason;
      assert.ok((await rotation).values > 0);
    }
    await server.restart();

    assert.equal((await early.whoAmI()).status, 200);
    assert.equal((await (await image.boot('late')).whoAmI()).status, 200);
    const files = (await server.image('acme')).dir;
    for (let index = 1; index < round; index += 1) {
      assert.equal(await readFile(join(files, `file-${index}`), 'utf8'), `content ${index}`);
      const other = await server.image(`account-${index}`);
      assert.equal((await (await other.boot('first')).whoAmI()).status, 200);
    }

    await server.server[Symbol.asyncDispose]();
    await using elsewhere = await temporaryDirectory();
    await copyFile(server.file('registry.db'), elsewhere.file('registry.db'));
    await writeFile(elsewhere.file('master.key'), old, { mode: 0o600 });
    await assert.rejects(
      ServeProcess.start(elsewhere.path, '--gateway-port', '0'),
      /is not the one under which this registry's secrets were sealed/,
    );
  });

  test('is told with what there is to do, and a second one at the same time that there is one', async () => {
    await using server = await Fleetroot.start();
    await server.json('account', 'create', 'acme');
    const [one, other] = await Promise.all([
      server.command('custody', 'rotate-master'),
      server.command('custody', 'rotate-master'),
    ]);
    const [done, refused] = one.code === 0 ? [one, other] : [other, one];
    // Four CAs of a test account, its gateway certificate; the operators' CA and certificate, the audit log's key, and one
    // of TLS tickets.
    assert.equal(
      done.stdout,
      `9 sealed value(s) lie under the new master key now, which is the file ${server.file('master.key')}.\n`,
    );
    assert.match(done.stderr, /Back it up now\. The old one opens nothing here any more/);
    assert.deepEqual([refused.code, /under way/.test(refused.stderr)], [1, true]);
    assert.deepEqual(await server.json('custody', 'rotate-master'), {
      values: 9,
      place: `the file ${server.file('master.key')}`,
      setting: null,
    });
  });
});

/** Each kill costs two starts of a server. */
const kills = deaths(16);
/** With so many files a rotation takes some tens of milliseconds: kills are spread over it and what is around it. */
const files = 250;
const longestWait = 100;

test(`a server killed ${kills} times in the middle of a rotation`, { timeout: 5 * 60_000 }, async () => {
  await using directory = await temporaryDirectory();
  await using processes = new AsyncDisposableStack();
  const start = async (on: string) => processes.use(await ServeProcess.start(directory.path, '--gateway-port', on));
  let server = await start('0');
  const port = String(server.port);
  const api = openClient(directory.path);
  await api.post('/accounts', { name: 'acme', kind: 'test' });
  for (let index = 0; index < files; index += 1) {
    await api.put(at`/accounts/acme/files/${`file-${index}`}`, Buffer.from(`content ${index}`));
  }
  const made = await api.post<{ zip: string }>(at`/accounts/acme/credentials`, {});
  await writeFile(directory.file('c.zip'), Buffer.from(made.zip, 'base64'));
  const image = await Image.unpack(directory.file('c.zip'));
  const gateway: Trusted = { host: new URL(image.url).hostname, port: Number(port), ca: await readFile(image.trusts) };
  const provisioner = await readFile(join(image.dir, 'autoprov_credentials.p12'));
  const provision = (deviceId: string) =>
    askGateway(gateway, { pfx: provisioner }, 'POST', '/devices', JSON.stringify({ deviceId }));
  const { body: early } = await provision('early');

  let met = 0;
  for (let round = 0; round < kills; round += 1) {
    const rotation = api.post('/custody/rotate-master').catch(() => null);
    await pause((round / kills) * longestWait);
    await server.kill();
    await rotation;

    server = await start(port);
    // It serves at once, and finishes by itself what was begun.
    const first = await provision(`device-${round}`);
    assert.equal(first.status, 200, first.text);
    if (server.said.includes('the rotation of the master key begins')) {
      met += 1;
      await eventually(() => server.said.includes('the master key has been rotated'));
    }
    for (const pfx of [early, first.body]) {
      assert.equal((await askGateway(gateway, { pfx }, 'GET', '/device')).status, 200);
    }
  }

  // All files are there and open; and the key of the first hour opens nothing of today.
  const old = await readFile(directory.file('master.key'));
  await api.post('/custody/rotate-master');
  const last = await api.post<{ zip: string }>(at`/accounts/acme/credentials`, {});
  await writeFile(directory.file('last.zip'), Buffer.from(last.zip, 'base64'));
  const { dir } = await Image.unpack(directory.file('last.zip'));
  for (let index = 0; index < files; index += 1) {
    assert.equal(await readFile(join(dir, `file-${index}`), 'utf8'), `content ${index}`);
  }
  assert.equal(existsSync(directory.file('master.key.next')), false);
  assert.equal(await server.stop(), 0);
  assert.ok(met > 0, 'no kill met a rotation');
  await using elsewhere = await temporaryDirectory();
  await cp(directory.file('registry.db'), elsewhere.file('registry.db'));
  await writeFile(elsewhere.file('master.key'), old, { mode: 0o600 });
  await assert.rejects(ServeProcess.start(elsewhere.path, '--gateway-port', '0'), /is not the one under which/);
});
