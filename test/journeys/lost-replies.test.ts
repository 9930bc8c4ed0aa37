// A reply that never arrived: the device asks again with the same key and ID, and nobody else gets in that way.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Answer, Image } from '../support/image.ts';
import { Line } from '../support/line.ts';

const minute = 60 * 1000;

describe('a lost reply at the first boot', () => {
  let fleetroot: Fleetroot;
  let image: Image;
  let ahead = 0;

  before(async () => {
    fleetroot = await Fleetroot.start({ clock: () => Date.now() + ahead });
    await fleetroot.json('account', 'create', 'acme');
    image = await fleetroot.image('acme', '--max-uses', '20');
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  /** Asks on a line of its own and waits until the reply is there. */
  async function ask(deviceId: string): Promise<{ line: Line; pkcs12: Buffer }> {
    const line = await Line.open(await image.provisioner());
    line.send('POST', '/devices', { body: JSON.stringify({ deviceId, ttl: '36000' }) });
    const reply = await line.reply();
    assert.equal(reply?.status, 200);
    return { line, pkcs12: reply.body };
  }

  async function usesOf(): Promise<number> {
    const [key] = await fleetroot.json('provisioning-key', 'list', 'acme');
    return key.uses;
  }

  /** The server learns of a broken connection in its own time, as it does when a client asks again a second later. */
  const askAgain = (deviceId: string): Promise<Answer> =>
    eventually(async () => {
      const answer = await image.provision(deviceId);
      return answer.status === 200 && answer;
    });

  test('the same key and ID get another reply, at no use; the certificate of the lost one is revoked', async () => {
    const { line, pkcs12 } = await ask('lost-1');
    const uses = await usesOf();
    await line.breakOff();
    const second = await image.device((await askAgain('lost-1')).body);
    assert.equal(await usesOf(), uses);
    assert.equal((await second.whoAmI()).status, 200);
    const first = await image.device(pkcs12);
    assert.equal((await first.whoAmI()).json.code, 'certificate_revoked');
  });

  test('a client that is gone before its credentials are made asks again, and is not shut out of its own ID', async () => {
    // An RSA key takes so long that even a broken connection is known to be so before it is made.
    for (const [keyType, leave] of [
      ['p256', (line: Line) => line.hangUp()],
      ['rsa3072', (line: Line) => delay(30).then(() => line.breakOff())],
    ] as const) {
      await fleetroot.json('account', 'set', 'acme', '--key-type', keyType);
      const line = await Line.open(await image.provisioner());
      const uses = await usesOf();
      const body = JSON.stringify({ deviceId: `gone-${keyType}`, ttl: '36000' });
      line.send('POST', '/devices', { length: body.length, fields: ['Expect: 100-continue'] });
      await line.interim();
      line.socket.write(body);
      await leave(line);
      await eventually(async () => (await usesOf()) === uses + 1);
      const device = await image.device((await askAgain(`gone-${keyType}`)).body);
      assert.equal((await device.whoAmI()).status, 200);
      assert.equal(await usesOf(), uses + 1);
    }
    await fleetroot.json('account', 'set', 'acme', '--key-type', 'p256');
  });

  test('while the connection of the first reply is open, the ID is taken', async () => {
    const { line } = await ask('open-1');
    assert.equal((await image.provision('open-1')).json.code, 'device_already_registered');
    await line.breakOff();
    await askAgain('open-1');
  });

  test('a client that closes in order has its reply: the ID stays taken', async () => {
    const { line } = await ask('arrived-1');
    await line.hangUp();
    assert.equal((await image.provision('arrived-1')).json.code, 'device_already_registered');
    await fleetroot.restart();
    assert.equal((await image.provision('arrived-1')).json.code, 'device_already_registered');
  });

  test('a client that asks something else on the same connection has its reply', async () => {
    const { line } = await ask('asked-on-1');
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 403);
    await line.breakOff();
    assert.equal((await image.provision('asked-on-1')).json.code, 'device_already_registered');
  });

  test('another provisioning key of the account takes nothing over', async () => {
    const { line } = await ask('mine-1');
    await line.breakOff();
    const thief = await fleetroot.image('acme');
    for (let attempt = 0; attempt < 5; attempt += 1) {
      assert.equal((await thief.provision('mine-1')).json.code, 'device_already_registered');
    }
    await askAgain('mine-1');
  });

  test('a device that has connected with the certificate of the "lost" reply cannot be taken over', async () => {
    const { line, pkcs12 } = await ask('connected-1');
    await line.breakOff();
    const device = await image.device(pkcs12);
    assert.equal((await device.whoAmI()).status, 200);
    for (let attempt = 0; attempt < 5; attempt += 1) {
      assert.equal((await image.provision('connected-1')).json.code, 'device_already_registered');
    }
    assert.equal((await device.whoAmI()).status, 200);
  });

  test('a pending device that has shown its certificate has its reply too', async () => {
    await fleetroot.json('account', 'set', 'acme', '--admission', 'approval');
    const { line, pkcs12 } = await ask('pending-1');
    await line.breakOff();
    const device = await image.device(pkcs12);
    assert.equal((await device.whoAmI()).json.code, 'admission_pending');
    for (let attempt = 0; attempt < 5; attempt += 1) {
      assert.equal((await image.provision('pending-1')).json.code, 'device_already_registered');
    }
    await fleetroot.json('account', 'set', 'acme', '--admission', 'automatic');
  });

  test('after ten minutes the ID stays taken', async () => {
    const { line } = await ask('late-1');
    await line.breakOff();
    await askAgain('late-1');
    const again = await ask('late-2');
    await again.line.breakOff();
    ahead = 11 * minute;
    for (let attempt = 0; attempt < 5; attempt += 1) {
      assert.equal((await image.provision('late-2')).json.code, 'device_already_registered');
    }
    ahead = 0;
  });

  test('a server that is restarted counts replies that were under way as lost', async () => {
    const { line } = await ask('restarted-1');
    await fleetroot.restart();
    assert.equal(await line.reply(), null);
    assert.equal((await image.provision('restarted-1')).status, 200);
  });
});
