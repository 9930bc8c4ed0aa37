// What a request to the operators' API may hold at all: how deep, how long, and which queries.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import { type OperatorAnswer, operatorCall } from '../support/operator-call.ts';

let fleetroot: Fleetroot;
before(async () => {
  fleetroot = await Fleetroot.start();
});
after(() => fleetroot[Symbol.asyncDispose]());

const post = (body: string): Promise<OperatorAnswer> => operatorCall(fleetroot.dir, 'POST', '/accounts', { body });
const get = (path: string, headers = {}): Promise<OperatorAnswer> =>
  operatorCall(fleetroot.dir, 'GET', path, { headers });

test('JSON is nested 32 levels deep at most; brackets within a text are none', async () => {
  const deep = (levels: number) => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;
  assert.match((await post(deep(32))).json.detail, /The body takes no a\./);
  for (const levels of [33, 100, 1_000_000]) {
    const { status, json } = await post(deep(levels));
    assert.deepEqual([status, json.code], [400, 'invalid_request']);
    assert.match(json.detail, /nested more than 32 levels deep/);
  }
  assert.match((await post(`{"a":"\\"${'['.repeat(1_000)}"}`)).json.detail, /The body takes no a\./);
});

test('JSON that would change what every object has is refused', async () => {
  for (const body of ['{"__proto__":{"a":1}}', '{"name":"x","constructor":{"prototype":{"a":1}}}']) {
    assert.deepEqual([(await post(body)).status, 'a' in {}], [400, false], body);
  }
});

test('a query that an operation does not name is refused, also where it names none, and one is given once', async () => {
  const refused: [string, RegExp][] = [
    ['/accounts?stat=active', /The query takes no stat\./],
    ['/openapi.json?x=1', /The query takes no x\./],
    ['/refusals?limit=1&limit=2', /limit in the query/],
    ['/refusals?limit=1&__proto__=1', /The query takes no __proto__\./],
  ];
  for (const [path, detail] of refused) {
    const { status, json } = await get(path);
    assert.deepEqual([status, json.code], [400, 'invalid_request'], path);
    assert.match(json.detail, detail, path);
  }
  assert.equal((await get('/refusals?limit=1')).status, 200);
});

test('what is too large is told so: a body, the header fields, a part of the path', async () => {
  const tooLarge = await post(`{"name":"${'x'.repeat(5 * 1024 * 1024)}"}`);
  assert.deepEqual([tooLarge.status, tooLarge.json.code], [413, 'body_too_large']);
  const headers = await get('/accounts', { 'x-padding': 'x'.repeat(20_000) });
  assert.deepEqual([headers.status, headers.json.code], [431, 'headers_too_large']);
  const path = await get(`/accounts/${'x'.repeat(5_000)}`);
  assert.deepEqual([path.status, path.json.code], [400, 'invalid_request']);
  assert.match(path.json.detail, /A part of the path is too long/);
});
