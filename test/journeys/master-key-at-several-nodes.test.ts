// The master key is replaced while several nodes work: nothing is unreadable at any of them at any moment, and nothing begins that one could not follow.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { loadConfig } from '../../src/config.ts';
import { recordOf } from '../../src/custody/proven-key.ts';
import { createSeal } from '../../src/custody/seal.ts';
import { openLog } from '../../src/log.ts';
import { Secret } from '../../src/secret.ts';
import { openMasterKey } from '../../src/server/master-key.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Image } from '../support/image.ts';
import { newDatabase } from '../support/postgres.ts';
import { openNode } from '../support/postgres-nodes.ts';
import { temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';

describe(
  'a rotation of the master key with two nodes',
  { skip: needs('openssl', 'curl', 'unzip'), timeout: 180_000 },
  () => {
    let held: AsyncDisposableStack;
    let file: (name: string) => string;
    let one: Fleetroot;
    let two: Fleetroot;
    let image: Image;
    let url: string;
    let born = 0;

    const newKey = (name: string): string => {
      writeFileSync(file(name), randomBytes(32).toString('base64'), { mode: 0o600 });
      return file(name);
    };
    const node = async (name: string, options: object = {}): Promise<Fleetroot> =>
      Fleetroot.start({
        options: {
          'database.url': url,
          'node.name': name,
          'custody.master_key_file': file(`${name}.key`),
          'custody.next_master_key_file': file(`${name}.next`),
          ...options,
        },
      });

    before(async () => {
      held = new AsyncDisposableStack();
      ({ file } = held.use(await temporaryDirectory()));
      ({ url } = held.use(await newDatabase()));
      newKey('node-1.key');
      copyFileSync(file('node-1.key'), file('node-2.key'));
      newKey('node-1.next');
      // Of the next key the second node has another one.
      newKey('node-2.next');
      [one, two] = await Promise.all([node('node-1'), node('node-2')]);
      held.use(one);
      held.defer(() => two[Symbol.asyncDispose]());
      await one.json('account', 'create', 'acme');
      image = await one.image('acme');
    });
    after(() => held.disposeAsync());

    /** Everything that needs what is sealed, at both. */
    async function bothServe(): Promise<void> {
      for (const at of [one, two]) {
        born += 1;
        const device = await image.at(at).boot(`device-${born}`);
        for (const other of [one, two]) assert.equal((await device.at(other).whoAmI()).status, 200);
        await at.json('account', 'create', `account-${born}`);
        await (await at.image(`account-${born}`)).at(at === one ? two : one).boot('first');
      }
    }

    test('is refused, and nothing changed, while one of them does not have the next key', async () => {
      for (const at of [one, two]) {
        const { code, stderr } = await at.command('custody', 'rotate-master');
        assert.equal(code, 1);
        const other = at === one ? 'node-2' : 'node-1';
        assert.match(
          stderr,
          new RegExp(`Nothing is rotated, since not every node has the next master key\\. ${other}: `),
        );
        await bothServe();
      }
    });

    test('that a node cannot follow is told of in its /readyz, and no more once it is given up', async () => {
      const parts = async (at: Fleetroot) => {
        const said = await fetch(`http://127.0.0.1:${at.server.operatorPort}/readyz`);
        const { faults = [] } = (await said.json()) as { faults?: { part: string }[] };
        return faults.map(({ part }) => part);
      };
      const third = await openNode(url, 'node-3');
      // A node that these two were not asked by before it went on: its next key is nobody's here.
      const row = recordOf(createSeal(new Secret(randomBytes(32))), null);
      await third.write('beginMasterKeyRotation', { row });
      for (const at of [one, two]) await eventually(async () => (await parts(at)).includes('master_key'));
      await third.write('withdrawMasterKeyRotation', {});
      for (const at of [one, two]) await eventually(async () => !(await parts(at)).includes('master_key'));
      await third[Symbol.asyncDispose]();
      await bothServe();
    });

    test('goes on while both work, and each serves and seals at every moment', async () => {
      copyFileSync(file('node-1.next'), file('node-2.next'));
      const rotation = one.json('custody', 'rotate-master');
      const over = new AbortController();
      const ended = rotation.finally(() => over.abort());
      do await bothServe();
      while (!over.signal.aborted);
      assert.ok((await ended).values > 0);
      await bothServe();
    });

    test('is over for a node that starts with the key that counts now, and for none with the one before', async () => {
      await two[Symbol.asyncDispose]();
      await assert.rejects(node('node-2', { 'custody.next_master_key_file': undefined }), /is not the one under which/);
      copyFileSync(file('node-2.next'), file('node-2.key'));
      two = await node('node-2', { 'custody.next_master_key_file': undefined });
      await bothServe();
    });
  },
);

test('a rotation that waits for that of another node ends as soon as its own node does', async () => {
  await using desk = await temporaryDirectory();
  await using database = await newDatabase({ migrated: true });
  await using other = await openNode(database.url, 'node-1');
  await using own = await openNode(database.url, 'node-2');
  await using _turn = await other.alone('rotation of the master key');
  const options = { 'database.url': database.url };
  const config = loadConfig({ dataDir: desk.file('data'), options, env: {} });
  mkdirSync(config.dataDir);
  const masterKey = await openMasterKey(config, own, openLog('silent'));
  const rotated = assert.rejects(masterKey.rotate(), /The server ends; its next start goes on with the rotation/);
  await masterKey[Symbol.asyncDispose]();
  await rotated;
});
