// What an operator's Prometheus sees of a day: devices that join, are refused and revoked, and the figures that say so.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { seriesOf, valueOf } from '../support/exposition.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { Line } from '../support/line.ts';
import { type Ca, Pki } from '../support/pki.ts';
import { execute } from '../support/process.ts';
import { needs } from '../support/require.ts';

describe('metrics', { skip: needs('curl', 'openssl') }, () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  let stranger: Ca;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    [root, stranger] = await Promise.all([pki.guideRoot('root'), pki.guideRoot('stranger')]);
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  test('devices that are provisioned, refused and revoked are in the figures exactly', async () => {
    await fleetroot.json('account', 'create', 'testers');
    const image = await fleetroot.image('testers', '--max-uses', '3');
    const provision = async (deviceId: string) => (await image.provision(deviceId)).status;
    assert.deepEqual([await provision('car-1'), await provision('car-2'), await provision('car-1')], [200, 200, 409]);
    assert.deepEqual([await provision('car-3'), await provision('car-4')], [200, 403]);

    const fleet = await Fleet.open(fleetroot, 'makers', root);
    for (const deviceId of ['van-1', 'van-2']) {
      assert.equal(await fleet.arrive(await root.guideDevice(deviceId)), 'in');
    }
    assert.equal(await fleet.arrive(await stranger.guideDevice('thief')), 'certificate_untrusted');
    const revoked = await root.guideDevice('van-3');
    assert.equal(await fleet.arrive(revoked), 'in');
    await fleet.device('revoke', 'van-3');
    for (let time = 0; time < 2; time += 1) assert.equal(await fleet.arrive(revoked), 'device_revoked');
    await fleet.set('--admission', 'approval');
    assert.equal(await fleet.arrive(await root.guideDevice('van-4')), 'admission_pending');

    const text = await fleetroot.metrics();
    const provisionings = (labels: Record<string, string>) => valueOf(text, 'fleetroot_provisionings_total', labels);
    assert.equal(provisionings({ account: 'testers', method: 'shared', outcome: 'provisioned' }), 3);
    assert.equal(provisionings({ account: 'testers', method: 'shared', outcome: 'device_already_registered' }), 1);
    assert.equal(provisionings({ account: 'testers', method: 'shared' }), 5);
    assert.equal(provisionings({ account: 'makers', method: 'device', outcome: 'added' }), 3);
    assert.equal(provisionings({ account: 'makers', method: 'device', outcome: 'pending' }), 1);
    assert.equal(provisionings({}), 9);

    const refusals = (labels: Record<string, string>) => valueOf(text, 'fleetroot_refusals_total', labels);
    assert.equal(refusals({ account: 'makers', code: 'certificate_untrusted' }), 1);
    assert.equal(refusals({ account: 'makers', code: 'device_revoked' }), 2);
    assert.equal(refusals({ account: 'makers', code: 'admission_pending' }), 1);
    assert.equal(refusals({ account: 'testers', code: 'device_already_registered' }), 1);
    assert.equal(refusals({ account: 'testers', code: 'provisioning_key_exhausted' }), 1);

    const devices = (account: string, state: string) => valueOf(text, 'fleetroot_devices', { account, state });
    assert.deepEqual([devices('testers', 'active'), devices('testers', 'revoked')], [3, 0]);
    assert.deepEqual(
      [devices('makers', 'active'), devices('makers', 'revoked'), devices('makers', 'pending')],
      [2, 1, 1],
    );

    const keys = (state: string) => valueOf(text, 'fleetroot_provisioning_keys', { account: 'testers', state });
    assert.deepEqual([keys('active'), keys('exhausted')], [0, 1]);
    const certificates = (account: string, kind: string, days_left: string) =>
      valueOf(text, 'fleetroot_certificates', { account, kind, days_left });
    assert.equal(certificates('testers', 'device', '+Inf'), 3);
    assert.equal(certificates('testers', 'gateway', '+Inf'), 1);
    assert.equal(certificates('testers', 'gateway', '1'), 0);
    assert.equal(certificates('testers', 'gateway_ca', '+Inf'), 2);
    assert.equal(certificates('testers', 'fleet_root_ca', '+Inf'), 1);
    assert.equal(certificates('testers', 'provisioning_ca', '+Inf'), 1);
    assert.equal(certificates('makers', 'fleet_root_ca', '+Inf'), 1);

    assert.equal(
      valueOf(text, 'fleetroot_issuing_duration_seconds_count', { profile: 'device', outcome: 'issued' }),
      3,
    );
    const done = valueOf(text, 'fleetroot_handshakes_total', { outcome: 'done' });
    assert.equal(valueOf(text, 'fleetroot_handshake_duration_seconds_count'), done);
    assert.ok(done >= 11, `${done} handshakes`);
    assert.ok(valueOf(text, 'fleetroot_custody_duration_seconds_count', { operation: 'sign', outcome: 'done' }) > 3);
  });

  test('an open connection is counted, and one that has ended is not', async () => {
    const fleet = await Fleet.open(fleetroot, 'connected', root);
    const device = await root.guideDevice('bus-1');
    const open = async () =>
      valueOf(await fleetroot.metrics(), 'fleetroot_device_connections', { account: 'connected' });
    const line = await Line.open(fleet.image.withCertificate(device.certificate, device.key));
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 200);
    assert.equal(await open(), 1);
    line[Symbol.dispose]();
    await eventually(async () => (await open()) === 0);
  });

  test('a stranger that asks for a host of nobody is a handshake that failed for it', async () => {
    const asked = async () =>
      valueOf(await fleetroot.metrics(), 'fleetroot_handshakes_total', { outcome: 'unknown_host' });
    const earlier = await asked();
    const url = `https://nobody.example:${fleetroot.port}/`;
    await execute('curl', ['-sk', '--resolve', `nobody.example:${fleetroot.port}:127.0.0.1`, url]);
    await eventually(async () => (await asked()) === earlier + 1);
  });

  test('a program that knows the format reads it without a complaint', { skip: needs('promtool') }, async () => {
    const { code, stdout, stderr } = await execute('promtool', ['check', 'metrics'], {
      input: await fleetroot.metrics(),
    });
    assert.deepEqual([code, stdout, stderr], [0, '', '']);
  });

  test('no series has a device ID, an UUID or a path in it', async () => {
    for (const { labels } of seriesOf(await fleetroot.metrics())) {
      for (const value of Object.values(labels)) assert.doesNotMatch(value, /car-|van-|bus-|[\da-f]{8}-[\da-f]{4}|\//);
    }
  });
});
