// A device suspended, resumed, revoked, deleted and back as a newcomer; its certificates revoked one by one; its names.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { Line } from '../support/line.ts';
import { type Ca, type Credentials, Pki } from '../support/pki.ts';

describe('the life of a device', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  let fleet: Fleet;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    root = await pki.guideRoot('root');
    fleet = await Fleet.open(fleetroot, 'fleet', root);
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  /** A device that is in, with a connection held open. */
  const online = async (deviceId: string): Promise<{ device: Credentials; line: Line; uuid: string }> => {
    const device = await root.guideDevice(deviceId);
    const line = await Line.open(fleet.image.withCertificate(device.certificate, device.key));
    line.send('GET', '/device');
    const reply = await line.reply();
    assert.equal(reply?.status, 200);
    return { device, line, uuid: JSON.parse(String(reply.body)).uuid };
  };

  const sha256Of = async ({ certificate }: Credentials): Promise<string> => {
    const said = await pki.openssl('x509', '-in', certificate, '-noout', '-fingerprint', '-sha256');
    return said.trim().split('=')[1]!;
  };

  test('suspended it is out at once, its open connection too; resumed it is the same device', async () => {
    const { device, line, uuid } = await online('suspended');
    using _ = line;
    assert.equal((await fleet.device('suspend', 'suspended')).state, 'suspended');
    await line.closed();
    assert.equal(await fleet.arrive(device), 'device_suspended');
    assert.equal(
      await fleet.arrive(await root.guideDevice('suspended')),
      'device_suspended',
      'with whatever certificate',
    );
    assert.match((await fleet.refusal({ code: 'device_suspended' })).remedy, /`device resume`/);
    assert.equal((await fleet.device('suspend', 'suspended')).state, 'suspended', 'again is fine');
    assert.equal((await fleet.device('resume', 'suspended')).state, 'active');
    assert.equal((await fleet.connect(device)).json.uuid, uuid);
  });

  test('revoked it is out for good, with every certificate that it has or will come with', async () => {
    const { device, line } = await online('revoked');
    using _ = line;
    assert.equal((await fleet.device('revoke', 'revoked')).state, 'revoked');
    await line.closed();
    assert.equal(await fleet.arrive(device), 'device_revoked');
    assert.equal(await fleet.arrive(await root.guideDevice('revoked')), 'device_revoked');
    for (const word of ['resume', 'approve', 'suspend']) {
      assert.equal((await fleetroot.command('device', word, 'fleet', 'revoked')).code, 1, word);
    }
    assert.deepEqual(
      (await fleet.devices('--state', 'revoked')).map(({ device_id }) => device_id),
      ['revoked'],
    );
    const states = (await fleetroot.json('certificate', 'list', 'fleet', 'revoked')).map(
      ({ state }: { state: string }) => state,
    );
    assert.deepEqual(states, ['revoked']);
  });

  test('deleted it is forgotten, its certificates stay refused, and a new one makes a newcomer', async () => {
    const { device, line, uuid } = await online('deleted');
    using _ = line;
    const second = await root.guideDevice('deleted');
    assert.equal(await fleet.arrive(second), 'in');
    await fleet.device('delete', 'deleted');
    await line.closed();
    assert.ok(!(await fleet.devices()).some(({ device_id }) => device_id === 'deleted'));
    assert.equal(await fleet.arrive(device), 'certificate_revoked');
    assert.equal(await fleet.arrive(second), 'certificate_revoked');
    const third = await root.guideDevice('deleted');
    const newcomer = await fleet.connect(third);
    assert.equal(newcomer.status, 200);
    assert.notEqual(newcomer.json.uuid, uuid);
    assert.equal(await fleet.arrive(device), 'certificate_revoked');
    const listed = await fleetroot.json('certificate', 'list', 'fleet', 'deleted');
    assert.equal(listed.length, 1, 'the newcomer has its own certificates alone');
  });

  test('deleted after it was revoked, its ID is free again', async () => {
    const { device, line } = await online('reborn');
    line[Symbol.dispose]();
    await fleet.device('revoke', 'reborn');
    await fleet.device('delete', 'reborn');
    assert.equal(await fleet.arrive(device), 'certificate_revoked');
    assert.equal(await fleet.arrive(await root.guideDevice('reborn')), 'in');
  });

  test('one certificate revoked is out at once, and the device goes on with another', async () => {
    const { device: first, line } = await online('two-certificates');
    using _ = line;
    const second = await root.guideDevice('two-certificates');
    assert.equal(await fleet.arrive(second), 'in');
    const revoked = await fleetroot.json('certificate', 'revoke', 'fleet', await sha256Of(first), '--yes');
    assert.equal(revoked.state, 'revoked');
    await line.closed();
    assert.equal(await fleet.arrive(first), 'certificate_revoked');
    assert.equal(await fleet.arrive(second), 'in');
    assert.match((await fleet.explain(first)).remedy, /a revoked one never gets in again/);
    const { code, stderr } = await fleetroot.command('certificate', 'revoke', 'fleet', 'ab'.repeat(32), '--yes');
    assert.equal(code, 1);
    assert.match(stderr, /knows no device certificate/);
  });

  test('a certificate is also named by the SHA-256 of its TBSCertificate', async () => {
    const device = await root.guideDevice('by-tbs');
    assert.equal(await fleet.arrive(device), 'in');
    const [{ tbs_sha256 }] = await fleetroot.json('certificate', 'list', 'fleet', 'by-tbs');
    await fleetroot.json('certificate', 'revoke', 'fleet', tbs_sha256, '--yes');
    assert.equal(await fleet.arrive(device), 'certificate_revoked');
  });

  test('what is done to a device of one account leaves its namesake in another alone', async () => {
    const other = await Fleet.open(fleetroot, 'other', root);
    const device = await root.guideDevice('namesake');
    assert.equal(await fleet.arrive(device), 'in');
    assert.equal(await other.arrive(device), 'in');
    await other.device('delete', 'namesake');
    assert.equal(await other.arrive(device), 'certificate_revoked');
    assert.equal(await fleet.arrive(device), 'in');
    const { uuid } = await fleet.device('show', 'namesake');
    assert.equal((await fleetroot.command('device', 'show', 'other', `uuid:${uuid}`)).code, 1);
  });

  describe('its names', () => {
    const ids = [
      'f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
      'plant/7/car 12',
      '..',
      '.',
      '/',
      '100%',
      '%2e%2e%2f',
      'a?b=c&d#e',
      'Straße ПРИВЕТ 車',
      'it\'s "quoted" \\ and <b>',
      ' leading and trailing ',
      '$(reboot)',
      'UUID:not-the-prefix',
    ];
    for (const id of ids) {
      test(`"${id}" is a device ID like any other`, async () => {
        const device = await root.shapedDevice({ subject: id });
        assert.equal(await fleet.arrive(device), 'in');
        const shown = await fleet.device('show', id);
        assert.equal(shown.device_id, id);
        assert.equal((await fleet.device('show', `uuid:${shown.uuid}`)).device_id, id);
        await fleet.device('suspend', id);
        assert.equal(await fleet.arrive(device), 'device_suspended');
        await fleet.device('resume', id);
        await fleet.device('delete', `uuid:${shown.uuid}`);
        assert.equal(await fleet.arrive(device), 'certificate_revoked');
      });
    }

    test('a device whose ID is the UUID of another is meant by it, and the other by `uuid:`', async () => {
      const victim = await root.guideDevice('victim');
      const { uuid } = (await fleet.connect(victim)).json;
      const attacker = await root.guideDevice(uuid);
      assert.equal(await fleet.arrive(attacker), 'in');
      assert.equal((await fleet.device('revoke', uuid)).device_id, uuid);
      assert.equal(await fleet.arrive(attacker), 'device_revoked');
      assert.equal(await fleet.arrive(victim), 'in');
      assert.equal((await fleet.device('suspend', `uuid:${uuid}`)).device_id, 'victim');
      assert.equal(await fleet.arrive(victim), 'device_suspended');
    });

    test('no device ID begins with `uuid:`, so that nobody can pass for another device', async () => {
      const { uuid } = (await fleet.connect(await root.guideDevice('named'))).json;
      const impostor = await root.device(`uuid:${uuid}`);
      assert.equal(await fleet.arrive(impostor), 'device_id_invalid');
      assert.match((await fleet.explain(impostor)).rule, /begins with "uuid:"/);
    });

    test('a device that is not there is not found, under whatever name', async () => {
      for (const name of ['nobody', 'uuid:nobody', `uuid:${crypto.randomUUID()}`, '', '../fleet']) {
        const { code, stderr } = await fleetroot.command('device', 'show', 'fleet', name);
        assert.notEqual(code, 0);
        assert.match(stderr, /^error: /);
      }
    });
  });
});
