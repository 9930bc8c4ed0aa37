// Who may join: automatically, with an operator's approval, or from a list; for both methods of provisioning.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Device } from '../support/image.ts';
import { type Ca, type Credentials, Pki } from '../support/pki.ts';

describe('admission', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  let fleets = 0;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    root = await pki.guideRoot('root');
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  /** A test account that trusts a root of its own too, so that both methods can be tried. */
  const open = async (...policy: string[]): Promise<Fleet> => {
    fleets += 1;
    const fleet = await Fleet.openTest(fleetroot, `fleet-${fleets}`, root);
    if (policy.length > 0) await fleet.set(...policy);
    return fleet;
  };

  const importList = async (fleet: Fleet, content: string | Uint8Array): Promise<{ added: number; already: number }> =>
    fleetroot.json('allow-list', 'import', fleet.account, await pki.write(content, '.txt'));

  test('is automatic unless the account says otherwise, in production accounts too', async () => {
    const production = await Fleet.open(fleetroot, 'production', root);
    for (const fleet of [production, await open()]) {
      assert.equal((await fleetroot.json('account', 'show', fleet.account)).admission, 'automatic');
      assert.equal(await fleet.arrive(await root.guideDevice('anyone')), 'in');
    }
  });

  describe('by approval', () => {
    const methods: Record<string, (fleet: Fleet, deviceId: string) => Promise<Credentials | Device>> = {
      'with device credentials': (_, deviceId) => root.guideDevice(deviceId),
      'with shared credentials': (fleet, deviceId) => fleet.image.boot(deviceId),
    };
    for (const [how, arrival] of Object.entries(methods)) {
      test(`a device ${how} waits, is seen waiting, and gets in when it is approved`, async () => {
        const fleet = await open('--admission', 'approval');
        const device = await arrival(fleet, 'patient');
        const waiting = await fleet.connect(device);
        assert.equal(waiting.status, 403);
        assert.equal(waiting.json.code, 'admission_pending');
        assert.equal(await fleet.arrive(device), 'admission_pending');
        const [listed] = await fleet.devices('--state', 'pending');
        assert.equal(listed.device_id, 'patient');
        const refusal = await fleet.refusal({ code: 'admission_pending' });
        assert.equal(refusal.device_id, 'patient');
        assert.match(refusal.remedy, /`device approve`/);

        await fleet.device('approve', 'patient');
        assert.equal(await fleet.arrive(device), 'in');
        assert.equal((await fleet.device('show', 'patient')).uuid, listed.uuid);
      });

      test(`a device ${how} that is rejected is revoked`, async () => {
        const fleet = await open('--admission', 'approval');
        const device = await arrival(fleet, 'unwanted');
        assert.equal(await fleet.arrive(device), 'admission_pending');
        assert.equal((await fleet.device('reject', 'unwanted')).state, 'revoked');
        assert.equal(await fleet.arrive(device), 'device_revoked');
        await fleet.set('--admission', 'automatic');
        assert.equal(await fleet.arrive(device), 'device_revoked');
      });
    }

    test('a device that waits reports nothing and reaches no back end', async () => {
      const fleet = await open('--admission', 'approval');
      const device = await fleet.image.boot('waiting');
      const answers = [
        await device.call('/system_info', { method: 'PUT', body: '{}' }),
        await device.call('/director/ecus', { method: 'POST', body: '{"primary_ecu_serial":"x","ecus":[]}' }),
        await device.call('/treehub/objects'),
      ];
      for (const answer of answers) assert.equal(answer.json.code, 'admission_pending');
      assert.deepEqual((await fleet.device('show', 'waiting')).reports, []);
    });

    test('its ID is taken while it waits', async () => {
      const fleet = await open('--admission', 'approval');
      await fleet.image.boot('taken');
      assert.equal((await fleet.image.provision('taken')).json.code, 'device_already_registered');
      assert.equal(await fleet.arrive(await root.guideDevice('taken')), 'device_id_conflict');
    });

    test('a device that waits is revoked or deleted like any other, and there is nothing to suspend', async () => {
      const fleet = await open('--admission', 'approval');
      const [one, other] = [await root.guideDevice('one'), await root.guideDevice('other')];
      assert.equal(await fleet.arrive(one), 'admission_pending');
      assert.equal(await fleet.arrive(other), 'admission_pending');
      assert.equal((await fleetroot.command('device', 'suspend', fleet.account, 'one')).code, 1);
      assert.equal((await fleetroot.command('device', 'resume', fleet.account, 'one')).code, 1);
      await fleet.device('revoke', 'one');
      assert.equal(await fleet.arrive(one), 'device_revoked');
      await fleet.device('delete', 'other');
      assert.equal(await fleet.arrive(other), 'certificate_revoked');
      assert.equal(await fleet.arrive(await root.guideDevice('other')), 'admission_pending');
    });

    test('only a device that waits is approved or rejected', async () => {
      const fleet = await open();
      assert.equal(await fleet.arrive(await root.guideDevice('in-already')), 'in');
      for (const word of ['approve', 'reject']) {
        assert.equal((await fleetroot.command('device', word, fleet.account, 'in-already')).code, 1);
      }
      assert.equal((await fleet.device('show', 'in-already')).state, 'active');
    });
  });

  describe('from the allow-list', () => {
    test('a device with device credentials gets in if it is on it, and leaves no trace if it is not', async () => {
      const fleet = await open('--admission', 'allow-list');
      assert.partialDeepStrictEqual(await importList(fleet, 'listed\n'), { added: 1, already: 0 });
      assert.equal(await fleet.arrive(await root.guideDevice('listed')), 'in');
      const other = await root.guideDevice('unlisted');
      assert.equal(await fleet.arrive(other), 'device_id_not_allowed');
      assert.deepEqual(
        (await fleet.devices()).map(({ device_id }) => device_id),
        ['listed'],
      );
      const refusal = await fleet.refusal({ code: 'device_id_not_allowed', device_id: 'unlisted' });
      assert.match(refusal.rule, /"unlisted" is not on the account's allow-list/);
      assert.match(refusal.remedy, /allow-list import/);
      await importList(fleet, 'unlisted\n');
      assert.equal(await fleet.arrive(other), 'in');
    });

    test('with shared credentials the others are refused before anything is issued or counted', async () => {
      const fleet = await open('--admission', 'allow-list');
      await importList(fleet, 'listed\n');
      const refused = await fleet.image.provision('unlisted');
      assert.equal(refused.status, 403);
      assert.equal(refused.json.code, 'device_id_not_allowed');
      assert.deepEqual(await fleet.devices(), []);
      const [key] = await fleetroot.json('provisioning-key', 'list', fleet.account);
      assert.equal(key.uses, 0);
      assert.equal(await fleet.arrive(await fleet.image.boot('listed')), 'in');
      const refusal = await fleet.refusal({ code: 'device_id_not_allowed' });
      assert.equal(refusal.device_id, 'unlisted');
    });

    test('who has joined stays when taken off it; who has not does not join', async () => {
      const fleet = await open('--admission', 'allow-list');
      await importList(fleet, 'joined\nnot-yet\n');
      const joined = await root.guideDevice('joined');
      assert.equal(await fleet.arrive(joined), 'in');
      const removed = await fleetroot.json('allow-list', 'remove', fleet.account, 'joined', 'not-yet', 'never-there');
      assert.equal(removed.removed, 2);
      assert.equal(await fleet.arrive(joined), 'in');
      assert.equal(await fleet.arrive(await root.guideDevice('not-yet')), 'device_id_not_allowed');
    });

    test('IDs are compared exactly', async () => {
      const fleet = await open('--admission', 'allow-list');
      await importList(fleet, 'Caf\u00e9\n');
      for (const other of ['caf\u00e9', 'Cafe', 'Cafe\u0301', 'Caf\u00e9x']) {
        assert.equal(await fleet.arrive(await root.device(other)), 'device_id_not_allowed', other);
      }
      assert.equal(await fleet.arrive(await root.device('Caf\u00e9')), 'in');
    });
  });

  test('a change of policy acts on the next request: who waits gets in, who would have got in waits', async () => {
    const fleet = await open('--admission', 'approval');
    const [one, other] = [await root.guideDevice('one'), await root.guideDevice('other')];
    assert.equal(await fleet.arrive(one), 'admission_pending');
    assert.equal(await fleet.arrive(other), 'admission_pending');
    await fleet.set('--admission', 'allow-list');
    assert.equal(await fleet.arrive(one), 'admission_pending');
    await importList(fleet, 'one\n');
    assert.equal(await fleet.arrive(one), 'in');
    assert.equal(await fleet.arrive(other), 'admission_pending');
    await fleet.set('--admission', 'automatic');
    assert.equal(await fleet.arrive(other), 'in');
    await fleet.set('--admission', 'approval');
    assert.equal(await fleet.arrive(one), 'in');
    assert.equal(await fleet.arrive(await root.guideDevice('third')), 'admission_pending');
  });

  describe("by the account's pattern", () => {
    test('newcomers of both methods must match it with their whole ID, those known go on', async () => {
      const fleet = await open();
      const known = await root.guideDevice('known');
      assert.equal(await fleet.arrive(known), 'in');
      await fleet.set('--device-id-pattern', 'car-[0-9]{3}');
      assert.equal(await fleet.arrive(known), 'in');
      assert.equal(await fleet.arrive(await root.guideDevice('car-001')), 'in');
      for (const other of ['car-1', 'xcar-001', 'car-0011', 'CAR-001']) {
        assert.equal(await fleet.arrive(await root.guideDevice(other)), 'device_id_not_allowed', other);
      }
      assert.match((await fleet.refusal({ device_id: 'car-1' })).rule, /does not match the account's pattern/);
      assert.equal((await fleet.image.provision('bus-1')).json.code, 'device_id_not_allowed');
      assert.equal((await fleet.image.provision('car-002')).status, 200);
      await fleet.set('--device-id-pattern', '');
      assert.equal(await fleet.arrive(await root.guideDevice('bus-1')), 'in');
    });

    test('one that would take for ever elsewhere takes no time, and one that is none is refused', async () => {
      const fleet = await open('--device-id-pattern', '(([a-z])+.)+[A-Z]([a-z])+');
      assert.equal(await fleet.arrive(await root.guideDevice('a'.repeat(64))), 'device_id_not_allowed');
      for (const pattern of ['(', '(a)\\1', '(?=a)a', 'a'.repeat(600)]) {
        const { code, stderr } = await fleetroot.command(
          'account',
          'set',
          fleet.account,
          '--device-id-pattern',
          pattern,
        );
        assert.equal(code, 1);
        assert.match(stderr, /device ID pattern/);
      }
    });
  });

  describe('lists are imported', () => {
    const imports: Record<string, { content: string | Uint8Array; ids: string[] }> = {
      'text, one ID a line': { content: 'b\na\n', ids: ['a', 'b'] },
      'text with a byte order mark, CRLF, blank lines and no end': {
        content: '\ufeffa\r\n\r\n  b  \r\nc',
        ids: ['a', 'b', 'c'],
      },
      'CSV by its column device_id': { content: 'plant,device_id,note\n1,a,x\n2,b,\n', ids: ['a', 'b'] },
      'CSV by its first column': { content: 'a;1\nb;2\n', ids: ['a', 'b'] },
      tabs: { content: 'device_id\tplant\na\t1\n', ids: ['a'] },
      'CSV with quoted IDs': { content: 'device_id,plant\n"a,1",x\n" b ",y\n"c""d",z\n', ids: [' b ', 'a,1', 'c"d'] },
      'IDs of every script': { content: 'Straße 7\nмашина\n車\n', ids: ['Straße 7', 'машина', '車'] },
      'IDs that are there already': { content: 'a\na\nb\n', ids: ['a', 'b'] },
      'UUIDs, paths and percent signs': {
        content: 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6\na/b/../c\n100%\n..\n',
        ids: ['..', '100%', 'a/b/../c', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'],
      },
    };
    for (const [form, { content, ids }] of Object.entries(imports)) {
      test(form, async () => {
        const fleet = await open();
        assert.equal((await importList(fleet, content)).added, ids.length);
        const listed = await fleetroot.json('allow-list', 'list', fleet.account);
        assert.deepEqual(
          listed.map(({ device_id }: { device_id: string }) => device_id),
          ids,
        );
      });
    }

    test('comments are passed over, as the help says; an ID that begins like one stands in quotes', async () => {
      const fleet = await open();
      const content = '\ufeff# plants 1, 2 and 3\n\ndevice_id;plant\na;1\n# b;2\n"#c";3\nd#4;3\n';
      assert.partialDeepStrictEqual(await importList(fleet, content), { added: 3, already: 0 });
      const listed = await fleetroot.json('allow-list', 'list', fleet.account);
      assert.deepEqual(
        listed.map(({ device_id }: { device_id: string }) => device_id),
        ['#c', 'a', 'd#4'],
      );
    });

    test('all or nothing where that is asked for: a line that is no device ID is named, and nothing is imported', async () => {
      const fleet = await open();
      const hostile: [string | Uint8Array, RegExp][] = [
        ['a\nb\u202ec\n', /line 2: The device ID "b.+c" contains a control/],
        ['a\nb\0c\n', /line 2: .+ contains a control/],
        ['a\n\u200b\n', /line 2: /],
        [`a\n${'x'.repeat(65)}\n`, /line 2: .+ more than 64 characters/],
        ['a\nuuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6\n', /line 2: .+ begins with "uuid:"/],
        ['device_id,x\n,1\n', /line 2: The device ID is empty/],
        [Buffer.of(0x61, 0x0a, 0xff, 0xfe, 0x0a), /not UTF-8/],
        ['\n\n', /no device ID in the file/],
        ['device_id\n', /no device ID in the file/],
      ];
      for (const [content, says] of hostile) {
        const file = await pki.write(content, '.txt');
        const { code, stderr } = await fleetroot.command(
          'allow-list',
          'import',
          fleet.account,
          file,
          '--all-or-nothing',
        );
        assert.equal(code, 1, String(content));
        assert.match(stderr, says);
      }
      assert.deepEqual(await fleetroot.json('allow-list', 'list', fleet.account), []);
    });

    test('25,000 at once, and all of them are listed', async () => {
      const fleet = await open();
      const ids = Array.from({ length: 25_000 }, (_, index) => `device-${String(index).padStart(5, '0')}`);
      assert.partialDeepStrictEqual(await importList(fleet, ids.join('\n')), { added: 25_000, already: 0 });
      assert.partialDeepStrictEqual(await importList(fleet, ids.join('\r\n')), { added: 0, already: 25_000 });
      const listed = await fleetroot.json('allow-list', 'list', fleet.account);
      assert.deepEqual(
        listed.map(({ device_id }: { device_id: string }) => device_id),
        ids,
      );
    });
  });
});
