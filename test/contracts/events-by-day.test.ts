// What becomes of old events: taken away, oldest first, and remembered as gone; on PostgreSQL by days, each of which goes whole.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import pg from 'pg';
import { Problem } from '../../src/problem.ts';
import { eventsAfter, latestEvents, newestEventId, prunedEventId } from '../../src/registry/events.ts';
import type { Registry } from '../../src/registry/writer.ts';
import { backends, type Home, someAccount } from '../support/registry.ts';

const day = 24 * 60 * 60 * 1000;
/** Noon of a day long ago, so that the registry's clock decides and not the machine's. */
const noon = Date.UTC(2020, 1, 28, 12);

for (const { name: backend, home: newHome } of backends) {
  describe(`old events on ${backend}`, () => {
    let held: AsyncDisposableStack;
    let home: Home;
    let now: number;
    let registry: Registry;

    beforeEach(async () => {
      held = new AsyncDisposableStack();
      home = held.use(newHome());
      now = noon;
      registry = await open();
      const { created_at: _, ready_at: __, ...account } = someAccount('account');
      await registry.write('insertAccount', { account, host: 'account.gateway.localhost' });
    });
    afterEach(() => held.disposeAsync());

    const open = async () => held.use(await home.open({ clock: () => now }));

    /** Something happens, of the account or of none; gives its number. */
    async function happens(account_id: string | null = null): Promise<number> {
      await registry.write('recordEvents', { events: [{ type: 'custody.back', account_id, data: {} }] });
      return newestEventId(registry.read);
    }

    /** What the server does each minute. */
    async function tidy(before: number): Promise<void> {
      while (await registry.write('turnEventDays', { before }));
      while ((await registry.write('pruneEvents', { before, limit: 2 })) === 2);
    }

    async function kept(): Promise<number[]> {
      const all = await eventsAfter(registry.read, null, { after: 0, upTo: Number.MAX_SAFE_INTEGER, limit: 100 });
      const latest = await latestEvents(registry.read, null, { before: Number.MAX_SAFE_INTEGER, limit: 100 });
      assert.deepEqual(
        latest.map(({ id }) => id),
        all.map(({ id }) => id).reverse(),
      );
      return all.map(({ id }) => id);
    }

    test('they are taken away and remembered as gone, and the later ones stay in their order', async () => {
      await tidy(0);
      const numbers: number[] = [];
      for (let count = 0; count < 4; count += 1) {
        numbers.push(await happens('account'), await happens(), await happens());
        now += day;
        await tidy(0);
      }
      assert.deepEqual(await kept(), numbers);
      await tidy(noon + 1.5 * day);
      assert.deepEqual(await kept(), numbers.slice(6));
      assert.equal(await prunedEventId(registry.read, null), numbers[5]);
      assert.equal(await prunedEventId(registry.read, 'account'), numbers[3]);
      assert.deepEqual(
        (await eventsAfter(registry.read, 'account', { after: 0, upTo: numbers.at(-1)!, limit: 10 })).map(
          ({ id }) => id,
        ),
        [numbers[6], numbers[9]],
      );
      // All that there was is gone, and still nobody is given a number again.
      now += day;
      await tidy(noon + 5 * day);
      assert.deepEqual(await kept(), []);
      assert.equal(await newestEventId(registry.read), numbers.at(-1));
      assert.ok((await happens()) > numbers.at(-1)!);
    });

    if (backend !== 'PostgreSQL') return;
    describe('by days', () => {
      let client: pg.Client;

      beforeEach(async () => {
        client = new pg.Client(await home.place());
        await client.connect();
        held.defer(() => client.end());
      });

      const tableOf = async (id: number): Promise<string> =>
        (await client.query('select tableoid::regclass::text as name from events where id = $1', [id])).rows[0].name;
      const tables = async (): Promise<string[]> => {
        const { rows } = await client.query(
          `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'events'::regclass order by 1`,
        );
        return rows.map((row) => row.name);
      };

      test('each lies in the table of its day, made a week ahead, which goes whole when all of it is old', async () => {
        await tidy(0);
        const first = await happens();
        now += day;
        const second = await happens();
        assert.deepEqual(
          [await tableOf(first), await tableOf(second)],
          ['events_day_2020_02_28', 'events_day_2020_02_29'],
        );
        const days = ['02_28', '02_29', ...['01', '02', '03', '04', '05', '06'].map((date) => `03_${date}`)];
        assert.deepEqual(await tables(), [...days.map((date) => `events_day_2020_${date}`), 'events_rest']);
        // Old enough by itself, but its day is not over: nothing is read and deleted row by row.
        await tidy(noon + 1);
        assert.deepEqual(await kept(), [first, second]);
        await tidy(noon + day / 2 - 1);
        assert.deepEqual(await kept(), [first, second]);
        await tidy(noon + day / 2);
        assert.deepEqual(await kept(), [second]);
        assert.equal((await tables())[0], 'events_day_2020_02_29');
        assert.equal((await tables()).at(-2), 'events_day_2020_03_07');
      });

      test('one whose day has no table is kept with the rest, and taken away from there', async () => {
        const early = await happens();
        await tidy(0);
        // Its day stays in the rest, the following ones have their own.
        const same = await happens('account');
        assert.deepEqual([await tableOf(early), await tableOf(same)], ['events_rest', 'events_rest']);
        now += 30 * day;
        const late = await happens();
        assert.equal(await tableOf(late), 'events_rest');
        assert.deepEqual(await kept(), [early, same, late]);
        await tidy(noon + 10 * day);
        assert.deepEqual(await kept(), [late]);
        assert.equal(await prunedEventId(registry.read, 'account'), same);
        now += day;
        assert.equal(await tableOf(await happens()), 'events_day_2020_03_30');
      });

      test('who reads all of them for long holds nobody up, and no day goes meanwhile', async () => {
        await tidy(0);
        const first = await happens();
        now += 2 * day;
        await client.query('begin');
        await client.query('select 1 from events limit 1');
        await assert.rejects(
          registry.write('turnEventDays', { before: now - day }),
          // By its own patience (55P03), not by that of any statement.
          (error) => error instanceof Problem && (error.cause as { code: string }).code === '55P03',
        );
        const second = await happens();
        await client.query('commit');
        assert.deepEqual(await kept(), [first, second]);
        assert.equal(await registry.write('turnEventDays', { before: now - day }), true);
        assert.deepEqual(await kept(), [second]);
      });

      test('several nodes do it at once, while they write', async () => {
        const others = [await open(), await open()];
        await Promise.all([registry, ...others].map((each) => each.write('turnEventDays', { before: 0 })));
        assert.equal((await tables()).length, 9);
        const numbers = [await happens()];
        now += 3 * day;
        const turned = [registry, ...others].map((each) => each.write('turnEventDays', { before: noon + day }));
        const written = Array.from({ length: 5 }, () => happens());
        assert.equal((await Promise.all(turned)).filter((dropped) => dropped).length, 1);
        await Promise.all(written);
        const stay = await kept();
        assert.equal(stay.length, 5);
        assert.ok(stay.every((id) => id > numbers[0]!));
      });
    });
  });
}
