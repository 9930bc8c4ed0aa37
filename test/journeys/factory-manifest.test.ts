// The account of a line: exported at the factory, imported at the server, and held against what came.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { factoryCli, startLine, type TestLine } from '../support/factory.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { exportManifest, LineDevices } from '../support/line-devices.ts';
import { type Credentials, Pki } from '../support/pki.ts';

describe('twenty devices, from the line to the reconciliation', () => {
  let fleetroot: Fleetroot;
  let line: TestLine;
  let fleet: Fleet;
  const devices: Credentials[] = [];
  let stranger: Credentials;

  before(async () => {
    [fleetroot, line] = await Promise.all([Fleetroot.start(), startLine({ site: 'Graz', quota: 25 })]);
    fleet = await Fleet.open(fleetroot, 'fleet');
    await fleet.fleetRoot('register', line.rootFile);
    await using making = await LineDevices.open(line, { batch: 'batch-7' });
    for (let number = 1; number <= 20; number += 1) devices.push(await making.make(`dev-${number}`));
    stranger = await making.steal('dev-99');
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), line[Symbol.asyncDispose]()]));

  const exported = (...options: string[]) => exportManifest(line, ...options);
  const importing = (file: string): Promise<any> => fleetroot.json('manifest', 'import', 'fleet', file);
  const reconciled = async (): Promise<any> => {
    const { stdout, stderr } = await fleetroot.command('manifest', 'reconcile', 'fleet', '--json');
    assert.equal(stderr, '');
    return JSON.parse(stdout);
  };

  test('a leaf alone does not get in while nobody has brought the CA of its line', async () => {
    assert.equal(await fleet.arrive(devices[0]!), 'certificate_untrusted');
  });

  test('the import brings the CA of the line, and its devices get in with their leaf alone', async () => {
    const manifest = await exported();
    const imported = await importing(manifest.file);
    assert.deepEqual([imported.made, imported.withdrawn, imported.beyond], [20, 0, 0]);
    assert.deepEqual(imported.lines[0].site, 'Graz');
    for (const device of devices.slice(0, 19)) assert.equal(await fleet.arrive(device), 'in');
  });

  test('its device IDs are on the allow-list, labelled with order, batch and site', async () => {
    const allowed = await fleetroot.json('allow-list', 'list', 'fleet');
    assert.equal(allowed.length, 20);
    assert.deepEqual(allowed[0].labels, { batch: 'batch-7', order: 'order-1', site: 'Graz' });
    const found = await fleet.devices('--label', 'order:order-1');
    assert.equal(found.length, 19);
  });

  test('reconciling shows the one that never came, and counts against the mandate', async () => {
    const found = await reconciled();
    assert.deepEqual([found.made, found.seen, found.missing], [20, 19, 1]);
    assert.deepEqual(
      found.never_seen.first.map((each: any) => each.device_id),
      ['dev-20'],
    );
    assert.deepEqual(
      found.lines[0].mandates.map(({ quota, used }: any) => [quota, used]),
      [[25, 20]],
    );
    assert.deepEqual([found.strangers.count, found.shared.count, found.beyond.count, found.coming.count], [0, 0, 0, 0]);
  });

  test('a certificate made with the key of the line, past it, is a stranger once the next manifest has come', async () => {
    assert.equal(await fleet.arrive(stranger), 'in');
    await eventually(async () => (await reconciled()).unaccounted.count === 1 || null);
    await importing((await exported()).file);
    const found = await reconciled();
    assert.deepEqual([found.strangers.count, found.unaccounted.count], [1, 0]);
    assert.equal(found.strangers.first[0].device_id, 'dev-99');
    assert.equal(found.strangers.first[0].admitted, true);
    const { code, stdout } = await fleetroot.command('manifest', 'reconcile', 'fleet');
    assert.equal(code, 1);
    assert.match(stdout, /1 stranger\(s\): they came under the CA of a line, which has not made them\./);
    assert.match(await fleetroot.metrics(), /fleetroot_factory_findings\{account="fleet",kind="stranger"\} 1\n/);
    const events = await fleetroot.json('event', 'list', 'fleet', '--type', 'factory.stranger');
    assert.equal(events.length, 1);
    assert.equal(events[0].data.device_id, 'dev-99');
  });

  test('a certificate that was withdrawn at the factory is refused, whether it was in use or never seen', async () => {
    {
      await using making = await LineDevices.open(line, { order: null });
      await making.rework('dev-1');
      await making.rework('dev-20');
      await making.make('dev-1');
    }
    const { withdrawn, made, revoked } = await importing((await exported()).file);
    assert.deepEqual([withdrawn, made, revoked], [2, 1, 1]);
    assert.equal(await fleet.arrive(devices[0]!), 'certificate_revoked');
    assert.equal(await fleet.arrive(devices[19]!), 'certificate_revoked');
    const found = await eventually(async () => {
      const now = await reconciled();
      return now.coming.count === 2 ? now : null;
    });
    assert.deepEqual(
      found.coming.first.map((each: any) => each.device_id),
      ['dev-1', 'dev-20'],
    );
  });

  test('all of it again is known already, and a gap says from where to export', async () => {
    const whole = await exported('--since', '0');
    const again = await importing(whole.file);
    assert.deepEqual([again.new, again.made], [1, 0]);
    await exported();
    const gap = await exported();
    const { code, stderr } = await fleetroot.command('manifest', 'import', 'fleet', gap.file);
    assert.equal(code, 1);
    assert.match(stderr, /those between are missing/);
    assert.match(stderr, new RegExp(`factory export --since ${again.lines[0].last}`));
  });
});

