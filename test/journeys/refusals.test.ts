// Who was turned away and why, for whoever has to find out; and `explain`, which says it beforehand.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseCertificates } from '../../src/x509/certificate.ts';
import { eventually } from '../support/eventually.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { call } from '../support/image.ts';
import { type Ca, type Credentials, deviceExtensions, Pki } from '../support/pki.ts';
import { execute } from '../support/process.ts';

const day = 24 * 60 * 60 * 1000;
const kept = 10;

/** What is said when something is turned away: one sentence each, for people. */
const sentence = /^[A-Z"`0-9][^\n]*[.!]$/;

describe('whoever is turned away', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  let stranger: Ca;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start({ options: { 'refusals.kept': kept } }), Pki.open()]);
    [root, stranger] = await Promise.all([pki.guideRoot('root'), pki.guideRoot('stranger')]);
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  test('is in the list: when, who, from where, which rule, what to do, and with which certificates', async () => {
    const fleet = await Fleet.open(fleetroot, 'listed', root);
    const device = await pki.chain(await stranger.guideDevice('lost-car'), stranger.certificate, root.certificate);
    const started = Date.now();
    assert.equal(await fleet.arrive(device), 'certificate_untrusted');
    const refusal = await fleet.refusal({ code: 'certificate_untrusted' });
    assert.equal(refusal.device_id, 'lost-car');
    assert.equal(refusal.address, '127.0.0.1');
    assert.equal(refusal.sni, new URL(fleet.image.url).hostname);
    assert.equal(refusal.count, 1);
    assert.equal(refusal.first_at, refusal.at);
    assert.ok(Date.parse(refusal.at) >= started - 1 && Date.parse(refusal.at) <= Date.now());
    assert.match(refusal.rule, sentence);
    assert.match(refusal.remedy, sentence);
    assert.match(refusal.remedy, /fleet-root register/);
    const shown = parseCertificates(Buffer.from(refusal.certificates)).map(({ sha256 }) => sha256);
    const sent = parseCertificates(await readFile(device.certificate)).map(({ sha256 }) => sha256);
    assert.deepEqual(shown, sent);
    // What is kept can be asked about again.
    assert.equal((await fleet.explain({ certificate: await pki.write(refusal.certificates) })).rule, refusal.rule);
  });

  test('is known by its certificate also where that was not what failed', async () => {
    const fleet = await Fleet.open(fleetroot, 'misled', root);
    const device = await root.guideDevice('misled-car');
    const { json } = await fleet.connect(device, { curl: ['-H', 'Host: other.example'] });
    assert.equal(json.code, 'misdirected_request');
    const refusal = await fleet.refusal({ code: 'misdirected_request' });
    assert.equal(refusal.device_id, 'misled-car');
    assert.equal(refusal.certificates.match(/BEGIN CERTIFICATE/g)?.length, 1);
    assert.deepEqual(await fleet.devices(), []);
  });

  test('is counted where it is the same device failing the same way, within a second or later', async () => {
    const fleet = await Fleet.open(fleetroot, 'counted', root);
    const [one, other] = [await stranger.guideDevice('one'), await stranger.guideDevice('other')];
    await Promise.all(Array.from({ length: 5 }, () => fleet.connect(one)));
    await fleet.connect(other);
    const five = await fleet.refusal({ device_id: 'one', count: 5 });
    await Promise.all(Array.from({ length: 3 }, () => fleet.connect(one)));
    const eight = await fleet.refusal({ device_id: 'one', count: 8 });
    assert.equal(eight.first_at, five.first_at);
    assert.ok(eight.at > five.at);
    assert.equal((await fleet.refusal({ device_id: 'other' })).count, 1);
    assert.equal((await fleetroot.json('refusal', 'list', 'counted')).length, 2);

    await fleet.register(stranger);
    await fleet.fleetRoot('close', 'stranger', '--yes');
    await fleet.connect(one);
    await fleet.refusal({ device_id: 'one', code: 'fleet_root_ca_closed', count: 1 });
  });

  test('is on a list that is bounded, the latest first', async () => {
    const fleet = await Fleet.open(fleetroot, 'bounded', root);
    const devices = await Promise.all(Array.from({ length: kept + 4 }, (_, n) => stranger.device(`late-${n}`)));
    await fleet.connect(await stranger.device('early'));
    await fleet.refusal({ device_id: 'early' });
    for (const device of devices) await fleet.connect(device);
    const list = await eventually(async () => {
      const refusals = await fleetroot.json('refusal', 'list', 'bounded');
      return refusals[0].device_id === `late-${kept + 3}` && refusals;
    });
    const ids = list.map(({ device_id }: { device_id: string }) => device_id);
    assert.deepEqual(
      ids,
      Array.from({ length: kept }, (_, n) => `late-${kept + 3 - n}`),
    );
  });

  test('can do nothing to the terminal of whoever reads it', async () => {
    const fleet = await Fleet.open(fleetroot, 'hostile', root);
    await fleet.connect(await stranger.shapedDevice({ subject: 'x\u001b[2J\u202ey' }));
    await fleet.connect(await root.shapedDevice({ subject: 'x\u001b[2J\u202ey' }));
    await fleet.refusal({ code: 'device_id_invalid' });
    const { stdout } = await fleetroot.command('refusal', 'list', 'hostile');
    assert.match(stdout, /certificate_untrusted/);
    assert.doesNotMatch(stdout, /[\x00-\x09\x0b-\x1f\x7f\u202e]/);
  });

  test('concerns its own account alone', async () => {
    const [here, there] = [await Fleet.open(fleetroot, 'here', root), await Fleet.open(fleetroot, 'there', root)];
    await here.connect(await stranger.device('lost'));
    await here.refusal({ device_id: 'lost' });
    assert.deepEqual(await fleetroot.json('refusal', 'list', there.account), []);
    assert.ok(!JSON.stringify(await fleetroot.json('refusal', 'list', '--unassigned')).includes('lost'));
  });

  describe('would have been told by `explain`', () => {
    let fleet: Fleet;
    let closed: Ca;
    let disabled: Ca;

    before(async () => {
      [closed, disabled] = await Promise.all([pki.guideRoot('closed'), pki.guideRoot('disabled')]);
      fleet = await Fleet.openTest(fleetroot, 'explained', root, closed, disabled);
      await fleet.set('--device-id-pattern', '[a-z-]+');
      const ready = ['known', 'suspended', 'revoked', 'deleted'];
      for (const id of ready) assert.equal(await fleet.arrive(await root.guideDevice(id)), 'in');
      await fleet.device('suspend', 'suspended');
      await fleet.device('revoke', 'revoked');
      await fleet.fleetRoot('close', 'closed', '--yes');
      await fleet.fleetRoot('disable', 'disabled', '--yes');
    });

    const cases: Readonly<Record<string, () => Promise<Credentials>>> = {
      in: () => root.guideDevice('newcomer'),
      certificate_untrusted: () => stranger.guideDevice('a-stranger'),
      certificate_expired: () => root.device('too-late', { validity: { from: 0, to: Date.now() - day } }),
      certificate_not_yet_valid: () =>
        root.device('too-early', { validity: { from: Date.now() + day, to: Date.now() + 2 * day } }),
      certificate_invalid: () => root.device('no-client', { extensions: ['extendedKeyUsage=serverAuth'] }),
      device_id_invalid: () => root.device('', { subject: '/O=Fleet' }),
      device_id_not_allowed: () => root.guideDevice('CAPITALS'),
      device_id_conflict: () => closed.guideDevice('known'),
      device_suspended: () => root.guideDevice('suspended'),
      device_revoked: () => root.guideDevice('revoked'),
      fleet_root_ca_closed: () => closed.guideDevice('newcomer-two'),
      fleet_root_ca_disabled: () => disabled.guideDevice('newcomer-three'),
      certificate_revoked: async () => {
        const device = await root.guideDevice('deleted');
        assert.equal(await fleet.arrive(device), 'in');
        await fleet.device('delete', 'deleted');
        return device;
      },
    };
    for (const [code, make] of Object.entries(cases)) {
      test(`${code}: the same code, sentence and device ID as the gateway, and nothing is recorded`, async () => {
        const device = await make();
        // When a device was last seen is written with a delay: that of those before may come in between.
        const recorded = async () => (await fleet.devices()).map((each: object) => ({ ...each, last_seen: null }));
        const devices = await recorded();
        const explained = await fleet.explain(device);
        assert.equal((await fleet.explain(device)).code, explained.code);
        assert.deepEqual(await recorded(), devices);
        const refused = await fleetroot.json('refusal', 'list', 'explained');
        assert.ok(
          !refused.some((each: { code: string; rule: string }) => each.code === code && each.rule === explained.rule),
        );

        assert.equal(await fleet.arrive(device), code);
        assert.equal(explained.code, code === 'in' ? null : code);
        if (code === 'in') {
          assert.deepEqual([explained.rule, explained.remedy], [null, null]);
          assert.equal(explained.fleet_root_ca, (await fleet.fleetRoot('show', 'root')).id);
        } else {
          assert.match(explained.rule, sentence);
          assert.match(explained.remedy, sentence);
          const refusal = await fleet.refusal({ code, device_id: explained.device_id });
          assert.equal(refusal.remedy, explained.remedy);
        }
      });
    }

    test('admission_pending and rekey_pending, before the device has ever come', async () => {
      const waiting = await Fleet.open(fleetroot, 'waiting', root);
      await waiting.set('--admission', 'approval', '--rekey', 'approve');
      const [first, second] = [await root.guideDevice('car'), await root.guideDevice('car')];
      assert.equal((await waiting.explain(first)).code, 'admission_pending');
      assert.deepEqual(await waiting.devices(), []);
      assert.equal(await waiting.arrive(first), 'admission_pending');
      assert.equal((await waiting.explain(second)).code, 'rekey_pending');
      assert.equal((await fleetroot.json('certificate', 'list', 'waiting', 'car')).length, 1);
      assert.equal(await waiting.arrive(second), 'rekey_pending');
    });

    test("not_a_device, for the provisioning key's certificate", async () => {
      const provisioner = await fleet.image.provisioner();
      const explained = await fleet.explain({ certificate: provisioner.certificate! });
      assert.deepEqual([explained.code, explained.device_id], ['not_a_device', null]);
      assert.equal((await call(provisioner, '/device')).json.code, 'not_a_device');
      assert.equal((await fleet.refusal({ code: 'not_a_device' })).device_id, null);
    });

    test('in words for people, with the exit code 0 or 1; and 1 for a file that holds no chain', async () => {
      const { certificate } = await root.guideDevice('worded');
      const good = await fleetroot.command('explain', 'explained', certificate);
      assert.equal(good.code, 0);
      assert.match(good.stdout, /^Admitted as worded under the Fleet Root CA /);
      const bad = await fleetroot.command('explain', 'explained', (await stranger.guideDevice('wordless')).certificate);
      assert.equal(bad.code, 1);
      assert.match(bad.stdout, /certificate_untrusted/);
      assert.match(bad.stdout, /fleet-root register/);
      for (const [content, says] of [
        ['', /no certificate|no file|empty/i],
        ['hello', /no certificate/],
      ] as const) {
        const none = await fleetroot.command('explain', 'explained', await pki.write(content));
        assert.equal(none.code, 1);
        assert.match(none.stderr, says);
      }
      assert.equal((await fleetroot.command('explain', 'explained')).code, 2);
      assert.equal((await fleetroot.command('explain', 'nobody', certificate)).code, 1);
    });
  });
});

