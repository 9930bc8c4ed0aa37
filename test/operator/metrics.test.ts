// Who reads `/metrics`: this machine itself unless it is forbidden, whoever has a token for it, and nobody else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FastifyRequest } from 'fastify';
import { isOpenTo } from '../../src/operator/metrics-routes.ts';
import { valueOf } from '../support/exposition.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { operatorCall } from '../support/operator-call.ts';
import { execute } from '../support/process.ts';
import { needs } from '../support/require.ts';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Asks for the metrics with curl. */
async function ask(fleetroot: Fleetroot, ...words: string[]): Promise<Answer> {
  const url = `http://127.0.0.1:${fleetroot.server.operatorPort}/metrics`;
  const { stdout } = await execute('curl', ['-s', '-w', '\n%{http_code} %{content_type}', ...words, url]);
  const [, body = '', status, type = ''] = /^([\s\S]*)\n(\d+) (.*)$/.exec(stdout) ?? [];
  return { status: Number(status), type, body };
}

async function token(fleetroot: Fleetroot, given: object, account: string | null = null): Promise<string[]> {
  const path = account === null ? '/tokens' : `/accounts/${account}/tokens`;
  const body = { description: 'a test', not_after: new Date(Date.now() + 3_600_000).toISOString(), ...given };
  const { status, json, text } = await operatorCall(fleetroot.dir, 'POST', path, { body });
  assert.equal(status, 201, text);
  return ['-H', `Authorization: Bearer ${json.secret ?? json.token}`];
}

test('this machine reads them without a login, and nobody through it', { skip: needs('curl') }, async () => {
  await using fleetroot = await Fleetroot.start();
  await fleetroot.json('account', 'create', 'acme');
  const open = await ask(fleetroot);
  assert.deepEqual([open.status, open.type], [200, 'text/plain; version=0.0.4; charset=utf-8']);
  assert.match(open.body, /^# HELP fleetroot_build_info /m);
  assert.match(open.body, /^nodejs_eventloop_lag_p99_seconds \d/m);
  for (const field of [
    'X-Forwarded-For: 203.0.113.1',
    'Forwarded: for=203.0.113.1',
    'Via: 1.1 proxy',
    'X-Real-IP: ::1',
  ]) {
    const passedOn = await ask(fleetroot, '-H', field);
    assert.deepEqual([passedOn.status, JSON.parse(passedOn.body).code], [401, 'unauthenticated'], field);
  }
  assert.equal((await ask(fleetroot, '-H', 'Host: evil.example')).status, 400);
  assert.equal((await ask(fleetroot, '-H', 'Authorization: Bearer nonsense')).status, 401);
  assert.equal((await ask(fleetroot, '-X', 'POST')).status, 404);
});

test(
  'closed to everybody, they are there for administrators and tokens of theirs',
  { skip: needs('curl') },
  async () => {
    await using fleetroot = await Fleetroot.start({ options: { 'metrics.open': 'nobody' } });
    await fleetroot.json('account', 'create', 'acme');
    assert.equal((await ask(fleetroot)).status, 401);
    const scraper = await token(fleetroot, { role: 'metrics' });
    assert.equal((await ask(fleetroot, ...scraper)).status, 200);
    assert.equal((await ask(fleetroot, ...(await token(fleetroot, { role: 'administrator' })))).status, 200);
    assert.equal((await ask(fleetroot, ...(await token(fleetroot, { role: 'owner' }, 'acme')))).status, 403);
    const socket = ['--unix-socket', fleetroot.file('operator.sock')];
    assert.equal((await ask(fleetroot, ...socket)).status, 200);
    // And of all else, such a token reads nothing.
    const accounts = `http://127.0.0.1:${fleetroot.server.operatorPort}/api/v1/accounts`;
    const { stdout } = await execute('curl', ['-s', ...scraper, accounts]);
    assert.doesNotMatch(stdout, /acme/);
  },
);

test('who is on this machine is told by the connection, and by nothing that a client says', () => {
  const from = (remoteAddress: string | undefined, headers = {}) =>
    ({ raw: { socket: { remoteAddress } }, headers }) as unknown as FastifyRequest;
  for (const address of ['127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1']) {
    assert.ok(isOpenTo(from(address), 'loopback'), address);
    assert.ok(!isOpenTo(from(address, { 'x-forwarded-for': '127.0.0.1' }), 'loopback'), address);
    assert.ok(!isOpenTo(from(address), 'nobody'), address);
  }
  for (const address of ['203.0.113.1', '10.0.0.1', '::ffff:203.0.113.1', 'fe80::1', '2001:db8::1', undefined]) {
    assert.ok(!isOpenTo(from(address), 'loopback'), String(address));
    assert.ok(!isOpenTo(from(address, { 'x-forwarded-for': '127.0.0.1' }), 'loopback'), String(address));
    assert.ok(isOpenTo(from(address), 'anyone'), String(address));
  }
});

test('calls of operators are counted by operation and status, never by path', async () => {
  await using fleetroot = await Fleetroot.start();
  await fleetroot.json('account', 'create', 'acme');
  await operatorCall(fleetroot.dir, 'GET', '/accounts/acme');
  await operatorCall(fleetroot.dir, 'GET', '/accounts/not-there');
  await operatorCall(fleetroot.dir, 'GET', '/no/such/path');
  const text = await fleetroot.metrics();
  const calls = (operation: string, status: string) =>
    valueOf(text, 'fleetroot_operator_requests_total', { operation, status });
  assert.deepEqual([calls('getAccount', '200'), calls('getAccount', '404'), calls('none', '404')], [1, 1, 1]);
  assert.doesNotMatch(text, /not-there|such\/path/);
});

test('there are no more accounts in the series than are set', async () => {
  await using fleetroot = await Fleetroot.start({ options: { 'metrics.accounts': 5 } });
  for (let index = 0; index < 8; index += 1) await fleetroot.json('account', 'create', `fleet-${index}`);
  const text = await fleetroot.metrics();
  const accounts = new Set([...text.matchAll(/account="([^"]*)"/g)].map(([, account]) => account));
  assert.equal(accounts.size, 6, [...accounts].join());
  assert.ok(accounts.has('_other'));
  assert.equal(valueOf(text, 'fleetroot_certificates', { kind: 'gateway', days_left: '+Inf' }), 8);
  assert.equal(valueOf(text, 'fleetroot_certificates', { kind: 'gateway', days_left: '+Inf', account: '_other' }), 3);
});
