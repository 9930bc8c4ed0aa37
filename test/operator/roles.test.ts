// Every operation with every role, over TCP: who is allowed is, and nobody else learns so much as that an account is there.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import { type Operation, operationsOf } from '../support/operations.ts';
import { operatorCall } from '../support/operator-call.ts';
import { hearRoutes } from '../support/walk.ts';

const accountRoles = ['owner', 'operator', 'auditor', 'factory'] as const;
type AccountRole = (typeof accountRoles)[number];

/** Somebody who calls, and what they are. */
interface Caller {
  readonly who: string;
  readonly kind: 'nobody' | 'session' | 'token';
  readonly role: AccountRole | 'administrator' | 'metrics' | null;
  /** The account that the role is in. */
  readonly account: 'acme' | 'other' | null;
  readonly headers: Readonly<Record<string, string>>;
}

const password = 'seventeen quiet herons under a bridge';
/** What they would do is to be seen, not done: the account is still needed. */
const harmless: Readonly<Record<string, string>> = { deleteAccount: '?dry_run=true' };
/** What ends the session that it is called with comes last. */
const isLast = ({ operation }: Operation): boolean => operation.operationId === 'signOut';
/** About one's own login: there is none behind a token. */
const isOwn = (each: Operation): boolean => each.path.startsWith('/api/v1/session/') || isLast(each);
const rolesOf = ({ operation }: Operation): readonly string[] => operation['x-roles'];
const grants = ({ operation }: Operation): boolean => operation['x-grants'] === true;

function isAllowed(caller: Caller, each: Operation): boolean {
  const roles = rolesOf(each);
  if (roles.includes('anyone')) return true;
  if (caller.kind === 'nobody') return false;
  if (roles.includes('signed-in') || caller.role === 'administrator') return true;
  if (caller.role === 'metrics') return roles.includes('metrics');
  if (caller.account !== 'acme' || (grants(each) && caller.kind === 'token')) return false;
  return roles.includes(caller.role!);
}

