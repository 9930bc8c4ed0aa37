// Writes that are rehearsed: they give what they would give, throw what they would throw, and leave nothing at all.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Problem } from '../../src/problem.ts';
import type { Change } from '../../src/registry/changes.ts';
import { backends, insertRows, rowsOf } from '../support/registry.ts';

const mine = rowsOf('mine');
const account_id = mine.accounts[0]!.id;
const device = mine.devices[0]!.device_id;

for (const { name, home: newHome } of backends) {
  describe(`a write that is rehearsed on ${name}`, () => {
    test('gives what it would give, and no row, entry, event or change is left of it', async () => {
      using home = newHome();
      await insertRows(await home.database(), mine);
      await using registry = await home.open();
      const changes: Change[] = [];
      registry.changes.listen((change) => changes.push(change));
      const everything = async () => ({
        devices: await registry.read.selectFrom('devices').selectAll().execute(),
        certificates: await registry.read.selectFrom('certificates').selectAll().execute(),
        entries: await registry.read.selectFrom('audit_entries').selectAll().execute(),
        events: await registry.read.selectFrom('events').selectAll().execute(),
      });
      const before = await everything();
      const suspended = await registry.rehearse('suspendDevice', { account_id, device });
      assert.equal(suspended.state, 'suspended');
      const deleted = await registry.rehearse('deleteDevice', { account_id, device });
      assert.equal(deleted.device_id, device);
      await assert.rejects(
        registry.rehearse('suspendDevice', { account_id, device: 'nobody' }),
        (error) => error instanceof Problem && error.code === 'not_found',
      );
      assert.deepEqual(await everything(), before);
      assert.deepEqual(changes, []);
      assert.equal((await registry.write('suspendDevice', { account_id, device })).state, 'suspended');
      assert.equal(changes.length, 1);
    });

    test('an account with more devices than were confirmed is not deleted, whoever has counted before', async () => {
      using home = newHome();
      await insertRows(await home.database(), mine);
      await using registry = await home.open();
      await assert.rejects(registry.write('removeAccount', { account_id, most_devices: 0 }), (error) => {
        assert.ok(error instanceof Problem);
        assert.deepEqual([error.code, error.members], ['confirmation_required', { devices: 1 }]);
        return true;
      });
      assert.equal((await registry.write('removeAccount', { account_id, most_devices: 1 })).id, account_id);
    });
  });
}
