// Only what a manifest holds gets in: what is made with a line's stolen key does not, also where its chain is good.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { Line } from '../support/line.ts';
import { LineAccount } from '../support/line-account.ts';
import { operatorCall } from '../support/operator-call.ts';
import { Owner } from '../support/owner.ts';
import { type Ca, type Credentials, Pki } from '../support/pki.ts';
import { needs } from '../support/require.ts';

const notHeld = 'certificate_not_in_manifest';

describe(
  'under a Fleet Root CA that admits by manifest',
  { skip: needs('openssl', 'curl', 'unzip'), timeout: 300_000 },
  () => {
    let fleetroot: Fleetroot;
    let pki: Pki;
    let accounts = 0;

    before(async () => {
      [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    });
    after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

    const account = (): string => {
      accounts += 1;
      return `account-${accounts}`;
    };

    /** An account that trusts a Fleet Root CA of its own, under which a line works. */
    const factory = async (): Promise<{ root: Ca; line: LineAccount; fleet: Fleet }> => {
      const root = await pki.root('Fleet');
      return {
        root,
        line: await LineAccount.open(pki, root, 'line-1'),
        fleet: await Fleet.open(fleetroot, account(), root),
      };
    };
    const importManifest = async (fleet: Fleet, line: LineAccount): Promise<any> =>
      fleetroot.json('manifest', 'import', fleet.account, await line.manifest());
    const admit = (fleet: Fleet, by: 'chain' | 'manifest', ca = 'Fleet'): Promise<any> =>
      fleet.fleetRoot('set', ca, '--admit', by, '--yes');
    const dryRun = (fleet: Fleet, by: 'chain' | 'manifest'): Promise<any> =>
      fleet.fleetRoot('set', 'Fleet', '--admit', by, '--dry-run');

    /** A connection on which the device has been served. */
    const hold = async (fleet: Fleet, { certificate, key }: Credentials): Promise<Line> => {
      const open = await Line.open(fleet.image.withCertificate(certificate, key));
      assert.ok(await goesOn(open), 'the device is served');
      return open;
    };
    const goesOn = async (open: Line): Promise<boolean> => {
      open.send('GET', '/device');
      return (await open.reply())?.status === 200;
    };

    const strangers = async (fleet: Fleet): Promise<any[]> => {
      const { json } = await operatorCall(
        fleetroot.dir,
        'GET',
        `/accounts/${fleet.account}/events?types=factory.stranger`,
      );
      return json.map(({ data }: { data: unknown }) => data);
    };

    test("a certificate by the line's stolen key gets in by its chain, and not where a manifest has to hold it", async () => {
      const { line, fleet } = await factory();
      const [made, stolen] = [await line.make('made'), await line.chain(await line.stolen('stolen'))];
      await importManifest(fleet, line);
      assert.equal((await fleet.fleetRoot('show', 'Fleet')).admit, 'chain', 'as the guide has it, unless said');
      assert.equal(await fleet.arrive(made), 'in');
      assert.equal(await fleet.arrive(stolen), 'in');

      assert.equal((await admit(fleet, 'manifest')).admit, 'manifest');
      assert.equal((await fleet.fleetRoot('list'))[0].admit, 'manifest');
      assert.equal(await fleet.arrive(made), 'in');
      assert.equal(await fleet.arrive(stolen), notHeld);
      // A device ID that is known is of no help, nor is one that the manifest names.
      const impostor = await line.chain(await line.stolen('made'));
      assert.equal(await fleet.arrive(impostor), notHeld);
      const { rule, remedy } = await fleet.explain(impostor);
      assert.match(rule, /"made".*line "line-1"/);
      assert.match(remedy, /manifest import/);
      assert.equal((await fleetroot.json('certificate', 'list', fleet.account, 'made')).length, 1);

      await admit(fleet, 'chain');
      assert.equal(await fleet.arrive(stolen), 'in');
    });

    test('what is made later gets in from the moment its manifest is imported', async () => {
      const { line, fleet } = await factory();
      await line.make('first');
      await importManifest(fleet, line);
      await admit(fleet, 'manifest');
      const later = await line.make('later');
      assert.equal(await fleet.arrive(later), notHeld);
      await importManifest(fleet, line);
      assert.equal(await fleet.arrive(later), 'in');
    });

    test('nothing else under the same Fleet Root CA gets in either: of the root itself, or of another intermediate', async () => {
      const { root, line, fleet } = await factory();
      const made = await line.make('made');
      await importManifest(fleet, line);
      const other = await root.intermediate('other');
      const direct = await root.device('direct');
      const under = await pki.chain(await other.device('under'), other.certificate);
      for (const device of [made, direct, under]) assert.equal(await fleet.arrive(device), 'in');
      await admit(fleet, 'manifest');
      assert.equal(await fleet.arrive(made), 'in');
      for (const device of [direct, under]) assert.equal(await fleet.arrive(device), notHeld);
      assert.match((await fleet.explain(direct)).rule, /by no line .*"Fleet"/);
      assert.deepEqual(await strangers(fleet), [], 'they are of no line');
    });

    test('where there is no manifest at all, nobody gets in', async () => {
      const { line, fleet } = await factory();
      await admit(fleet, 'manifest');
      assert.equal(await fleet.arrive(await line.chain(await line.make('made'))), notHeld);
    });

    test('a line speaks for what its own CA has issued and nothing else', async () => {
      const { root, line, fleet } = await factory();
      const stolen = await line.chain(await line.stolen('stolen'));
      const withdrawn = await line.make('withdrawn');
      await importManifest(fleet, line);
      const broken = await LineAccount.open(pki, root, 'line-2');
      await broken.account('make', stolen);
      await importManifest(fleet, broken);
      await admit(fleet, 'manifest');
      assert.equal(await fleet.arrive(stolen), notHeld);
      assert.equal(await fleet.arrive(withdrawn), 'in');
    });

    test('who has the key signs manifests too: what is in them beyond the mandate does not get in', async () => {
      const root = await pki.root('Fleet');
      const line = await LineAccount.open(pki, root, 'line-1', 1);
      const fleet = await Fleet.open(fleetroot, account(), root);
      const [made, more] = [await line.make('made'), await line.make('one-more')];
      assert.deepEqual((await importManifest(fleet, line)).beyond, 1);
      assert.equal(await fleet.arrive(more), 'in');
      await admit(fleet, 'manifest');
      assert.equal(await fleet.arrive(made), 'in');
      assert.equal(await fleet.arrive(more), notHeld);
      assert.match((await fleet.explain(more)).rule, /beyond the quota of its mandate/);
    });

    test('who has the key lists a certificate under the ID or key of another: what its mandate was not held against stays out', async () => {
      const { line, fleet } = await factory();
      const [named, keyed] = [await line.stolen('payment-gateway'), await line.stolen('vin-000002')];
      await line.make('made');
      await line.account('make', named, { device_id: 'vin-000001' });
      await line.account('make', keyed, { public_key_sha256: '0'.repeat(64) });
      await importManifest(fleet, line);
      assert.equal(await fleet.arrive(named), 'in');
      const impact = await dryRun(fleet, 'manifest');
      assert.deepEqual([impact.devices, impact.refused, impact.sample], [1, 1, ['payment-gateway']]);
      await admit(fleet, 'manifest');
      for (const device of [named, keyed]) assert.equal(await fleet.arrive(device), notHeld);
      await eventually(async () => (await strangers(fleet)).length === 2);
    });

    test('the manifests of one account let nobody into another', async () => {
      const { root, line, fleet } = await factory();
      const other = await Fleet.open(fleetroot, account(), root);
      const made = await line.chain(await line.make('made'));
      await importManifest(fleet, line);
      for (const each of [fleet, other]) await admit(each, 'manifest');
      assert.equal(await fleet.arrive(made), 'in');
      assert.equal(await other.arrive(made), notHeld);
    });

    test('a dry run says whom it would refuse, and that number is what is confirmed', async () => {
      const { root, line, fleet } = await factory();
      for (const id of ['made-1', 'made-2'])
        assert.equal(await fleet.arrive(await line.chain(await line.make(id))), 'in');
      const stolen = await line.chain(await line.stolen('stolen'));
      const direct = await root.device('direct');
      for (const device of [stolen, direct]) assert.equal(await fleet.arrive(device), 'in');
      await importManifest(fleet, line);
      const suspended = await line.chain(await line.stolen('suspended'));
      assert.equal(await fleet.arrive(suspended), 'in');
      await fleet.device('suspend', 'suspended');

      const impact = await dryRun(fleet, 'manifest');
      assert.deepEqual([impact.action, impact.devices, impact.refused, impact.confirm], ['updateFleetRootCa', 5, 2, 2]);
      assert.deepEqual(impact.by_rule, [
        { code: notHeld, rule: 'The certificate is in no manifest of its factory.', devices: 2 },
      ]);
      assert.deepEqual(new Set(impact.sample.slice(0, 2)), new Set(['stolen', 'direct']));
      assert.match(impact.newcomers, /certificate_not_in_manifest/);
      assert.equal(await fleet.arrive(stolen), 'in', 'a dry run does nothing');

      const path = `/accounts/${fleet.account}/fleet-root-cas/Fleet`;
      const unconfirmed = await operatorCall(fleetroot.dir, 'PATCH', path, { body: { admit: 'manifest' } });
      assert.deepEqual([unconfirmed.status, unconfirmed.json.code], [409, 'confirmation_required']);
      const toFew = await fleetroot.command(
        ...['fleet-root', 'set', fleet.account, 'Fleet', '--admit', 'manifest', '--max', '1'],
      );
      assert.equal(toFew.code, 1);
      assert.equal(await fleet.arrive(stolen), 'in');
      await fleet.fleetRoot('set', 'Fleet', '--admit', 'manifest', '--max', '2');
      assert.equal(await fleet.arrive(stolen), notHeld);
      assert.equal(await fleet.arrive(direct), notHeld);

      // Who is out already is counted by no other dry run.
      const disable = await fleet.fleetRoot('disable', 'Fleet', '--dry-run');
      assert.deepEqual([disable.devices, disable.refused], [5, 2]);
      assert.deepEqual(new Set(disable.sample.slice(0, 2)), new Set(['made-1', 'made-2']));
      const back = await dryRun(fleet, 'chain');
      assert.deepEqual([back.devices, back.refused], [5, 0]);
      const bad = await operatorCall(fleetroot.dir, 'PATCH', path, { body: { admit: 'nobody' } });
      assert.equal(bad.status, 400);
    });

    test('an open connection of what is no longer admitted is ended, and no other', async () => {
      const { line, fleet } = await factory();
      const [made, stolen] = [await line.chain(await line.make('made')), await line.chain(await line.stolen('stolen'))];
      await importManifest(fleet, line);
      using held = await hold(fleet, made);
      using strange = await hold(fleet, stolen);
      await admit(fleet, 'manifest');
      await strange.closed();
      assert.ok(await goesOn(held), 'what a manifest holds goes on');
      assert.equal((await fleet.connect(stolen)).json.code, notHeld);

      await admit(fleet, 'chain');
      using again = await hold(fleet, stolen);
      assert.ok(await goesOn(again));
      await line.account('withdraw', made);
      await importManifest(fleet, line);
      await held.closed();
      assert.ok(await goesOn(again));
    });

    for (const by of ['chain', 'manifest'] as const) {
      test(`a certificate that its factory has withdrawn gets in nowhere: by ${by}`, async () => {
        const { line, fleet } = await factory();
        const [known, unknown] = [await line.make('known'), await line.make('unknown')];
        await importManifest(fleet, line);
        await admit(fleet, by);
        assert.equal(await fleet.arrive(known), 'in');
        await line.account('withdraw', known);
        await line.account('withdraw', unknown);
        const replaced = await line.make('known');
        await importManifest(fleet, line);
        for (const device of [known, unknown]) assert.equal(await fleet.arrive(device), 'certificate_revoked');
        assert.match((await fleet.explain(unknown)).rule, /withdrawn at the factory, by the line "line-1", on 2/);
        assert.equal(await fleet.arrive(replaced), 'in');
        assert.equal((await fleet.devices()).length, 1);
      });
    }

    test("a factory's new key is still a new key: the account's policy decides about it", async () => {
      const { line, fleet } = await factory();
      await fleet.set('--rekey', 'approve');
      const first = await line.make('car');
      await importManifest(fleet, line);
      await admit(fleet, 'manifest');
      assert.equal(await fleet.arrive(first), 'in');
      await line.account('withdraw', first);
      const second = await line.make('car');
      await importManifest(fleet, line);
      assert.equal(await fleet.arrive(first), 'certificate_revoked');
      assert.equal(await fleet.arrive(second), 'rekey_pending');
      await fleet.device('approve', 'car');
      assert.equal(await fleet.arrive(second), 'in');
    });

    for (const tls of ['1.2', '1.3'] as const) {
      test(`a device that sends its leaf alone gets in once its line's manifest is there: TLS ${tls}`, async () => {
        const { line, fleet } = await factory();
        const leaf = await line.make('alone');
        assert.equal((await fleet.connect(leaf, { tls })).json.code, 'certificate_untrusted');
        await importManifest(fleet, line);
        await admit(fleet, 'manifest');
        const { status, json } = await fleet.connect(leaf, { tls });
        assert.deepEqual([status, json.device_id], [200, 'alone']);
      });
    }

    test('a cross-certificate by another Fleet Root CA is no way around it', async () => {
      const { root, line, fleet } = await factory();
      const old = await pki.root('Old');
      await fleet.register(old);
      const across = await old.crossSign(root, {
        extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=keyCertSign'],
      });
      const bothWays = async (device: Credentials): Promise<Credentials> =>
        pki.chain(device, line.ca.certificate, across.certificate);
      await line.make('made');
      await importManifest(fleet, line);
      // A device that belongs to the old one, whose ID the thief takes; and one that nobody knows, while its own root is closed.
      assert.equal(await fleet.arrive(await old.device('car')), 'in');
      await admit(fleet, 'manifest');
      assert.equal(await fleet.arrive(await bothWays(await line.stolen('car'))), notHeld);
      await fleet.fleetRoot('close', 'Fleet', '--yes');
      assert.equal(await fleet.arrive(await bothWays(await line.stolen('fresh'))), notHeld);
      // Those of the old one itself are judged by its own measure, also where they could lead to the new one.
      assert.equal(await fleet.arrive(await old.device('other-car')), 'in');
    });

    test('a stranger is told of once when it is turned away, and may be in a later manifest where it is let in', async () => {
      const { line, fleet } = await factory();
      await line.make('made');
      await importManifest(fleet, line);
      const [early, stolen] = [await line.make('early'), await line.stolen('stolen')];
      assert.equal(await fleet.arrive(early), 'in');
      await admit(fleet, 'manifest');
      for (let times = 0; times < 3; times += 1) assert.equal(await fleet.arrive(stolen), notHeld);
      const [told] = await eventually(async () => {
        const all = await strangers(fleet);
        return all.length > 0 && all;
      });
      assert.deepEqual([told.device_id, told.line_name, told.admitted], ['stolen', 'line-1', false]);
      // Written once more, and told once.
      assert.equal(await fleet.arrive(stolen), notHeld);
      await fleet.refusal({ code: notHeld, device_id: 'stolen', count: 4 });
      await importManifest(fleet, line);
      assert.equal(await fleet.arrive(early), 'in');
      assert.deepEqual(
        (await strangers(fleet)).map(({ device_id }) => device_id),
        ['stolen'],
      );
    });

    test('a stranger that is turned away for something else is told of by nobody: its manifest may be still to come', async () => {
      const { line, fleet } = await factory();
      await line.make('made');
      await importManifest(fleet, line);
      await fleet.set('--admission', 'approval');
      const [waits, refused] = [await line.stolen('waits'), await line.stolen('refused')];
      assert.equal(await fleet.arrive(waits), 'admission_pending');
      await admit(fleet, 'manifest');
      assert.equal(await fleet.arrive(refused), notHeld);
      // Written in the order in which they came: where the one is told of, the other has been written.
      const told = await eventually(async () => {
        const all = await strangers(fleet);
        return all.length > 0 && all;
      });
      assert.deepEqual(
        told.map(({ device_id }: { device_id: string }) => device_id),
        ['refused'],
      );
    });

    test('a Fleet Root CA that the server has made itself admits by its chain: it accounts for nothing', async () => {
      const fleet = await Fleet.openTest(fleetroot, account());
      const { code, stderr } = await fleetroot.command(
        ...['fleet-root', 'set', fleet.account, 'generated', '--admit', 'manifest', '--yes'],
      );
      assert.equal(code, 1);
      assert.match(stderr, /generated here/);
      assert.equal((await fleet.fleetRoot('show', 'generated')).admit, 'chain');
    });

    test('where the owner signs, operators narrow what he signed and take that back, and widen nothing', async () => {
      const owner = await Owner.open(pki);
      const root = await pki.root('Fleet');
      const line = await LineAccount.open(pki, root, 'line-1');
      const fleet = await Fleet.openOwned(fleetroot, account(), owner.publicKey, root);
      const document = await owner.draw(fleet);
      await fleet.fleetRoot('apply', document, await owner.sign(document), '--yes');
      const [made, stolen] = [await line.make('made'), await line.chain(await line.stolen('stolen'))];
      await importManifest(fleet, line);
      await admit(fleet, 'manifest');
      assert.equal(await fleet.arrive(made), 'in');
      assert.equal(await fleet.arrive(stolen), notHeld);
      assert.equal((await fleet.fleetRoot('show', 'Fleet')).waiting, false, 'there is nothing to sign');
      await admit(fleet, 'chain');
      assert.equal(await fleet.arrive(stolen), 'in', 'that is what the owner signed');
      const stranger = await pki.root('Stranger');
      await fleet.register(stranger);
      await admit(fleet, 'manifest', 'Stranger');
      assert.equal(await fleet.arrive(await stranger.device('foreign')), 'certificate_untrusted');
    });
  },
);
