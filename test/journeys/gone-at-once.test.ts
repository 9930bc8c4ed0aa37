// What is taken back is gone at once: the operator's call ends the open connections it concerns, and no others.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BackEnd } from '../support/back-end.ts';
import { eventually } from '../support/eventually.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Caller } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { type Ca, Pki } from '../support/pki.ts';
import { needs } from '../support/require.ts';

const minute = 60 * 1000;

describe('an open connection', { skip: needs('openssl', 'curl', 'unzip'), timeout: 120_000 }, () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  let issuing: Ca;
  let fleet: Fleet;
  let other: Fleet;
  let ahead = 0;

  before(async () => {
    pki = await Pki.open();
    root = await pki.root('Fleet');
    issuing = await root.intermediate('Issuing');
    fleetroot = await Fleetroot.start({ clock: () => Date.now() + ahead });
    fleet = await Fleet.openTest(fleetroot, 'acme', root);
    other = await Fleet.openTest(fleetroot, 'other', root);
  });
  after(async () => {
    await fleetroot[Symbol.asyncDispose]();
    await pki[Symbol.asyncDispose]();
  });

  /** A device of the account's PKI, below its intermediate. */
  async function own(deviceId: string, at: Fleet = fleet): Promise<Caller> {
    const { certificate, key } = await pki.chain(await issuing.device(deviceId), issuing.certificate);
    return at.image.withCertificate(certificate, key);
  }

  /** A connection on which the device has been served. */
  async function hold(device: Caller, tls: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3'): Promise<Line> {
    const line = await Line.open(device, { tls });
    assert.ok(await goesOn(line), 'the device is served');
    return line;
  }

  async function goesOn(line: Line): Promise<boolean> {
    line.send('GET', '/device');
    return (await line.reply())?.status === 200;
  }

  /** Holds connections of the device and of bystanders while the operator acts: the one sort ends, the others go on. */
  async function act(device: Caller, bystanders: readonly Caller[], ...words: string[]): Promise<void> {
    const lines = await Promise.all([hold(device), hold(device), hold(device, 'TLSv1.2')]);
    const others = await Promise.all(bystanders.map((bystander) => hold(bystander)));
    await fleetroot.json(...words, '--yes');
    for (const line of lines) await line.closed();
    for (const line of others) {
      assert.ok(await goesOn(line), `${words.join(' ')} left the others alone`);
      line.socket.destroy();
    }
  }

  describe('ends with', () => {
    for (const action of ['suspend', 'revoke', 'delete']) {
      test(`device ${action}, whichever way the device came`, async () => {
        const neighbour = await own(`neighbour-of-${action}`);
        const namesake = await own(`own-${action}`, other);
        await act(await own(`own-${action}`), [neighbour, namesake], 'device', action, 'acme', `own-${action}`);
        await act(
          await fleet.image.boot(`shared-${action}`),
          [neighbour],
          'device',
          action,
          'acme',
          `shared-${action}`,
        );
      });
    }

    test('certificate revoke, where it came with that certificate; with another of the same device it goes on', async () => {
      const first = await own('two-certificates');
      const second = await own('two-certificates');
      await hold(first).then(({ socket }) => socket.destroy());
      const [{ sha256 }] = await fleetroot.json('certificate', 'list', 'acme', 'two-certificates');
      await act(first, [second], 'certificate', 'revoke', 'acme', sha256);
    });

    test('fleet-root disable and distrust, of whatever its certificate came through', async () => {
      const shared = await fleet.image.boot('not-of-that-root');
      const direct = await root.guideDevice('without-intermediate');
      const withoutIntermediate = fleet.image.withCertificate(direct.certificate, direct.key);
      const inOther = await own('in-other', other);
      await act(
        await own('distrusted'),
        [shared, withoutIntermediate, inOther],
        'fleet-root',
        'distrust',
        'acme',
        issuing.certificate,
      );
      await fleetroot.json('fleet-root', 'trust', 'acme', issuing.certificate);
      const [{ id }] = (await fleet.fleetRoot('list')).filter(({ kind }: { kind: string }) => kind === 'registered');
      await act(await own('disabled'), [shared, inOther], 'fleet-root', 'disable', 'acme', id);
      await act(shared, [inOther], 'fleet-root', 'disable', 'acme', 'generated');
      for (const ref of [id, 'generated']) await fleet.fleetRoot('activate', ref);
    });

    test('provisioning-key disable, in the middle of its request; what it has made goes on', async () => {
      const image = await fleetroot.image('acme');
      const device = await hold(await image.boot('made-before'));
      const [{ id }] = await fleetroot.json('provisioning-key', 'list', 'acme');
      using line = await Line.open(await image.provisioner());
      line.send('POST', '/devices', { length: 100, fields: ['Expect: 100-continue'] });
      await line.interim();
      await fleetroot.json('provisioning-key', 'disable', 'acme', id);
      assert.equal(await line.reply(), null);
      assert.ok(await goesOn(device));
    });

    test('the account', async () => {
      const shortLived = await Fleet.openTest(fleetroot, 'short-lived', root);
      await act(await own('dev', shortLived), [await own('bystander')], 'account', 'delete', 'short-lived');
      await assert.rejects(shortLived.image.boot('x'), /was answered 0/);
    });

    test('the shortest certificate on its path, after the ten minutes for clocks, and a new one is refused', async () => {
      const to = Math.floor((Date.now() + 60 * minute) / 1000) * 1000;
      const validity = { from: Date.now() - 60 * minute, to };
      const brief = await root.device('brief', { validity });
      const briefCa = await root.intermediate('Brief', { validity });
      const belowBrief = await pki.chain(await briefCa.device('below-brief'), briefCa.certificate);
      for (const { certificate, key } of [brief, belowBrief]) {
        const device = fleet.image.withCertificate(certificate, key);
        ahead = 0;
        const line = await hold(device);
        const longer = await hold(await own('longer'));
        ahead = to + 9 * minute - Date.now();
        assert.ok(await goesOn(line));
        ahead = to + 10 * minute + 1000 - Date.now();
        await line.closed();
        assert.ok(await goesOn(longer));
        const { json } = await device.whoAmI();
        assert.equal(json.code, 'certificate_expired');
        // Both clocks are told.
        assert.match(json.description, new RegExp(`${RegExp.escape(new Date(to).toISOString())}.*it is \\d{4}-`));
      }
      ahead = 0;
    });
  });

  test('goes on where a change does not concern it: policy, a root that is closed, another host', async () => {
    const lines = [await hold(await own('stays')), await hold(await fleet.image.boot('stays-shared'))];
    const [{ id }] = (await fleet.fleetRoot('list')).filter(({ kind }: { kind: string }) => kind === 'registered');
    for (const words of [
      ['account', 'set', 'acme', '--admission', 'approval', '--rekey', 'approve'],
      ['account', 'set', 'acme', '--admission', 'allow-list', '--device-id-pattern', 'nobody'],
      ['account', 'set', 'acme', '--admission', 'automatic', '--rekey', 'accept', '--device-id-pattern', '.*'],
      ['fleet-root', 'close', 'acme', id],
      ['fleet-root', 'activate', 'acme', id],
      ['account', 'host', 'add', 'acme', 'another.example'],
      ['account', 'gateway-ca', 'switch', 'acme'],
    ]) {
      await fleetroot.json(...words);
      for (const line of lines) assert.ok(await goesOn(line), words.join(' '));
    }
    for (const { socket } of lines) socket.destroy();
  });

  test('ends in the middle of what it is doing: a download, an upload, and what was sent of that is not kept', async () => {
    await using backEnd = await BackEnd.open();
    let under: 'way' | 'end' = 'way';
    backEnd.answer = (_, response) => {
      response.writeHead(200);
      const endless = setInterval(() => response.write('more'), 10);
      response.on('close', () => {
        clearInterval(endless);
        under = 'end';
      });
    };
    await fleetroot.json('upstream', 'set', 'acme', '/treehub', `http://127.0.0.1:${backEnd.port}`);
    const device = await own('busy');
    using upload = await hold(device);
    using download = await hold(device);
    download.send('GET', '/treehub/objects');
    await eventually(() => backEnd.asked.length > 0);
    const body = JSON.stringify({ local_ipv4: '6.6.6.6', mac: 'm', hostname: 'h' });
    upload.send('PUT', '/system_info/network', { length: body.length, fields: ['Expect: 100-continue'] });
    await upload.interim();
    upload.socket.write(body.slice(0, -1));
    await fleet.device('suspend', 'busy');
    upload.socket.write(body.slice(-1));
    await Promise.all([upload.closed(), download.closed()]);
    await eventually(() => under === 'end');
    assert.ok(!JSON.stringify(await fleet.device('show', 'busy')).includes('6.6.6.6'));
  });

  test('of a device that comes in the very moment in which it is revoked does not outlive that', async () => {
    for (let round = 0; round < 15; round += 1) {
      const device = await own(`racer-${round}`);
      (await hold(device)).socket.destroy();
      // So that nothing about it is remembered and all is looked up again.
      await fleet.set('--namespace', `n${round}`);
      const line = await Line.open(device);
      line.send('GET', '/device');
      await fleet.device('revoke', `racer-${round}`);
      await line.closed();
      const again = await Line.open(device);
      again.send('GET', '/device');
      assert.equal(JSON.parse(`${(await again.reply())?.body}`).code, 'device_revoked');
    }
  });
});
