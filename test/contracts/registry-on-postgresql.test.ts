// What several processes on one PostgreSQL keep to: each hears what the others change, counts are exact, nobody is skipped.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { Problem } from '../../src/problem.ts';
import { accountById } from '../../src/registry/accounts.ts';
import { actAs, type Actor, unconfirmedBy } from '../../src/registry/acting.ts';
import type { Change } from '../../src/registry/changes.ts';
import { overClient } from '../../src/registry/postgres.ts';
import { lockKey } from '../../src/registry/postgres-commit.ts';
import { serverValue } from '../../src/registry/server-values.ts';
import type { Registry } from '../../src/registry/writer.ts';
import { eventually } from '../support/eventually.ts';
import { asked } from '../support/postgres-server.ts';
import { newDatabase } from '../support/postgres.ts';
import { openNode } from '../support/postgres-nodes.ts';
import { insertRows, rowsOf, someAccount } from '../support/registry.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const value = Buffer.from('remembered');

/** An operator of a test's own, as each request of one is. */
const someone = (): Actor => ({ kind: 'operator', id: 'id', name: 'someone', address: null, request: randomUUID() });

/** Something that is told of, in an account's own lock. */
const change = (registry: Registry, account_id: string) =>
  registry.write('distrustKey', { account_id, public_key_sha256: randomUUID(), certificate: value });

const newAccount = (registry: Registry, id: string) => {
  const { created_at: _, ready_at: __, ...account } = someAccount(id);
  return registry.write('insertAccount', { account, host: `${id}.gateway.localhost` });
};

