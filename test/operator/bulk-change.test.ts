// A change of many devices never goes beyond what was confirmed, whatever has come meanwhile, and can be repeated.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeFleet } from '../../src/operator/bulk-change.ts';
import { Problem } from '../../src/problem.ts';
import type { Provisioning } from '../../src/provisioning/provisioning.ts';
import { fleetPage } from '../../src/registry/fleet.ts';
import { insertRows, rowsOf, sqlite } from '../support/registry.ts';

const rows = rowsOf('mine');
const account = rows.accounts[0]!;

test('a change of many devices stops where more have come than were confirmed', async () => {
  using home = sqlite.home();
  const db = await home.database();
  await insertRows(db, rows);
  const more = Array.from({ length: 1_200 }, (_, index) => ({
    ...rows.devices[0]!,
    uuid: `uuid ${index}`,
    device_id: `d${String(index).padStart(4, '0')}`,
  }));
  for (let at = 0; at < more.length; at += 400)
    await db
      .insertInto('devices')
      .values(more.slice(at, at + 400))
      .execute();
  await db.destroy();
  await using registry = await home.open();
  const provisioning = { registry } as Pick<Provisioning, 'registry'>;
  const told: string[] = [];
  registry.changes.listen((change) => void told.push(change.kind));
  const revoked = async () =>
    (await fleetPage(registry.read, account.id, { filter: { states: ['revoked'] }, limit: 10_000 })).length;

  for (const [most, sum] of [
    [700, 700],
    [0, 700],
  ] as const) {
    await assert.rejects(
      changeFleet(provisioning, account, 'revoke', { filter: { prefix: 'd' }, most }),
      (error) =>
        error instanceof Problem && error.code === 'confirmation_required' && error.members['changed'] === most,
    );
    assert.equal(await revoked(), sum);
  }
  assert.deepEqual(await changeFleet(provisioning, account, 'revoke', { filter: { prefix: 'd' }, most: 500 }), {
    changed: 500,
  });
  assert.equal(await revoked(), 1_200);
  assert.equal(told.length, 1_200);
  const again = await changeFleet(provisioning, account, 'revoke', { filter: { prefix: 'd' }, most: 0 });
  assert.deepEqual(again, { changed: 0 });
});
