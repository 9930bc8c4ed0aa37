// Fleet Root CAs active, closed and disabled: what each means for devices that are known, and for newcomers.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { Line } from '../support/line.ts';
import { type Ca, Pki } from '../support/pki.ts';

describe('the state of a Fleet Root CA', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  /** An account with one root, and a device of it that is known. */
  const open = async (name: string) => {
    const root = await pki.guideRoot(name);
    const fleet = await Fleet.open(fleetroot, name, root);
    const known = await root.guideDevice('known');
    assert.equal(await fleet.arrive(known), 'in');
    return { root, fleet, known };
  };

  test('closed: those known go on, also with a new certificate and a new key; newcomers are told', async () => {
    const { root, fleet, known } = await open('closing');
    using line = await Line.open(fleet.image.withCertificate(known.certificate, known.key));
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 200);

    assert.equal((await fleet.fleetRoot('close', 'closing', '--yes')).state, 'closed');
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 200, 'the open connection is left alone');
    assert.equal(await fleet.arrive(known), 'in');
    assert.equal(await fleet.arrive(await root.guideDevice('known')), 'in');
    assert.equal(await fleet.arrive(await root.guideDevice('newcomer')), 'fleet_root_ca_closed');
    const refusal = await fleet.refusal({ code: 'fleet_root_ca_closed', device_id: 'newcomer' });
    assert.equal(refusal.rule, 'The Fleet Root CA "closing" is closed: it takes no newcomers.');
    assert.match(refusal.remedy, /fleet-root activate/);
    assert.deepEqual(
      (await fleet.devices()).map(({ device_id }) => device_id),
      ['known'],
    );
  });

  test('disabled: nobody, and open connections end at once; active again: everyone', async () => {
    const { root, fleet, known } = await open('disabling');
    using line = await Line.open(fleet.image.withCertificate(known.certificate, known.key));
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 200);

    assert.equal((await fleet.fleetRoot('disable', 'disabling', '--yes')).state, 'disabled');
    await line.closed();
    assert.equal(await fleet.arrive(known), 'fleet_root_ca_disabled');
    const newcomer = await root.guideDevice('newcomer');
    assert.equal(await fleet.arrive(newcomer), 'fleet_root_ca_disabled');
    assert.equal((await fleet.fleetRoot('show', 'disabling')).devices, 1);

    assert.equal((await fleet.fleetRoot('activate', 'disabling')).state, 'active');
    assert.equal(await fleet.arrive(known), 'in');
    assert.equal(await fleet.arrive(newcomer), 'in');
  });

  test('from disabled to closed and back: each state means the same, wherever it was before', async () => {
    const { root, fleet, known } = await open('wandering');
    const outcomes = {
      close: ['in', 'fleet_root_ca_closed'],
      disable: ['fleet_root_ca_disabled', 'fleet_root_ca_disabled'],
    };
    const newcomer = await root.guideDevice('newcomer');
    for (const word of ['disable', 'close', 'disable', 'close'] as const) {
      await fleet.fleetRoot(word, 'wandering', '--yes');
      assert.deepEqual([await fleet.arrive(known), await fleet.arrive(newcomer)], outcomes[word], word);
    }
  });

  test('a newcomer with a way to a closed root and one to an active root is taken by the active one', async () => {
    const [old, young] = [await pki.root('old'), await pki.root('young')];
    const fleet = await Fleet.open(fleetroot, 'two-ways', old, young);
    await fleet.fleetRoot('close', 'old', '--yes');
    const cross = await young.crossSign(old);
    const device = await pki.chain(await old.device('two-ways'), cross.certificate);
    assert.equal(await fleet.arrive(device), 'in');
    assert.equal((await fleet.devices())[0].fleet_root_ca_name, 'young');
  });

  test('closing one of two roots leaves the other alone', async () => {
    const { fleet } = await open('one-of-two');
    const other = await pki.guideRoot('other');
    await fleet.register(other);
    await fleet.fleetRoot('close', 'one-of-two', '--yes');
    assert.equal(await fleet.arrive(await other.guideDevice('newcomer')), 'in');
  });

  describe('that was generated', () => {
    let testing: Fleet;
    let root: Ca;

    before(async () => {
      root = await pki.guideRoot('registered');
      testing = await Fleet.openTest(fleetroot, 'testing', root);
    });

    test('closed, it makes no more devices, and those it has made go on', async () => {
      const made = await testing.image.boot('made');
      await testing.fleetRoot('close', 'generated', '--yes');
      assert.equal(await testing.arrive(made), 'in');
      const refused = await testing.image.provision('unmade');
      assert.equal(refused.status, 403);
      assert.equal(refused.json.code, 'fleet_root_ca_closed');
      assert.equal(await testing.arrive(await root.guideDevice('beside')), 'in');
    });

    test('disabled, what it has made is out too', async () => {
      await testing.fleetRoot('activate', 'generated');
      const made = await testing.image.boot('made-then-out');
      assert.equal(await testing.arrive(made), 'in');
      await testing.fleetRoot('disable', 'generated', '--yes');
      assert.equal(await testing.arrive(made), 'fleet_root_ca_disabled');
      assert.equal((await testing.image.provision('unmade')).json.code, 'fleet_root_ca_disabled');
      assert.equal(await testing.arrive(await root.guideDevice('beside-2')), 'in');
    });

    test('distrusted by its key, it makes no device either, which would not get in', async () => {
      await testing.fleetRoot('activate', 'generated');
      const { certificates } = await testing.fleetRoot('show', 'generated');
      const file = await pki.write(certificates[0].certificate);
      await testing.fleetRoot('distrust', file, '--yes');
      const refused = await testing.image.provision('unmade');
      assert.deepEqual([refused.status, refused.json.code], [403, 'fleet_root_ca_disabled']);
      const { remedy } = await testing.refusal({ device_id: 'unmade', code: 'fleet_root_ca_disabled' });
      assert.match(remedy, /fleet-root/);
      await testing.fleetRoot('trust', file);
      assert.equal(await testing.arrive(await testing.image.boot('unmade')), 'in');
    });
  });
});
