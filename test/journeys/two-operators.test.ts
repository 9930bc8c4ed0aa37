// Two owners of two accounts on one server, with curl: each tries the other's things by every name and ID they have.

import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { BackEnd } from '../support/back-end.ts';
import { type Answered, CookieJar, goodPassword, makeOperator } from '../support/cookie-jar.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { operatorCall } from '../support/operator-call.ts';
import { needs } from '../support/require.ts';

/** An owner with an account, and the IDs of what is in it. */
interface Side {
  readonly account: string;
  readonly owner: string;
  readonly browser: CookieJar;
  readonly ids: Readonly<
    Record<'account' | 'operator' | 'ca' | 'device' | 'key' | 'certificate' | 'token' | 'webhook', string>
  >;
}

describe('two operators in two accounts', { skip: needs('openssl', 'curl', 'unzip') }, () => {
  let server: Fleetroot;
  let alice: Side;
  let bob: Side;

  before(async () => {
    server = await Fleetroot.start();
    alice = await openSide('acme', 'alice');
    bob = await openSide('globex', 'bob');
  });
  after(() => server[Symbol.asyncDispose]());

  async function openSide(account: string, owner: string): Promise<Side> {
    const { id } = await server.json('account', 'create', account);
    const operator = await makeOperator(server, owner);
    await server.json('operator', 'grant', owner, account, 'owner');
    const browser = new CookieJar(server);
    assert.equal((await browser.signIn(owner, goodPassword)).status, 200);
    const image = await server.image(account);
    await image.boot(`car-of-${owner}`);
    const [ca] = await server.json('fleet-root', 'list', account);
    const [device] = await server.json('device', 'list', account);
    const [key] = await server.json('provisioning-key', 'list', account);
    const [certificate] = await server.json('certificate', 'list', account, device.device_id);
    const token = await made(browser, `/accounts/${account}/tokens`, { role: 'auditor', description: 'a report' });
    const webhook = await made(browser, `/accounts/${account}/webhooks`, { url: 'https://hooks.example/' });
    const ids = {
      account: id,
      operator: operator.id,
      ca: ca.id,
      device: device.uuid,
      key: key.id,
      certificate: certificate.sha256,
      token: token.id,
      webhook: webhook.id,
    };
    return { account, owner, browser, ids };
  }

  async function made(browser: CookieJar, path: string, body: object): Promise<any> {
    const { status, json } = await browser.call(path, { body });
    assert.equal(status, 201, JSON.stringify(json));
    return json;
  }

  /** All that there is in an account, as its owner reads it. */
  async function stateOf({ account }: Side): Promise<string> {
    const all = await Promise.all([
      server.json('account', 'show', account),
      server.json('account', 'operators', account),
      server.json('device', 'list', account),
      server.json('provisioning-key', 'list', account),
      server.json('token', 'list', account),
      server.json('allow-list', 'list', account),
      server.json('upstream', 'list', account),
    ]);
    return JSON.stringify(all);
  }

  const told = ({ status, json }: Answered, secret: string): string =>
    JSON.stringify({ status, ...json, request: undefined }).replaceAll(secret, '…');

  test('each reads their own, and neither finds the other in any list', async () => {
    for (const [mine, other] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const { json } = await mine.browser.call('/accounts');
      assert.deepEqual(
        json.map(({ name }: any) => name),
        [mine.account],
      );
      for (const path of [
        '',
        '/devices',
        '/operators',
        '/tokens',
        '/webhooks',
        '/audit',
        '/events',
        '/fleet-root-cas',
      ]) {
        const answer = await mine.browser.call(`/accounts/${mine.account}${path}`);
        assert.equal(answer.status, 200, path);
        const text = JSON.stringify(answer.json);
        for (const id of [other.account, other.owner, ...Object.values(other.ids)]) {
          assert.equal(text.includes(id), false, `${path} shows ${id}`);
        }
      }
    }
  });

  test('the other’s account is as one that is not there, by its name and by its UUID', async () => {
    for (const path of [
      '',
      '/devices',
      '/tokens',
      '/audit',
      '/events',
      '/operators',
      '/fleet-root-cas',
      '/upstreams',
    ]) {
      for (const ref of [bob.account, bob.ids.account]) {
        const nowhere = ref === bob.account ? 'nobody' : '0badc0de-0000-4000-8000-000000000000';
        const answer = await alice.browser.call(`/accounts/${ref}${path}`);
        const none = await alice.browser.call(`/accounts/${nowhere}${path}`);
        assert.equal(answer.status, 404);
        assert.equal(told(answer, ref), told(none, nowhere), path);
      }
    }
    const change = { method: 'PATCH', body: { admission: 'approval' } };
    assert.equal((await alice.browser.call(`/accounts/${bob.account}`, change)).status, 404);
  });

  test('the other’s IDs mean nothing in one’s own account: in paths, bodies and queries', async () => {
    const before = await stateOf(bob);
    const nothing = '0badc0de-0000-4000-8000-000000000000';
    const { ca, device, key, certificate, token, webhook, operator } = bob.ids;
    const mine = `/accounts/${alice.account}`;
    const ownDevice = encodeURIComponent(`uuid:${alice.ids.device}`);
    const tries: [id: string, method: string, path: (id: string) => string, body?: (id: string) => object][] = [
      [device, 'GET', (id) => `${mine}/devices/uuid:${id}`],
      [device, 'GET', (id) => `${mine}/devices/uuid:${id}/certificates`],
      [device, 'POST', (id) => `${mine}/devices/uuid:${id}/revoke`],
      [device, 'POST', (id) => `${mine}/devices/uuid:${id}/suspend`],
      [device, 'DELETE', (id) => `${mine}/devices/uuid:${id}`],
      [ca, 'GET', (id) => `${mine}/fleet-root-cas/${id}`],
      [ca, 'POST', (id) => `${mine}/fleet-root-cas/${id}/activate`],
      [ca, 'POST', (id) => `${mine}/fleet-root-cas/${id}/disable`],
      [ca, 'POST', (id) => `${mine}/fleet-root-cas/${id}/export`, () => ({ passphrase: 'as good as any passphrase' })],
      [ca, 'POST', () => `${mine}/devices/${ownDevice}/move-root`, (id) => ({ fleet_root_ca: id })],
      [ca, 'POST', () => `${mine}/fleet-root-cas/${alice.ids.ca}/successor`, (id) => ({ successor: id })],
      [key, 'GET', (id) => `${mine}/provisioning-keys/${id}`],
      [key, 'POST', (id) => `${mine}/provisioning-keys/${id}/disable`],
      [certificate, 'POST', (id) => `${mine}/certificates/${id}/revoke`],
      [token, 'DELETE', (id) => `${mine}/tokens/${id}`],
      [webhook, 'GET', (id) => `${mine}/webhooks/${id}`],
      [webhook, 'DELETE', (id) => `${mine}/webhooks/${id}`],
      [webhook, 'POST', (id) => `${mine}/webhooks/${id}/rotate-secret`],
      [operator, 'DELETE', (id) => `${mine}/operators/${id}`],
      [ca, 'GET', (id) => `${mine}/devices?fleet_root_ca=${id}`],
      [key, 'GET', (id) => `${mine}/devices?provisioning_key=${id}`],
    ];
    for (const [id, method, path, body] of tries) {
      const call = (given: string) => alice.browser.call(path(given), { method, ...(body && { body: body(given) }) });
      const [theirs, none] = [await call(id), await call(nothing)];
      const what = `${method} ${path(id)}: ${JSON.stringify(theirs.json)}`;
      assert.ok(theirs.status >= 400 || JSON.stringify(theirs.json) === '[]', what);
      assert.equal(told(theirs, id), told(none, nothing), what);
    }
    assert.equal(await stateOf(bob), before);
  });

  test('who looks into the other’s account is in the server’s log, and in neither account’s', async () => {
    const { token } = await made(alice.browser, `/accounts/${alice.account}/tokens`, {
      role: 'auditor',
      description: 'who looks around',
    });
    const headers = { Authorization: `Bearer ${token}` };
    const looked = await new CookieJar(server).call(`/accounts/${bob.account}/devices`, { headers });
    assert.equal(looked.status, 404);
    const tried = await server.json('audit', 'list', '--action', 'api.refused', '--by', 'who looks around');
    assert.deepEqual(
      tried.map(({ object, after: told, account, result }: any) => [object.id, told, account, result]),
      [['listDevices', { account: bob.account }, null, 'not_found']],
    );
  });

  test('an account’s log tells nothing of how much is done elsewhere', async () => {
    const path = `/accounts/${alice.account}/audit`;
    const { json, headers } = await alice.browser.call(`${path}?limit=2`);
    assert.deepEqual(
      json.map(({ number, hash }: any) => [number, hash]),
      [
        [null, null],
        [null, null],
      ],
    );
    const cursor = /cursor=([^&>]+)/.exec(headers.get('link') ?? '')?.[1];
    assert.match(cursor ?? '', /^[\w-]{22}$/);
    const whole = await alice.browser.call(`${path}?limit=4`);
    const next = await alice.browser.call(`${path}?limit=2&cursor=${cursor}`);
    assert.deepEqual([...json, ...next.json], whole.json);
    for (const other of [
      await alice.browser.call(`${path}?cursor=49`),
      await bob.browser.call(`/accounts/${bob.account}/audit?cursor=${cursor}`),
    ]) {
      assert.deepEqual([other.status, other.json.code], [400, 'invalid_request']);
    }
    const ofServer = await server.json('audit', 'list', alice.account, '--limit', '20');
    assert.ok(ofServer.some(({ number, hash }: any) => number !== null && hash !== null));
  });

  test('what is the server’s is neither’s', async () => {
    for (const path of ['/operators', '/tokens', '/refusals', '/custody/keys', '/audit', '/events', '/webhooks']) {
      const { status, json } = await alice.browser.call(path);
      assert.deepEqual([status, json.code], [403, 'forbidden'], path);
    }
    for (const [path, body] of [
      ['/accounts', { name: 'another' }],
      [`/accounts/${alice.account}/hosts`, { host: 'acme.example' }],
      ['/operators', { name: 'carol', administrator: true }],
      ['/tokens', { role: 'administrator', description: 'all' }],
    ] as const) {
      assert.equal((await alice.browser.call(path, { body })).status, 403, path);
    }
    assert.equal((await alice.browser.call(`/accounts/${alice.account}`, { method: 'DELETE' })).status, 403);
  });

  test('each gives roles in their own account, and learns nothing of what an operator is elsewhere', async () => {
    const members = `/accounts/${alice.account}/operators`;
    const granted = await alice.browser.call(`${members}/bob`, { method: 'PUT', body: { role: 'auditor' } });
    assert.deepEqual(granted.json, {
      id: bob.ids.operator,
      name: 'bob',
      role: 'auditor',
      disabled: false,
      single_sign_on: false,
    });
    assert.equal((await bob.browser.call(`/accounts/${alice.account}/devices`)).status, 200);
    const suspend = { method: 'POST' };
    const device = `/accounts/${alice.account}/devices/car-of-alice`;
    assert.equal((await bob.browser.call(`${device}/suspend`, suspend)).status, 403);
    assert.equal((await bob.browser.call(members, { body: { name: 'mallory', role: 'owner' } })).status, 403);
    const withdrawn = await alice.browser.call(`${members}/bob`, { method: 'DELETE' });
    assert.equal(withdrawn.status, 200);
    assert.equal((await bob.browser.call(device)).status, 404);
    assert.equal((await bob.browser.call(`/accounts/${bob.account}/devices`)).status, 200);

    const invited = await alice.browser.call(members, { body: { name: 'dora@acme.example', role: 'operator' } });
    assert.equal(invited.status, 201);
    const dora = new CookieJar(server);
    const { secret } = invited.json.invitation;
    assert.equal((await dora.call('/invitation', { body: { secret, password: goodPassword } })).status, 200);
    assert.equal((await dora.signIn('dora@acme.example', goodPassword)).status, 200);
    assert.deepEqual(
      (await dora.call('/session')).json.roles.map(({ account_name, role }: any) => [account_name, role]),
      [['acme', 'operator']],
    );
    assert.equal((await dora.call(`/accounts/${alice.account}/credentials`, { body: {} })).status, 201);
    assert.equal(
      (await dora.call(`/accounts/${alice.account}/tokens`, { body: { role: 'factory', description: 'x' } })).status,
      403,
    );
  });

  test('whom an owner has made is nobody elsewhere, until an administrator has reset them', async () => {
    const name = 'erin@globex.example';
    const [mine, theirs] = [alice, bob].map(({ account }) => `/accounts/${account}/operators`);
    const { invitation } = await made(alice.browser, mine!, { name, role: 'auditor' });
    const body = { secret: invitation.secret, password: goodPassword };
    assert.equal((await alice.browser.call('/invitation', { body })).status, 200);
    const impostor = new CookieJar(server);
    assert.equal((await impostor.signIn(name, goodPassword)).status, 200);
    const refused = [
      await bob.browser.call(theirs!, { body: { name, role: 'operator' } }),
      await bob.browser.call(`${theirs}/${name}`, { method: 'PUT', body: { role: 'operator' } }),
      await operatorCall(server.dir, 'POST', theirs!, { body: { name, role: 'operator' } }),
      await operatorCall(server.dir, 'PATCH', `/operators/${name}`, { body: { administrator: true } }),
    ];
    for (const { status, json } of refused) {
      assert.deepEqual([status, json.code], [409, 'conflict'], JSON.stringify(json));
      assert.match(json.hint, /operator reset/);
    }
    assert.equal((await impostor.call(`/accounts/${bob.account}/devices`)).status, 404);
    // Another change vouches for nobody; another role in the account that made them is its owner's to give.
    const again = { body: { name, disabled: false } };
    assert.equal((await operatorCall(server.dir, 'PATCH', `/operators/${name}`, again)).status, 200);
    assert.equal((await bob.browser.call(theirs!, { body: { name, role: 'operator' } })).status, 409);
    assert.equal((await alice.browser.call(mine!, { body: { name, role: 'operator' } })).status, 201);

    await server.json('operator', 'reset', name, '--yes');
    assert.equal((await impostor.call('/session')).status, 401);
    assert.equal((await impostor.signIn(name, goodPassword)).status, 401);
    const granted = await bob.browser.call(theirs!, { body: { name, role: 'operator' } });
    assert.deepEqual([granted.status, granted.json.invitation], [201, null]);
  });

  test('whom an administrator has invited to an account may be given roles in another', async () => {
    await server.json('operator', 'invite', 'fay', alice.account, 'auditor');
    const { status } = await bob.browser.call(`/accounts/${bob.account}/operators`, {
      body: { name: 'fay', role: 'auditor' },
    });
    assert.equal(status, 201);
  });

  test('the namespace that back ends tell accounts apart by is given by administrators alone', async () => {
    const path = `/accounts/${alice.account}`;
    for (const query of ['', '?dry_run=true']) {
      const { status, json } = await alice.browser.call(path + query, {
        method: 'PATCH',
        body: { namespace: bob.account },
      });
      assert.deepEqual([status, json.code], [403, 'forbidden'], query);
    }
    const preset = { body: { preset: 'ota-community', base: 'https://{service}.example' } };
    const refused = await alice.browser.call(`${path}/upstreams/preset`, preset);
    assert.deepEqual([refused.status, refused.json.code], [403, 'forbidden']);
    assert.deepEqual((await alice.browser.call(`${path}/upstreams`)).json, []);
    assert.equal((await alice.browser.call(path)).json.namespace, alice.account);
    await server.json('account', 'set', alice.account, '--namespace', 'default');
    assert.equal((await alice.browser.call(`${path}/upstreams/preset`, preset)).status, 200);
    for (const { prefix } of (await alice.browser.call(`${path}/upstreams`)).json)
      await server.json('upstream', 'remove', alice.account, prefix);
    await server.json('account', 'set', alice.account, '--namespace', alice.account);
  });

  test('the factory’s people see that a device has arrived, and nothing that it told', async () => {
    const tokens = `/accounts/${alice.account}/tokens`;
    const { token } = await made(alice.browser, tokens, { role: 'factory', description: 'line 3' });
    const factory = { headers: { Authorization: `Bearer ${token}` } };
    const device = `/accounts/${alice.account}/devices/uuid:${alice.ids.device}`;
    assert.equal((await alice.browser.call(device)).json.certificates.length, 1);
    const { status, json } = await new CookieJar(server).call(device, factory);
    assert.deepEqual([status, json.device_id, json.certificates, json.reports], [200, 'car-of-alice', [], []]);
    assert.equal((await new CookieJar(server).call(`${device}/certificates`, factory)).status, 403);

    const read = (call: object) => new CookieJar(server).call('/accounts', call);
    const [[account], [whole]] = [(await read(factory)).json, (await alice.browser.call('/accounts')).json];
    for (const part of ['hosts', 'gateway_cas', 'fleet_root_cas', 'device_issuing_keys'] as const)
      assert.deepEqual([account[part], whole[part].length > 0], [[], true], part);
    assert.equal(account.name, alice.account);
    // Not by an ETag either, whether it is guessed or not.
    const etag = (await alice.browser.call(`/accounts/${alice.account}`)).headers.get('etag')!;
    for (const tag of ['"a"', '*', etag]) {
      const { headers } = factory;
      const removal = { headers: { ...headers, 'If-Match': tag }, body: { device_ids: ['none'] } };
      const answer = await new CookieJar(server).call(`/accounts/${alice.account}/allow-list/remove`, removal);
      assert.deepEqual([answer.status, answer.json.code], [412, 'precondition_failed'], tag);
      assert.ok(!JSON.stringify(answer.json).includes(etag.replaceAll('"', '')), tag);
    }
  });

  test('an owner’s back ends are outside, an administrator’s anywhere', async () => {
    const path = `/accounts/${alice.account}/upstreams`;
    const set = (url: string) => alice.browser.call(path, { method: 'PUT', body: { prefix: '/director', url } });
    for (const url of [
      'http://127.0.0.1:8080/',
      'https://127.0.0.1/',
      'https://localhost/',
      'https://10.0.0.1/',
      'https://[::1]/',
      'https://169.254.169.254/latest/meta-data/',
      'http://director.example/',
    ]) {
      const { status, json } = await set(url);
      assert.deepEqual([status >= 400, json.code], [true, 'destination_not_allowed'], url);
    }
    const preset = { body: { preset: 'ota-community', base: 'http://{service}.ota.ce' } };
    assert.equal((await alice.browser.call(`${path}/preset`, preset)).json.code, 'destination_not_allowed');
    assert.equal((await set('https://director.example/')).status, 200);
    await server.json('upstream', 'set', alice.account, '/director', 'http://127.0.0.1:8080/');
    assert.equal((await set('https://director.example/')).status, 200);
  });

  test('where an owner’s back end is, is looked at again at each connection', async () => {
    await using backEnd = await BackEnd.open();
    await server.json('upstream', 'set', alice.account, '/director', `http://127.0.0.1:${backEnd.port}`);
    const device = await (await server.image(alice.account)).boot('car-of-dora');
    assert.equal((await device.call('/director/targets.json')).status, 200);
    // As if a name that was public when the owner set it had become another.
    await server.restart(async () => {
      using registry = new DatabaseSync(server.file('registry.db'), { timeout: 10_000 });
      registry.exec("UPDATE upstreams SET guarded = 1 WHERE prefix = '/director'");
    });
    assert.equal((await device.call('/director/targets.json')).status, 502);
    assert.equal(backEnd.asked.length, 1);
  });
});
