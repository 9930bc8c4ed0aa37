// Several equal nodes on one PostgreSQL: a device comes to whichever it likes, and what one is told holds at all of them.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Fleetroot } from '../support/fleetroot.ts';
import type { Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { Nodes } from '../support/nodes.ts';
import { needs } from '../support/require.ts';
import { type Attack, TlsClient } from '../support/tls-client.ts';

const needed = { skip: needs('cc', 'libssl') };

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

  test('a TLS session of one is taken up at the other, and no more once its device is revoked', needed, async () => {
    await using client = await TlsClient.build();
    const host = new URL(image.url).hostname;
    const send = `GET /device HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    const comes = async ({ port }: Fleetroot, hello: Partial<Attack>): Promise<string> => {
      const { handshake, reply } = await client.run({ port, sni: host, send, ...hello });
      return `${handshake?.resumed ? 'resumed' : 'whole'}: ${reply?.json.device_id ?? reply?.json.code}`;
    };
    const versions = ['1.2', '1.3'] as const;
    // The one has been at the other node when it is revoked; of the other that node has never heard.
    for (const id of ['known-there', 'strange-there']) {
      const as = await image.at(one).boot(id);
      const session = client.file(id);
      for (const tls of versions) {
        assert.equal(await comes(one, { tls, as, sessionOut: session + tls }), `whole: ${id}`);
        if (id === 'strange-there') continue;
        assert.equal(await comes(two, { tls, sessionIn: session + tls }), `resumed: ${id}`);
      }
      await one.json('device', 'revoke', 'acme', id, '--yes');
      for (const tls of versions) {
        for (const node of [two, one]) {
          assert.equal(await comes(node, { tls, sessionIn: session + tls }), 'resumed: device_revoked', `TLS ${tls}`);
        }
      }
    }
  });
});
