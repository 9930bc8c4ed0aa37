// Several equal nodes on one PostgreSQL: a device comes to whichever it likes, and what one is told holds at all of them.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Fleetroot } from '../support/fleetroot.ts';
import type { Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { Nodes } from '../support/nodes.ts';
import { needs } from '../support/require.ts';

describe('two nodes on one PostgreSQL', { skip: needs('openssl', 'curl', 'unzip'), timeout: 180_000 }, () => {
  let nodes: Nodes;
  let one: Fleetroot;
  let two: Fleetroot;
  let image: Image;

  before(async () => {
    nodes = await Nodes.start(2);
    [one, two] = nodes.all as [Fleetroot, Fleetroot];
    await one.json('account', 'create', 'acme');
    image = await one.image('acme');
  });
  after(() => nodes[Symbol.asyncDispose]());

  test('know of each other', async () => {
    const listed = (await two.json('node', 'list')) as { name: string; this: boolean }[];
    assert.deepEqual(
      listed.map(({ name, this: own }) => ({ name, own })),
      [
        { name: 'node-1', own: false },
        { name: 'node-2', own: true },
      ],
    );
  });

  test('a device provisioned at one is known at the other at once', async () => {
    const device = await image.at(two).boot('born-at-two');
    for (const node of nodes.all) {
      const { status, json } = await device.at(node).whoAmI();
      assert.equal(status, 200);
      assert.equal(json.device_id, 'born-at-two');
    }
  });

  for (const action of ['suspend', 'revoke', 'delete']) {
    test(`device ${action} at one ends what the device has open at the other, before the call returns`, async () => {
      const device = await image.at(one).boot(`gone-by-${action}`);
      const line = await Line.open(device.at(two));
      line.send('GET', '/device');
      assert.equal((await line.reply())?.status, 200);
      await one.json('device', action, 'acme', `gone-by-${action}`, '--yes');
      await line.closed();
      assert.notEqual((await device.at(two).whoAmI()).status, 200);
    });
  }
});
