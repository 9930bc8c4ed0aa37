// What was to be imported whole, and was committed when the server died, is whole after its next start.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importAllowListFile, settleAllowListImports } from '../../src/operator/allow-list-import.ts';
import { allowListOf } from '../../src/registry/allow-list.ts';
import { backends, someAccount } from '../support/registry.ts';

const entries = Array.from({ length: 25_000 }, (_, index) => ({
  device_id: `d${index}`,
  labels: { vin: `W${index}` },
}));

for (const { name, home: newHome } of backends) {
  test(`an import that was committed is finished at the next start, on ${name}`, async () => {
    using home = newHome();
    const { created_at, ready_at, ...account } = someAccount('acme');
    {
      await using registry = await home.open();
      await registry.write('insertAccount', { account, host: 'acme.example' });
      const committed = await registry.write('beginAllowListImport', { account_id: 'acme' });
      await registry.write('stageAllowList', { ...committed, entries });
      await registry.write('commitAllowListImport', committed);
      // Killed when a part of it is on the list.
      await registry.write('settleAllowListImport', { ...committed, limit: 10_000 });
      const given = await registry.write('beginAllowListImport', { account_id: 'acme' });
      await registry.write('stageAllowList', { ...given, entries: [{ device_id: 'never', labels: null }] });
    }
    await using registry = await home.open();
    await settleAllowListImports(registry);
    const listed = await allowListOf(registry.read, 'acme', { limit: 100_000 });
    assert.equal(listed.length, entries.length);
    assert.ok(listed.every(({ device_id, labels }) => labels === `{"vin":"W${device_id.slice(1)}"}`));
    assert.deepEqual(await registry.read.selectFrom('staged_allow_list').selectAll().execute(), []);
    assert.deepEqual(await registry.read.selectFrom('allow_list_imports').selectAll().execute(), []);
  });

  test(`a file is imported as it comes, and what comes after a fault of its form is not, on ${name}`, async () => {
    using home = newHome();
    const { created_at, ready_at, ...account } = someAccount('acme');
    await using registry = await home.open();
    await registry.write('insertAccount', { account, host: 'acme.example' });
    async function* file() {
      yield Buffer.from('a\nb\nb\nuuid:c\n');
    }
    const report = await importAllowListFile(registry, { id: 'acme' }, file());
    const { rows, added, already, faults_total } = report;
    assert.deepEqual([rows, added, already, faults_total], [4, 2, 1, 1]);
    async function* broken() {
      yield Buffer.from('d\n');
      throw new Error('aborted');
    }
    await assert.rejects(importAllowListFile(registry, { id: 'acme' }, broken(), { all_or_nothing: true }), /aborted/);
    const listed = (await allowListOf(registry.read, 'acme')).map(({ device_id }) => device_id);
    assert.deepEqual(listed, ['a', 'b']);
  });
}
