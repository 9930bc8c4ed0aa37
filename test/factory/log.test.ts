// The log of a factory: whatever is changed behind its back is found, also a directory that was put back as it once was.

import assert from 'node:assert/strict';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { join } from 'node:path';
import { actions } from '../../src/factory/actions.ts';
import { factoryCli, startLine } from '../support/factory.ts';
import { addStation, ask, openWindow } from '../support/factory-enrolment.ts';

/** What somebody who has the database may do to it, and what is said of that. */
const tamperings: [what: string, sql: string, said: RegExp][] = [
  [
    'an entry is edited',
    `UPDATE log SET body = replace(body, 'dev-2', 'dev-7') WHERE action = 'certificate.make'`,
    /Entry \d+ has been changed/,
  ],
  ['an entry is taken out', `DELETE FROM log WHERE action = 'order.add'`, /^Entry \d+ is not there/],
  [
    'what stands beside an entry is edited',
    `UPDATE log SET object_id = 'other' WHERE action = 'order.add'`,
    /what is beside its text/,
  ],
  [
    'a certificate is taken out',
    `DELETE FROM certificates WHERE device_id = 'dev-2'`,
    /tells of the certificate .* which has no record/,
  ],
  [
    'a certificate gets another device ID',
    `UPDATE certificates SET device_id = 'dev-9' WHERE device_id = 'dev-2'`,
    /its device ID is not what entry \d+ tells/,
  ],
  [
    'a certificate is another one',
    `UPDATE certificates SET der = (SELECT ca_certificate FROM lines) WHERE device_id = 'dev-2'`,
    /its certificate is not what/,
  ],
  [
    'one that was withdrawn counts again',
    `UPDATE certificates SET state = 'made', withdrawn_at = NULL WHERE state = 'withdrawn'`,
    /"dev-1" is made, and the log does not/,
  ],
  [
    'one that counts is withdrawn',
    `UPDATE certificates SET state = 'withdrawn' WHERE device_id = 'dev-2'`,
    /"dev-2" is withdrawn, and the log does not/,
  ],
  [
    'a window is as good as new',
    `UPDATE windows SET used = 0`,
    /The record of the window .* was changed: 0 of it are used there, and 3/,
  ],
  ['a mandate is as good as new', `UPDATE mandates SET used = 1`, /The record of the mandate .* was changed: 1 of it/],
];

test('an edited database is found out, and what was changed is said', async (t) => {
  await using line = await startLine();
  {
    await using factory = await line.open();
    const station = await addStation(factory, 'bench-1');
    await openWindow(factory);
    for (const id of ['dev-1', 'dev-2', 'dev-3']) await ask({ factory, station }, { id });
    await actions.rework(factory, { device_id: 'dev-1' });
    const { fault, made, withdrawn } = await actions.verifyLog(factory, { heads: '' });
    assert.deepEqual({ fault, made, withdrawn }, { fault: null, made: 3, withdrawn: 1 });
  }
  const good = line.file('good.db');
  await cp(join(line.dir, 'factory.db'), good);
  for (const [what, sql, said] of tamperings) {
    await t.test(what, async () => {
      await cp(good, join(line.dir, 'factory.db'));
      {
        using database = new DatabaseSync(join(line.dir, 'factory.db'));
        assert.ok(database.prepare(sql).run().changes > 0);
      }
      await using factory = await line.open();
      const { fault } = await actions.verifyLog(factory, { heads: '' });
      assert.match(fault ?? 'nothing was found', said);
    });
  }
});

test('a directory that was put back as it once was fits, and the head that was kept elsewhere tells', async () => {
  await using line = await startLine();
  const head = line.file('head.jws');
  const before = line.file('before');
  {
    await using factory = await line.open();
    await addStation(factory, 'bench-1');
  }
  await cp(line.dir, before, { recursive: true });
  {
    await using factory = await line.open();
    await openWindow(factory);
    await writeFile(head, (await actions.signHead(factory, {})).jws);
  }
  const good = await factoryCli(line.dir, ['log', 'verify', '--head', head]);
  assert.equal(good.code, 0, good.stderr);
  assert.match(
    good.stdout,
    /fit each other and the records: 0 made, 0 withdrawn\.\nA head that was kept confirms them/,
  );

  await rm(line.dir, { recursive: true });
  await cp(before, line.dir, { recursive: true });
  await using factory = await line.open();
  assert.equal((await actions.verifyLog(factory, { heads: '' })).fault, null, 'by itself it fits');
  const heads = await readFile(head, 'utf8');
  assert.match((await actions.verifyLog(factory, { heads })).fault ?? '', /the tail has been cut off\.$/);
  await openWindow(factory, { order: 'other' });
  await openWindow(factory, { order: 'another' });
  assert.match((await actions.verifyLog(factory, { heads })).fault ?? '', /has been written anew/);
  const [header, payload, signature] = heads.split('.') as [string, string, string];
  const changed = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { number: number };
  const forged = Buffer.from(JSON.stringify({ ...changed, number: 1 })).toString('base64url');
  await assert.rejects(
    actions.verifyLog(factory, { heads: `${header}.${forged}.${signature}` }),
    /The head has been changed, or is signed by another key/,
  );
});
