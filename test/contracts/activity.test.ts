// What an account's activity keeps to on every backend: spans of time, counted by indexes, its own alone.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Insertable } from 'kysely';
import { activityOf } from '../../src/registry/activity.ts';
import type { Db } from '../../src/registry/database.ts';
import type { DevicesTable } from '../../src/registry/fleet-tables.ts';
import { recordRefusals } from '../../src/registry/refusals.ts';
import { backends, type Home, insertRows, rowsOf, transactionOn } from '../support/registry.ts';

const rows = rowsOf('mine');
const account_id = rows.accounts[0]!.id;
const now = 1_800_000_000_000;
const minute = 60_000;
const day = 24 * 60 * minute;
const spans = { from: now - 2 * minute, length: minute, spans: 3, now };

function device(name: string, given: Partial<Insertable<DevicesTable>>): Insertable<DevicesTable> {
  return {
    uuid: `uuid of ${name}`,
    account_id,
    device_id: name,
    state: 'active',
    method: 'shared',
    fleet_root_ca_id: 'mine-root',
    provisioning_key_id: 'mine-provisioning-key',
    allowed_root_id: null,
    reprovision_until: null,
    first_seen: 1_000,
    last_seen: null,
    ...given,
  };
}

for (const { name, home: newHome } of backends) {
  describe(`the activity of an account in a registry on ${name}`, () => {
    let home: Home;
    let db: Db;

    beforeEach(async () => {
      home = newHome();
      db = await home.database();
      await insertRows(db, rows);
      await insertRows(db, rowsOf('other'));
    });
    afterEach(() => home[Symbol.dispose]());

    test('devices count in the span in which they came first, from its first millisecond to its last', async () => {
      const came = [spans.from - 1, spans.from, spans.from + minute - 1, spans.from + minute, now, now + 5 * minute];
      await db
        .insertInto('devices')
        .values(came.map((first_seen, at) => device(`device ${at}`, { first_seen })))
        .execute();
      // One that the clock of another node has put into the future is as of now.
      assert.deepEqual((await activityOf(db, account_id, spans)).added, [2, 1, 2]);
      assert.deepEqual((await activityOf(db, 'other-account', spans)).added, [0, 0, 0]);
    });

    test('who connected within five minutes counts, who has not or never did does not', async () => {
      await db
        .insertInto('devices')
        .values([
          device('here', { last_seen: now - 5 * minute }),
          device('gone', { last_seen: now - 5 * minute - 1 }),
          device('never', { last_seen: null }),
        ])
        .execute();
      assert.equal((await activityOf(db, account_id, spans)).seen_5_minutes, 1);
    });

    test('certificates that end within a day and within seven are counted, those that have ended are not', async () => {
      const ends = [now - 1, now, now + day - 1, now + day, now + 7 * day - 1, now + 7 * day, null];
      await db
        .insertInto('devices')
        .values(ends.map((certificate_not_after, at) => device(`device ${at}`, { certificate_not_after })))
        .execute();
      const { expiring_1_day, expiring_7_days } = await activityOf(db, account_id, spans);
      assert.deepEqual([expiring_1_day, expiring_7_days], [2, 4]);
    });

    test('a refusal counts once, when it last came; those of a day are told by code', async () => {
      const { id, first_at, count, ...refused } = rows.refusals[0]!;
      const at = (sameness: string, minutes: number, given: { code?: string; rule?: string } = {}) => ({
        ...refused,
        sameness,
        at: now - minutes * minute,
        ...given,
      });
      await recordRefusals(transactionOn(db, now), {
        refusals: [
          at('a', 2),
          at('a', 0),
          at('b', 1),
          at('c', 1, { code: 'device_suspended', rule: 'It is suspended.' }),
          at('d', 23 * 60),
          at('e', 25 * 60),
        ],
        limit: 100,
      });
      const { refused: inSpans, refusals_by_code } = await activityOf(db, account_id, spans);
      assert.deepEqual(inSpans, [0, 2, 1]);
      assert.deepEqual(refusals_by_code, [
        { code: 'certificate_untrusted', rule: 'mine-rule', refusals: 3 },
        { code: 'device_suspended', rule: 'It is suspended.', refusals: 1 },
      ]);
    });

    test('more devices than are read in one go are counted whole, many of one instant too', async () => {
      const many = Array.from({ length: 22_000 }, (_, at) =>
        device(`device ${at}`, { first_seen: at < 13_000 ? now : now - minute, last_seen: now }),
      );
      for (let at = 0; at < many.length; at += 1_000) {
        await db
          .insertInto('devices')
          .values(many.slice(at, at + 1_000))
          .execute();
      }
      const { added, seen_5_minutes } = await activityOf(db, account_id, spans);
      assert.deepEqual(added, [0, 9_000, 13_000]);
      assert.equal(seen_5_minutes, 22_000);
    });
  });
}
