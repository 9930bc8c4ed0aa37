// The power fails while devices are being provisioned, again and again: who has an answer is known, and nobody is stuck.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { at, openClient } from '../../src/cli/client.ts';
import { askGateway, type Trusted } from '../../src/demo/device.ts';
import { Image } from '../support/image.ts';
import { temporaryDirectory } from '../support/process.ts';
import { ServeProcess } from '../support/serve.ts';

/** Each kill costs the start of a server: fewer where nobody asked for everything. */
const kills = process.env['FLEETROOT_TEST_REQUIRE'] === 'all' ? 200 : 20;
const devicesAtOnce = 8;
/** An issuance takes some milliseconds: kills are spread over it and what is around it. */
const longestWait = 40;

test(`a server killed ${kills} times in the middle of issuing`, { timeout: 20 * 60_000 }, async () => {
  await using directory = await temporaryDirectory();
  let server = await ServeProcess.start(directory.path, '--gateway-port', '0');
  const port = String(server.port);
  // Node writes its compile cache when it ends in order: 200 starts are worth that.
  await server.stop();
  server = await ServeProcess.start(directory.path, '--gateway-port', port);
  const api = openClient(directory.path);
  await api.post('/accounts', { name: 'acme', kind: 'test' });
  const made = await api.post<{ zip: string }>(at`/accounts/${'acme'}/credentials`, {});
  await writeFile(directory.file('c.zip'), Buffer.from(made.zip, 'base64'));
  const image = await Image.unpack(directory.file('c.zip'));
  const gateway: Trusted = {
    host: new URL(image.url).hostname,
    port: Number(port),
    ca: await readFile(image.trusts),
  };
  const pfx = await readFile(join(image.dir, 'autoprov_credentials.p12'));
  const provision = (deviceId: string) =>
    askGateway(gateway, { pfx }, 'POST', '/devices', JSON.stringify({ deviceId, ttl: '36000' })).catch(() => null);

  const answered = new Map<string, Buffer>();
  let unanswered: string[] = [];
  let interrupted = 0;
  for (let round = 0; round < kills; round += 1) {
    const asked = Array.from({ length: devicesAtOnce }, (_, index) => `device-${round}-${index}`);
    const replies = asked.map(provision);
    const wait = (round / kills) * longestWait;
    const dying = pause(wait).then(() => server.kill());
    for (const [index, reply] of (await Promise.all(replies)).entries()) {
      const deviceId = asked[index] as string;
      if (reply?.status === 200) answered.set(deviceId, reply.body);
      else unanswered.push(deviceId);
    }
    await dying;
    interrupted += unanswered.length;

    server = await ServeProcess.start(directory.path, '--gateway-port', port);
    for (const deviceId of unanswered) {
      const again = await provision(deviceId);
      assert.equal(again?.status, 200, `${deviceId} is stuck: ${again?.text}`);
      answered.set(deviceId, again.body);
    }
    unanswered = [];
    for (const deviceId of asked) {
      const who = await askGateway(gateway, { pfx: answered.get(deviceId) }, 'GET', '/device');
      assert.equal(who.json?.['device_id'], deviceId, `${deviceId} has a certificate that is not known: ${who.text}`);
    }
  }
  const devices = await api.list<{ device_id: string }>(at`/accounts/${'acme'}/devices`);
  assert.equal(devices.length, kills * devicesAtOnce);
  assert.ok(interrupted > 0, 'no kill met an issuance');
  const [key] = await api.list<{ uses: number }>(at`/accounts/${'acme'}/provisioning-keys`);
  assert.equal(key?.uses, kills * devicesAtOnce);
  await server.kill();
});