describe('every operation with every role', () => {
  const heard = hearRoutes();
  let server: Fleetroot;
  let base: string;
  let operations: Operation[];
  const callers: Caller[] = [];

  before(async () => {
    server = await Fleetroot.start({ options: { 'metrics.open': 'nobody' } });
    base = `http://127.0.0.1:${server.server.operatorPort}`;
    for (const account of ['acme', 'other']) await server.json('account', 'create', account);
    const document = await (await fetch(`${base}/api/v1/openapi.json`)).json();
    operations = operationsOf(document as Parameters<typeof operationsOf>[0]);
    callers.push({ who: 'nobody', kind: 'nobody', role: null, account: null, headers: {} });
    await addPerson('administrator', null);
    for (const account of ['acme', 'other'] as const) {
      for (const role of accountRoles) await addPerson(role, account);
      for (const role of accountRoles) await addToken(role, account);
    }
    await addPerson(null, null);
    await addToken('administrator', null);
    await addToken('metrics', null);
  });
  after(async () => {
    heard[Symbol.dispose]();
    await server[Symbol.asyncDispose]();
  });

  async function addPerson(role: AccountRole | 'administrator' | null, account: 'acme' | 'other' | null) {
    const name = [role ?? 'newcomer', account].filter(Boolean).join('-of-');
    const made = { name, administrator: role === 'administrator', password };
    assert.equal((await operatorCall(server.dir, 'POST', '/operators', { body: made })).status, 201);
    if (account !== null) await server.json('operator', 'grant', name, account, role!);
    callers.push({ who: name, kind: 'session', role, account, ...(await signIn(name)) });
  }

  async function addToken(role: AccountRole | 'administrator' | 'metrics', account: 'acme' | 'other' | null) {
    const words = [...(account === null ? [] : [account]), '--role', role, '--description', 'a test'];
    const { token } = await server.json('token', 'create', ...words);
    const who = `token of ${[role, account].filter(Boolean).join(' of ')}`;
    callers.push({ who, kind: 'token', role, account, headers: { authorization: `Bearer ${token}` } });
  }

  async function call({ method, path, operation }: Operation, { headers }: Pick<Caller, 'headers'>, account = 'acme') {
    const filled = path.replace('{account}', account).replaceAll(/\{\w+\}/g, '0badc0de-0000-4000-8000-000000000000');
    const url = base + filled + (harmless[operation.operationId] ?? '');
    const response = await fetch(url, { method, headers, redirect: 'manual' });
    const text = await response.text();
    const type = response.headers.get('content-type') ?? '';
    return {
      status: response.status,
      text,
      code: type.startsWith('application/problem+json') && text !== '' ? JSON.parse(text).code : null,
    };
  }

  test('the document has every route, each with its rule', () => {
    const documented = new Set(operations.map(({ method, path }) => `${method} ${path}`));
    for (const { method, url, schema } of heard.routes) {
      // The console's pages are no part of the API.
      if (schema['hide'] && !url.startsWith('/api/')) continue;
      const route = `${method} ${url.replaceAll(/:(\w+)/g, '{$1}')}`;
      assert.ok(method === 'HEAD' || documented.has(route), `${route} is not in the document`);
    }
    assert.ok(documented.size > 80);
    for (const each of operations) {
      assert.ok(rolesOf(each).length > 0, each.operation.operationId);
      assert.equal(each.operation.security.length === 0, rolesOf(each).includes('anyone'), each.operation.operationId);
    }
  });

  test('who may call it, may; everybody else is refused', async (t) => {
    await Promise.all(
      callers.map(async (caller) => {
        for (const each of operations.toSorted((one, other) => Number(isLast(one)) - Number(isLast(other)))) {
          const { operationId } = each.operation;
          const what = `${operationId} by ${caller.who}`;
          const { status, text, code } = await call(each, caller);
          const answer = `${what}: ${status} ${text.slice(0, 300)}`;
          assert.notEqual(status, 500, answer);
          if (rolesOf(each).includes('anyone')) continue;
          if (caller.kind === 'nobody') {
            assert.deepEqual([status, code], [401, 'unauthenticated'], answer);
          } else if (!isAllowed(caller, each)) {
            await assertRefused(each, caller, { status, text, code }, answer);
          } else if (rolesOf(each).includes('signed-in') && isOwn(each) && caller.kind === 'token') {
            assert.ok(status >= 400 && code !== 'unauthenticated', answer);
          } else {
            assert.ok(!['unauthenticated', 'forbidden', 'cross_site'].includes(code), answer);
            assert.ok(!text.includes('There is no account'), answer);
          }
        }
      }),
    );
    t.diagnostic(`${operations.length} operations, ${callers.length} callers`);
  });

  /** Who has a role in the account is told that theirs does not allow it; for everybody else it is not there. */
  async function assertRefused(
    each: Operation,
    caller: Caller,
    { status, text, code }: Awaited<ReturnType<typeof call>>,
    answer: string,
  ): Promise<void> {
    if (caller.account === 'acme' || !each.path.includes('{account}')) {
      assert.deepEqual([status, code], [403, 'forbidden'], answer);
      return;
    }
    assert.deepEqual([status, code], [404, 'not_found'], answer);
    const elsewhere = await call(each, caller, 'acmf');
    assert.deepEqual([elsewhere.status, elsewhere.text.replaceAll('acmf', 'acme')], [status, text], answer);
  }

  test('the socket may do everything', async () => {
    for (const { method, path, operation } of operations.filter(({ path }) => path.startsWith('/api/v1/'))) {
      if (method !== 'GET' || path === '/api/v1/session/sso' || path.startsWith('/api/v1/session/')) continue;
      const filled = path
        .replace('{account}', 'acme')
        .replaceAll(/\{\w+\}/g, 'none')
        .slice('/api/v1'.length);
      if (/export|openapi|docs/.test(filled)) continue;
      const { status, text } = await operatorCall(server.dir, method, filled);
      assert.ok(
        ![401, 403].includes(status) && !text.includes('There is no account'),
        `${operation.operationId}: ${text}`,
      );
    }
  });

  test('a HEAD is refused as its GET is', async () => {
    const stranger = callers.find(({ who }) => who === 'token of owner of other')!;
    for (const each of operations.filter(({ method, path }) => method === 'GET' && path.includes('{account}'))) {
      assert.equal((await call({ ...each, method: 'HEAD' }, stranger)).status, 404, each.path);
      // What is streamed has no HEAD at all.
      const { status } = await call({ ...each, method: 'HEAD' }, { headers: {} });
      assert.ok([401, 404].includes(status), `${each.path}: ${status}`);
    }
  });

  test('whoever has a role loses it with the next call, in the same session', async () => {
    const listDevices = operations.find(({ operation }) => operation.operationId === 'listDevices')!;
    await server.json('operator', 'grant', 'newcomer', 'acme', 'operator');
    const fresh = await signIn('newcomer');
    assert.equal((await call(listDevices, fresh)).status, 200);
    await server.json('operator', 'withdraw', 'newcomer', 'acme');
    assert.equal((await call(listDevices, fresh)).status, 404);
  });

  async function signIn(name: string): Promise<Pick<Caller, 'headers'>> {
    const response = await fetch(`${base}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, password }),
    });
    assert.equal(response.status, 200, await response.text());
    const cookie = response.headers
      .getSetCookie()
      .map((each) => each.split(';', 1)[0])
      .join('; ');
    return { headers: { cookie, 'x-fleetroot': '1' } };
  }

  test('docs/roles.md says of every operation who may call it', () => {
    const file = new URL('../../docs/roles.md', import.meta.url);
    const mark = /<!-- What follows is written by .* -->\n/;
    const text = readFileSync(file, 'utf8');
    const [line = ''] = mark.exec(text) ?? [];
    const [start = ''] = text.split(mark);
    if (process.env['FLEETROOT_WRITE_DOCS']) writeFileSync(file, start + line + tableOf(operations));
    assert.equal(readFileSync(file, 'utf8'), start + line + tableOf(operations));
  });
});

/** The operations by their noun, each with who may call it. */
function tableOf(operations: readonly Operation[]): string {
  const byTag = Map.groupBy(operations, ({ operation }) => String(operation.tags[0] || 'server'));
  const columns = ['administrator', ...accountRoles] as const;
  const tables = [...byTag]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([tag, some]) => {
      const rows = some.map((each) => {
        const cells = columns.map((role) => cellOf(each, role)).join(' | ');
        return `| \`${each.operation.operationId}\` | \`${each.method} ${each.path.replace('/api/v1', '')}\` | ${cells} |\n`;
      });
      const head = `| operation | path | ${columns.join(' | ')} |\n|---|---|${'---|'.repeat(columns.length)}\n`;
      return `\n### ${tag}\n\n${head}${rows.join('')}`;
    });
  return tables.join('');
}

function cellOf(each: Operation, role: string): string {
  const roles = rolesOf(each);
  if (roles.includes('anyone')) return 'anyone';
  if (roles.includes('signed-in')) return 'signed in';
  if (role !== 'administrator' && !roles.includes(role)) return '';
  return grants(each) && role !== 'administrator' ? 'person' : 'yes';
}
