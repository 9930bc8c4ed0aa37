// From one Fleet Root CA to another: who may go, when, and that nobody goes back.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { Line } from '../support/line.ts';
import { type Ca, Pki } from '../support/pki.ts';

describe('moving to another Fleet Root CA', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let old: Ca;
  let young: Ca;
  let fleets = 0;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    [old, young] = [await pki.guideRoot('old'), await pki.guideRoot('young')];
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  /** A new account that trusts both. */
  const open = (): Promise<Fleet> => {
    fleets += 1;
    return Fleet.open(fleetroot, `fleet-${fleets}`, old, young);
  };

  test('the same device ID under another Fleet Root CA is refused, and the first device goes on', async () => {
    const fleet = await open();
    const [first, other] = [await old.guideDevice('car'), await young.guideDevice('car')];
    assert.equal(await fleet.arrive(first), 'in');
    assert.equal(await fleet.arrive(other), 'device_id_conflict');
    assert.equal(await fleet.arrive(first), 'in');
    const refusal = await fleet.refusal({ code: 'device_id_conflict' });
    assert.equal(
      refusal.rule,
      'The device ID "car" belongs to a device under the Fleet Root CA "old"; this certificate leads to "young".',
    );
    assert.match(refusal.remedy, /`device move-root` or `fleet-root successor`/);
    assert.equal((await fleet.devices()).length, 1);
  });

  test('`device move-root` lets one device come over when it comes, and no other', async () => {
    const fleet = await open();
    const had = { car: await old.guideDevice('car'), bus: await old.guideDevice('bus') };
    const renewed = { car: await young.guideDevice('car'), bus: await young.guideDevice('bus') };
    for (const device of Object.values(had)) assert.equal(await fleet.arrive(device), 'in');
    const { uuid } = (await fleet.connect(had.car)).json;
    const youngId = (await fleet.fleetRoot('show', 'young')).id;
    const allowed = await fleetroot.json('device', 'move-root', fleet.account, 'car', 'young');
    assert.equal(allowed.allowed_fleet_root_ca, youngId);
    assert.equal(allowed.fleet_root_ca_name, 'old');

    assert.equal(await fleet.arrive(had.car), 'in', 'until it comes, it goes on with what it has');
    assert.equal(await fleet.arrive(renewed.bus), 'device_id_conflict');
    assert.equal(await fleet.arrive(renewed.car), 'in');
    const moved = await fleet.device('show', 'car');
    assert.deepEqual([moved.uuid, moved.fleet_root_ca, moved.allowed_fleet_root_ca], [uuid, youngId, null]);
    assert.equal(await fleet.arrive(had.car), 'device_id_conflict', 'and not back again');
    assert.equal(await fleet.arrive(renewed.car), 'in');
  });

  test('a leave to move is taken back by naming the Fleet Root CA that the device is under', async () => {
    const fleet = await open();
    assert.equal(await fleet.arrive(await old.guideDevice('car')), 'in');
    await fleetroot.json('device', 'move-root', fleet.account, 'car', 'young');
    const back = await fleetroot.json('device', 'move-root', fleet.account, 'car', 'old');
    assert.equal(back.allowed_fleet_root_ca, null);
    assert.equal(await fleet.arrive(await young.guideDevice('car')), 'device_id_conflict');
  });

  test('`fleet-root successor`: the roll-over of a fleet, one by one as they come, not back again', async () => {
    const fleet = await open();
    const ids = ['car-1', 'car-2', 'car-3'];
    const uuids = new Map<string, string>();
    const had = new Map(await Promise.all(ids.map(async (id) => [id, await old.guideDevice(id)] as const)));
    for (const [id, device] of had) uuids.set(id, (await fleet.connect(device)).json.uuid);
    const { successor, devices } = await fleet.fleetRoot('successor', 'old', 'young');
    assert.equal(successor, (await fleet.fleetRoot('show', 'young')).id);
    assert.equal(devices, 3);

    for (const [index, id] of ids.entries()) {
      const renewed = await young.guideDevice(id);
      assert.equal((await fleet.connect(renewed)).json.uuid, uuids.get(id));
      for (const [other, device] of had) {
        const expected = ids.indexOf(other) <= index ? 'device_id_conflict' : 'in';
        assert.equal(await fleet.arrive(device), expected, `${other} after ${id} has moved`);
      }
      const counts = (await fleet.fleetRoot('list')).map((root: { devices: number }) => root.devices);
      assert.deepEqual(counts, [2 - index, index + 1]);
    }
    assert.equal(await fleet.arrive(await old.guideDevice('car-1')), 'device_id_conflict');
    assert.equal(await fleet.arrive(await young.guideDevice('car-4')), 'in');
  });

  test('a device of the old root that was closed or disabled still comes over', async () => {
    for (const word of ['close', 'disable']) {
      const fleet = await open();
      assert.equal(await fleet.arrive(await old.guideDevice('car')), 'in');
      await fleet.fleetRoot('successor', 'old', 'young');
      await fleet.fleetRoot(word, 'old', '--yes');
      assert.equal(await fleet.arrive(await young.guideDevice('car')), 'in');
      assert.equal((await fleet.device('show', 'car')).fleet_root_ca_name, 'young');
    }
  });

  test('nobody comes over to a root that is closed, disabled or a stranger', async () => {
    const fleet = await open();
    assert.equal(await fleet.arrive(await old.guideDevice('car')), 'in');
    await fleet.fleetRoot('successor', 'old', 'young');
    const renewed = await young.guideDevice('car');
    await fleet.fleetRoot('close', 'young', '--yes');
    assert.equal(await fleet.arrive(renewed), 'device_id_conflict');
    await fleet.fleetRoot('disable', 'young', '--yes');
    assert.equal(await fleet.arrive(renewed), 'fleet_root_ca_disabled');
    const stranger = await pki.guideRoot('stranger');
    assert.equal(await fleet.arrive(await stranger.guideDevice('car')), 'certificate_untrusted');
  });

  test('a suspended device does not come over, and a revoked one never', async () => {
    const fleet = await open();
    assert.equal(await fleet.arrive(await old.guideDevice('car')), 'in');
    await fleet.fleetRoot('successor', 'old', 'young');
    const renewed = await young.guideDevice('car');
    await fleet.device('suspend', 'car');
    assert.equal(await fleet.arrive(renewed), 'device_suspended');
    assert.equal((await fleet.device('show', 'car')).fleet_root_ca_name, 'old');
    await fleet.device('revoke', 'car');
    assert.equal(await fleet.arrive(renewed), 'device_revoked');
  });

  test('what makes no sense is refused: itself, a root that is not there, one of another account', async () => {
    const fleet = await open();
    await fleet.arrive(await old.guideDevice('car'));
    const elsewhere = await Fleet.open(fleetroot, 'elsewhere', await pki.guideRoot('theirs'));
    const { id } = await elsewhere.fleetRoot('show', 'theirs');
    for (const [words, says] of [
      [['fleet-root', 'successor', fleet.account, 'old', 'old'], /its own successor/],
      [['fleet-root', 'successor', fleet.account, 'old', 'nobody'], /no Fleet Root CA "nobody"/],
      [['fleet-root', 'successor', fleet.account, 'old', id], /no Fleet Root CA/],
      [['device', 'move-root', fleet.account, 'car', id], /no Fleet Root CA/],
      [['device', 'move-root', fleet.account, 'nobody', 'young'], /no device "nobody"/],
    ] as const) {
      const { code, stderr } = await fleetroot.command(...words);
      assert.equal(code, 1);
      assert.match(stderr, says);
    }
  });

  test('the move ends what is open under the old certificate', async () => {
    const fleet = await open();
    const device = await old.guideDevice('car');
    using line = await Line.open(fleet.image.withCertificate(device.certificate, device.key));
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 200);
    await fleet.fleetRoot('successor', 'old', 'young');
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 200);
    assert.equal(await fleet.arrive(await young.guideDevice('car')), 'in');
    await line.closed();
  });

  test('where new keys wait for approval, one under the successor waits too, and the old one goes on', async () => {
    const fleet = await open();
    await fleet.set('--rekey', 'approve');
    const [had, renewed] = [await old.guideDevice('car'), await young.guideDevice('car')];
    assert.equal(await fleet.arrive(had), 'in');
    await fleet.fleetRoot('successor', 'old', 'young');
    assert.equal(await fleet.arrive(renewed), 'rekey_pending');
    assert.equal(await fleet.arrive(had), 'in');
    assert.equal((await fleet.device('show', 'car')).fleet_root_ca_name, 'old');
    await fleet.device('approve', 'car');
    assert.equal(await fleet.arrive(had), 'in');
    assert.equal(await fleet.arrive(renewed), 'in');
    assert.equal((await fleet.device('show', 'car')).fleet_root_ca_name, 'young');
    assert.equal(await fleet.arrive(had), 'device_id_conflict');
  });

  test('where new keys wait for approval, the key that a device has had comes over without', async () => {
    const fleet = await open();
    await fleet.set('--rekey', 'approve');
    const had = await old.guideDevice('car');
    assert.equal(await fleet.arrive(had), 'in');
    await fleet.fleetRoot('successor', 'old', 'young');
    assert.equal(await fleet.arrive(await young.device('car', { key: had.key })), 'in');
  });

  test('from shared to device credentials: a device made by the server comes over to the registered root', async () => {
    const testing = await Fleet.openTest(fleetroot, 'testing', young);
    const made = await testing.image.boot('board');
    assert.equal(await testing.arrive(made), 'in');
    const own = await young.guideDevice('board');
    assert.equal(await testing.arrive(own), 'device_id_conflict');
    await fleetroot.json('device', 'move-root', 'testing', 'board', 'young');
    assert.equal(await testing.arrive(own), 'in');
    const moved = await testing.device('show', 'board');
    assert.deepEqual([moved.method, moved.fleet_root_ca_name], ['device', 'young']);
    assert.equal(await testing.arrive(made), 'device_id_conflict');
  });
});
