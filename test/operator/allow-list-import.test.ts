// What was to be imported whole, and was committed when the server died, is whole after its next start.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importAllowListFile, settleAllowListImports } from '../../src/operator/allow-list-import.ts';
import { allowListOf, importAllowList, weighAllowList } from '../../src/registry/allow-list.ts';
import { mostLabels, readLabels } from '../../src/registry/label-values.ts';
import { setLabels, storeLabels } from '../../src/registry/labels.ts';
import { backends, insertRows, rowsOf, someAccount, transactionOn } from '../support/registry.ts';

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
    await settleAllowListImports(registry, Number.MAX_SAFE_INTEGER);
    const listed = await allowListOf(registry.read, 'acme', { limit: 100_000 });
    assert.equal(listed.length, entries.length);
    assert.ok(listed.every(({ device_id, labels }) => labels === `{"vin":"W${device_id.slice(1)}"}`));
    assert.deepEqual(await registry.read.selectFrom('staged_allow_list').selectAll().execute(), []);
    assert.deepEqual(await registry.read.selectFrom('allow_list_imports').selectAll().execute(), []);
  });

  test(`an import that is under way is left alone; one that was given up says so, on ${name}`, async () => {
    using home = newHome();
    const { created_at, ready_at, ...account } = someAccount('acme');
    await using registry = await home.open();
    await registry.write('insertAccount', { account, host: 'acme.example' });
    const import_ = await registry.write('beginAllowListImport', { account_id: 'acme' });
    const { started_at } = await registry.read
      .selectFrom('allow_list_imports')
      .select('started_at')
      .executeTakeFirstOrThrow();
    // As another node does, for what was begun long ago.
    await settleAllowListImports(registry, started_at);
    await registry.write('stageAllowList', { ...import_, entries: [{ device_id: 'new', labels: null }] });
    await settleAllowListImports(registry, started_at + 1);
    await assert.rejects(registry.write('commitAllowListImport', import_), { code: 'conflict' });
    assert.deepEqual(await allowListOf(registry.read, 'acme', { limit: 10 }), []);
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

  test(`what a device has joined with changes by what is new in its row alone, and is told, on ${name}`, async () => {
    using home = newHome();
    const db = await home.database();
    const rows = rowsOf('mine');
    await insertRows(db, rows);
    const account_id = rows.accounts[0]!.id;
    const { uuid, device_id } = rows.devices[0]!;
    await storeLabels(db, { account_id, uuid }, '{"line":"A","vin":"W1"}');
    const tx = transactionOn(db);
    const bring = (labels: Record<string, string>) =>
      importAllowList(tx, { account_id, entries: [{ device_id, labels }] });
    const labels = async () =>
      readLabels(
        (await db.selectFrom('devices').select('labels').where('uuid', '=', uuid).executeTakeFirstOrThrow()).labels,
      );
    await bring({ line: 'A', vin: 'W1' });
    await setLabels(tx, { account_id, device: device_id, labels: { line: 'by hand' } });
    await bring({ line: 'A', vin: 'W1' });
    assert.deepEqual(await labels(), { line: 'by hand', vin: 'W1' });
    tx.notes.length = 0;
    await bring({ line: 'A', vin: 'W2' });
    assert.deepEqual(await labels(), { line: 'by hand', vin: 'W2' });
    assert.deepEqual(
      tx.notes.filter(({ action }) => action === 'device.label'),
      [
        {
          action: 'device.label',
          account_id,
          object: { kind: 'device', id: uuid, name: device_id },
          before: { labels: { line: 'by hand', vin: 'W1' } },
          after: { labels: { line: 'by hand', vin: 'W2' } },
        },
      ],
    );
    const more = Object.fromEntries(Array.from({ length: mostLabels - 1 }, (_, index) => [`l${index}`, 'x']));
    const entries = [{ device_id, labels: more }];
    assert.deepEqual((await weighAllowList(db, account_id, entries)).overfull, [device_id]);
    const { added, already, updated, overfull } = await importAllowList(tx, { account_id, entries });
    assert.deepEqual([added, already, updated, overfull], [0, 0, 0, [device_id]]);
    assert.deepEqual(await labels(), { line: 'by hand', vin: 'W2' });
  });

  test(`a row that would bring more labels than there may be is told as wrong, on ${name}`, async () => {
    using home = newHome();
    const { created_at, ready_at, ...account } = someAccount('acme');
    await using registry = await home.open();
    await registry.write('insertAccount', { account, host: 'acme.example' });
    const file = (mark: string) =>
      async function* () {
        const heads = Array.from({ length: 10 }, (_, index) => `${mark}${index}`).join(',');
        const values = Array.from({ length: 10 }, () => 'x').join(',');
        yield Buffer.from(`device_id,${heads}\n${mark},${values}\nboth,${values}\n`);
      };
    const bring = (mark: string, options = {}) => importAllowListFile(registry, { id: 'acme' }, file(mark)(), options);
    assert.equal((await bring('a')).faults_total, 0);
    await assert.rejects(bring('b', { all_or_nothing: true }), /Line 3: It would have more than 16 labels/);
    for (const options of [{ dry_run: true }, {}]) {
      const { rows, added, updated, faults } = await bring('b', options);
      assert.deepEqual([rows, added, updated], [2, 1, 0]);
      assert.deepEqual(
        faults.map(({ line, device_id }) => [line, device_id]),
        [[3, 'both']],
      );
    }
  });
}
