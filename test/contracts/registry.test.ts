// What the registry promises of its writes: durable, grouped, each undone alone, told after the commit, never alone twice.

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, fork, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { on, once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { Problem } from '../../src/problem.ts';
import { accountById, accountOfHost } from '../../src/registry/accounts.ts';
import { actAs, type Actor } from '../../src/registry/acting.ts';
import type { Change } from '../../src/registry/changes.ts';
import { openForWriting } from '../../src/registry/database.ts';
import { keyCopies } from '../../src/registry/keys.ts';
import { serverValue } from '../../src/registry/server-values.ts';
import { Secret } from '../../src/secret.ts';
import { backends, type Home, rowsOf, someAccount, sqlite } from '../support/registry.ts';
import type { Ask, Tell } from '../support/registry-child.ts';

const value = Buffer.from('remembered');
const { created_at: _, ready_at: __, ...account } = someAccount('account');
const host = 'account.gateway.localhost';
const migrations = join(import.meta.dirname, '../../src/registry/migrations');

/** Fails with what was not rejected, or not with that code. */
async function rejects(promise: Promise<unknown>, code: Problem['code'], says = /./): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof Problem, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, says);
    return true;
  });
}

/** A process that holds a registry and writes what it is asked to. */
class Child {
  readonly #process: ChildProcess;
  readonly #messages: AsyncIterator<[Tell]>;

  constructor(place: string) {
    this.#process = fork(join(import.meta.dirname, '../support/registry-child.ts'), [place]);
    this.#messages = on(this.#process, 'message', { close: ['exit'] }) as AsyncIterator<[Tell]>;
  }