test('devices that came before the first manifest of their line are seen, and the stranger among them is found', async () => {
  await using fleetroot = await Fleetroot.start();
  await using line = await startLine();
  await using pki = await Pki.open();
  const fleet = await Fleet.open(fleetroot, 'fleet');
  await fleet.fleetRoot('register', line.rootFile);
  {
    await using making = await LineDevices.open(line);
    const ca = await pki.write(await making.caCertificate());
    const [known, stolen] = [await making.make('dev-1'), await making.steal('dev-2')];
    for (const device of [known, stolen]) {
      assert.equal(await fleet.arrive(await pki.chain(device, ca)), 'in');
    }
  }
  await fleetroot.json('manifest', 'import', 'fleet', (await exportManifest(line)).file);
  const { stdout } = await fleetroot.command('manifest', 'reconcile', 'fleet', '--json');
  const { seen, missing, strangers, unaccounted } = JSON.parse(stdout);
  assert.deepEqual([seen, missing, strangers.count, unaccounted.count], [1, 0, 1, 0]);
  assert.equal(strangers.first[0].device_id, 'dev-2');
  const events = await fleetroot.json('event', 'list', 'fleet', '--type', 'factory.stranger');
  assert.deepEqual(
    events.map(({ data }: any) => [data.device_id, data.admitted]),
    [['dev-2', true]],
  );
});

test('a manifest shows every entry of the log whole, those of no certificate too', async () => {
  await using line = await startLine();
  const { file, last } = await exportManifest(line);
  const [, payload] = (await readFile(file, 'utf8')).split('.');
  const { entries } = JSON.parse(Buffer.from(payload!, 'base64url').toString());
  const actions = entries.map(({ body }: { body: string }) => JSON.parse(body).action);
  assert.equal(actions.length, last);
  assert.equal(actions.at(-1), 'manifest.export');
});

test('an export writes its file whole, over nothing, and none after an entry that there is not', async () => {
  await using line = await startLine();
  const { file, last, made } = await exportManifest(line);
  assert.equal(made, 0);
  const over = await factoryCli(line.dir, ['export', '-o', file]);
  assert.equal(over.code, 1);
  assert.match(over.stderr, /exists, and nothing is overwritten/);
  const beyond = line.file('beyond.jws');
  await assert.rejects(exportManifest(line, '--since', String(last + 5)), /there is none after/);
  const told = await factoryCli(line.dir, ['export', '-o', beyond]);
  assert.equal(told.code, 0, told.stderr);
  assert.match(told.stdout, new RegExp(`No certificate was made or withdrawn after entry ${last} of the log`));
  const left = (await readdir(dirname(file))).filter((name) => name.endsWith('.partial'));
  assert.deepEqual(left, []);
});
