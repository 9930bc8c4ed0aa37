// The first start of a server: its link makes the first administrator, once, soon, and never again.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openLog } from '../../src/log.ts';
import { openLogin } from '../../src/login/login.ts';
import { createFirstAdministrator, offerFirstAdministrator } from '../../src/login/operators.ts';
import { PasswordHashes } from '../../src/login/password-hash.ts';
import { CookieJar, goodPassword, makeOperator } from '../support/cookie-jar.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { openIssuing } from '../support/issuing.ts';
import { temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';
import { eventually } from '../support/eventually.ts';

const minute = 60_000;
const secretOf = (server: Fleetroot): string => server.server.firstAdministratorUrl!.split('#')[1]!;

describe('the first administrator', { skip: needs('curl'), timeout: 120_000 }, () => {
  test('is made by the link that the first start shows, and then signs in', async () => {
    await using server = await Fleetroot.start();
    const url = new URL(server.server.firstAdministratorUrl!);
    assert.deepEqual(
      [url.origin, url.pathname],
      [`https://localhost:${server.server.operatorPort}`, '/first-administrator'],
    );
    const alice = new CookieJar(server);
    const body = { secret: secretOf(server), name: 'Alice@acme.example', password: goodPassword };
    const made = await alice.call('/first-administrator', { body });
    assert.deepEqual([made.status, made.json.name, made.json.administrator], [201, 'alice@acme.example', true]);
    assert.equal((await alice.call('/accounts')).status, 401);
    const { status, json } = await alice.signIn('alice@ACME.example', goodPassword);
    assert.deepEqual([status, json.operator.administrator, json.method], [200, true, 'password']);
    assert.deepEqual((await alice.call('/accounts')).json, []);
  });

  test('is asked for by the page that the link opens, with nothing inline and nothing from elsewhere', async () => {
    await using server = await Fleetroot.start();
    const at = (path: string) => fetch(`http://127.0.0.1:${server.server.operatorPort}${path}`);
    for (const path of ['/first-administrator', '/invitation']) {
      const page = await at(path);
      assert.deepEqual([page.status, page.headers.get('content-type')], [200, 'text/html; charset=utf-8']);
      assert.match(page.headers.get('content-security-policy')!, /script-src 'self';.*style-src 'self' 'nonce-[^']+';/);
      const html = await page.text();
      const scripts = html.match(/<script[^]*?<\/script>/g)!;
      for (const script of scripts)
        assert.match(script, /^<script type="module" crossorigin src="\/assets\/[\w-]+\.js"><\/script>$/);
      assert.doesNotMatch(html, / on\w+=|style=|https?:/);
      const [, first = ''] = /src="([^"]*)"/.exec(scripts[0]) ?? [];
      const script = await at(first);
      assert.equal(script.headers.get('content-type'), 'text/javascript; charset=utf-8');
      assert.match(script.headers.get('cache-control')!, /immutable/);
    }
  });

  test('is made once, however many use the link at once', async () => {
    await using server = await Fleetroot.start();
    const secret = secretOf(server);
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, at) =>
        new CookieJar(server, `127.0.1.${at + 1}`).call('/first-administrator', {
          body: { secret, name: `first-${at}`, password: goodPassword },
        }),
      ),
    );
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((one, other) => one - other),
      [201, ...Array.from({ length: 7 }, () => 403)],
    );
    assert.equal(answers.find(({ status }) => status === 403)!.json.code, 'link_invalid');
    assert.equal((await server.json('operator', 'list')).length, 1);
    await server.restart();
    assert.equal(server.server.firstAdministratorUrl, null);
  });

  test('is not made after 15 minutes, nor by the link of another start, nor by a secret that is none', async () => {
    let now = Date.now();
    await using server = await Fleetroot.start({ clock: () => now });
    const try_ = async (secret: string) =>
      (
        await new CookieJar(server).call('/first-administrator', {
          body: { secret, name: 'first', password: goodPassword },
        })
      ).status;
    const earlier = secretOf(server);
    assert.equal(await try_('A'.repeat(43)), 403);
    await server.restart();
    assert.equal(await try_(earlier), 403);
    now += 15 * minute;
    assert.equal(await try_(secretOf(server)), 403);
    await server.restart();
    now += 15 * minute - 1;
    assert.equal(await try_(secretOf(server)), 201);
  });

  test('is not made by the link once another way has made an administrator', async () => {
    await using server = await Fleetroot.start();
    const secret = secretOf(server);
    await makeOperator(server, 'made-on-the-server', '--administrator');
    const { status, json } = await new CookieJar(server).call('/first-administrator', {
      body: { secret, name: 'first', password: goodPassword },
    });
    assert.deepEqual([status, json.code], [403, 'link_invalid']);
    assert.match(json.hint, /operator create/);
  });

  test('nothing is hashed for who has no link, or one that ended', async () => {
    await using world = await openIssuing();
    const { registry, seal, clock } = world;
    const settings = { idle: minute, lifetime: minute, publicUrl: null, passwords: true };
    const open = openLogin({ registry, seal, settings, log: openLog('silent'), clock: () => clock.now });
    await using _failures = open.failures;
    // Argon2id takes 8 KiB for each lane at the least (RFC 9106 §3.1): whoever gets as far as hashing hears so.
    const login = { ...open, hashes: new PasswordHashes({ memory: 1, passes: 1, lanes: 1 }) };
    const make = (secret: string) =>
      createFirstAdministrator(
        login,
        { secret, name: 'first', password: goodPassword },
        { address: '127.0.0.1', userAgent: null, browser: null },
      );
    const secret = await offerFirstAdministrator(login);
    await assert.rejects(make('A'.repeat(43)), { code: 'link_invalid' });
    await assert.rejects(make(secret!), { code: 'ERR_OUT_OF_RANGE' });
    clock.now += 15 * minute;
    await assert.rejects(make(secret!), { code: 'link_invalid' });
  });

  test('a password that is none leaves the link as it is', async () => {
    await using server = await Fleetroot.start();
    const body = { secret: secretOf(server), name: 'first', password: 'fleetroot2026' };
    const jar = new CookieJar(server);
    const { status, json } = await jar.call('/first-administrator', { body });
    assert.deepEqual([status, json.code], [422, 'password_unfit']);
    assert.doesNotMatch(JSON.stringify(json), /fleetroot2026/);
    assert.equal((await jar.call('/first-administrator', { body: { ...body, password: goodPassword } })).status, 201);
  });

  test('serve shows the link, once, and the registry has only its hash', async () => {
    await using desk = await temporaryDirectory();
    await using serve = await ServeProcess.start(desk.file('data'), '--gateway-port', '0');
    await eventually(() => /first-administrator#[A-Za-z0-9_-]{43}\n/.test(serve.said));
    const [, secret] = /first-administrator#([A-Za-z0-9_-]{43})\n/.exec(serve.said)!;
    assert.equal(serve.said.split(secret!).length, 2);
    assert.equal(await serve.stop(), 0);
    const { readFileSync } = await import('node:fs');
    assert.equal(readFileSync(desk.file('data/registry.db')).includes(secret!), false);
  });
});
