// Two versions of the program on one database: the next one upgrades it while this one serves, and both go on.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { at, type Client, openClient } from '../../src/cli/client.ts';
import { programVersion } from '../../src/version.ts';
import { type Device, Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { newDatabase } from '../support/postgres.ts';
import { temporaryDirectory } from '../support/process.ts';
import { comingVersion, known, programAtHand } from '../support/program-version.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';

const numbered = (name: string, index: number): string => `${String(known + index).padStart(4, '0')}-${name}`;
/** Adds columns and an index to what this version reads whole. */
const expands = {
  name: numbered('expands', 1),
  needs: known,
  statements: [
    'alter table devices add column nickname text',
    'alter table certificates add column made_by text',
    'alter table accounts add column motto text',
    'create index nicknames on devices (nickname)',
  ],
};
/** Takes away what this version needs. */
const contracts = {
  name: numbered('contracts', 2),
  needs: known + 2,
  statements: ['alter table devices drop column nickname'],
};

/** A node of some version. */
interface Node {
  server: ServeProcess;
  readonly api: Client;
  readonly restart: () => Promise<void>;
}

describe('two versions on one database', { skip: needs('openssl', 'curl', 'unzip'), timeout: 240_000 }, () => {
  let held: AsyncDisposableStack;
  let file: (name: string) => string;
  let image: Image;
  let old: Node;
  let next: Node;
  const devices: Device[] = [];

  async function start(program: readonly string[], name: string): Promise<Node> {
    const open = async () =>
      held.use(await ServeProcess.of(program, file(name), '--gateway-port', '0', '--config', file('fleetroot.toml')));
    const node = {
      server: await open(),
      api: openClient(file(name)),
      async restart() {
        assert.equal(await node.server.stop(), 0);
        node.server = await open();
      },
    };
    return node;
  }

  before(async () => {
    held = new AsyncDisposableStack();
    ({ file } = held.use(await temporaryDirectory()));
    const { url } = held.use(await newDatabase());
    await writeFile(file('master.key'), Buffer.alloc(32, 7).toString('base64'), { mode: 0o600 });
    await writeFile(
      file('fleetroot.toml'),
      `[database]\nurl = "${url}"\n[custody]\nmaster_key_file = "${file('master.key')}"\n`,
    );
    old = await start(programAtHand, 'old');
    await old.api.post('/accounts', { name: 'acme', kind: 'test' });
    const made = await old.api.post<{ zip: string }>(at`/accounts/${'acme'}/credentials`, {});
    await writeFile(file('c.zip'), Buffer.from(made.zip, 'base64'));
    image = await Image.unpack(file('c.zip'));
    devices.push(await boot('before', old));
  });
  after(() => held.disposeAsync());

  const boot = (deviceId: string, { server }: Node): Promise<Device> => image.at(server).boot(deviceId);
  const revoke = (deviceId: string, { api }: Node) =>
    api.post(at`/accounts/${'acme'}/devices/${deviceId}/revoke` + '?confirm=1');

  /** Each provisions, the other knows whom; what one revokes ends at the other before the call returns. */
  async function eachServes(round: string): Promise<void> {
    for (const [one, other, by] of [
      [old, next, 'old'],
      [next, old, 'next'],
    ] as const) {
      devices.push(await boot(`${round}-by-${by}`, one));
      const gone = await boot(`${round}-revoked-by-${by}`, one);
      using line = await Line.open(gone.at(other.server));
      line.send('GET', '/device');
      assert.equal((await line.reply())?.status, 200);
      await revoke(`${round}-revoked-by-${by}`, one);
      await line.closed();
      for (const { server } of [one, other]) assert.equal((await gone.at(server).whoAmI()).status, 403);
      for (const device of devices) assert.equal((await device.at(other.server).whoAmI()).status, 200);
    }
  }

  test('the next one upgrades it and serves beside this one', async () => {
    next = await start(await comingVersion(file('next'), '99.0.0', [expands]), 'new');
    const nodes = await old.api.list<{ version: string }>('/nodes');
    assert.deepEqual(nodes.map(({ version }) => version).toSorted(), ['99.0.0', programVersion()].toSorted());
    await eachServes('upgraded');
  });

  test('this one starts again on what the next one has made', async () => {
    await old.restart();
    await eachServes('restarted');
  });

  test('of a version that takes away what this one needs, this one says so and does not start; the next ones serve on', async () => {
    await next.server.stop();
    next = await start(await comingVersion(file('later'), '100.0.0', [expands, contracts]), 'new');
    await assert.rejects(old.restart(), (error: Error) => {
      assert.match(
        error.message,
        new RegExp(
          `was last opened by a newer Fleetroot: it has migration ${contracts.name}, and this program's last one is`,
        ),
      );
      return true;
    });
    for (const device of devices) assert.equal((await device.at(next.server).whoAmI()).status, 200);
  });
});