  get pid(): string {
    return String(this.#process.pid);
  }

  /** The next thing that it says; at first that it is ready. */
  async said(): Promise<Tell> {
    const { value, done } = await this.#messages.next();
    assert.ok(!done, 'the process has ended');
    return value[0];
  }

  ask(keys: string[], bytes: number): void {
    this.#process.send({ keys, bytes } satisfies Ask);
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
  }
}

async function childOn(home: Home): Promise<Child> {
  const child = new Child(await home.place());
  assert.deepEqual(await child.said(), { ready: true });
  return child;
}

for (const { name, home: newHome } of backends) {
  describe(`the registry on ${name}`, () => {
    test('what was acknowledged before kill -9 is there afterwards', async () => {
      using home = newHome();
      const child = await childOn(home);
      const keys = Array.from({ length: 500 }, (_, i) => `key ${i}`);
      const acknowledged: string[] = [];
      child.ask(keys, 2_000);
      while (acknowledged.length < 100) {
        const message = await child.said();
        assert.ok('written' in message);
        acknowledged.push(message.written);
      }
      await child.kill();

      await using registry = await home.open();
      for (const key of acknowledged) assert.equal((await serverValue(registry.read, key))?.length, 2_000, key);
    });

    test('a registry of a newer program is refused with a sentence that says so', async () => {
      using home = newHome();
      const db = await home.database();
      await db.insertInto('migrations').values({ number: 9_000, name: '9000-later', applied_at: 1 }).execute();
      await rejects(home.open(), 'conflict', /newer Fleetroot: it has migration 9000-later/);
    });

    test('a registry of a newer program is opened where all that it made needs no more than is known here', async () => {
      using home = newHome();
      const db = await home.database();
      const known = readdirSync(migrations).length;
      const beyond = (number: number, needs: number) => ({ number, name: `${number}-later`, applied_at: 1, needs });
      await db
        .insertInto('migrations')
        .values([beyond(known + 1, known), beyond(known + 2, known - 1)])
        .execute();
      {
        await using registry = await home.open();
        await registry.write('insertAccount', { account, host });
      }
      await db
        .insertInto('migrations')
        .values(beyond(known + 3, known + 1))
        .execute();
      await rejects(home.open(), 'conflict', new RegExp(`it has migration ${known + 3}-later`));
    });

    test('migrations run once and are recorded by their numbers', async () => {
      using home = newHome({ empty: true });
      for (let start = 1; start <= 2; start++) {
        await using registry = await home.open({ clock: () => start });
        const rows = await registry.read.selectFrom('migrations').selectAll().orderBy('number').execute();
        const expected = readdirSync(migrations).map((file, index) => ({
          number: index + 1,
          name: basename(file, '.ts'),
          applied_at: 1,
          needs: null,
        }));
        assert.deepEqual(rows, expected);
      }
    });

    test('what is asked for while the writer is at work shares one commit', async () => {
      using home = newHome();
      await using registry = await home.open();
      await registry.write('insertAccount', { account, host });
      const before = registry.counted.commits;
      const device_ids = Array.from({ length: 20_000 }, (_, i) => `device ${i}`);
      await Promise.all([
        registry.write('importAllowList', {
          account_id: account.id,
          entries: device_ids.map((device_id) => ({ device_id, labels: null })),
        }),
        ...device_ids.slice(0, 200).map((key) => registry.write('rememberServerValue', { key, value })),
      ]);
      assert.equal(registry.counted.writes, 202);
      assert.ok(registry.counted.commits - before <= 3, `${registry.counted.commits - before} commits`);
    });

    test('a write that fails undoes itself alone, though it shares its transaction with others', async () => {
      using home = newHome();
      await using registry = await home.open();
      await registry.write('insertAccount', { account, host });
      const told: Change[] = [];
      registry.changes.listen((change) => told.push(change));
      const second = { ...account, id: 'second', name: 'second' };
      // After the first refusal SQLite's writer keeps requests apart for a while: both ways come to the same.
      for (const round of ['first', 'next']) {
        const results = await Promise.allSettled([
          registry.write('rememberServerValue', { key: `before ${round}`, value }),
          registry.write('insertAccount', { account: second, host }),
          registry.write('rememberServerValue', { key: `after ${round}`, value }),
        ]);
        assert.deepEqual(
          results.map((result) => result.status),
          ['fulfilled', 'rejected', 'fulfilled'],
        );
        assert.ok(results[1].status === 'rejected' && results[1].reason instanceof Problem);
        assert.equal(results[1].reason.code, 'host_taken');
        assert.equal(await accountById(registry.read, 'second'), undefined);
        for (const key of [`before ${round}`, `after ${round}`]) {
          assert.deepEqual(await serverValue(registry.read, key), new Uint8Array(value));
        }
      }
      assert.deepEqual(told, []);
    });

    test('changes are told after the commit and before the write resolves, those of a failed write never', async () => {
      using home = newHome();
      await using registry = await home.open();
      await registry.write('insertAccount', { account, host });
      const events: unknown[] = [];
      const reads: Promise<void>[] = [];
      const stop = registry.changes.listen((change) => {
        events.push(change);
        reads.push(accountOfHost(registry.read, host).then((found) => assert.equal(found?.id, account.id)));
      });
      await registry.write('readyAccount', { account_id: account.id }).then(() => events.push('resolved'));
      await Promise.all(reads);
      assert.deepEqual(events, [{ kind: 'account', account_id: account.id }, 'resolved']);
      await rejects(registry.write('addHost', { account_id: account.id, host }), 'host_taken');
      stop();
      await registry.write('addHost', { account_id: account.id, host: 'more.example' });
      assert.equal(events.length, 2);
    });

    test('a listener that throws keeps no other from hearing, and the registry says that the server must end', async () => {
      using home = newHome();
      const failures: Error[] = [];
      await using registry = await home.open({ onFailure: (error) => failures.push(error) });
      await registry.write('insertAccount', { account, host });
      const heard: Change[] = [];
      registry.changes.listen(() => {
        throw new Error('cannot forget');
      });
      registry.changes.listen((change) => heard.push(change));
      await registry.write('readyAccount', { account_id: account.id });
      assert.equal(heard.length, 1);
      assert.equal(failures.length, 1);
      await rejects(registry.write('readyAccount', { account_id: account.id }), 'unavailable');
    });

    test('closing finishes what was accepted, and refuses what comes after', async () => {
      using home = newHome();
      const registry = await home.open();
      const keys = Array.from({ length: 50 }, (_, i) => `key ${i}`);
      const accepted = Promise.all(keys.map((key) => registry.write('rememberServerValue', { key, value })));
      const closed = registry[Symbol.asyncDispose]();
      await rejects(registry.write('rememberServerValue', { key: 'late', value }), 'unavailable');
      await closed;
      await accepted;
      await using again = await home.open();
      for (const key of keys) assert.ok(await serverValue(again.read, key));
    });

    test('bytes arrive as they were, whatever Buffer they stood in, and a secret is never handed over', async () => {
      using home = newHome();
      await using registry = await home.open();
      const window = Buffer.from('0123456789').subarray(3, 6);
      await registry.write('rememberServerValue', { key: 'key', value: window });
      assert.deepEqual(await serverValue(registry.read, 'key'), new Uint8Array(Buffer.from('345')));
      const secret = Secret.fromText('secret') as unknown as Uint8Array;
      await assert.rejects(
        registry.write('rememberServerValue', { key: 'key', value: secret }),
        /plain data, no Secret/,
      );
    });

    test('a text that not every database can hold is read as one that has something unreadable there', async () => {
      using home = newHome();
      await using registry = await home.open();
      await registry.write('insertAccount', { account: { ...account, name: 'a\0b\u{1f600}' }, host });
      assert.match((await accountById(registry.read, account.id))!.name, /^a[\0\ufffd]b\u{1f600}$/u);
    });
  });
}

describe('the file of a registry on SQLite', () => {
  const newHome = sqlite.home;

  test('an operator is answered when every listener has acted, everybody else at once', async () => {
    using home = newHome();
    await using registry = await home.open();
    await registry.write('insertAccount', { account, host });
    const heard = Promise.withResolvers<void>();
    const acts = Promise.withResolvers<void>();
    const order: string[] = [];
    const stop = registry.changes.listen(async () => {
      heard.resolve();
      await acts.promise;
      order.push('acted');
    });
    const change = () =>
      registry.write('distrustKey', { account_id: account.id, public_key_sha256: randomUUID(), certificate: value });
    const someone: Actor = { kind: 'operator', id: 'id', name: 'someone', address: null, request: randomUUID() };
    const answered = actAs(someone, change).then(() => order.push('answered'));
    await heard.promise;
    await change();
    assert.deepEqual(order, []);
    acts.resolve();
    await answered;
    stop();
    assert.equal(order[0], 'acted');
  });

  test('a second server on the same directory is refused, until the first is gone, also by kill -9', async () => {
    using home = newHome();
    const child = await childOn(home);
    await rejects(home.open(), 'conflict', /Another Fleetroot is running/);
    await child.kill();
    {
      await using _registry = await home.open();
      await rejects(home.open(), 'conflict', /Another Fleetroot is running/);
    }
    await using _registry = await home.open();
  });

  test('what a key was sealed as is in no file once the key is erased or moved and that copy destroyed, or destroyed itself', async () => {
    using home = newHome();
    await using registry = await home.open();
    const { keys, accounts, gateway_cas } = rowsOf('mine');
    await registry.write('insertAccount', { account: accounts[0]!, host });
    const sealed = (id: string) => Buffer.alloc(200, `sealed key ${id}`);
    for (const id of ['erased', 'moved', 'destroyed', 'kept']) {
      await registry.write('recordKey', { key: { ...keys[0]!, id, remembered: sealed(id) } });
    }
    const inFiles = (bytes: Buffer) =>
      readdirSync(home.directory).some((file) => readFileSync(join(home.directory, file)).includes(bytes));
    const from = (id: string) => ({ custodian: 'software', remembered: sealed(id), exportable: 1 as const });
    assert.ok(inFiles(sealed('erased')));
    await registry.write('recordGatewayCa', { ...gateway_cas[1]!, key_id: 'erased' });
    await registry.write('recordKeyExport', { key_id: 'erased' });
    const forgetCopies = async () => {
      for (const { id } of await keyCopies(registry.read)) await registry.write('forgetKeyCopy', { id });
    };
    await registry.write('eraseKey', { key_id: 'erased', from: from('erased') });
    await forgetCopies();
    assert.equal(inFiles(sealed('erased')), false);
    const to = { ...from('moved'), custodian: 'vault', remembered: Buffer.from('elsewhere') };
    await registry.write('placeKey', { key_id: 'moved', from: from('moved'), to, event: 'moved' });
    await forgetCopies();
    assert.equal(inFiles(sealed('moved')), false);
    await registry.write('forgetKey', { key_id: 'destroyed' });
    assert.equal(inFiles(sealed('destroyed')), false);
    assert.ok(inFiles(sealed('kept')));
  });

  test('when the writer dies, what waits is rejected, nothing more is taken, and the server is told once', async () => {
    using home = newHome();
    const failures: Error[] = [];
    const started = once(process, 'worker');
    const registry = await home.open({ onFailure: (error) => failures.push(error) });
    const [worker] = (await started) as [Worker];
    const waiting = ['one', 'two'].map((key) => registry.write('rememberServerValue', { key, value }));
    const ended = once(worker, 'exit');
    void worker.terminate();
    for (const write of waiting) await rejects(write, 'unavailable');
    await ended;
    assert.equal(failures.length, 1);
    await rejects(registry.write('rememberServerValue', { key: 'late', value }), 'unavailable');
    await registry[Symbol.asyncDispose]();
    await using _next = await home.open();
  });

  test('closing leaves one file, beside that of the lock', async () => {
    using home = newHome();
    const registry = await home.open();
    await registry.write('rememberServerValue', { key: 'key', value });
    await registry[Symbol.asyncDispose]();
    assert.deepEqual(readdirSync(home.directory).sort(), ['lock.db', 'registry.db']);
  });

  test('the files are readable by their owner alone', async () => {
    using home = newHome();
    await using registry = await home.open();
    await registry.write('rememberServerValue', { key: 'key', value });
    const modes = readdirSync(home.directory).map((file) => [file, statSync(join(home.directory, file)).mode & 0o77]);
    assert.deepEqual(
      modes.filter(([, mode]) => mode !== 0),
      [],
    );
  });

  const unlimitable = spawnSync('prlimit', ['--version']).error ? 'prlimit is not here' : false;
  test(
    'a disk that is full rejects what it cannot take, and what comes later is written',
    { skip: unlimitable },
    async () => {
      using home = newHome();
      const child = await childOn(home);
      const ask = async (keys: string[], bytes: number): Promise<Tell[]> => {
        child.ask(keys, bytes);
        const answers: Tell[] = [];
        while (answers.length < keys.length) answers.push(await child.said());
        return answers;
      };
      const fileSize = (limit: string) => execFileSync('prlimit', ['--pid', child.pid, `--fsize=${limit}:`]);
      assert.deepEqual(await ask(['before'], 1), [{ written: 'before' }]);
      fileSize('1000000');
      assert.deepEqual(await ask(['one', 'two'], 2_000_000), [
        { refused: 'one', code: 'unavailable' },
        { refused: 'two', code: 'unavailable' },
      ]);
      fileSize('unlimited');
      assert.deepEqual(await ask(['later'], 2_000_000), [{ written: 'later' }]);
      await child.kill();
      await using registry = await home.open();
      const known = await Promise.all(['before', 'one', 'later'].map((key) => serverValue(registry.read, key)));
      assert.deepEqual(
        known.map((bytes) => bytes?.length),
        [1, undefined, 2_000_000],
      );
    },
  );

  test('SQLite answers a commit only when the disk has it, and lets readers go on meanwhile', () => {
    using home = sqlite.home();
    using database = openForWriting(home.file);
    // 2 is FULL (https://sqlite.org/pragma.html#pragma_synchronous); NORMAL would lose the last commits of a WAL.
    assert.deepEqual({ ...database.prepare('PRAGMA synchronous').get() }, { synchronous: 2 });
    assert.deepEqual({ ...database.prepare('PRAGMA journal_mode').get() }, { journal_mode: 'wal' });
  });
});
