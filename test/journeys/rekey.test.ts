// A known device comes with a new key: taken for the same device, or made to wait, as the account has it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { type Ca, Pki } from '../support/pki.ts';

describe('a new key under a known device ID', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  let fleets = 0;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    root = await pki.guideRoot('root');
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  const open = async (...policy: string[]): Promise<Fleet> => {
    fleets += 1;
    const fleet = await Fleet.open(fleetroot, `fleet-${fleets}`, root);
    if (policy.length > 0) await fleet.set(...policy);
    return fleet;
  };

  /** The states of a device's certificates, from the oldest to the newest. */
  const states = async (fleet: Fleet, device: string): Promise<string[]> => {
    const certificates = await fleetroot.json('certificate', 'list', fleet.account, device);
    return certificates.map(({ state }: { state: string }) => state).reverse();
  };

  test('is accepted unless the account says otherwise: the same device, with either certificate', async () => {
    const fleet = await open();
    const [first, second] = [await root.guideDevice('car'), await root.guideDevice('car')];
    const { uuid } = (await fleet.connect(first)).json;
    assert.equal((await fleet.connect(second)).json.uuid, uuid);
    assert.deepEqual(await states(fleet, 'car'), ['superseded', 'current']);
    assert.equal(await fleet.arrive(first), 'in');
    assert.equal((await fleet.devices()).length, 1);
  });

  test('waits where the account says `approve`, and the old key goes on meanwhile', async () => {
    const fleet = await open('--rekey', 'approve');
    const [first, second] = [await root.guideDevice('car'), await root.guideDevice('car')];
    const { uuid } = (await fleet.connect(first)).json;
    assert.equal(await fleet.arrive(second), 'rekey_pending');
    assert.equal(await fleet.arrive(second), 'rekey_pending');
    assert.equal(await fleet.arrive(first), 'in');
    assert.deepEqual(await states(fleet, 'car'), ['current', 'pending']);
    const refusal = await fleet.refusal({ code: 'rekey_pending', device_id: 'car' });
    assert.match(refusal.rule, /The new key of the device "car" waits for approval/);
    assert.match(refusal.remedy, /`device approve`.+`device reject`/);

    await fleet.device('approve', 'car');
    assert.equal((await fleet.connect(second)).json.uuid, uuid);
    assert.deepEqual(await states(fleet, 'car'), ['superseded', 'current']);
    assert.equal(await fleet.arrive(first), 'in');
  });

  test('that is rejected never gets in, and the old one goes on', async () => {
    const fleet = await open('--rekey', 'approve');
    const [first, second] = [await root.guideDevice('car'), await root.guideDevice('car')];
    assert.equal(await fleet.arrive(first), 'in');
    assert.equal(await fleet.arrive(second), 'rekey_pending');
    assert.equal((await fleet.device('reject', 'car')).state, 'active');
    assert.equal(await fleet.arrive(second), 'certificate_revoked');
    assert.equal(await fleet.arrive(first), 'in');
    await fleet.set('--rekey', 'accept');
    assert.equal(await fleet.arrive(second), 'certificate_revoked', 'whatever the policy is later');
  });

  test('is none where a later certificate has the key of an earlier one: a renewal never waits', async () => {
    const fleet = await open('--rekey', 'approve');
    const first = await root.guideDevice('car');
    assert.equal(await fleet.arrive(first), 'in');
    assert.equal(await fleet.arrive(await root.device('car', { key: first.key, days: 500 })), 'in');
    assert.deepEqual(await states(fleet, 'car'), ['superseded', 'current']);
    const second = await root.guideDevice('car');
    assert.equal(await fleet.arrive(second), 'rekey_pending');
    await fleet.device('approve', 'car');
    assert.equal(await fleet.arrive(await root.device('car', { key: second.key, days: 500 })), 'in');
    assert.equal(await fleet.arrive(await root.device('car', { key: first.key, days: 600 })), 'in');
  });

  test('is new again after the certificate that it came with was revoked', async () => {
    const fleet = await open('--rekey', 'approve');
    const [first, second] = [await root.guideDevice('car'), await root.guideDevice('car')];
    assert.equal(await fleet.arrive(first), 'in');
    assert.equal(await fleet.arrive(second), 'rekey_pending');
    await fleet.device('approve', 'car');
    assert.equal(await fleet.arrive(second), 'in');
    const [stolen] = (await fleetroot.json('certificate', 'list', fleet.account, 'car')).filter(
      ({ state }: { state: string }) => state === 'superseded',
    );
    await fleetroot.json('certificate', 'revoke', fleet.account, stolen.sha256, '--yes');
    assert.equal(await fleet.arrive(first), 'certificate_revoked');
    assert.equal(await fleet.arrive(await root.device('car', { key: first.key })), 'rekey_pending');
    assert.equal(await fleet.arrive(second), 'in');
  });

  test('waits no longer once the policy is `accept`, at the next request', async () => {
    const fleet = await open('--rekey', 'approve');
    const [first, second] = [await root.guideDevice('car'), await root.guideDevice('car')];
    assert.equal(await fleet.arrive(first), 'in');
    assert.equal(await fleet.arrive(second), 'rekey_pending');
    await fleet.set('--rekey', 'accept');
    assert.equal(await fleet.arrive(second), 'in');
    await fleet.set('--rekey', 'approve');
    assert.equal(await fleet.arrive(second), 'in', 'a key that has been in use stays in use');
    assert.equal(await fleet.arrive(await root.guideDevice('car')), 'rekey_pending');
  });

  test('of two devices with one CN: approving never takes both without a look', async () => {
    const fleet = await open('--rekey', 'approve');
    const [first, second, third] = [
      await root.guideDevice('car'),
      await root.guideDevice('car'),
      await root.guideDevice('car'),
    ];
    assert.equal(await fleet.arrive(first), 'in');
    assert.equal(await fleet.arrive(second), 'rekey_pending');
    assert.equal(await fleet.arrive(third), 'rekey_pending');
    const { code, stderr } = await fleetroot.command('device', 'approve', fleet.account, 'car');
    assert.equal(code, 1);
    assert.match(stderr, /error: 2 new keys wait under the device ID "car": several devices may be using it/);
    const waiting = (await fleetroot.json('certificate', 'list', fleet.account, 'car')).filter(
      ({ state }: { state: string }) => state === 'pending',
    );
    const ofThird = (await pki.openssl('x509', '-in', third.certificate, '-noout', '-fingerprint', '-sha256')).trim();
    assert.ok(waiting.length === 2);
    await fleetroot.json('certificate', 'revoke', fleet.account, ofThird.split('=')[1]!, '--yes');
    await fleet.device('approve', 'car');
    assert.equal(await fleet.arrive(second), 'in');
    assert.equal(await fleet.arrive(third), 'certificate_revoked');
  });

  test('of a device that itself waits for approval waits for its own: letting the device in does not take it', async () => {
    const fleet = await open('--rekey', 'approve', '--admission', 'approval');
    const [first, second] = [await root.guideDevice('car'), await root.guideDevice('car')];
    assert.equal(await fleet.arrive(first), 'admission_pending');
    assert.equal(await fleet.arrive(second), 'rekey_pending');
    assert.equal((await fleet.device('approve', 'car')).state, 'active');
    assert.equal(await fleet.arrive(first), 'in');
    assert.equal(await fleet.arrive(second), 'rekey_pending');
    await fleet.device('approve', 'car');
    assert.equal(await fleet.arrive(second), 'in');
  });

  test('of a suspended or revoked device changes nothing for it', async () => {
    const fleet = await open('--rekey', 'approve');
    assert.equal(await fleet.arrive(await root.guideDevice('car')), 'in');
    await fleet.device('suspend', 'car');
    assert.equal(await fleet.arrive(await root.guideDevice('car')), 'device_suspended');
    assert.deepEqual(await states(fleet, 'car'), ['current']);
    await fleet.device('revoke', 'car');
    assert.equal(await fleet.arrive(await root.guideDevice('car')), 'device_revoked');
    assert.deepEqual(await states(fleet, 'car'), ['revoked']);
  });

  test('and there is nothing to decide where none waits', async () => {
    const fleet = await open('--rekey', 'approve');
    assert.equal(await fleet.arrive(await root.guideDevice('car')), 'in');
    for (const word of ['approve', 'reject']) {
      const { code, stderr } = await fleetroot.command('device', word, fleet.account, 'car');
      assert.equal(code, 1);
      assert.match(stderr, /The device "car" is active: neither it nor a new key of it waits/);
    }
  });
});
