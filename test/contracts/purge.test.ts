// What is taken away for good is in no file any more, also where somebody read while it was: as soon as he has done.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { sqlite } from '../support/registry.ts';

test('a reader puts a purge off, and holds up nobody who writes', async () => {
  using home = sqlite.home();
  await using registry = await home.open();
  const bytes = (text: string) => new TextEncoder().encode(text);
  const row = (name: string) => ({ proof: bytes(`proof-${name}`), derivation: null });
  const isThere = () => [home.file, `${home.file}-wal`].some((file) => readFileSync(file).includes('proof-old'));
  await registry.write('recordMasterKey', { before: null, row: row('old') });
  await registry.write('beginMasterKeyRotation', { row: row('new') });
  assert.ok(isThere());
  {
    using reader = new DatabaseSync(home.file, { readOnly: true });
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM server').get();
    assert.deepEqual(await registry.write('endMasterKeyRotation', {}), { left: 0 });
    await registry.write('rememberServerValue', { key: 'other', value: bytes('other') });
    assert.ok(isThere(), 'it reads what was');
    reader.exec('COMMIT');
  }
  await eventually(() => !isThere());
});
