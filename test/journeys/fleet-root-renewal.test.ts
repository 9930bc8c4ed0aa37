// A Fleet Root CA is a name and a public key: renewed, cross-signed, ended, disabled.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { type Ca, type Credentials, Pki } from '../support/pki.ts';

const minute = 60 * 1000;
const day = 24 * 60 * minute;

describe('a Fleet Root CA over the years', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  /** What the server takes for the present. */
  let now = Date.now();
  const start = now;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start({ clock: () => now }), Pki.open()]);
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  const chain = (device: Credentials, ...shown: Ca[]): Promise<Credentials> =>
    pki.chain(device, ...shown.map(({ certificate }) => certificate));

  /** Certificates made by openssl begin with whole seconds. */
  const validity = (from: number, to: number) => ({ validity: { from: start + from, to: start + to } });

  test('renewed with the same key it is the same Fleet Root CA, and devices of either certificate are its devices', async () => {
    const root = await pki.root('renewing', validity(-day, 10 * day));
    const fleet = await Fleet.open(fleetroot, 'renewing', root);
    const old = await root.device('of-the-old', validity(-day, 100 * day));
    assert.equal(await fleet.arrive(old), 'in');
    const earlier = (await fleet.devices())[0];

    const renewed = await root.renewed(validity(-day, 1000 * day));
    const { stdout } = await fleetroot.command('fleet-root', 'register', 'renewing', renewed.certificate);
    assert.match(stdout, /The Fleet Root CA renewing .+ was there and has one more certificate; it is valid until/);
    const [shown, ...others] = await fleet.fleetRoot('list');
    assert.deepEqual(others, []);
    assert.equal(shown.certificates.length, 2);
    assert.equal(shown.not_after, new Date(Math.floor((start + 1000 * day) / 1000) * 1000).toISOString());
    assert.equal(await fleet.arrive(await renewed.device('of-the-new', validity(-day, 100 * day))), 'in');
    assert.equal(await fleet.arrive(old), 'in');
    const [known] = (await fleet.devices()).filter(({ device_id }) => device_id === 'of-the-old');
    assert.equal(known.uuid, earlier.uuid);

    now = start + 50 * day;
    try {
      assert.equal(await fleet.arrive(old), 'in', 'the first certificate of the root has ended, the second goes on');
      assert.equal(await fleet.arrive(await root.device('newcomer', validity(-day, 100 * day))), 'in');
    } finally {
      now = start;
    }
  });

  const ways: Readonly<Record<string, (fleet: Fleet, root: Ca, renewed: Ca) => Promise<unknown>>> = {
    'in one file with the first': async (fleet, root, renewed) =>
      fleet.register({ certificate: await pki.bundle(root.certificate, renewed.certificate) }),
    'by `add-intermediate`': async (fleet, root, renewed) => {
      await fleet.register(root);
      await fleet.fleetRoot('add-intermediate', 'renewed', renewed.certificate);
    },
  };
  for (const [index, [how, add]] of Object.entries(ways).entries()) {
    test(`renewed, and given ${how}: it is one more anchor, wherever it stands`, async () => {
      const root = await pki.root('renewed', validity(-day, 10 * day));
      const fleet = await Fleet.open(fleetroot, `renewed-${index}`);
      await add(fleet, root, await root.renewed(validity(-day, 1000 * day)));
      const { certificates } = await fleet.fleetRoot('show', 'renewed');
      assert.deepEqual(
        certificates.map(({ role }: { role: string }) => role),
        ['anchor', 'anchor'],
      );
      now = start + 50 * day;
      try {
        assert.equal(await fleet.arrive(await root.device('later', validity(-day, 100 * day))), 'in');
      } finally {
        now = start;
      }
    });
  }

  test('when all its certificates have ended it admits nobody, after ten minutes for clocks that differ', async () => {
    const root = await pki.root('ending', validity(-day, 10 * day));
    const fleet = await Fleet.open(fleetroot, 'ending', root);
    await fleet.register(await root.renewed(validity(-day, 20 * day)));
    const device = await root.device('outliving', validity(-day, 100 * day));
    const end = Math.floor((start + 20 * day) / 1000) * 1000;
    try {
      for (const [at, outcome] of [
        [start, 'in'],
        [end, 'in'],
        [end + 10 * minute, 'in'],
        [end + 10 * minute + 1, 'certificate_expired'],
        [end + 50 * day, 'certificate_expired'],
      ] as const) {
        now = at;
        assert.equal(await fleet.arrive(device), outcome, new Date(at).toISOString());
      }
      const { rule } = await fleet.explain(device);
      assert.ok(rule.includes(new Date(end).toISOString()) && rule.includes(new Date(now).toISOString()), rule);
      assert.match(rule, /^"CN=ending" expired at/);
      assert.match((await fleet.registerRefused(root.certificate)).stderr, /expired at/);
      await fleet.register(await root.renewed(validity(-day, 200 * day)));
      assert.equal(await fleet.arrive(device), 'in');
    } finally {
      now = start;
    }
  });

  test("a device's own certificate counts from its first instant to its last, and the refusal shows both clocks", async () => {
    const root = await pki.guideRoot('timing');
    const fleet = await Fleet.open(fleetroot, 'timing', root);
    const device = await root.device('timed', validity(day, 2 * day));
    const [first, last] = [day, 2 * day].map((span) => Math.floor((start + span) / 1000) * 1000) as [number, number];
    try {
      for (const [at, outcome] of [
        [first - 10 * minute - 1, 'certificate_not_yet_valid'],
        [first - 10 * minute, 'in'],
        [first, 'in'],
        [last, 'in'],
        [last + 10 * minute, 'in'],
        [last + 10 * minute + 1, 'certificate_expired'],
      ] as const) {
        now = at;
        assert.equal(await fleet.arrive(device), outcome, new Date(at).toISOString());
        if (outcome === 'in') continue;
        const { rule } = await fleet.explain(device);
        assert.ok(rule.includes(new Date(at).toISOString()), rule);
        assert.ok(rule.includes(new Date(outcome === 'certificate_expired' ? last : first).toISOString()), rule);
      }
    } finally {
      now = start;
    }
  });

  test('an intermediate that has ended shuts out what is below it, until it is renewed', async () => {
    const root = await pki.guideRoot('long');
    const fleet = await Fleet.open(fleetroot, 'long', root);
    const short = await root.intermediate('short', validity(-day, 5 * day));
    const device = await short.device('below', validity(-day, 100 * day));
    assert.equal(await fleet.arrive(await chain(device, short)), 'in');
    now = start + 6 * day;
    try {
      assert.equal(await fleet.arrive(await chain(device, short)), 'certificate_expired');
      const renewed = await root.intermediate('short', { key: short.key, ...validity(-day, 100 * day) });
      assert.equal(await fleet.arrive(await chain(device, short, renewed)), 'in');
    } finally {
      now = start;
    }
  });

  test('cross-signed by another root it is still the same: its devices stay its own, on whatever way they come', async () => {
    const [old, young] = [await pki.root('old'), await pki.root('young')];
    const fleet = await Fleet.open(fleetroot, 'cross-signed', old, young);
    const cross = await young.crossSign(old);
    const device = await chain(await old.device('of-the-old'), cross);
    assert.equal(await fleet.arrive(device), 'in');
    const [known] = await fleet.devices();
    assert.equal(known.fleet_root_ca_name, 'old');
    const shown = await fleet.register(cross);
    assert.equal(shown.added, 'certificate');
    assert.equal(shown.name, 'old');
    assert.equal((await fleet.fleetRoot('list')).length, 2);
    assert.equal(await fleet.arrive(await old.device('of-the-cross')), 'in');
  });

  test('a newcomer belongs to the root nearest to it, however old the one is that has cross-signed that', async () => {
    const [old, young] = [await pki.root('old'), await pki.root('young')];
    const fleet = await Fleet.open(fleetroot, 'nearest', old);
    now += 1000;
    await fleet.register(young);
    now = start;
    const device = await chain(await young.device('of-the-young'), await old.crossSign(young));
    assert.equal(await fleet.arrive(device), 'in');
    assert.equal((await fleet.devices())[0].fleet_root_ca_name, 'young');
    await fleet.fleetRoot('disable', 'old', '--yes');
    assert.equal(await fleet.arrive(device), 'in');
  });

  test('a cross-certificate alone is an anchor too', async () => {
    const [old, young] = [await pki.root('old'), await pki.root('young')];
    const cross = await young.crossSign(old);
    const fleet = await Fleet.open(fleetroot, 'cross-alone', cross);
    assert.equal(await fleet.arrive(await old.device('of-the-old')), 'in');
    assert.equal(await fleet.arrive(await young.device('of-the-young')), 'certificate_untrusted');
  });

  describe('disabled', () => {
    let old: Ca;
    let young: Ca;
    let fleet: Fleet;
    let device: Credentials;

    before(async () => {
      [old, young] = [await pki.root('old'), await pki.root('young')];
      fleet = await Fleet.open(fleetroot, 'disabling', old, young);
      // The same key, registered under a second name while it was in use.
      await fleet.register(await pki.root('alias', { key: old.key }));
      device = await old.device('of-the-old');
      assert.equal(await fleet.arrive(device), 'in');
      await fleet.fleetRoot('disable', 'old', '--yes');
    });

    test('it lets nobody in, known or new', async () => {
      assert.equal(await fleet.arrive(device), 'fleet_root_ca_disabled');
      assert.match((await fleet.explain(device)).rule, /Fleet Root CA "old", which is disabled/);
      assert.equal(await fleet.arrive(await old.device('newcomer')), 'fleet_root_ca_disabled');
    });

    test('a cross-certificate by a root in use brings nobody back, sent or registered', async () => {
      const cross = await young.crossSign(old);
      assert.equal(await fleet.arrive(await chain(device, cross)), 'fleet_root_ca_disabled');
      const mid = await old.intermediate('mid');
      assert.equal(await fleet.arrive(await chain(await mid.device('deeper'), mid, cross)), 'fleet_root_ca_disabled');
      const added = await fleetroot.command('fleet-root', 'add-intermediate', 'disabling', 'young', cross.certificate);
      assert.equal(added.code, 1);
      assert.match(added.stderr, /key of CN=old is that of the Fleet Root CA "old", which is disabled/);
      assert.match((await fleet.registerRefused(cross.certificate)).stderr, /which is disabled/);
    });

    test('nor does the same key under another name, registered before or sent below a root in use', async () => {
      const alias = await pki.root('alias', { key: old.key });
      assert.equal(await fleet.arrive(await alias.device('of-the-alias')), 'fleet_root_ca_disabled');
      const renamed = await young.intermediate('innocent', { key: old.key });
      assert.equal(
        await fleet.arrive(await chain(await renamed.device('of-the-renamed'), renamed)),
        'fleet_root_ca_disabled',
      );
      const leaf = await young.device('with-the-key-of-a-root', { key: old.key });
      assert.equal(await fleet.arrive(leaf), 'fleet_root_ca_disabled');
      assert.match((await fleet.registerRefused((await old.renewed()).certificate)).stderr, /which is disabled/);
    });

    test('a device that has another certificate, under the other root, is another matter', async () => {
      assert.equal(await fleet.arrive(await young.device('of-the-young')), 'in');
    });

    test('activated again, everyone is back as who they were', async () => {
      const [known] = (await fleet.devices()).filter(({ device_id }) => device_id === 'of-the-old');
      await fleet.fleetRoot('activate', 'old');
      assert.equal((await fleet.connect(device)).json.uuid, known.uuid);
    });
  });
});