describe('several processes on one PostgreSQL', () => {
  let held: AsyncDisposableStack;
  let url: string;

  beforeEach(async () => {
    held = new AsyncDisposableStack();
    ({ url } = held.use(await newDatabase({ migrated: true })));
  });
  afterEach(() => held.disposeAsync());

  const node = async (name: string, ...more: [settings?: object, via?: string]) =>
    held.use(await openNode(more[1] ?? url, name, more[0]));
  const proxy = async () => held.use(await TcpProxy.to(Number(new URL(url).port)));

  test('what one changes another hears once, in the order in which it was committed, however many write at once', async () => {
    const [one, other] = [await node('one'), await node('other')];
    const accounts = Array.from({ length: 6 }, (_, index) => `account-${index}`);
    for (const id of accounts) await newAccount(one, id);
    const heard: Change[] = [];
    other.changes.listen((each) => heard.push(each));
    const own: Change[] = [];
    one.changes.listen((each) => own.push(each));
    const writes = accounts.flatMap((id) =>
      Array.from({ length: 15 }, () => [change(one, id), change(other, id)]).flat(),
    );
    await Promise.all(writes);
    const all = accounts.length * 15 * 2;
    await eventually(() => heard.length >= all && own.length >= all);
    // What it changes itself it is told of at once, what another does by the database.
    const recorded = await one.read.selectFrom('changes').select(['instance', 'change']).orderBy('sequence').execute();
    assert.equal(recorded.length, all);
    const of = (instance: string) => recorded.filter((each) => each.instance === instance).map((each) => each.change);
    assert.deepEqual([of(one.instance).length, of(other.instance).length], [all / 2, all / 2]);
    await Promise.all(accounts.map((id) => change(one, id)));
    await eventually(() => heard.length >= all + accounts.length);
    assert.deepEqual([heard.length, own.length], [all + accounts.length, all + accounts.length]);
    const count = (list: Change[], id: string) =>
      list.filter((each) => 'account_id' in each && each.account_id === id).length;
    for (const id of accounts) assert.deepEqual([count(heard, id), count(own, id)], [31, 31]);
  });

  test('who was cut off hears what he missed: no notification waits for him', async () => {
    const through = await proxy();
    const [one, other] = [await node('one'), await node('other', {}, through.through(url))];
    await newAccount(one, 'account');
    const heard: Change[] = [];
    other.changes.listen((each) => heard.push(each));
    through.cut();
    await change(one, 'account');
    await change(one, 'account');
    through.resume();
    await eventually(() => heard.length >= 2);
    // The connection that listens ends at the server too.
    const ended = `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'fleetroot other'`;
    await asked(url, ended);
    await change(one, 'account');
    await eventually(() => heard.length >= 3);
    assert.deepEqual(
      heard,
      Array.from({ length: 3 }, () => ({ kind: 'trust', account_id: 'account' })),
    );
  });

  test('an operator is answered when all others have acted, everybody else at once', async () => {
    const [one, other] = [await node('one'), await node('other')];
    await newAccount(one, 'account');
    // A busy machine may be too slow for whom it waits: then it is said whom, and asked again.
    const order = await eventually(async () => {
      const acts = Promise.withResolvers<void>();
      const heard = Promise.withResolvers<void>();
      const order: string[] = [];
      const stop = other.changes.listen(async () => {
        heard.resolve();
        await acts.promise;
        order.push('acted');
      });
      const operator = someone();
      const answered = actAs(operator, () => change(one, 'account')).then(() => order.push('answered'));
      await heard.promise;
      await change(one, 'account');
      acts.resolve();
      await answered;
      stop();
      return unconfirmedBy(operator).length === 0 && order;
    });
    assert.equal(order[0], 'acted');
  });

  test('the nodes that have not acted are named: one that the network loses, one that stands still, the one that is asked', async () => {
    const through = await proxy();
    const one = await node('one');
    await newAccount(one, 'account');
    const other = await node('other', {}, through.through(url));
    const child = fork(join(import.meta.dirname, '../support/registry-child.ts'), [url]);
    held.defer(() => void child.kill('SIGKILL'));
    await once(child, 'message');
    const missing = async () => {
      const operator = someone();
      await actAs(operator, () => change(one, 'account'));
      return unconfirmedBy(operator).sort();
    };
    const heard: Change[] = [];
    other.changes.listen((each) => heard.push(each));
    await eventually(async () => (await missing()).length === 0);
    through.stall();
    await eventually(async () => (await missing()).join() === 'other');
    child.kill('SIGSTOP');
    const acts = Promise.withResolvers<void>();
    const stop = one.changes.listen(() => acts.promise);
    assert.deepEqual(await missing(), ['child', 'one', 'other']);
    acts.resolve();
    stop();
    const before = heard.length;
    through.resume();
    child.kill('SIGCONT');
    await eventually(() => heard.length >= before + 2);
    await eventually(async () => (await missing()).length === 0);
  });

  describe('who provisions at the same time', () => {
    /** Two nodes with an account in them, and how each begins to make a device's certificate. */
    async function twoThatIssue(maxUses: number) {
      const [one, other] = [await node('one'), await node('other')];
      const rows = rowsOf('mine');
      const [row] = rows.provisioning_keys;
      const client = new pg.Client(url);
      await client.connect();
      held.defer(() => client.end());
      await insertRows(overClient(client), { ...rows, provisioning_keys: [{ ...row!, max_uses: maxUses, uses: 1 }] });
      const {
        sha256: _,
        state,
        created_at,
        first_used_at,
        device_uuid,
        reply,
        counted_use,
        ...shape
      } = rows.certificates[0]!;
      const begin = (at: 'one' | 'other', tbs_sha256: string, subject_name: string) =>
        (at === 'one' ? one : other).write('beginIssuance', { certificate: { ...shape, tbs_sha256, subject_name } });
      return { one, begin };
    }

    test('uses a provisioning key as often as it may be used, and no more', async () => {
      const { one, begin } = await twoThatIssue(21);
      const results = await Promise.allSettled(
        Array.from({ length: 50 }, (_, n) => begin(n % 2 ? 'one' : 'other', `tbs of ${n}`, `device ${n}`)),
      );
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 20);
      for (const result of results) assert.ok(result.status === 'fulfilled' || result.reason instanceof Problem);
      const { uses } = await one.read.selectFrom('provisioning_keys').select('uses').executeTakeFirstOrThrow();
      assert.equal(uses, 21);
    });

    test('is given a device ID, or told that another has it', async () => {
      const { begin } = await twoThatIssue(1_000);
      for (let n = 0; n < 50; n += 1) {
        const asked = (['one', 'other'] as const).map((at) => begin(at, `tbs of ${n} at ${at}`, `device ${n}`));
        const results = await Promise.allSettled(asked);
        const refusals = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
        assert.deepEqual(
          refusals.map((reason: unknown) => (reason instanceof Problem ? reason.code : String(reason))),
          ['device_already_registered'],
        );
      }
    });
  });

  test('a commit whose answer is lost is found to be done, and one that never arrived is done again', async () => {
    const through = await proxy();
    const one = await node('one', {}, through.through(url));
    for (const what of ['reply', 'request'] as const) {
      const lost = through.lose(what, 'commit\0');
      // Done twice it would be refused: the name is taken.
      await newAccount(one, what);
      await lost;
      assert.ok(await accountById(one.read, what));
    }
  });

  test('a commit that is still under way when its connection breaks is waited for, also the first of a process', async () => {
    const through = await proxy();
    const one = await node('one', {}, through.through(url));
    const client = new pg.Client(url);
    await client.connect();
    held.defer(() => client.end());
    // The commit of an account waits for this client.
    await client.query(`
      create function wait() returns trigger language plpgsql as
        $$ begin perform pg_advisory_xact_lock(1); return null; end $$;
      create constraint trigger wait after insert on accounts
        deferrable initially deferred for each row execute function wait();
      select pg_advisory_lock(1)`);
    const waiting = (count: number) =>
      eventually(async () => {
        const { rows } = await client.query(
          `select distinct pid from pg_locks where not granted and pid in
            (select pid from pg_stat_activity where datname = current_database())`,
        );
        return rows.length === count;
      });
    // Done twice it would be refused: the name is taken.
    const written = newAccount(one, 'account');
    await waiting(1);
    through.cut();
    through.resume();
    // Whoever asks what became of it, or would do it again, waits in turn.
    await waiting(2);
    await client.query('select pg_advisory_unlock(1)');
    await written;
    assert.ok(await accountById(one.read, 'account'));
  });

  test('a commit of which nobody can say whether it was done is told of as such, and of what it did when that is seen', async () => {
    const through = await proxy();
    const one = await node('one', { patience: 500 }, through.through(url));
    await newAccount(one, 'account');
    const heard: string[] = [];
    one.changes.listen(({ kind }) => void heard.push(kind));
    const cut = through.lose('reply', 'commit\0').then(() => through.cut());
    await assert.rejects(
      change(one, 'account'),
      (error) => error instanceof Problem && error.code === 'unavailable' && /nobody can say/.test(error.message),
    );
    await cut;
    assert.deepEqual(heard.includes('trust'), false);
    through.resume();
    // Of the one that made it nobody else would tell it.
    assert.ok(await eventually(() => heard.includes('trust') || heard.includes('everything')));
    assert.equal((await one.read.selectFrom('changes').selectAll().execute()).length, 1);
  });

  test('a write that another transaction is in the way of is done again', async () => {
    const one = await node('one');
    await newAccount(one, 'account');
    const client = new pg.Client(url);
    await client.connect();
    held.defer(() => client.end());
    // Each waits for the other; that this one is patient makes PostgreSQL give up the registry's.
    await client.query(`set deadlock_timeout = '1min'`);
    await client.query('begin');
    await client.query(`select 1 from accounts where id = 'account' for update`);
    const written = one.write('addHost', { account_id: 'account', host: 'more.example' });
    await eventually(async () => {
      const { rows } = await client.query(
        `select 1 from pg_locks where not granted and pid in
          (select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid())`,
      );
      return rows.length > 0;
    });
    await client.query(`select pg_advisory_xact_lock(${lockKey('everything')})`);
    await client.query('commit');
    await written;
  });

  test('nobody is in the way of himself: writes of a hundred accounts at once on two nodes', async () => {
    const nodes = [await node('one', { writers: 2 }), await node('other', { writers: 2 })];
    await Promise.all(Array.from({ length: 100 }, (_, index) => newAccount(nodes[index % 2]!, `account-${index}`)));
    const { accounts } = await nodes[0]!.read
      .selectFrom('accounts')
      .select((select) => select.fn.countAll<number>().as('accounts'))
      .executeTakeFirstOrThrow();
    assert.equal(accounts, 100);
  });

  test('a table that another version gives more columns is read and written on', async () => {
    const one = await node('one', { readers: 1, writers: 1 });
    await newAccount(one, 'before');
    assert.ok(await accountById(one.read, 'before'));
    for (const table of ['accounts', 'distrusted_keys']) await asked(url, `alter table ${table} add column later text`);
    assert.ok(await accountById(one.read, 'before'));
    await change(one, 'before');
    await newAccount(one, 'after');
  });

  test('many that start at once upgrade the database once', async () => {
    const { url: empty } = held.use(await newDatabase());
    const all = await Promise.all(['one', 'two', 'three'].map((name) => openNode(empty, name)));
    for (const each of all) held.use(each);
    await newAccount(all[0]!, 'account');
    assert.ok(await accountById(all[2]!.read, 'account'));
  });

  test('a commit is on the disk when it is answered, also where the database would not wait for it', async () => {
    await asked(url, `alter database ${new URL(url).pathname.slice(1)} set synchronous_commit = off`);
    await asked(
      url,
      `alter database ${new URL(url).pathname.slice(1)} set default_transaction_isolation = serializable`,
    );
    const one = await node('one', { writers: 1 });
    await one.write('rememberServerValue', { key: 'key', value });
    assert.ok(await serverValue(one.read, 'key'));
    const { rows } = await sql`select current_setting('synchronous_commit') as waits`.execute(one.read);
    assert.deepEqual(rows, [{ waits: 'on' }]);
  });
});
