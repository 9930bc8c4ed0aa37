// API tokens of a real server: their form, their end, what they open, and that they give nobody a way in.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { isTokenText, newTokenText } from '../../src/login/token-text.ts';
import { Fleetroot } from '../support/fleetroot.ts';

const day = 24 * 60 * 60 * 1000;
/** As docs/tokens-for-ci.md gives it to scanners. */
const form = /\bfrt_[0-9A-Za-z]{49}\b/;
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const fresh = (): string => newTokenText().reveal().toString();

describe('the form of a token', () => {
  test('is a prefix, 43 random characters and their checksum, by which a scanner can tell it', () => {
    for (let made = 0; made < 200; made += 1) {
      const token = fresh();
      assert.match(token, form);
      assert.equal(`a token (${token}).`.match(form)?.[0], token);
      const checksum = [...token.slice(47)].reduce((sum, digit) => sum * 62 + alphabet.indexOf(digit), 0);
      assert.equal(checksum, crc32(token.slice(4, 47)));
      assert.ok(isTokenText(token));
    }
    assert.ok(readFileSync(new URL('../../docs/tokens-for-ci.md', import.meta.url), 'utf8').includes(form.source));
  });

  test('is told from whatever is none, and from a token with one character changed', () => {
    fc.assert(fc.property(fc.string(), (text) => !isTokenText(text)));
    const token = fresh();
    for (let at = 0; at < token.length; at += 1) {
      const changed = token.slice(0, at) + (token[at] === 'x' ? 'y' : 'x') + token.slice(at + 1);
      assert.equal(isTokenText(changed), false, changed);
    }
    assert.equal(isTokenText(`${token}\n`), false);
  });
});

