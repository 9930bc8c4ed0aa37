// Every type of event is told of when it happens, with the members that it is said to have, and no others.

import assert from 'node:assert/strict';
import { rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Value } from 'typebox/value';
import { eventData } from '../../src/operator/event-schemas.ts';
import { eventTypes } from '../../src/registry/notes.ts';
import { custodyEvent } from '../../src/server/notifications.ts';
import { newIdentity } from '../support/backup.ts';
import { commandLine } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { LineAccount } from '../support/line-account.ts';
import { operatorCall } from '../support/operator-call.ts';
import { Pki } from '../support/pki.ts';
import { needs } from '../support/require.ts';

const day = 24 * 60 * 60 * 1000;

interface Told {
  readonly type: keyof typeof eventData;
  readonly data: any;
}

test(
  'every type of event is told of, and holds what it is said to',
  { skip: needs('openssl', 'curl', 'unzip') },
  async () => {
    let ahead = 0;
    await using fleetroot = await Fleetroot.start({
      options: { 'events.kept': '1y' },
      clock: () => Date.now() + ahead,
    });
    await fleetroot.json('account', 'create', 'acme');
    await fleetroot.json('account', 'set', 'acme', '--validity', '20d');
    const image = await fleetroot.image('acme', '--max-uses', '3', '--expires', '20d', '--description', 'line 1');
    const told = async (): Promise<Told[]> =>
      (await operatorCall(fleetroot.dir, 'GET', '/events?limit=10000')).json.toReversed();
    const ofType = async (type: Told['type']) =>
      (await told()).filter((each) => each.type === type).map(({ data }) => data);

    const one = await image.boot('one');
    await fleetroot.json('device', 'reprovision', 'acme', 'one');
    await image.boot('one');
    await fleetroot.json('account', 'set', 'acme', '--admission', 'approval');
    const two = await image.boot('two');
    await fleetroot.json('device', 'approve', 'acme', 'two');
    assert.equal((await two.whoAmI()).status, 200);
    await fleetroot.json('device', 'revoke', 'acme', 'two', '--yes');
    for (let times = 0; times < 3; times += 1) await two.whoAmI();
    await one.whoAmI();
    await eventually(async () => (await ofType('device.refused')).length > 0);
    const [certificate] = await fleetroot.json('certificate', 'list', 'acme', 'one');
    await fleetroot.json('certificate', 'revoke', 'acme', certificate.sha256, '--yes');
    await fleetroot.json('device', 'delete', 'acme', 'two', '--yes');
    await fleetroot.json('audit', 'checkpoint');

    assert.deepEqual(
      (await ofType('device.added')).map(({ device_id, state }) => [device_id, state]),
      [
        ['one', 'active'],
        ['two', 'pending'],
      ],
    );
    assert.deepEqual(
      (await ofType('device.provisioned')).map(({ again }) => again),
      [false, true, false],
    );
    assert.deepEqual(
      (await ofType('device.pending')).map(({ device_id, waits }) => [device_id, waits]),
      [['two', 'device']],
    );
    assert.deepEqual(
      (await ofType('device.state_changed')).map(({ from, to }) => `${from}-${to}`),
      ['pending-active', 'active-revoked'],
    );
    assert.equal((await ofType('provisioning_key.exhausted')).length, 1);

    // A fleet's refusals of one kind are one event a minute: what came meanwhile is told when that is over.
    ahead += 2 * 60 * 1000;
    await fleetroot.server.keepEvents();
    const refused = await ofType('device.refused');
    assert.ok(refused.every(({ count }) => count >= 1));
    assert.ok(refused.some(({ device_ids }) => device_ids.includes('two')));

    // What ends is told of at 30, 7 and 1 days, once each; what has fewer when it is made, at the next.
    const days = async (type: 'certificate.expiring' | 'provisioning_key.expiring') =>
      (await ofType(type)).map((data) => data.days);
    const spare = await fleetroot.image('acme', '--expires', '20d');
    await spare.boot('three');
    await fleetroot.server.keepEvents();
    await fleetroot.server.keepEvents();
    assert.deepEqual(await days('provisioning_key.expiring'), [30]);
    ahead += 14 * day;
    await fleetroot.server.keepEvents();
    await fleetroot.server.keepEvents();
    assert.deepEqual(await days('provisioning_key.expiring'), [30, 7, 7]);
    assert.deepEqual(
      (await ofType('certificate.expiring')).map(({ kind, name, days }) => [kind, name, days]),
      [['device', 'three', 7]],
    );

    // What a factory accounts for, what contradicts that, and what is made with its line's key past it.
    await using pki = await Pki.open();
    const root = await pki.root('Fleet');
    const fleet = await Fleet.open(fleetroot, 'plant', root);
    const line = await LineAccount.open(pki, root, 'line-1');
    for (const [account, ends] of [
      [line, 0],
      [line.anew(), 1],
    ] as const) {
      await account.make('made');
      const { code, stderr } = await fleetroot.command('manifest', 'import', 'plant', await account.manifest());
      assert.equal(code, ends, stderr);
    }
    await fleet.fleetRoot('set', 'Fleet', '--admit', 'manifest');
    assert.equal(await fleet.arrive(await line.stolen('stolen')), 'certificate_not_in_manifest');
    await eventually(async () => (await ofType('factory.stranger')).length > 0);

    // A back-up, and the server that comes out of it.
    const { identity, recipient } = await newIdentity();
    await writeFile(fleetroot.file('identity'), identity);
    const backup = fleetroot.file('backup.age');
    await fleetroot.json('backup', backup, '--recipient', recipient, '--with-master-key');
    await using elsewhere = await Fleetroot.start({
      prepare: async (dir) => {
        await rmdir(dir);
        const words = ['restore', backup, '--identity', fleetroot.file('identity'), '--data', dir];
        const { code, stderr } = await commandLine(words);
        assert.equal(code, 0, stderr);
      },
    });
    const there: Told[] = (await operatorCall(elsewhere.dir, 'GET', '/events?types=server.restored')).json;

    // Of both accounts, a gateway certificate whose CA cannot sign.
    using database = new DatabaseSync(join(fleetroot.dir, 'registry.db'), { timeout: 10_000 });
    database.exec("UPDATE keys SET remembered = x'00' WHERE purpose = 'gateway-ca'");
    ahead += 70 * day;
    await fleetroot.renew();
    assert.equal((await ofType('gateway_certificate.not_renewed')).length, 2);

    const events = [
      ...(await told()),
      ...there,
      custodyEvent({ custodian: 'vault', fault: 'sealed', reason: 'The vault is sealed.' }),
      custodyEvent({ custodian: 'vault', seconds: 3 }),
    ];
    for (const { type, data } of events) {
      assert.ok(
        Value.Check(eventData[type], data),
        `${type}: ${JSON.stringify([...Value.Errors(eventData[type], data)])}`,
      );
    }
    assert.deepEqual([...new Set(events.map(({ type }) => type))].toSorted(), eventTypes.toSorted());
  },
);