describe('at the end of the factory line, without a server', () => {
  let pki: Pki;
  let root: Ca;
  let upper: Ca;

  before(async () => {
    pki = await Pki.open();
    root = await pki.guideRoot('root');
    upper = await root.intermediate('upper');
  });
  after(() => pki[Symbol.asyncDispose]());

  const explain = async (...words: string[]): Promise<{ code: number | null; said: any }> => {
    const main = join(import.meta.dirname, '../../src/main.ts');
    const data = pki.file('.nowhere');
    const { code, stdout, stderr } = await execute(process.execPath, [
      main,
      'explain',
      ...words,
      '--json',
      '--data',
      data,
    ]);
    return { code, said: stdout === '' ? stderr : JSON.parse(stdout) };
  };

  test('`explain --root` says who would get in, and exits with 0', async () => {
    const device = await root.guideDevice('fresh');
    const { code, said } = await explain('--root', root.certificate, device.certificate);
    assert.equal(code, 0);
    assert.equal(said.admitted, true);
    assert.equal(said.device_id, 'fresh');
    assert.equal(said.code, null);
  });

  test('with intermediates in the chain, or kept with the root, and with several roots', async () => {
    const below = await upper.guideDevice('below');
    const other = await pki.guideRoot('other');
    const [sent, kept, several, missing] = await Promise.all([
      explain('--root', root.certificate, (await pki.chain(below, upper.certificate)).certificate),
      explain('--root', await pki.bundle(root.certificate, upper.certificate), below.certificate),
      explain('--root', other.certificate, root.certificate, (await root.guideDevice('x')).certificate),
      explain('--root', root.certificate, below.certificate),
    ]);
    assert.deepEqual([sent.code, kept.code, several.code, missing.code], [0, 0, 0, 1]);
    assert.match(missing.said.rule, /The issuer of "CN=below", "CN=upper", was neither sent nor/);
  });

  test('and who would not, with the reason, exiting with 1', async () => {
    const validity = { from: Date.now() - 2 * day, to: Date.now() - day };
    const refusals: [string, Credentials][] = [
      ['certificate_untrusted', await (await pki.guideRoot('stranger')).guideDevice('a')],
      ['certificate_expired', await root.device('b', { validity })],
      ['certificate_invalid', await root.device('c', { extensions: ['extendedKeyUsage=serverAuth'] })],
      ['device_id_invalid', await root.device('uuid:d', { extensions: deviceExtensions })],
      ['certificate_invalid', root],
    ];
    await Promise.all(
      refusals.map(async ([expected, { certificate }]) => {
        const { code, said } = await explain('--root', root.certificate, certificate);
        assert.deepEqual([code, said.code], [1, expected]);
        assert.match(said.rule, sentence);
        assert.match(said.remedy, sentence);
      }),
    );
  });

  test('what cannot be read is an error, and what makes no sense is usage', async () => {
    const device = await root.guideDevice('unread');
    const [noChain, keyed, none, bare] = await Promise.all([
      explain('--root', root.certificate, await pki.write('nothing')),
      explain('--root', root.key, device.certificate),
      explain('--root', root.certificate, '/nowhere/at/all.pem'),
      explain('--root', root.certificate),
    ]);
    assert.deepEqual([noChain.code, keyed.code, none.code, bare.code], [1, 1, 1, 2]);
    assert.match(noChain.said, /The chain: There is no certificate in the file/);
    assert.match(keyed.said, /private key/);
    assert.match(none.said, /\/nowhere\/at\/all\.pem/);
  });
});
