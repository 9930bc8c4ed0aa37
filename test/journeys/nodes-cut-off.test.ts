// A node that the network cuts off from its database: who is told of it, whom it still lets in, and what it makes good.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import type { Fleetroot } from '../support/fleetroot.ts';
import type { Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { Nodes } from '../support/nodes.ts';
import { asked } from '../support/postgres-server.ts';
import { needs } from '../support/require.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const required = needs('openssl', 'curl', 'unzip');

/** Two nodes, the second of which reaches its database by a proxy. */
async function startNodes(options: Record<string, unknown>) {
  let proxy!: TcpProxy;
  const nodes = await Nodes.start(2, {
    options: { 'database.grace': '1s', 'database.patience': '500ms', 'database.connect_timeout': '500ms', ...options },
    via: async (url, node) => {
      if (node === 0) return url;
      proxy = await TcpProxy.to(Number(new URL(url).port));
      return proxy.through(url);
    },
  });
  const [near, far] = nodes.all as [Fleetroot, Fleetroot];
  await near.json('account', 'create', 'acme');
  return { nodes, near, far, proxy, image: await near.image('acme') };
}

async function databaseFault({ server }: Fleetroot): Promise<string | null> {
  const { faults } = (await (await fetch(`http://127.0.0.1:${server.operatorPort}/readyz`)).json()) as {
    faults?: { part: string; reason: string }[];
  };
  return faults?.find(({ part }) => part === 'database')?.reason ?? null;
}

describe('a node that is cut off from its database', { skip: required, timeout: 180_000 }, () => {
  let all: Awaited<ReturnType<typeof startNodes>>;
  let near: Fleetroot;
  let far: Fleetroot;
  let image: Image;

  before(async () => {
    all = await startNodes({});
    ({ near, far, image } = all);
  });
  after(async () => {
    all.proxy.resume();
    await all.nodes[Symbol.asyncDispose]();
    await all.proxy[Symbol.asyncDispose]();
  });

  test('is named when something is taken back, says so itself, and takes it back when it hears of it', async () => {
    const [known, taken] = [await image.boot('known'), await image.boot('taken')];
    const held = await Line.open(taken.at(far));
    held.send('GET', '/device');
    assert.equal((await held.reply())?.status, 200);
    assert.equal((await known.at(far).whoAmI()).status, 200);

    all.proxy.stall();
    const { code, stderr } = await near.command('device', 'revoke', 'acme', 'taken', '--yes');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^warning: These nodes have not confirmed yet that they act on this: node-2\./m);
    assert.match(await eventually(() => databaseFault(far)), /Devices that are known here are served\./);
    assert.equal((await known.at(far).whoAmI()).status, 200, 'whom it knows it lets in');
    assert.equal((await image.at(far).provision('newcomer')).status, 503, 'what must be recorded waits');
    assert.equal((await near.command('device', 'list', 'acme')).code, 0, 'the other node goes on');

    all.proxy.resume();
    await held.closed();
    await eventually(async () => (await databaseFault(far)) === null);
    assert.equal((await taken.at(far).whoAmI()).status, 403);
    assert.equal(
      (await eventually(() =>
        image
          .at(far)
          .boot('newcomer')
          .catch(() => null),
      )) !== null,
      true,
    );
  });

  test('judges everybody anew where nobody can tell it what it missed, also if an account is gone', async () => {
    await near.json('account', 'create', 'gone');
    const devices = [await (await near.image('gone')).boot('of-gone'), await image.boot('revoked')];
    devices.push(await image.boot('stays'));
    const lines = await Promise.all(devices.map((device) => Line.open(device.at(far))));
    for (const line of lines) {
      line.send('GET', '/device');
      assert.equal((await line.reply())?.status, 200);
    }
    all.proxy.cut();
    await Promise.all([
      near.json('account', 'delete', 'gone', '--yes'),
      near.json('device', 'revoke', 'acme', 'revoked', '--yes'),
    ]);
    // As after a fail-over to a standby that had not been given the last of it.
    await asked(String(all.nodes.options['database.url']), 'delete from changes');
    all.proxy.resume();
    const [ofGone, revoked, stays] = lines as [Line, Line, Line];
    await Promise.all([ofGone.closed(), revoked.closed()]);
    stays.send('GET', '/device');
    assert.equal((await stays.reply())?.status, 200);
    stays.socket.destroy();
  });
});

describe('a node that is to let nobody in while it is cut off', { skip: required, timeout: 180_000 }, () => {
  test('answers 503 after the grace, and serves again when its database is back', async () => {
    const { nodes, far, proxy, image } = await startNodes({ 'database.when_cut_off': 'refuse' });
    await using _proxy = proxy;
    await using _nodes = nodes;
    const device = (await image.boot('known')).at(far);
    assert.equal((await device.whoAmI()).status, 200);
    proxy.cut();
    const refused = await eventually(async () => {
      const answer = await device.whoAmI();
      return answer.status === 503 ? answer : null;
    });
    assert.equal(refused.json.code, 'unavailable');
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    proxy.resume();
    await eventually(async () => (await device.whoAmI()).status === 200);
  });
});
