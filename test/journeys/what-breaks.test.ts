// What breaks if I do this? What a dry run says is what happens to real devices, and what was not confirmed is not done.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { type OperatorAnswer, operatorCall } from '../support/operator-call.ts';
import { Owner } from '../support/owner.ts';
import { type Ca, type Credentials, Pki } from '../support/pki.ts';
import { needs } from '../support/require.ts';

/** A call that breaks something: its path below the account, and what is sent. */
interface Destructive {
  readonly method?: 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  /** A file that is sent as it is. */
  readonly file?: string;
}

/** The devices of a story, by names that are their device IDs. */
type Devices = ReadonlyMap<string, Credentials>;

describe('what breaks', { skip: needs('openssl', 'curl', 'unzip'), timeout: 400_000 }, () => {
  let fleetroot: Fleetroot;
  let pki: Pki;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  const call = async (
    fleet: Fleet,
    { method = 'POST', path, body, file }: Destructive,
    query: string,
  ): Promise<OperatorAnswer> =>
    operatorCall(fleetroot.dir, method, `/accounts/${fleet.account}${path}?${query}`, {
      ...(body !== undefined && { body }),
      ...(file !== undefined && { body: await readFile(file), type: 'application/octet-stream' }),
    });

  const dryRun = async (fleet: Fleet, what: Destructive): Promise<any> => {
    const { status, json } = await call(fleet, what, 'dry_run=true');
    assert.equal(status, 200, JSON.stringify(json));
    return json;
  };

  /** What each device is answered: `in`, or the code. */
  const answers = async (fleet: Fleet, devices: Devices): Promise<Map<string, string>> => {
    const heard = new Map<string, string>();
    for (const [name, credentials] of devices) {
      const { status, json } = await fleet.connect(credentials);
      heard.set(name, status === 200 ? 'in' : json.code);
    }
    return heard;
  };

  /** Does something as the dry run of it wants, and holds the dry run to what became of every device. */
  const foretold = async (fleet: Fleet, devices: Devices, what: Destructive): Promise<any> => {
    const present = await answers(fleet, devices);
    const impact = await dryRun(fleet, what);
    if (impact.confirm > 0) {
      for (const query of ['', `confirm=${impact.confirm - 1}`]) {
        const refused = await call(fleet, what, query);
        assert.equal(refused.status, 409, refused.text);
        const { code, type, devices: touched, refused: shutOut, hint } = refused.json;
        assert.deepEqual(
          [code, type, touched, shutOut],
          ['confirmation_required', 'urn:fleetroot:problem:confirmation_required', impact.devices, impact.refused],
        );
        assert.match(hint, /dry_run=true/);
      }
      assert.deepEqual(await answers(fleet, devices), present, 'what was not confirmed was not done');
    }
    const done = await call(fleet, what, `confirm=${impact.confirm}`);
    assert.equal(done.status, 200, done.text);
    const heard = [...(await answers(fleet, devices))];
    const shutOut = heard.filter(([name, answer]) => present.get(name) === 'in' && answer !== 'in');
    const codes: Record<string, number> = {};
    for (const [, code] of shutOut) codes[code] = (codes[code] ?? 0) + 1;
    const said = impact.by_rule.map((each: { code: string; devices: number }) => [each.code, each.devices]);
    assert.deepEqual(Object.fromEntries(said), codes, `${what.path}: ${JSON.stringify(heard)}`);
    assert.equal(impact.refused, shutOut.length);
    const sampled = impact.sample.slice(0, impact.refused);
    assert.deepEqual(new Set(sampled), new Set(shutOut.map(([name]) => name)));
    return impact;
  };

  const ca = async (fleet: Fleet, name: string): Promise<string> => (await fleet.fleetRoot('show', name)).id;
  const setRoot = async (fleet: Fleet, word: string, name: string): Promise<Destructive> => ({
    path: `/fleet-root-cas/${await ca(fleet, name)}/${word}`,
  });

  describe('of a fleet under two Fleet Root CAs, with intermediates', () => {
    let fleet: Fleet;
    let [one, two, upper, lower, kept]: Ca[] = [];
    let devices: Map<string, Credentials>;

    before(async () => {
      [one, two] = [await pki.root('one'), await pki.root('two')];
      fleet = await Fleet.open(fleetroot, 'breaking', one, two);
      upper = await one.intermediate('upper');
      lower = await upper.intermediate('lower');
      kept = await two.intermediate('kept');
      await fleet.fleetRoot('add-intermediate', 'two', kept.certificate);
      const crossed = await one.intermediate('crossed');
      const across = await two.crossSign(crossed);
      const under =
        (by: Ca, ...others: Ca[]) =>
        async (name: string) =>
          pki.chain(await by.device(name), ...others.map(({ certificate }) => certificate));
      const made = {
        direct: under(one),
        'by-upper': under(upper, upper),
        'by-lower': under(lower, lower, upper),
        'both-ways': under(crossed, crossed, across),
        'both-ways-allowed': under(crossed, crossed, across),
        'one-way-allowed': under(one),
        asleep: under(one),
        gone: under(upper, upper),
        other: under(two),
        'other-by-kept': under(kept),
      };
      devices = new Map();
      for (const [name, make] of Object.entries(made)) devices.set(name, await make(name));
      for (const credentials of devices.values()) assert.equal(await fleet.arrive(credentials), 'in');
      await eventually(async () => (await fleet.devices()).every(({ last_seen }) => last_seen !== null));
      for (const name of ['both-ways-allowed', 'one-way-allowed']) {
        await fleetroot.json('device', 'move-root', fleet.account, name, 'two');
      }
      await fleet.device('suspend', 'asleep');
      await fleet.device('revoke', 'gone');
    });

    test('closing one shuts out nobody, and needs no number', async () => {
      const impact = await foretold(fleet, devices, await setRoot(fleet, 'close', 'one'));
      assert.deepEqual([impact.action, impact.devices, impact.refused], ['closeFleetRootCa', 8, 0]);
      assert.equal(impact.seen_last_day, impact.devices);
      assert.match(impact.newcomers, /fleet_root_ca_closed/);
      assert.equal(await fleet.arrive(await one!.device('late')), 'fleet_root_ca_closed');
      const opened = await foretold(fleet, devices, await setRoot(fleet, 'activate', 'one'));
      assert.equal(opened.refused, 0);
    });

    test('distrusting an intermediate shuts out those whose every path needs it, whoever else came by it', async () => {
      for (const [intermediate, touched, refused] of [
        [lower!, 1, 1],
        [upper!, 2, 2],
        [kept!, 1, 1],
      ] as const) {
        const impact = await foretold(fleet, devices, { path: '/distrusted-keys', file: intermediate.certificate });
        assert.deepEqual([impact.devices, impact.refused], [touched, refused]);
        await fleet.fleetRoot('trust', intermediate.certificate);
      }
    });

    test('disabling one shuts out its devices, but for one that may come by the other', async () => {
      const impact = await foretold(fleet, devices, await setRoot(fleet, 'disable', 'one'));
      assert.deepEqual([impact.devices, impact.refused], [8, 5]);
      assert.deepEqual(impact.by_rule[0], {
        code: 'fleet_root_ca_disabled',
        rule: 'The certificate leads through the key of the Fleet Root CA "one", which is disabled.',
        devices: 4,
      });
      assert.equal(impact.by_rule[1].code, 'device_id_conflict');
      assert.doesNotMatch(impact.by_rule[1].rule, /both-ways/);
      const again = await dryRun(fleet, await setRoot(fleet, 'disable', 'one'));
      assert.equal(again.refused, 0, 'who is out already is not counted again');
      await foretold(fleet, devices, await setRoot(fleet, 'activate', 'one'));
    });

    test('with a successor those that lead there too go on', async () => {
      const successor = { path: `/fleet-root-cas/${await ca(fleet, 'one')}/successor`, body: { successor: 'two' } };
      assert.equal((await foretold(fleet, devices, successor)).refused, 0);
      const impact = await foretold(fleet, devices, await setRoot(fleet, 'disable', 'one'));
      assert.deepEqual(
        impact.by_rule.map((each: { code: string; devices: number }) => [each.code, each.devices]),
        [['fleet_root_ca_disabled', 4]],
      );
      await foretold(fleet, devices, await setRoot(fleet, 'activate', 'one'));
    });

    test('one device at a time: suspended, its certificate revoked, revoked, deleted', async () => {
      const of = (name: string, word = ''): Destructive => ({ path: `/devices/${name}${word}` });
      assert.equal((await foretold(fleet, devices, of('direct', '/suspend'))).refused, 1);
      assert.equal((await foretold(fleet, devices, of('direct', '/suspend'))).refused, 0);
      const { certificates } = await fleet.device('show', 'other');
      const revoked = await foretold(fleet, devices, { path: `/certificates/${certificates[0].sha256}/revoke` });
      assert.equal(revoked.refused, 1);
      const moved = { path: '/devices/by-upper/move-root', body: { fleet_root_ca: 'two' } };
      assert.deepEqual((({ devices, refused }) => [devices, refused])(await foretold(fleet, devices, moved)), [1, 0]);
      assert.equal((await foretold(fleet, devices, of('by-upper', '/revoke'))).by_rule[0].code, 'device_revoked');
      const deleted = await foretold(fleet, devices, { ...of('by-lower'), method: 'DELETE' });
      assert.equal(deleted.by_rule[0].code, 'certificate_revoked');
    });

    test('what cannot be done says so in the dry run too', async () => {
      for (const [path, status, code] of [
        ['/devices/gone/suspend', 409, 'conflict'],
        ['/devices/direct/reject', 409, 'conflict'],
        ['/devices/nobody/revoke', 404, 'not_found'],
        ['/devices/direct/approve', 400, 'invalid_request'],
      ] as const) {
        const answer = await call(fleet, { path }, 'dry_run=true');
        assert.deepEqual([answer.status, answer.json.code], [status, code], path);
      }
    });
  });

  test('of a policy: newcomers alone, and no number is needed', async () => {
    const root = await pki.guideRoot('policed');
    const fleet = await Fleet.open(fleetroot, 'policed', root);
    const known = new Map([['known', await root.guideDevice('known')]]);
    assert.equal(await fleet.arrive(known.get('known')!), 'in');
    await fleet.set('--admission', 'approval');
    known.set('waits', await root.guideDevice('waits'));
    assert.equal(await fleet.arrive(known.get('waits')!), 'admission_pending');

    const patch = (body: object): Destructive => ({ method: 'PATCH', path: '', body });
    const narrowed = await foretold(fleet, known, patch({ admission: 'allow-list', device_id_pattern: 'x-.*' }));
    assert.deepEqual([narrowed.devices, narrowed.refused], [0, 0]);
    assert.match(narrowed.newcomers, /not on the allow-list.*"x-\.\*"/);
    assert.equal(await fleet.arrive(await root.guideDevice('new')), 'device_id_not_allowed');
    const opened = await foretold(fleet, known, patch({ admission: 'automatic', device_id_pattern: null }));
    assert.deepEqual([opened.devices, opened.sample], [1, ['waits']], 'it lets in the one that waits');
    assert.equal(await fleet.arrive(known.get('waits')!), 'in');
    const bad = await call(fleet, patch({ device_id_pattern: '(' }), 'dry_run=true');
    assert.deepEqual([bad.status, bad.json.code], [400, 'invalid_request']);
  });

  test('of shared credentials: a provisioning key ends for newcomers, its Fleet Root CA for its devices', async () => {
    const fleet = await Fleet.openTest(fleetroot, 'shared');
    const devices = new Map<string, Credentials>();
    for (const name of ['made-1', 'made-2']) {
      devices.set(name, await fleet.image.boot(name));
      assert.equal(await fleet.arrive(devices.get(name)!), 'in');
    }
    const [key] = await fleetroot.json('provisioning-key', 'list', fleet.account);
    const disabled = await foretold(fleet, devices, { path: `/provisioning-keys/${key.id}/disable` });
    assert.deepEqual([disabled.devices, disabled.refused, disabled.sample], [2, 0, ['made-1', 'made-2']]);
    assert.match(disabled.newcomers, /provisioning_key_disabled/);
    assert.equal((await fleet.image.provision('made-3')).json.code, 'provisioning_key_disabled');
    const root = await foretold(fleet, devices, await setRoot(fleet, 'disable', 'generated'));
    assert.deepEqual([root.devices, root.refused], [2, 2]);
  });

  test('of an account whose owner signs: what shuts out at once, and what the signature does', async () => {
    const owner = await Owner.open(pki);
    const [one, two] = [await pki.root('signed-one'), await pki.root('signed-two')];
    const fleet = await Fleet.openOwned(fleetroot, 'signed', owner.publicKey, one, two);
    await owner.consent(fleet);
    const devices = new Map([
      ['under-one', await one.device('under-one')],
      ['under-two', await two.device('under-two')],
    ]);
    for (const credentials of devices.values()) assert.equal(await fleet.arrive(credentials), 'in');
    const impact = await foretold(fleet, devices, await setRoot(fleet, 'disable', 'signed-one'));
    assert.deepEqual([impact.devices, impact.refused], [1, 1]);
    const wish = await dryRun(fleet, await setRoot(fleet, 'activate', 'signed-one'));
    assert.equal(wish.refused, 0);
    assert.match(wish.newcomers, /once the owner has signed/);
    const signed = async (): Promise<Destructive> => {
      const document = await owner.draw(fleet);
      const [bytes, signature] = [await readFile(document), await readFile(await owner.sign(document))];
      const body = { document: bytes.toString('base64'), signature: signature.toString('base64') };
      return { path: '/trust-sets', body };
    };
    await fleet.fleetRoot('activate', 'signed-one');
    assert.equal((await foretold(fleet, devices, await signed())).refused, 0);
    const forged = { path: '/trust-sets', body: { document: 'e30=', signature: 'e30=' } };
    assert.equal((await call(fleet, forged, 'dry_run=true')).status, 400);
  });

  test('of an account: the fleet grows between the dry run and the call, and nothing is deleted unasked', async () => {
    const root = await pki.guideRoot('growing');
    const fleet = await Fleet.open(fleetroot, 'growing', root);
    const gone: Destructive = { method: 'DELETE', path: '' };
    assert.equal(await fleet.arrive(await root.guideDevice('first')), 'in');
    await fleet.device('suspend', 'first');
    const early = await dryRun(fleet, gone);
    assert.deepEqual([early.devices, early.refused, early.confirm], [1, 0, 1], 'a device that is out is lost too');
    const second = await root.guideDevice('second');
    assert.equal(await fleet.arrive(second), 'in');
    const refused = await call(fleet, gone, `confirm=${early.confirm}`);
    assert.deepEqual([refused.status, refused.json.code, refused.json.devices], [409, 'confirmation_required', 2]);
    assert.equal(await fleet.arrive(second), 'in');

    const late = await dryRun(fleet, gone);
    assert.deepEqual([late.devices, late.refused], [2, 1]);
    const hosts = late.other.find(({ what }: { what: string }) => what === 'hosts');
    assert.equal(hosts.count, 1);
    assert.equal((await call(fleet, gone, 'confirm=1000')).status, 200, 'a larger number is an upper bound');
    const { curl } = await fleet.connect(second);
    assert.notEqual(curl, 0, 'the handshake fails');
  });

  test('of a Fleet Root CA: a device that joins meanwhile makes the number too small', async () => {
    const root = await pki.guideRoot('joined');
    const fleet = await Fleet.open(fleetroot, 'joined', root);
    assert.equal(await fleet.arrive(await root.guideDevice('first')), 'in');
    const disable = await setRoot(fleet, 'disable', 'joined');
    const { confirm } = await dryRun(fleet, disable);
    const second = await root.guideDevice('second');
    assert.equal(await fleet.arrive(second), 'in');
    assert.equal((await call(fleet, disable, `confirm=${confirm}`)).status, 409);
    assert.equal(await fleet.arrive(second), 'in');
    assert.equal((await call(fleet, disable, `confirm=${confirm + 5}`)).status, 200);
    assert.equal(await fleet.arrive(second), 'fleet_root_ca_disabled');
  });
});
