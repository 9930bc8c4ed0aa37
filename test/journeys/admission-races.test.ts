// Many at once: however the requests fall, a device is one device, an ID has one owner, and what was revoked stays so.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { type Ca, type Credentials, Pki } from '../support/pki.ts';
import { succeed } from '../support/process.ts';

const alphabetically = (one: string, other: string): number => one.localeCompare(other);

describe('at the same moment', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    root = await pki.guideRoot('root');
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  /** So many connections of one device at once, each with a handshake of its own; gives their statuses. */
  const crowd = async (fleet: Fleet, { certificate, key }: Credentials, count: number): Promise<string[]> => {
    const { host, hostname } = new URL(fleet.image.url);
    const { port } = new URL(fleet.image.url);
    const how = ['--silent', '--no-keepalive', '--parallel', '--parallel-immediate', '--parallel-max', String(count)];
    const who = ['--cacert', fleet.image.trusts, '--cert', certificate, '--key', key];
    const calls = Array.from({ length: count }, () => ['-o', '/dev/null', `https://${host}/device`]).flat();
    const resolve = ['--resolve', `${hostname}:${port}:127.0.0.1`];
    const written = ['--write-out', '%{http_code} %{num_connects}\n'];
    const said = await succeed('curl', [...how, ...who, ...resolve, ...written, ...calls]);
    return said.trim().split('\n');
  };

  test('a device comes 50 times for the first time: it is one device', async () => {
    const fleet = await Fleet.open(fleetroot, 'fifty', root);
    const device = await root.guideDevice('car');
    const statuses = await crowd(fleet, device, 50);
    assert.deepEqual(
      statuses,
      Array.from({ length: 50 }, () => '200 1'),
      'each on a connection of its own',
    );
    const devices = await fleet.devices();
    assert.equal(devices.length, 1);
    assert.equal((await fleetroot.json('certificate', 'list', 'fifty', 'car')).length, 1);
  });

  test('the same with each of 20 certificates of it: one device, one of them current', async () => {
    const fleet = await Fleet.open(fleetroot, 'twenty', root);
    const key = await pki.newKey();
    const certificates = await Promise.all(Array.from({ length: 20 }, () => root.device('car', { key })));
    const answers = await Promise.all(certificates.map((device) => fleet.connect(device)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal(new Set(answers.map(({ json }) => json.uuid)).size, 1);
    const states = (await fleetroot.json('certificate', 'list', 'twenty', 'car')).map(
      ({ state }: { state: string }) => state,
    );
    assert.equal(states.length, 20);
    assert.equal(states.filter((state: string) => state === 'current').length, 1);
  });

  test('two devices with one CN come under two Fleet Root CAs: one of them wins, and goes on', async () => {
    const other = await pki.guideRoot('other');
    const fleet = await Fleet.open(fleetroot, 'two-roots', root, other);
    for (let round = 0; round < 8; round += 1) {
      const rivals = [await root.guideDevice(`car-${round}`), await other.guideDevice(`car-${round}`)];
      if (round % 2 === 1) rivals.reverse();
      const answers = await Promise.all(rivals.map((rival) => fleet.connect(rival)));
      const codes = answers.map(({ status, json }) => (status === 200 ? 'in' : json.code));
      assert.deepEqual(codes.toSorted(alphabetically), ['device_id_conflict', 'in']);
      const again = [await fleet.arrive(rivals[0]!), await fleet.arrive(rivals[1]!)];
      assert.deepEqual(again, codes);
    }
    assert.equal((await fleet.devices()).length, 8);
  });

  test('two keys come under one new ID where new keys wait: one is the device, the other waits', async () => {
    const fleet = await Fleet.open(fleetroot, 'two-keys', root);
    await fleet.set('--rekey', 'approve');
    for (let round = 0; round < 6; round += 1) {
      const rivals = [await root.guideDevice(`car-${round}`), await root.guideDevice(`car-${round}`)];
      const answers = await Promise.all(rivals.map((rival) => fleet.connect(rival)));
      const codes = answers.map(({ status, json }) => (status === 200 ? 'in' : json.code));
      assert.deepEqual(codes.toSorted(alphabetically), ['in', 'rekey_pending']);
    }
  });

  test('a device connects while it is revoked: after the word, never again', async () => {
    const fleet = await Fleet.open(fleetroot, 'revoking', root);
    for (let round = 0; round < 4; round += 1) {
      const id = `car-${round}`;
      const [device, renewed] = [await root.guideDevice(id), await root.guideDevice(id)];
      assert.equal(await fleet.arrive(device), 'in');
      const connecting = [crowd(fleet, device, 15), crowd(fleet, renewed, 15)];
      await fleet.device('revoke', id);
      assert.equal(await fleet.arrive(device), 'device_revoked');
      assert.equal(await fleet.arrive(renewed), 'device_revoked');
      await Promise.allSettled(connecting);
      assert.equal((await fleet.device('show', id)).state, 'revoked');
      assert.equal(await fleet.arrive(device), 'device_revoked');
      assert.equal(await fleet.arrive(renewed), 'device_revoked');
    }
  });

  test('a device connects while it is deleted: its certificate stays refused, and nobody comes back', async () => {
    const fleet = await Fleet.open(fleetroot, 'deleting', root);
    for (let round = 0; round < 4; round += 1) {
      const id = `car-${round}`;
      const device = await root.guideDevice(id);
      assert.equal(await fleet.arrive(device), 'in');
      const connecting = crowd(fleet, device, 20);
      await fleet.device('delete', id);
      assert.equal(await fleet.arrive(device), 'certificate_revoked');
      await Promise.allSettled([connecting]);
      assert.equal(await fleet.arrive(device), 'certificate_revoked');
    }
    assert.deepEqual(await fleet.devices(), []);
  });

  test('newcomers connect while the policy changes: who comes after the word waits', async () => {
    const fleet = await Fleet.open(fleetroot, 'policy', root);
    const early = await Promise.all(Array.from({ length: 12 }, (_, n) => root.guideDevice(`early-${n}`)));
    const late = await root.guideDevice('late');
    const connecting = early.map((device) => fleet.connect(device));
    await fleet.set('--admission', 'approval');
    assert.equal(await fleet.arrive(late), 'admission_pending');
    await Promise.all(connecting);
    for (const { device_id, state } of await fleet.devices()) {
      const answer = await connecting[Number(/\d+/.exec(device_id))];
      assert.equal(state, device_id !== 'late' && answer!.status === 200 ? 'active' : 'pending', device_id);
    }
  });

  test('newcomers connect while their root is closed: nobody is added after the word', async () => {
    const fleet = await Fleet.open(fleetroot, 'closing', root);
    const early = await Promise.all(Array.from({ length: 12 }, (_, n) => root.guideDevice(`early-${n}`)));
    const connecting = early.map((device) => fleet.connect(device));
    await fleet.fleetRoot('close', 'root', '--yes');
    const devices = JSON.stringify((await fleet.devices()).map(({ device_id }) => device_id));
    const answers = await Promise.all(connecting);
    assert.equal(JSON.stringify((await fleet.devices()).map(({ device_id }) => device_id)), devices);
    const admitted = answers.filter(({ status }) => status === 200).length;
    assert.equal(admitted, JSON.parse(devices).length);
  });

  test('one root is registered ten times: it is there once, and the others are told', async () => {
    const fleet = await Fleet.open(fleetroot, 'ten-times');
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, () => fleetroot.command('fleet-root', 'register', 'ten-times', root.certificate)),
    );
    assert.equal(outcomes.filter(({ code }) => code === 0).length, 1);
    for (const { code, stderr } of outcomes) if (code !== 0) assert.match(stderr, /already/);
    assert.equal((await fleet.fleetRoot('list')).length, 1);
  });
});
