// An export reads as its reader takes, and no further.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { exportDevices } from '../../src/operator/device-export.ts';
import type { Db } from '../../src/registry/database.ts';
import { storeLabels } from '../../src/registry/labels.ts';
import { type Home, insertRows, rowsOf, sqlite } from '../support/registry.ts';

const rows = rowsOf('mine');
const account_id = rows.accounts[0]!.id;

async function openFleet(ids: readonly string[]): Promise<{ home: Home; db: Db; pagesRead: () => number }> {
  const home = sqlite.home();
  let pages = 0;
  const db = await home.database(({ sql }) => void (sql.includes('fleet_root_ca_name') && (pages += 1)));
  await insertRows(db, rows);
  for (let at = 0; at < ids.length; at += 500) {
    const some = ids
      .slice(at, at + 500)
      .map((device_id) => ({ ...rows.devices[0]!, device_id, uuid: `uuid ${device_id}` }));
    await db
      .insertInto('devices')
      .values(some.map((device) => ({ ...device, labels: null })))
      .execute();
  }
  return { home, db, pagesRead: () => pages };
}

/** More of them than all pages would take, did nobody wait for the reader. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 1_000; turn += 1) await setImmediate();
}

describe('an export of devices', () => {
  test('waits for a reader who takes nothing, goes on when he does, and ends when he is gone', async () => {
    const ids = Array.from({ length: 20_000 }, (_, index) => `d${String(index).padStart(6, '0')}`);
    const { home, db, pagesRead } = await openFleet(ids);
    using _home = home;
    const slow = exportDevices(db, account_id, {}, 'jsonl');
    await once(slow, 'readable');
    slow.read();
    await turns();
    assert.ok(pagesRead() <= 4, `${pagesRead()} pages were read ahead`);
    slow.destroy();
    await once(slow, 'close');
    const before = pagesRead();
    await turns();
    assert.equal(pagesRead(), before);

    const whole = (await exportDevices(db, account_id, {}, 'jsonl').toArray()).join('');
    const listed = whole
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).device_id);
    assert.deepEqual(listed, [...ids, 'mine-device-id']);
  });

  test('in CSV is RFC 4180, each label a column, and no cell a formula', async () => {
    const { home, db } = await openFleet(['=1+1', '+1', '-1', '@a', 'a,b', 'say "hi"', 'a=b']);
    using _home = home;
    await storeLabels(db, { account_id, uuid: 'uuid a,b' }, '{"constructor":"x","note":"=cmd()"}');
    const text = (await exportDevices(db, account_id, {}, 'csv').toArray()).join('');
    const [head, ...lines] = text.split('\r\n');
    assert.match(head!, /^device_id,uuid,state,.*,last_seen,label:constructor,label:note,label:vin$/);
    const first = lines.map((line) => /^("(?:[^"]|"")*"|[^,]*)/.exec(line)![1]);
    assert.deepEqual(first, ["'+1", "'-1", "'=1+1", "'@a", '"a,b"', 'a=b', 'mine-device-id', '"say ""hi"""', '']);
    assert.match(lines[4]!, /,x,'=cmd\(\),$/);
    assert.match(lines[6]!, /,,,mine-vin$/);
  });

  test('of a filter has those alone', async () => {
    const { home, db } = await openFleet(['a', 'b']);
    using _home = home;
    const text = (await exportDevices(db, account_id, { prefix: 'b' }, 'jsonl').toArray()).join('');
    assert.equal(JSON.parse(text).device_id, 'b');
  });
});
