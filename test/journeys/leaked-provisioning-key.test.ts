// A provisioning key has leaked: who came with it is listed, weighed, and turned away at once; the others stay.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DatabaseSync } from 'node:sqlite';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Device } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { operatorCall } from '../support/operator-call.ts';
import { needs } from '../support/require.ts';

describe('a provisioning key that has leaked', { skip: needs('openssl', 'curl', 'unzip') }, () => {
  let fleetroot: Fleetroot;
  let leaked: string;
  let thieves: Device[];
  let honest: Device;
  const call = (path: string, body: object) => operatorCall(fleetroot.dir, 'POST', `/accounts/acme${path}`, { body });
  const statesOf = async (): Promise<Record<string, number>> =>
    (await fleetroot.json('device', 'count', 'acme')).states;

  before(async () => {
    fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    const stolen = await fleetroot.image('acme', '--description', 'stolen');
    const kept = await fleetroot.image('acme', '--description', 'kept');
    thieves = [await stolen.boot('thief-1'), await stolen.boot('thief-2'), await stolen.boot('thief-3')];
    honest = await kept.boot('honest');
    const keys = await fleetroot.json('provisioning-key', 'list', 'acme');
    leaked = keys.find(({ description }: { description: string }) => description === 'stolen').id;
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  test('its devices are listed and counted, and no others', async () => {
    const listed = await fleetroot.json('device', 'list', 'acme', '--provisioning-key', leaked);
    assert.deepEqual(
      listed.map(({ device_id }: { device_id: string }) => device_id),
      ['thief-1', 'thief-2', 'thief-3'],
    );
    const counts = await fleetroot.json('device', 'count', 'acme', '--provisioning-key', leaked);
    assert.deepEqual([counts.devices, counts.provisioning_keys], [3, [{ id: leaked, devices: 3 }]]);
    const key = await fleetroot.json('provisioning-key', 'show', 'acme', leaked);
    assert.deepEqual([key.device_count, key.devices.length], [3, 3]);
  });

  test('a dry run tells what it would cost, and does nothing', async () => {
    const impact = await fleetroot.json('device', 'revoke-all', 'acme', '--provisioning-key', leaked, '--dry-run');
    assert.deepEqual([impact.devices, impact.refused, impact.confirm], [3, 3, 3]);
    assert.deepEqual(impact.by_rule, [{ code: 'device_revoked', rule: 'The device is revoked.', devices: 3 }]);
    assert.deepEqual(impact.sample, ['thief-1', 'thief-2', 'thief-3']);
    assert.deepEqual(await statesOf(), { pending: 0, active: 4, suspended: 0, revoked: 0 });
  });

  test('without its number, with too small a one, or without a filter nothing is done', async () => {
    const filter = { provisioning_key: leaked };
    assert.equal((await call('/devices/revoke', { filter })).json.code, 'confirmation_required');
    const { status, json } = await call('/devices/revoke?confirm=2', { filter });
    assert.deepEqual([status, json.code, json.devices, json.refused], [409, 'confirmation_required', 3, 3]);
    for (const body of [{}, { filter: {} }, { filter, all: true }]) {
      assert.equal((await call('/devices/revoke?confirm=9', body)).status, 400, JSON.stringify(body));
    }
    assert.equal((await call('/devices/revoke?confirm=9', { filter: { provisioning_key: 'none' } })).status, 404);
    assert.equal((await fleetroot.command('device', 'revoke-all', 'acme', '--yes')).code, 2);
    assert.deepEqual(await statesOf(), { pending: 0, active: 4, suspended: 0, revoked: 0 });
  });

  test('all of them are turned away, their connections ended, and the others stay', async () => {
    const lines = await Promise.all(thieves.map((thief) => Line.open(thief)));
    using stays = await Line.open(honest);
    for (const line of [...lines, stays]) await ask(line);
    await fleetroot.json('provisioning-key', 'disable', 'acme', leaked, '--yes');
    const done = await fleetroot.json('device', 'revoke-all', 'acme', '--provisioning-key', leaked, '--max', '3');
    assert.deepEqual(done, { action: 'revokeDevices', changed: 3 });
    for (const line of lines) {
      await line.closed();
      line[Symbol.dispose]();
    }
    await ask(stays);
    for (const thief of thieves) assert.equal((await thief.whoAmI()).status, 403);
    assert.equal((await honest.whoAmI()).status, 200);
    assert.deepEqual(await statesOf(), { pending: 0, active: 1, suspended: 0, revoked: 3 });
    for (const certificate of await fleetroot.json('certificate', 'list', 'acme', '--state', 'revoked')) {
      assert.match(certificate.device_id, /^thief-/);
    }
  });

  test('each is in the audit log, and repeating it changes nothing', async () => {
    using registry = new DatabaseSync(fleetroot.file('registry.db'), { readOnly: true });
    const noted = () =>
      registry.prepare("SELECT body FROM audit_entries WHERE action = 'device.revoke'").all() as { body: string }[];
    assert.deepEqual(
      noted().map(({ body }) => JSON.parse(body).object.name),
      ['thief-1', 'thief-2', 'thief-3'],
    );
    const again = await fleetroot.json('device', 'revoke-all', 'acme', '--provisioning-key', leaked, '--yes');
    assert.equal(again.changed, 0);
    assert.equal(noted().length, 3);
  });

  test('what is kept out for a while comes back', async () => {
    await fleetroot.json('device', 'suspend-all', 'acme', '--all', '--yes');
    assert.equal((await honest.whoAmI()).status, 403);
    const { code, stdout } = await fleetroot.command('device', 'resume-all', 'acme', '--state', 'suspended', '--yes');
    assert.deepEqual([code, stdout], [0, '1 device(s) are active again.\n']);
    assert.equal((await honest.whoAmI()).status, 200);
  });

  async function ask(line: Line): Promise<void> {
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 200);
  }
});
