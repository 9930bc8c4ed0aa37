// Operators come to another node with each call: what they have, did or lost at one holds at the other.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { Authenticator } from '../support/authenticator.ts';
import { BackEnd } from '../support/back-end.ts';
import { Browser } from '../support/browser.ts';
import { CookieJar, goodPassword, makeOperator } from '../support/cookie-jar.ts';
import { eventually } from '../support/eventually.ts';
import type { Fleetroot } from '../support/fleetroot.ts';
import { clientId, clientSecret, IdentityProvider } from '../support/identity-provider.ts';
import { Nodes } from '../support/nodes.ts';
import { operatorCall } from '../support/operator-call.ts';
import { temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { secretOfUri, totpAt } from '../support/totp.ts';

const origin = 'https://localhost:8080';
const secretOf = ({ server }: Fleetroot): string => server.firstAdministratorUrl!.split('#')[1]!;

/** What a stream of events has told so far. */
class Stream implements Disposable {
  readonly #call: ClientRequest;
  text = '';

  constructor({ dir }: Fleetroot, after: string | null) {
    const headers = { accept: 'text/event-stream', ...(after !== null && { 'last-event-id': after }) };
    const socketPath = join(dir, 'operator.sock');
    this.#call = request({ socketPath, path: '/api/v1/accounts/acme/events', headers }).end();
    this.#call.on('error', () => undefined);
    this.#call.on('response', (response: IncomingMessage) =>
      response.on('data', (part: Buffer) => (this.text += part.toString('utf8'))).on('error', () => undefined),
    );
  }

  async begun(): Promise<this> {
    await eventually(() => this.text.startsWith(': '));
    return this;
  }

  get ids(): string[] {
    return [...this.text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id!);
  }

  [Symbol.dispose](): void {
    this.#call.destroy();
  }
}

