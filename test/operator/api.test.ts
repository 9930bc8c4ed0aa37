import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { at } from '../../src/cli/client.ts';
import { problemCodes, sentenceOf, statusOf } from '../../src/problem.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { operatorCall } from '../support/operator-call.ts';

describe('the operators’ API', () => {
  let server: Fleetroot;
  const call = (...[method, path, options]: [string, string, Parameters<typeof operatorCall>[3]?]) =>
    operatorCall(server.dir, method, path, options);

  before(async () => {
    server = await Fleetroot.start();
    await server.json('account', 'create', 'acme');
  });
  after(() => server[Symbol.asyncDispose]());

  test('a problem is told as RFC 9457 says, its code from the closed table', async () => {
    const { status, headers, json } = await call('GET', '/accounts/nobody');
    assert.equal(status, 404);
    assert.match(String(headers['content-type']), /^application\/problem\+json/);
    assert.deepEqual(json, {
      type: 'urn:fleetroot:problem:not_found',
      title: sentenceOf('not_found'),
      status: 404,
      detail: 'There is no account "nobody".',
      code: 'not_found',
      hint: '`account list` shows the accounts.',
    });
  });

  test('what is wrong with a body is named', async () => {
    const details: [unknown, RegExp][] = [
      [{}, /^The body needs name\.$/],
      [{ name: 'a', nmae: 'b' }, /^The body takes no nmae\.$/],
      [{ name: 7 }, /^name in the body must be string\.$/],
      [{ name: 'a', kind: 'staging' }, /^kind in the body is to be one of test, production\.$/],
      [[], /^It in the body must be object\.$/],
      ['null', /^It in the body must be object\.$/],
      ['{"name":', /not the JSON that it says it is/],
      ['{"__proto__":{"name":"a"}}', /not the JSON that it says it is/],
      ['', /not the JSON that it says it is/],
    ];
    for (const [body, detail] of details) {
      const { status, json } = await call('POST', '/accounts', { body });
      assert.deepEqual([status, json.code], [400, 'invalid_request'], String(body));
      assert.match(json.detail, detail);
    }
    assert.equal((await server.json('account', 'list')).length, 1);
  });

  test('what is wrong with a query or a value is named', async () => {
    const details: [string, string, unknown, RegExp][] = [
      ['GET', '/accounts/acme/devices?state=lost', undefined, /^state\.0 in the query is to be one of pending, /],
      ['GET', '/accounts/acme/devices?limit=0', undefined, /^limit in the query must be >= 1\.$/],
      ['GET', '/accounts/acme/devices?limit=1&limit=2', undefined, /^limit in the query /],
      ['GET', '/accounts/acme/devices?limti=1', undefined, /^The query takes no limti\.$/],
      ['PATCH', '/accounts/acme', { validity: 'long' }, /^validity in the body is to be a duration such as /],
      ['PATCH', '/accounts/acme', {}, /^It in the body /],
      ['POST', '/accounts/acme/credentials', { not_after: '2031-02-30T00:00:00Z' }, /^not_after in the body /],
      ['POST', '/accounts/acme/credentials', { max_uses: 1.5 }, /^max_uses in the body must be integer\.$/],
      ['GET', '/accounts/%zz', undefined, /percent-encoded/],
    ];
    for (const [method, path, body, detail] of details) {
      const { status, json } = await call(method, path, { body });
      assert.deepEqual([status, json.code], [400, 'invalid_request'], path);
      assert.match(json.detail, detail, path);
    }
  });

  test('a body of another type, or none where a file is due, is refused', async () => {
    const octets = 'application/octet-stream';
    const file = '/accounts/acme/fleet-root-cas';
    assert.equal(
      (await call('POST', '/accounts', { body: '{"name":"b"}', type: 'text/plain' })).json.code,
      'unsupported_media_type',
    );
    assert.equal(
      (await call('POST', '/accounts', { body: '{"name":"b"}', type: octets })).json.code,
      'unsupported_media_type',
    );
    assert.equal((await call('POST', file, { body: {} })).json.code, 'unsupported_media_type');
    assert.equal((await call('POST', file)).json.code, 'invalid_request');
    assert.equal((await call('POST', file, { body: 'nothing', type: octets })).json.code, 'certificate_unfit');
  });

  test('a body that is too large is told so, however large it is', async () => {
    const file = '/accounts/acme/fleet-root-cas';
    for (const size of [2 ** 20 + 1, 2 ** 26, 2 ** 20 + 2, 2 ** 25]) {
      const { status, json } = await call('POST', file, { body: Buffer.alloc(size), type: 'application/octet-stream' });
      assert.deepEqual([status, json.code], [413, 'body_too_large']);
    }
  });

  test('what is no path, and what is no HTTP, are told so too', async () => {
    assert.equal((await call('GET', '/nothing')).json.code, 'not_found');
    assert.equal((await call('PUT', '/accounts')).json.code, 'not_found');
    const socket = connect(join(server.dir, 'operator.sock'));
    socket.end('this is no HTTP\r\n\r\n');
    const text = Buffer.concat(await socket.toArray()).toString();
    assert.match(text, /^HTTP\/1\.1 400 /);
    assert.equal(JSON.parse(text.slice(text.indexOf('\r\n\r\n'))).code, 'invalid_request');
  });

  test('any legal device ID can be named in a path', async () => {
    const ids = ['a/b', '..', '.', '%2e', 'a b', 'ü', '🚗', 'a?b#c', 'a;b=c', '__proto__', '100%', '\\', '"', 'a+b'];
    const legal = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((id) => id.isWellFormed());
    for (const id of [...ids, ...fc.sample(legal, 50)]) {
      const { status, json } = await call('GET', at`/accounts/acme/devices/${id}`);
      assert.equal(status, 404);
      assert.equal(json.detail, `This account has no device ${JSON.stringify(id)}.`);
    }
  });

  test('a page names the next one, and a cursor that is none, or of another list, is refused', async () => {
    const file = { body: 'a\nb\nc\nd e\n', type: 'application/octet-stream' };
    await call('POST', '/accounts/acme/allow-list', file);
    const first = await call('GET', '/accounts/acme/allow-list?limit=2');
    const ids = ({ json }: typeof first) => json.map(({ device_id }: { device_id: string }) => device_id);
    assert.deepEqual(ids(first), ['a', 'b']);
    const [, next] = /^<\/api\/v1(.*)>; rel="next"$/.exec(String(first.headers['link']))!;
    const second = await call('GET', next!);
    assert.deepEqual(ids(second), ['c', 'd e']);
    const [, last] = /^<\/api\/v1(.*)>; rel="next"$/.exec(String(second.headers['link']))!;
    const third = await call('GET', last!);
    assert.deepEqual([third.json, third.headers['link']], [[], undefined]);
    assert.deepEqual((await call('GET', '/accounts/acme/allow-list?cursor=%00~~')).status, 400);
    assert.deepEqual((await call('GET', `${last}&seen=never`)).status, 400);
  });

  test('what is created is answered with 201', async () => {
    assert.equal((await call('POST', '/accounts', { body: { name: 'made' } })).status, 201);
    assert.equal((await call('POST', '/accounts/made/credentials', { body: {} })).status, 201);
  });

  test('every path is in docs/operator-api.md', () => {
    const source = join(import.meta.dirname, '../../src/operator');
    const doc = readFileSync(join(import.meta.dirname, '../../docs/operator-api.md'), 'utf8');
    const routes = readdirSync(source).filter((name) => name.endsWith('-routes.ts') && name !== 'console-routes.ts');
    const paths = routes.flatMap((name) =>
      [...readFileSync(join(source, name), 'utf8').matchAll(/['`](\/(?:accounts|refusals|custody)[^'`]*)['`]/g)].map(
        ([, path]) => path!,
      ),
    );
    assert.ok(paths.length > 30);
    for (const path of paths) {
      const shown = path.replaceAll(/:(\w+)/g, '{$1}').replace(/\$\{\w+\}$/, '');
      assert.ok(doc.includes(shown), shown);
    }
  });
});

test('every code of the table has a status and a sentence', () => {
  for (const code of problemCodes) {
    assert.ok(statusOf(code) >= 400 && statusOf(code) < 600);
    assert.match(sentenceOf(code), /^[A-Z].*\.$/);
  }
});

test('on TCP there is the health for anyone, the console for anyone to sign in with, and everything else for those with a login', async () => {
  await using server = await Fleetroot.start();
  const base = `http://127.0.0.1:${server.server.operatorPort}`;
  assert.deepEqual(await (await fetch(`${base}/healthz`)).json(), { status: 'ok' });
  assert.deepEqual(await (await fetch(`${base}/readyz`)).json(), { status: 'ready' });
  for (const [path, status, code] of [
    ['/api/v1/accounts', 401, 'unauthenticated'],
    ['/nowhere', 404, 'not_found'],
  ] as const) {
    const response = await fetch(base + path);
    assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [status, code], path);
  }
});
