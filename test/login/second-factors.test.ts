// Second factors of a real server: authenticator apps against RFC 6238 by hand, recovery codes, passkeys of a software authenticator.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Authenticator, type Twist } from '../support/authenticator.ts';
import { CookieJar, goodPassword, makeOperator } from '../support/cookie-jar.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { needs } from '../support/require.ts';
import { secretOfUri, totpAt } from '../support/totp.ts';

const step = 30_000;
const minute = 60_000;

test('the app of these tests is the one of RFC 6238, appendix B', () => {
  const secret = Buffer.from('12345678901234567890');
  for (const [seconds, code] of [
    [59, '94287082'],
    [1_111_111_109, '07081804'],
    [1_111_111_111, '14050471'],
    [1_234_567_890, '89005924'],
    [2_000_000_000, '69279037'],
    [20_000_000_000, '65353130'],
  ] as const) {
    assert.equal(totpAt(secret, seconds * 1000, 8), code);
  }
});

describe('second factors', { skip: needs('curl'), timeout: 300_000 }, () => {
  // Where a time step begins, so that none ends during a test.
  let now = Math.floor(Date.now() / step) * step;
  let server: Fleetroot;
  let names = 0;

  before(async () => {
    server = await Fleetroot.start({ clock: () => now });
  });
  after(() => server[Symbol.asyncDispose]());

  /** Somebody new, signed in. */
  async function somebody(): Promise<{ name: string; jar: CookieJar }> {
    const name = `somebody-${(names += 1)}`;
    await makeOperator(server, name);
    const jar = new CookieJar(server);
    assert.equal((await jar.signIn(name, goodPassword)).status, 200);
    return { name, jar };
  }

  async function withApp(): Promise<{ name: string; jar: CookieJar; secret: Buffer; recovery: string[] }> {
    const { name, jar } = await somebody();
    const { json } = await jar.call('/session/totp', { body: { password: goodPassword } });
    const secret = secretOfUri(json.uri);
    const { status, json: confirmed } = await jar.call('/session/totp/confirm', {
      body: { code: totpAt(secret, now) },
    });
    assert.equal(status, 200, JSON.stringify(confirmed));
    now += 2 * step;
    return { name, jar, secret, recovery: confirmed.recovery_codes };
  }

  describe('an authenticator app', () => {
    test('is asked for once a code of it has been seen, and not before', async () => {
      const { name, jar } = await somebody();
      const { json } = await jar.call('/session/totp', { body: { password: goodPassword } });
      assert.match(json.uri, new RegExp(`^otpauth://totp/Fleetroot:${name}\\?issuer=Fleetroot&secret=[A-Z2-7]{32}&`));
      assert.equal((await new CookieJar(server).signIn(name, goodPassword)).status, 200);
      const wrong = await jar.call('/session/totp/confirm', { body: { code: '000000' } });
      assert.equal(wrong.json.code, 'forbidden');
      assert.equal((await new CookieJar(server).signIn(name, goodPassword)).status, 200);
      const code = totpAt(secretOfUri(json.uri), now);
      const confirmed = await jar.call('/session/totp/confirm', { body: { code } });
      assert.equal(confirmed.json.recovery_codes.length, 10);
      const due = await new CookieJar(server).signIn(name, goodPassword);
      assert.deepEqual(
        [due.status, due.json.code, due.json.factors],
        [401, 'second_factor_required', ['totp', 'recovery_code']],
      );
      assert.equal((await new CookieJar(server).signIn(name, goodPassword, code)).status, 401);
      now += step;
      const next = await new CookieJar(server).signIn(name, goodPassword, totpAt(secretOfUri(json.uri), now));
      assert.deepEqual([next.status, next.json.method], [200, 'password_and_totp']);
    });

    test('takes the codes of a clock that is half a minute off, and no others', async () => {
      const { name, secret } = await withApp();
      const taken = [];
      for (const off of [-2, -1, 0, 1, 2]) {
        now += 10 * step;
        const jar = new CookieJar(server, `127.0.2.${off + 3}`);
        taken.push((await jar.signIn(name, goodPassword, totpAt(secret, now + off * step))).status);
      }
      assert.deepEqual(taken, [401, 200, 200, 200, 401]);
    });

    test('takes no code twice, nor one from before the last, also of several at once', async () => {
      const { name, secret } = await withApp();
      now += 10 * step;
      const code = totpAt(secret, now);
      const at = (address: number) => new CookieJar(server, `127.0.3.${address}`);
      const answers = await Promise.all([1, 2, 3, 4].map((each) => at(each).signIn(name, goodPassword, code)));
      assert.deepEqual(
        answers.map(({ status }) => status).toSorted((one, other) => one - other),
        [200, 401, 401, 401],
      );
      assert.equal((await at(5).signIn(name, goodPassword, code)).status, 401);
      assert.equal((await at(6).signIn(name, goodPassword, totpAt(secret, now - step))).status, 401);
      now += step;
      assert.equal((await at(7).signIn(name, goodPassword, totpAt(secret, now))).status, 200);
    });

    test('does nothing for a password that is wrong', async () => {
      const { name, secret } = await withApp();
      const right = await new CookieJar(server, '127.0.4.1').signIn(name, 'not the password', totpAt(secret, now));
      const none = await new CookieJar(server, '127.0.4.2').signIn(name, 'not the password');
      assert.deepEqual([right.status, right.json], [none.status, none.json]);
      assert.equal(none.json.code, 'unauthenticated');
    });

    test('is guessed ten times, and then waited for, wherever the guesses come from', async () => {
      const { name, secret } = await withApp();
      const answers = [];
      for (let guess = 0; guess < 11; guess += 1) {
        answers.push((await new CookieJar(server, `127.0.5.${guess + 1}`).signIn(name, goodPassword, '12345x')).status);
      }
      assert.deepEqual(answers, [...Array.from({ length: 10 }, () => 401), 429]);
      const waiting = await new CookieJar(server, '127.0.5.99').signIn(name, goodPassword, totpAt(secret, now));
      assert.deepEqual([waiting.status, waiting.headers.get('retry-after')], [429, '1']);
      now += 2 * step;
      assert.equal(
        (await new CookieJar(server, '127.0.5.99').signIn(name, goodPassword, totpAt(secret, now))).status,
        200,
      );
    });

    test('goes by the password, and with the last factor the recovery codes', async () => {
      const { name, jar, recovery } = await withApp();
      const remove = (password: string) => jar.call('/session/totp', { method: 'DELETE', body: { password } });
      assert.equal((await remove('not the password')).json.code, 'forbidden');
      assert.equal((await remove(goodPassword)).status, 200);
      const { json } = await new CookieJar(server).signIn(name, goodPassword, recovery[0]);
      assert.deepEqual([json.method, json.recovery_codes_left], ['password', 0]);
    });

    test('is set up by a session that has just begun', async () => {
      const { jar } = await somebody();
      now += 15 * minute;
      const { status, json } = await jar.call('/session/totp', { body: { password: goodPassword } });
      assert.deepEqual([status, json.code], [403, 'sign_in_again']);
    });

    test('has its secret sealed, which a new master key opens too', async () => {
      const { name, secret } = await withApp();
      await server.json('custody', 'rotate-master');
      await server.restart();
      now += 10 * step;
      const { status } = await new CookieJar(server).signIn(name, goodPassword, totpAt(secret, now));
      assert.equal(status, 200);
      const { readFileSync } = await import('node:fs');
      for (const file of ['registry.db', 'registry.db-wal']) {
        assert.equal(readFileSync(server.file(file)).includes(secret), false, file);
      }
    });
  });

  test('nothing that begins a way in is had with the session alone, however fresh it is', async () => {
    const { jar } = await withApp();
    for (const path of ['/session/totp', '/session/recovery-codes', '/session/passkeys/options']) {
      const none = await jar.call(path, { method: 'POST' });
      assert.deepEqual([none.status, none.json.code], [400, 'invalid_request'], path);
      const wrong = await jar.call(path, { body: { password: 'not the password' } });
      assert.deepEqual([wrong.status, wrong.json.code], [403, 'forbidden'], path);
    }
  });

  test('a recovery code stands in for the app, once, however it is typed', async () => {
    const { name, jar, recovery } = await withApp();
    const use = (code: string, from: string) => new CookieJar(server, from).signIn(name, goodPassword, code);
    const first = await use(recovery[0]!.toUpperCase().replaceAll('-', ' '), '127.0.6.1');
    assert.deepEqual([first.json.method, first.json.recovery_codes_left], ['password_and_recovery_code', 9]);
    assert.equal((await use(recovery[0]!, '127.0.6.2')).status, 401);
    const { json } = await jar.call('/session/recovery-codes', { body: { password: goodPassword } });
    assert.equal(json.recovery_codes.length, 10);
    assert.equal((await use(recovery[1]!, '127.0.6.3')).status, 401);
    assert.equal((await use(json.recovery_codes[1], '127.0.6.4')).status, 200);
  });

  describe('a passkey', () => {
    const origin = (): string => `https://localhost:${server.server.operatorPort}`;

    async function withPasskey() {
      const { name, jar } = await somebody();
      const passkey = new Authenticator(origin());
      const { json: options } = await jar.call('/session/passkeys/options', { body: { password: goodPassword } });
      const added = await jar.call('/session/passkeys', {
        body: { name: 'laptop', credential: passkey.create(options) },
      });
      assert.equal(added.status, 201, JSON.stringify(added.json));
      return { name, jar, passkey, recovery: added.json.recovery_codes as string[] };
    }

    async function signInBy(passkey: Authenticator, twist?: Twist, jar = new CookieJar(server)) {
      const { json: options } = await jar.call('/session/passkey/options', { method: 'POST' });
      return jar.call('/session/passkey', { body: { credential: passkey.get(options, twist) } });
    }

    test('signs in by itself, and the password alone does no longer', async () => {
      const { name, jar, passkey, recovery } = await withPasskey();
      const mine = new CookieJar(server);
      const { status, json } = await signInBy(passkey, {}, mine);
      assert.deepEqual([status, json.method, json.operator.name], [200, 'passkey', name]);
      assert.equal((await mine.call('/session')).json.name, name);
      const due = await new CookieJar(server).signIn(name, goodPassword);
      assert.deepEqual([due.json.code, due.json.factors], ['second_factor_required', ['passkey', 'recovery_code']]);
      assert.equal((await new CookieJar(server).signIn(name, goodPassword, recovery[0])).status, 200);
      const [listed] = (await jar.call('/session/passkeys')).json;
      assert.deepEqual([listed.name, listed.last_used_at !== null], ['laptop', true]);
    });

    test('is refused for another site, another name, another person, another key, and without its person', async () => {
      const { passkey } = await withPasskey();
      const twists: Twist[] = [
        { origin: 'https://evil.example' },
        { rpId: 'evil.example' },
        { verified: false },
        { userHandle: Buffer.from('somebody else').toString('base64url') },
        { forged: true },
        { challenge: Buffer.alloc(56).toString('base64url') },
      ];
      for (const twist of twists) {
        const { status, json } = await signInBy(passkey, twist);
        assert.deepEqual([status, json.code], [401, 'unauthenticated'], JSON.stringify(twist));
      }
      assert.equal((await signInBy(passkey)).status, 200);
    });

    test('that is not known, or answers what was asked for something else, is refused', async () => {
      const { jar, passkey } = await withPasskey();
      assert.equal((await signInBy(new Authenticator(origin()))).status, 401);
      const { json: adding } = await jar.call('/session/passkeys/options', { body: { password: goodPassword } });
      assert.equal((await signInBy(passkey, { challenge: adding.challenge })).status, 401);
      const { json: options } = await jar.call('/session/passkey/options', { method: 'POST' });
      const fresh = new Authenticator(origin());
      const credential = fresh.create({ ...adding, challenge: options.challenge });
      const { status, json } = await jar.call('/session/passkeys', { body: { name: 'x', credential } });
      assert.deepEqual([status, json.code], [403, 'forbidden']);
    });

    test('that does not count signs in again and again, and cannot be replayed either', async () => {
      const { passkey } = await withPasskey();
      passkey.counts = false;
      for (const again of [1, 2]) assert.equal((await signInBy(passkey)).status, 200, String(again));
      const { json: options } = await new CookieJar(server).call('/session/passkey/options', { method: 'POST' });
      const credential = passkey.get(options);
      const answers = [];
      for (const from of ['127.0.7.1', '127.0.7.2'])
        answers.push((await new CookieJar(server, from).call('/session/passkey', { body: { credential } })).status);
      assert.deepEqual(answers, [200, 401]);
    });

    test('cannot be replayed, nor used late, nor by a copy that counts from where it was copied', async () => {
      const { passkey } = await withPasskey();
      const jar = new CookieJar(server);
      const { json: options } = await jar.call('/session/passkey/options', { method: 'POST' });
      const credential = passkey.get(options);
      const answers = await Promise.all(
        [1, 2].map(() => new CookieJar(server).call('/session/passkey', { body: { credential } })),
      );
      assert.deepEqual(
        answers.map(({ status }) => status).toSorted((one, other) => one - other),
        [200, 401],
      );
      const late = await jar.call('/session/passkey/options', { method: 'POST' });
      now += 5 * minute;
      const answered = await jar.call('/session/passkey', { body: { credential: passkey.get(late.json) } });
      assert.equal(answered.status, 401);
      passkey.counter = 0;
      assert.equal((await signInBy(passkey)).status, 401);
      passkey.counter = 50;
      assert.equal((await signInBy(passkey)).status, 200);
    });

    test('is taken away, from its own operator alone, and then opens nothing', async () => {
      const { name, jar, passkey } = await withPasskey();
      const other = await somebody();
      const path = `/session/passkeys/${passkey.id.toString('base64url')}`;
      assert.equal((await other.jar.call(path, { method: 'DELETE' })).status, 404);
      assert.equal((await jar.call(path, { method: 'DELETE' })).status, 200);
      assert.equal((await signInBy(passkey)).status, 401);
      assert.equal((await new CookieJar(server).signIn(name, goodPassword)).status, 200);
    });

    test('of whoever is disabled or reset opens nothing', async () => {
      const { name, passkey } = await withPasskey();
      await server.json('operator', 'disable', name);
      assert.equal((await signInBy(passkey)).status, 401);
      await server.json('operator', 'enable', name);
      assert.equal((await signInBy(passkey)).status, 200);
      await server.json('operator', 'reset', name, '--yes');
      assert.equal((await signInBy(passkey)).status, 401);
    });
  });
});