describe('operators at two nodes', { skip: needs('curl', 'openssl', 'unzip'), timeout: 180_000 }, () => {
  let held: AsyncDisposableStack;
  let provider: IdentityProvider;
  let receiver: BackEnd;
  let one: Fleetroot;
  let two: Fleetroot;
  let admin: CookieJar;

  before(async () => {
    held = new AsyncDisposableStack();
    const { file } = held.use(await temporaryDirectory());
    receiver = held.use(await BackEnd.open());
    provider = held.use(await IdentityProvider.open());
    writeFileSync(file('secret'), clientSecret, { mode: 0o600 });
    const nodes = held.use(
      await Nodes.start(2, {
        options: {
          'operator.public_url': origin,
          'oidc.issuer': provider.issuer,
          'oidc.client_id': clientId,
          'oidc.client_secret_file': file('secret'),
          'oidc.role_map': { admins: 'administrator' },
          'outbound.allow': ['127.0.0.1'],
        },
      }),
    );
    [one, two] = nodes.all as [Fleetroot, Fleetroot];
    await provider.serve({ [clientId]: `${origin}/api/v1/session/sso/callback` });
    provider.people['alice'] = { preferred_username: 'alice', groups: ['admins'] };
  });
  after(() => held.disposeAsync());

  const call = (node: Fleetroot, method: string, path: string, body?: unknown, headers = {}) =>
    operatorCall(node.dir, method, path, { body, headers });

  /** Somebody new, signed in at the first node. */
  async function somebody(name: string): Promise<CookieJar> {
    await makeOperator(one, name);
    const jar = new CookieJar(one);
    assert.equal((await jar.signIn(name, goodPassword)).status, 200);
    return jar;
  }

  test('each start shows a link, all of which count until one has made the first administrator', async () => {
    const make = (at: Fleetroot, from: Fleetroot, name: string) =>
      new CookieJar(at).call('/first-administrator', {
        body: { secret: secretOf(from), name, password: goodPassword },
      });
    await two.restart();
    assert.equal((await make(two, one, 'root')).status, 201);
    const { status, json } = await make(one, two, 'another');
    assert.deepEqual([status, json.code], [403, 'link_invalid']);
    admin = new CookieJar(two);
    assert.equal((await admin.signIn('root', goodPassword)).status, 200);
    await one.json('account', 'create', 'acme');
  });

  test('a session that was begun at one counts at the other, and ended at one is gone at the other', async () => {
    const jar = await somebody('bob');
    const there = jar.at(two);
    assert.equal((await there.call('/session')).json.name, 'bob');
    const stolen = await jar.copiedTo('127.0.0.9');
    assert.equal((await there.call('/session', { method: 'DELETE' })).status, 200);
    assert.equal((await stolen.call('/session')).status, 401);
  });

  test('whoever is disabled at one is out at the other at once', async () => {
    const jar = await somebody('carol');
    assert.equal((await jar.at(two).call('/session')).status, 200);
    await one.json('operator', 'disable', 'carol');
    assert.equal((await jar.at(two).call('/session')).status, 401);
    assert.equal((await new CookieJar(two).signIn('carol', goodPassword)).status, 401);
  });

  test('a code of the app, or a recovery code, that was used at one is used at the other', async () => {
    const jar = await somebody('dave');
    const { json } = await jar.call('/session/totp', { body: { password: goodPassword } });
    const secret = secretOfUri(json.uri);
    // Begun at one, confirmed at the other; the code is of the step before, so that there is one left for now.
    const now = Date.now();
    const confirmed = await jar.at(two).call('/session/totp/confirm', { body: { code: totpAt(secret, now - 30_000) } });
    assert.equal(confirmed.status, 200, JSON.stringify(confirmed.json));
    const [recovery] = confirmed.json.recovery_codes as string[];
    for (const code of [totpAt(secret, now), recovery!]) {
      assert.equal((await new CookieJar(one).signIn('dave', goodPassword, code)).status, 200);
      assert.equal((await new CookieJar(two).signIn('dave', goodPassword, code)).status, 401);
    }
  });

  test('a passkey answers at one what the other has asked, once', async () => {
    const jar = await somebody('erin');
    const passkey = new Authenticator(origin);
    passkey.counts = false;
    const { json: adding } = await jar.call('/session/passkeys/options', { body: { password: goodPassword } });
    const made = passkey.create(adding);
    const add = (at: Fleetroot) => jar.at(at).call('/session/passkeys', { body: { name: 'laptop', credential: made } });
    assert.equal((await add(two)).status, 201);
    const { json: options } = await new CookieJar(one).call('/session/passkey/options', { method: 'POST' });
    const credential = passkey.get(options);
    const answers = await Promise.all(
      [two, one].map(
        async (node) => (await new CookieJar(node).call('/session/passkey', { body: { credential } })).status,
      ),
    );
    assert.deepEqual(
      answers.toSorted((a, b) => a - b),
      [200, 401],
    );
    // Nor is the passkey added again by what was said at its making.
    const path = `/session/passkeys/${passkey.id.toString('base64url')}`;
    assert.equal((await jar.at(two).call(path, { method: 'DELETE' })).status, 200);
    assert.equal((await add(one)).json.code, 'forbidden');
  });

  test('a single sign-on that was begun at one comes back to the other, once', async () => {
    provider.person = 'alice';
    const ca = await readFile(one.file('operator-ca.crt'), 'utf8');
    const browser = new Browser(ca);
    const at = ({ server }: Fleetroot, { pathname, search }: URL) =>
      `https://localhost:${server.operatorPort}${pathname}${search}`;
    const isBack = ({ href }: URL) => href.startsWith(`${origin}/api/v1/session/sso/callback`);
    const { url } = await browser.open(at(one, new URL('/api/v1/session/sso', origin)), isBack);
    const cookies = new Map(browser.cookiesOf('localhost'));
    assert.equal((await browser.open(at(two, url))).status, 200);
    assert.equal((await browser.open(at(one, new URL('/api/v1/session', origin)))).json.name, 'alice');
    const again = new Browser(ca);
    for (const [name, cookie] of cookies) again.cookiesOf('localhost').set(name, cookie);
    assert.equal((await again.open(at(one, url))).json.code, 'unauthenticated');
  });

  test('a call that is repeated at the other node with its idempotency key has the first answer', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const first = await call(one, 'POST', '/accounts', { name: 'once' }, key);
    const again = await call(two, 'POST', '/accounts', { name: 'once' }, key);
    assert.deepEqual([first.status, again.status, again.headers['idempotent-replayed']], [201, 201, 'true']);
    assert.deepEqual(again.json, first.json);
    const both = { 'idempotency-key': randomUUID() };
    const race = await Promise.all([one, two].map((node) => call(node, 'POST', '/accounts', { name: 'race' }, both)));
    const made = race.filter(({ status, headers }) => status === 201 && !headers['idempotent-replayed']);
    assert.equal(made.length, 1);
    for (const { status, json } of race) assert.ok(status === 201 || json.code === 'idempotency_key_in_use');
  });

  test('a token that is revoked at one is refused at the other at once', async () => {
    const { token, id } = await one.json('token', 'create', 'acme', '--role', 'auditor', '--description', 'reads');
    const shown = { headers: { authorization: `Bearer ${token}` } };
    assert.equal((await new CookieJar(two).call('/accounts/acme/devices', shown)).status, 200);
    await one.json('token', 'revoke', 'acme', id, '--yes');
    assert.equal((await new CookieJar(two).call('/accounts/acme/devices', shown)).status, 401);
  });

  test('events are told at one of what happens at the other, in their order, and read on from there', async () => {
    using followed = await new Stream(two, null).begun();
    const happen = async (node: Fleetroot, count: number) => {
      for (let time = 0; time < count; time += 1) {
        for (const change of ['close', 'activate']) {
          assert.equal((await call(node, 'POST', `/accounts/acme/fleet-root-cas/generated/${change}`)).status, 200);
        }
      }
    };
    await happen(one, 2);
    await happen(two, 1);
    await eventually(() => followed.ids.length === 6);
    using on = await new Stream(one, followed.ids[1]!).begun();
    await happen(two, 1);
    await eventually(() => followed.ids.length === 8 && on.ids.length === 6);
    assert.deepEqual(on.ids, followed.ids.slice(2));
    const { json } = await call(two, 'GET', `/accounts/acme/events?after=${followed.ids[0]}`);
    assert.deepEqual(
      json.map(({ id }: { id: string }) => id),
      followed.ids.slice(1),
    );
  });

  test('a webhook is sent each message once, whichever node it was made at and it happens at', async () => {
    receiver.answer = (_, response) => void response.writeHead(204).end();
    const url = `http://127.0.0.1:${receiver.port}/hook`;
    const { secret, id } = (await call(one, 'POST', '/accounts/acme/webhooks', { url })).json;
    const rounds = 5;
    const happen = async () => {
      for (const [node, change] of [
        [one, 'close'],
        [two, 'activate'],
      ] as const) {
        assert.equal((await call(node, 'POST', `/accounts/acme/fleet-root-cas/generated/${change}`)).status, 200);
      }
    };
    for (let time = 0; time < rounds; time += 1) await happen();
    const delivered = async () =>
      (await call(two, 'GET', `/accounts/acme/webhooks/${id}/deliveries?state=delivered`)).json;
    await eventually(async () => (await delivered()).length === 2 * rounds);
    for (const { body, headers } of receiver.asked) new Webhook(secret).verify(body, headers as Record<string, string>);
    const ids = receiver.asked.map(({ headers }) => headers['webhook-id']);
    assert.deepEqual([ids.length, new Set(ids).size], [2 * rounds, 2 * rounds]);
    await call(two, 'DELETE', `/accounts/acme/webhooks/${id}?confirm=1`);
    await happen();
    assert.equal(receiver.asked.length, 2 * rounds);
  });

  test('the audit log has what was done at each, in one chain', async () => {
    await Promise.all(
      [one, two].flatMap((node, at) =>
        Array.from({ length: 10 }, (_, index) => node.json('account', 'create', `audited-${at}-${index}`)),
      ),
    );
    for (const node of [one, two]) {
      const [copy, checkpoint, key] = [node.file('audit.jsonl'), node.file('checkpoint.json'), node.file('audit.pub')];
      await node.json('audit', 'checkpoint', '-o', checkpoint, '--public-key', key);
      await node.json('audit', 'export', '-o', copy);
      const { code, stdout } = await node.command(
        'audit',
        'verify',
        copy,
        '--checkpoint',
        checkpoint,
        '--public-key',
        key,
      );
      assert.equal(code, 0, stdout);
      const text = await readFile(copy, 'utf8');
      for (const at of [0, 1]) assert.match(text, new RegExp(`audited-${at}-9`));
    }
  });

  test('who is signed in stays it while the node where that was goes', async () => {
    assert.equal((await admin.call('/session')).status, 200);
    await two.server[Symbol.asyncDispose]();
    assert.equal((await admin.at(one).call('/session')).json.name, 'root');
  });
});
