// Idempotency-Key: who repeats a call that creates gets its reply again, and nothing is made twice.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import { type OperatorAnswer, operatorCall } from '../support/operator-call.ts';

const day = 24 * 60 * 60 * 1000;

describe('a call with an Idempotency-Key', () => {
  let fleetroot: Fleetroot;
  let now = Date.now();

  before(async () => {
    fleetroot = await Fleetroot.start({ clock: () => now });
    await fleetroot.json('account', 'create', 'acme');
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  const post = (path: string, key: string | string[], body?: unknown): Promise<OperatorAnswer> =>
    operatorCall(fleetroot.dir, 'POST', path, { body, headers: { 'idempotency-key': key } });
  const names = async (): Promise<string[]> =>
    (await fleetroot.json('account', 'list')).map(({ name }: { name: string }) => name);

  test('is done once: a repeat gets the same reply, and is told that it is one', async () => {
    const key = randomUUID();
    const first = await post('/accounts', key, { name: 'once' });
    assert.deepEqual([first.status, first.headers['idempotent-replayed']], [201, undefined]);
    for (const same of [key, `"${key}"`]) {
      const again = await post('/accounts', same, { name: 'once' });
      assert.deepEqual([again.status, again.headers['idempotent-replayed']], [201, 'true']);
      assert.deepEqual(again.json, first.json);
    }
    assert.equal((await names()).filter((name) => name === 'once').length, 1);
    // Without it, the same call is another one.
    assert.equal((await operatorCall(fleetroot.dir, 'POST', '/accounts', { body: { name: 'once' } })).status, 409);
  });

  test('with what was sent before changed is refused, and nothing is done', async () => {
    const key = randomUUID();
    assert.equal((await post('/accounts', key, { name: 'mine' })).status, 201);
    const other = await post('/accounts', key, { name: 'other' });
    assert.deepEqual([other.status, other.json.code], [422, 'idempotency_key_reused']);
    assert.ok(!(await names()).includes('other'));
    // Under another path it is another call.
    assert.equal((await post('/accounts/mine/hosts', key, { host: 'mine.example' })).status, 200);
  });

  test('twice at a time is done once', async () => {
    const key = randomUUID();
    const calls = Array.from({ length: 8 }, () => post('/accounts', key, { name: 'race' }));
    const answers = await Promise.all(calls);
    const made = answers.filter(({ status, headers }) => status === 201 && !headers['idempotent-replayed']);
    assert.equal(made.length, 1);
    for (const { status, json } of answers) {
      assert.ok(status === 201 || json.code === 'idempotency_key_in_use', JSON.stringify(json));
    }
  });

  test('whose reply held a secret is not answered again: that secret is stored nowhere', async () => {
    const key = randomUUID();
    const first = await post('/accounts/acme/credentials', key, { description: 'line 4' });
    assert.equal(first.status, 201);
    const again = await post('/accounts/acme/credentials', key, { description: 'line 4' });
    assert.deepEqual([again.status, again.json.code], [409, 'idempotency_key_in_use']);
    assert.match(again.json.detail, /succeeded at .*; its reply is kept nowhere/);
    assert.equal((await fleetroot.json('provisioning-key', 'list', 'acme')).length, 1);
    const kept = rows('SELECT body FROM idempotency_keys WHERE status = 201 AND body IS NOT NULL');
    for (const { body } of kept) assert.ok(!Buffer.from(body as Uint8Array).includes(first.json.zip.slice(0, 64)));
  });

  test('that was refused may be made again, since nothing was done', async () => {
    const key = randomUUID();
    assert.equal((await post('/accounts', key, { name: 'Not A Name' })).status, 400);
    assert.equal((await post('/accounts', key, { name: 'acme' })).status, 409);
    assert.equal((await post('/accounts', key, { name: 'at-last' })).status, 201);
  });

  test('that a killed server was at is answered that nobody knows, and where to look', async () => {
    const key = randomUUID();
    const body = { name: 'interrupted' };
    assert.equal((await post('/accounts', key, body)).status, 201);
    // As the server leaves it that is killed between the work and its record.
    await fleetroot.restart(async () => {
      using registry = new DatabaseSync(join(fleetroot.dir, 'registry.db'), { timeout: 10_000 });
      registry.exec(`UPDATE idempotency_keys SET answered_at = NULL, status = NULL, body = NULL
        WHERE created_at = (SELECT max(created_at) FROM idempotency_keys)`);
    });
    const again = await post('/accounts', key, body);
    assert.deepEqual([again.status, again.json.code], [409, 'idempotency_key_in_use']);
    assert.match(again.json.detail, /The server ended while it was at the call/);
    assert.match(again.json.hint, /Look whether it was done/);
  });

  test('is remembered over a restart, and for a day', async () => {
    const key = randomUUID();
    const first = await post('/accounts', key, { name: 'remembered' });
    await fleetroot.restart();
    assert.deepEqual((await post('/accounts', key, { name: 'remembered' })).json, first.json);
    now += day + 1;
    assert.deepEqual((await post('/accounts', key, { name: 'remembered' })).json.code, 'name_taken');
  });

  test('is kept as digests, from which neither the key nor what was sent can be told', async () => {
    const key = 'a-key-that-can-be-told';
    await post('/accounts', key, { name: 'digested' });
    const kept = JSON.stringify(rows('SELECT id, principal, fingerprint FROM idempotency_keys'));
    assert.doesNotMatch(kept, /a-key|digested/);
    assert.match(kept, /"principal":"socket"/);
  });

  test('has to be a text without spaces, and of an account that is deleted nothing stays', async () => {
    for (const key of ['', 'a b', '"', 'x'.repeat(256), ['one', 'two']]) {
      const { status, json } = await post('/accounts', key, { name: 'none' });
      assert.deepEqual([status, json.code], [400, 'invalid_request'], JSON.stringify(key));
    }
    await post('/accounts', randomUUID(), { name: 'doomed' });
    await post('/accounts/doomed/hosts', randomUUID(), { host: 'doomed.example' });
    const { id } = await fleetroot.json('account', 'show', 'doomed');
    assert.equal(rows(`SELECT id FROM idempotency_keys WHERE account_id = '${id}'`).length, 1);
    await fleetroot.json('account', 'delete', 'doomed', '--yes');
    assert.deepEqual(rows(`SELECT id FROM idempotency_keys WHERE account_id = '${id}'`), []);
  });

  function rows(sql: string): Record<string, unknown>[] {
    using registry = new DatabaseSync(join(fleetroot.dir, 'registry.db'), { readOnly: true });
    return registry.prepare(sql).all();
  }
});
