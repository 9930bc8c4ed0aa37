// ETag and If-Match: who changes what somebody else has changed meanwhile is told so, and changes nothing.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Device } from '../support/image.ts';
import { type OperatorAnswer, operatorCall } from '../support/operator-call.ts';
import { needs } from '../support/require.ts';

describe('If-Match', { skip: needs('openssl', 'curl', 'unzip') }, () => {
  let fleetroot: Fleetroot;
  let device: Device;
  let provisioningKey: string;

  before(async () => {
    fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    const image = await fleetroot.image('acme');
    device = await image.boot('dev-1');
    await device.whoAmI();
    [{ id: provisioningKey }] = await fleetroot.json('provisioning-key', 'list', 'acme');
    await fleetroot.json('upstream', 'set', 'acme', '/one', 'http://127.0.0.1:1');
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  const call = (method: string, path: string, body?: unknown, ifMatch?: string): Promise<OperatorAnswer> =>
    operatorCall(fleetroot.dir, method, `/accounts/acme${path}`, {
      body,
      headers: ifMatch === undefined ? {} : { 'if-match': ifMatch },
    });
  const tagOf = async (path: string): Promise<string> => String((await call('GET', path)).headers['etag']);
  const code = ({ status, json }: OperatorAnswer): unknown => (status < 300 ? status : json.code);

  test('what is read alone has a strong ETag, which stays while nothing of it changes', async () => {
    const [ca] = await fleetroot.json('fleet-root', 'list', 'acme');
    const paths = [
      '',
      '/devices/dev-1',
      `/fleet-root-cas/${ca.id}`,
      `/provisioning-keys/${provisioningKey}`,
      '/upstreams',
    ];
    for (const path of paths) {
      const tag = await tagOf(path);
      assert.match(tag, /^"[\w-]{43}"$/, path);
      assert.equal(await tagOf(path), tag, path);
    }
    assert.equal((await call('GET', '/devices')).headers['etag'], undefined);
    assert.equal((await call('GET', '/devices/none')).headers['etag'], undefined);
  });

  test('what devices do by themselves does not change it', async () => {
    const paths = ['', '/devices/dev-1', `/provisioning-keys/${provisioningKey}`];
    const before = await Promise.all(paths.map(tagOf));
    const image = await fleetroot.image('acme');
    assert.equal((await device.whoAmI()).status, 200);
    assert.equal((await (await image.boot('dev-2')).whoAmI()).status, 200);
    assert.deepEqual(await Promise.all(paths.map(tagOf)), before);
  });

  test('a change under the state that was read is made; the same again is of another state, and refused', async () => {
    const changes: [read: string, method: string, path: string, body: unknown, next: unknown][] = [
      ['', 'PATCH', '', { admission: 'approval' }, { admission: 'automatic' }],
      ['', 'POST', '/hosts', { host: 'one.example' }, { host: 'two.example' }],
      ['/devices/dev-1', 'POST', '/devices/dev-1/suspend', undefined, undefined],
      [
        `/provisioning-keys/${provisioningKey}`,
        'POST',
        `/provisioning-keys/${provisioningKey}/disable`,
        undefined,
        undefined,
      ],
      [
        '/upstreams',
        'PUT',
        '/upstreams',
        { prefix: '/two', url: 'http://127.0.0.1:2' },
        { prefix: '/two', url: 'http://127.0.0.1:3' },
      ],
      ['/upstreams', 'DELETE', '/upstreams?prefix=%2Ftwo', undefined, undefined],
      ['/devices/dev-2', 'DELETE', '/devices/dev-2', undefined, undefined],
    ];
    for (const [read, method, path, body, next] of changes) {
      const tag = await tagOf(read);
      const confirmed = path.includes('?') || !/suspend|disable|dev-2$/.test(path) ? path : `${path}?confirm=100`;
      assert.equal(typeof code(await call(method, confirmed, body, tag)), 'number', `${method} ${path}`);
      const again = await call(method, confirmed, next, tag);
      assert.ok(['precondition_failed', 'not_found'].includes(String(code(again))), `${method} ${path}: ${again.text}`);
    }
  });

  test('of many who change what all of them have read, one does', async () => {
    const tag = await tagOf('');
    const calls = Array.from({ length: 12 }, (_, n) => call('PATCH', '', { namespace: `namespace-${n}` }, tag));
    const outcomes = (await Promise.all(calls)).map(code);
    assert.equal(outcomes.filter((outcome) => outcome === 200).length, 1, JSON.stringify(outcomes));
    assert.equal(outcomes.filter((outcome) => outcome === 'precondition_failed').length, 11);
  });

  test('one of several states will do, any state at all, but none that is weak or was never there', async () => {
    const tag = await tagOf('');
    const wanted: [string, unknown][] = [
      [`"none", ${tag}`, 200],
      ['*', 200],
      [`W/${tag}`, 'precondition_failed'],
      ['"none"', 'precondition_failed'],
      ['', 'precondition_failed'],
    ];
    for (const [ifMatch, outcome] of wanted) {
      // A change that changes nothing: the state stays as it was.
      const { rekey } = (await call('GET', '')).json;
      assert.equal(code(await call('PATCH', '', { rekey }, ifMatch)), outcome, ifMatch);
    }
    const refused = await call('PATCH', '', { rekey: 'approve' }, '"none"');
    assert.equal(refused.status, 412);
    assert.ok(refused.json.hint.includes(tag), 'the hint says what it is now');
  });

  test('on what is not there is told so, and where nothing can be read alone it holds for nothing', async () => {
    assert.equal(code(await call('POST', '/devices/none/suspend', undefined, '*')), 'not_found');
    const { status, json } = await operatorCall(fleetroot.dir, 'POST', '/custody/check', {
      body: {},
      headers: { 'if-match': '*' },
    });
    assert.deepEqual([status, json.code], [412, 'precondition_failed']);
  });
});