describe('tokens', () => {
  let now = Date.now();
  let server: Fleetroot;

  before(async () => {
    server = await Fleetroot.start({ clock: () => now });
    await server.json('account', 'create', 'acme');
    await server.json('account', 'create', 'other');
  });
  after(() => server[Symbol.asyncDispose]());

  async function ask(method: string, path: string, authorization: string | null, body?: object) {
    const response = await fetch(`http://127.0.0.1:${server.server.operatorPort}${path}`, {
      method,
      headers: {
        ...(authorization !== null && { authorization }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, json: text === '' ? null : JSON.parse(text) };
  }
  const call = (token: string, method: string, path: string, body?: object) =>
    ask(method, `/api/v1${path}`, `Bearer ${token}`, body);
  const create = (...words: string[]) => server.json('token', 'create', ...words);

  test('one is shown once, opens its account by its role, and is kept nowhere', async () => {
    const made = await create('acme', '--role', 'operator', '--description', 'CI of the gateway');
    assert.match(made.token, form);
    assert.deepEqual([made.role, made.account_name, made.state], ['operator', 'acme', 'active']);
    assert.deepEqual((await call(made.token, 'GET', '/accounts/acme')).json.name, 'acme');
    assert.deepEqual(
      (await call(made.token, 'GET', '/accounts')).json.map(({ name }: { name: string }) => name),
      ['acme'],
    );
    const listed = await server.json('token', 'list', 'acme');
    assert.equal(JSON.stringify(listed).includes(made.token), false);
    const files = globSync('*', { cwd: server.dir, withFileTypes: true }).filter((each) => each.isFile());
    assert.ok(files.length > 1);
    for (const { name } of files)
      assert.equal(readFileSync(server.file(name)).includes(made.token.slice(4, 20)), false);
  });

  test('it lasts 90 days unless said otherwise, a year at the most, and then opens nothing', async () => {
    const made = await create('acme', '--role', 'auditor', '--description', 'short');
    assert.equal(Math.round((Date.parse(made.not_after) - now) / day), 90);
    const body = (days: number) => ({
      role: 'auditor',
      description: 'long',
      not_after: new Date(now + days * day).toISOString(),
    });
    const administrator = (await create('--role', 'administrator', '--description', 'all', '--expires', '1y')).token;
    assert.equal((await call(administrator, 'POST', '/accounts/acme/tokens', body(367))).json.code, 'invalid_request');
    assert.equal((await call(administrator, 'POST', '/accounts/acme/tokens', body(-1))).json.code, 'invalid_request');
    now += 90 * day + 1000;
    const { status, json } = await call(made.token, 'GET', '/accounts/acme');
    assert.deepEqual([status, json.code], [401, 'unauthenticated']);
    assert.match(json.detail, /^The token ended at /);
    const listed = await server.json('token', 'list', 'acme');
    assert.equal(listed.find(({ id }: { id: string }) => id === made.id).state, 'expired');
    assert.equal((await call(administrator, 'GET', '/accounts/acme')).status, 200);
    now -= 90 * day + 1000;
  });

  test('one that is revoked opens nothing from then on', async () => {
    const made = await create('acme', '--role', 'owner', '--description', 'to go');
    assert.equal((await call(made.token, 'GET', '/accounts/acme')).status, 200);
    assert.equal((await server.command('token', 'revoke', 'other', made.id)).code, 1);
    assert.equal((await call(made.token, 'GET', '/accounts/acme')).status, 200);
    assert.equal((await server.command('token', 'revoke', 'acme', made.id)).code, 0);
    assert.equal((await call(made.token, 'GET', '/accounts/acme')).status, 401);
    const another = await create('acme', '--role', 'owner', '--description', 'to go too');
    assert.equal((await server.command('token', 'revoke', another.id)).code, 0);
    assert.equal((await call(another.token, 'GET', '/accounts/acme')).status, 401);
    assert.equal((await server.command('token', 'revoke', another.id)).code, 1);
  });

  test('it is told when one was last used and from where', async () => {
    const { id, token } = await create('acme', '--role', 'factory', '--description', 'used');
    const listed = async () =>
      (await server.json('token', 'list', 'acme')).find((each: { id: string }) => each.id === id);
    assert.deepEqual([(await listed()).last_used_at, (await listed()).last_address], [null, null]);
    await call(token, 'GET', '/accounts/acme/devices');
    assert.deepEqual(
      [(await listed()).last_used_at, (await listed()).last_address],
      [new Date(now).toISOString(), '127.0.0.1'],
    );
    now += 5000;
    await call(token, 'GET', '/accounts/acme/devices');
    await server.restart();
    using registry = new DatabaseSync(server.file('registry.db'), { readOnly: true });
    assert.deepEqual(
      { ...registry.prepare('SELECT last_used_at AS at FROM tokens WHERE id = ?').get(id) },
      { at: now },
    );
  });

  test('it gives nobody a way in: neither a token nor a role, except for an administrator’s, which makes none that outlasts it', async () => {
    const owner = (await create('acme', '--role', 'owner', '--description', 'automation')).token;
    const wanted = { role: 'factory', description: 'made by a token' };
    const refused = await call(owner, 'POST', '/accounts/acme/tokens', wanted);
    assert.deepEqual([refused.status, refused.json.code], [403, 'forbidden']);
    assert.equal((await call(owner, 'POST', '/tokens', { ...wanted, role: 'administrator' })).status, 403);
    // A key that was taken out makes devices without end.
    for (const path of ['fleet-root-cas/generated/export', 'gateway-cas/standby/export']) {
      const exported = await call(owner, 'POST', `/accounts/acme/${path}`, { passphrase: 'as good as any passphrase' });
      assert.deepEqual([exported.status, exported.json.code], [403, 'forbidden'], path);
    }

    const administrator = await create('--role', 'administrator', '--description', 'set-up', '--expires', '10d');
    const made = await call(administrator.token, 'POST', '/accounts/acme/tokens', wanted);
    assert.equal(made.status, 201);
    assert.deepEqual(made.json.made_by, { kind: 'token', id: administrator.id, name: 'set-up' });
    assert.equal(made.json.not_after, administrator.not_after);
    const longer = { ...wanted, not_after: new Date(now + 11 * day).toISOString() };
    const { json } = await call(administrator.token, 'POST', '/accounts/acme/tokens', longer);
    assert.equal(json.code, 'invalid_request');
    assert.match(json.detail, /later than the end of the token that asks/);
  });

  test('one for metrics reads nothing else', async () => {
    const { token } = await create('--role', 'metrics', '--description', 'Prometheus');
    assert.deepEqual((await call(token, 'GET', '/accounts')).json, []);
    for (const path of ['/accounts/acme', '/accounts/acme/devices']) {
      assert.equal((await call(token, 'GET', path)).status, 404, path);
    }
    for (const path of ['/tokens', '/refusals', '/custody/keys']) {
      assert.equal((await call(token, 'GET', path)).status, 403, path);
    }
  });

  test('whatever else is shown as one is refused, and not taken for nobody', async () => {
    const { token } = await create('acme', '--role', 'owner', '--description', 'real');
    const path = '/api/v1/accounts/acme';
    assert.equal((await ask('GET', path, `bearer  ${token}`)).status, 200);
    for (const header of [
      `Bearer ${fresh()}`,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer ${token} ${token}`,
      `Basic ${Buffer.from(`token:${token}`).toString('base64')}`,
      token,
      'Bearer',
      `Bearer ${'x'.repeat(8000)}`,
    ]) {
      const { status, json } = await ask('GET', path, header);
      assert.deepEqual([status, json.code], [401, 'unauthenticated'], header);
    }
    assert.equal((await ask('GET', path, null)).status, 401);
  });

  test('those of an account that is deleted are gone', async () => {
    await server.json('account', 'create', 'short-lived');
    const { token } = await create('short-lived', '--role', 'owner', '--description', 'gone with it');
    assert.equal((await call(token, 'GET', '/accounts/short-lived')).status, 200);
    await server.json('account', 'delete', 'short-lived', '--yes');
    assert.equal((await call(token, 'GET', '/accounts/short-lived')).status, 401);
  });

  test('who made one, and who revoked it, stands in the audit log, the token itself does not', async () => {
    const { id, token } = await create('acme', '--role', 'auditor', '--description', 'to be traced');
    await server.json('token', 'revoke', 'acme', id);
    using registry = new DatabaseSync(server.file('registry.db'), { readOnly: true });
    const entries = registry
      .prepare("SELECT action, body FROM audit_entries WHERE object_kind = 'token' AND object_id = ? ORDER BY sequence")
      .all(id) as { action: string; body: string }[];
    assert.deepEqual(
      entries.map(({ action }) => action),
      ['token.create', 'token.revoke'],
    );
    assert.equal(JSON.parse(entries[0]!.body).by.kind, 'socket');
    assert.ok(entries.every(({ body }) => !body.includes(token) && body.includes('to be traced')));
  });

  test('a table shows them to people, the token apart from what is piped', async () => {
    const { stdout, stderr } = await server.command(
      'token',
      'create',
      'acme',
      '--role',
      'auditor',
      '--description',
      'x',
    );
    assert.match(stdout, form);
    assert.match(stderr, /not shown again/);
    assert.match((await server.command('token', 'list')).stdout, /ID +ACCOUNT +ROLE/);
    assert.equal((await server.command('token', 'create', '--role', 'owner', '--description', 'x')).code, 2);
    assert.equal((await server.command('token', 'create', 'acme', '--role', 'metrics', '--description', 'x')).code, 2);
  });
});
