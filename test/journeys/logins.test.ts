// Operators sign in over HTTPS with curl: sessions that end, are replayed, stolen and forged from other sites' pages.

import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { CookieJar, goodPassword, makeOperator } from '../support/cookie-jar.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { needs } from '../support/require.ts';
import { operatorCall } from '../support/operator-call.ts';

const minute = 60_000;
const hour = 60 * minute;
const anotherPassword = 'cedar plinth harbour';

describe('logins', { skip: needs('curl'), timeout: 300_000 }, () => {
  let now = Date.now();
  let server: Fleetroot;

  before(async () => {
    server = await Fleetroot.start({ clock: () => now });
    await makeOperator(server, 'ada', '--administrator');
    await makeOperator(server, 'bob');
  });
  after(() => server[Symbol.asyncDispose]());

  async function signedIn(name: string, from?: string): Promise<CookieJar> {
    const jar = new CookieJar(server, from);
    const { status, json } = await jar.signIn(name, goodPassword);
    assert.equal(status, 200, JSON.stringify(json));
    return jar;
  }

  /** Nobody waits for it to be written that a session was used: the clock goes on when it is. */
  const usedNow = () =>
    eventually(() => {
      using registry = new DatabaseSync(server.file('registry.db'), { readOnly: true });
      return registry.prepare('SELECT max(last_used_at) AS at FROM sessions').get()!['at'] === now;
    });

  describe('a session', () => {
    test('is a cookie that no script reads, no other host gets and no other site sends', async () => {
      const jar = new CookieJar(server);
      const { headers } = await jar.signIn('ada', goodPassword);
      assert.match(headers.get('set-cookie')!, /; Path=\/; HttpOnly; Secure; SameSite=Strict$/);
      const names = [...(await jar.cookies()).keys()].toSorted();
      assert.deepEqual(names, ['__Host-fleetroot', '__Host-fleetroot-browser']);
      const { json } = await jar.call('/session');
      assert.deepEqual([json.kind, json.name, json.method, json.roles], ['operator', 'ada', 'password', []]);
    });

    test('is another one at each sign-in, and one that a stranger has set is none', async () => {
      const jar = await signedIn('ada');
      const first = (await jar.cookies()).get('__Host-fleetroot');
      await jar.signIn('ada', goodPassword);
      assert.notEqual((await jar.cookies()).get('__Host-fleetroot'), first);
      const chosen = new CookieJar(server);
      const headers = { Cookie: `__Host-fleetroot=${'A'.repeat(43)}` };
      assert.equal((await chosen.call('/session', { headers })).status, 401);
      assert.equal((await chosen.call('/session', { headers: { Cookie: `fleetroot=${first}` } })).status, 401);
    });

    test('is over when it was signed out, for whoever replays it too', async () => {
      const jar = await signedIn('ada');
      const thief = await jar.copiedTo('127.0.0.7');
      assert.equal((await jar.call('/session', { method: 'DELETE' })).status, 200);
      assert.equal((await jar.cookies()).has('__Host-fleetroot'), false);
      const { status, json } = await thief.call('/session');
      assert.deepEqual([status, json.code, json.detail], [401, 'unauthenticated', 'The session has ended.']);
    });

    test('works from another address too, and whoever it was stolen from sees and ends it', async () => {
      const jar = await signedIn('ada', '127.0.0.3');
      const thief = await jar.copiedTo('127.0.0.8');
      assert.equal((await thief.call('/accounts')).status, 200);
      const elsewhere = await signedIn('ada', '127.0.0.4');
      const { json: sessions } = await elsewhere.call('/session/sessions');
      const stolen = sessions.find(({ address }: { address: string }) => address === '127.0.0.3');
      assert.deepEqual([stolen.present, stolen.user_agent.startsWith('curl/')], [false, true]);
      assert.equal((await elsewhere.call(`/session/sessions/${stolen.id}`, { method: 'DELETE' })).status, 200);
      assert.equal((await thief.call('/accounts')).status, 401);
      assert.equal((await elsewhere.call('/accounts')).status, 200);
    });

    test('of another operator is not to be seen or ended', async () => {
      const [ada, bob] = [await signedIn('ada'), await signedIn('bob')];
      const { session } = (await ada.call('/session')).json;
      assert.equal((await bob.call(`/session/sessions/${session}`, { method: 'DELETE' })).status, 404);
      assert.equal((await ada.call('/session')).status, 200);
    });

    test('ends when nobody uses it for half an hour, and after twelve hours however much it is used', async () => {
      const jar = await signedIn('ada');
      for (const again of [1, 2]) {
        now += 29 * minute;
        assert.equal((await jar.call('/session')).status, 200, String(again));
        await usedNow();
      }
      now += 31 * minute;
      assert.equal((await jar.call('/session')).status, 401);
      const busy = await signedIn('ada');
      for (let passed = 0; passed < 12 * hour - 20 * minute; passed += 20 * minute) {
        now += 20 * minute;
        assert.equal((await busy.call('/session')).status, 200);
        await usedNow();
      }
      now += 20 * minute;
      assert.equal((await busy.call('/session')).status, 401);
    });

    test('is not kept by a page that asks by itself while nobody is at it', async () => {
      const jar = await signedIn('bob');
      now += 29 * minute;
      const unattended = await jar.call('/session', { headers: { 'X-Fleetroot-Unattended': '1' } });
      assert.equal(unattended.status, 200);
      now += 2 * minute;
      assert.equal((await jar.call('/session')).status, 401);
    });

    test('that has ended is not in the way of a new one', async () => {
      const jar = await signedIn('ada');
      now += 13 * hour;
      assert.equal((await jar.call('/session')).status, 401);
      assert.equal((await jar.signIn('ada', goodPassword)).status, 200);
    });
  });

  describe('a page of another site', () => {
    const fromElsewhere: readonly [string, Record<string, string>][] = [
      ['another site', { 'Sec-Fetch-Site': 'cross-site' }],
      ['another host of the same site', { 'Sec-Fetch-Site': 'same-site' }],
      ['an old browser at another site', { Origin: 'https://evil.example' }],
      ['another port', { Origin: 'https://localhost:1' }],
      ['a sandboxed frame', { Origin: 'null' }],
    ];

    test('changes nothing with the cookie of who looks at it', async () => {
      const jar = await signedIn('ada');
      const body = { name: 'made-by-a-page' };
      for (const [who, headers] of fromElsewhere) {
        const { status, json } = await jar.call('/operators', { body, headers });
        assert.deepEqual([status, json.code], [403, 'cross_site'], who);
      }
      const form = await jar.call('/operators', { body, bare: true });
      assert.deepEqual([form.status, form.json.code], [403, 'cross_site']);
      assert.match(form.json.hint, /X-Fleetroot: 1/);
      assert.equal((await jar.call('/session', { method: 'DELETE', bare: true })).status, 403);
      assert.equal((await operatorCall(server.dir, 'GET', '/operators/made-by-a-page')).status, 404);
      const origin = { Origin: `https://localhost:${server.server.operatorPort}`, 'Sec-Fetch-Site': 'same-origin' };
      assert.equal((await jar.call('/operators', { body, headers: origin })).status, 201);
    });

    test('signs nobody in as somebody else', async () => {
      for (const [who, headers] of fromElsewhere) {
        const { status, json } = await new CookieJar(server).call('/session', {
          body: { name: 'ada', password: goodPassword },
          headers,
        });
        assert.deepEqual([status, json.code], [403, 'cross_site'], who);
      }
    });

    test('cannot send a form: a body is JSON and says so', async () => {
      const jar = await signedIn('ada');
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
        const { status } = await jar.call('/session', {
          method: 'POST',
          body: { name: 'ada', password: goodPassword },
          headers: { 'Content-Type': type },
        });
        assert.equal(status, 415, type);
      }
    });
  });

  test('a token counts before a cookie, and needs no header of ours', async () => {
    const jar = await signedIn('ada');
    const { token } = await server.json('token', 'create', '--role', 'metrics', '--description', 'scraper');
    const headers = { Authorization: `Bearer ${token}` };
    assert.equal((await jar.call('/session', { headers })).json.kind, 'token');
    assert.equal((await jar.call('/operators', { headers })).status, 403);
    const wrong = await jar.call('/session', { headers: { Authorization: 'Bearer frt_none' } });
    assert.equal(wrong.status, 401);
    const own = { old: goodPassword, new: anotherPassword };
    assert.equal((await jar.call('/session/password', { method: 'PUT', body: own, headers })).status, 403);
  });

  describe('an operator', () => {
    test('who is no administrator makes and sees no operators', async () => {
      const jar = await signedIn('bob');
      assert.equal((await jar.call('/operators')).json.code, 'forbidden');
      assert.equal((await jar.call('/operators', { body: { name: 'more' } })).json.code, 'forbidden');
      assert.deepEqual((await jar.call('/accounts')).json, []);
    });

    test('who is not there costs as much and is told the same as a wrong password', async () => {
      const there = await new CookieJar(server, '127.0.0.20').signIn('ada', anotherPassword);
      const not = await new CookieJar(server, '127.0.0.21').signIn('nobody', anotherPassword);
      assert.deepEqual([not.status, not.json], [there.status, there.json]);
      assert.equal(there.status, 401);
    });

    test('is invited by a link, which makes a password, once', async () => {
      const ada = await signedIn('ada');
      const { json } = await ada.call('/operators', { body: { name: 'cleo' } });
      assert.equal(
        json.invitation.url,
        `https://localhost:${server.server.operatorPort}/invitation#${json.invitation.secret}`,
      );
      const cleo = new CookieJar(server);
      assert.equal((await cleo.signIn('cleo', goodPassword)).status, 401);
      const { secret } = json.invitation;
      const bad = await cleo.call('/invitation', { body: { secret, password: 'cleo cleo cleo' } });
      assert.deepEqual([bad.status, bad.json.code], [422, 'password_unfit']);
      const answers = [];
      for (let again = 0; again < 2; again += 1)
        answers.push((await cleo.call('/invitation', { body: { secret, password: goodPassword } })).status);
      assert.deepEqual(answers, [200, 403]);
      assert.equal((await cleo.signIn('cleo', goodPassword)).status, 200);
      assert.equal((await ada.call('/operators/cleo')).json.invited_until, null);
    });

    test('is not let in by an invitation that has ended', async () => {
      const { invitation } = await server.json('operator', 'create', 'late', '--invite');
      now += 72 * hour;
      const body = { secret: invitation.secret, password: goodPassword };
      const { status, json } = await new CookieJar(server).call('/invitation', { body });
      assert.deepEqual([status, json.code], [403, 'link_invalid']);
    });

    test('who changes the password is signed out everywhere else at once', async () => {
      await makeOperator(server, 'dora');
      const [here, there] = [await signedIn('dora'), await signedIn('dora', '127.0.0.5')];
      const change = (old: string, fresh: string) =>
        here.call('/session/password', { method: 'PUT', body: { old, new: fresh } });
      assert.deepEqual((await change(anotherPassword, anotherPassword)).json.code, 'forbidden');
      assert.deepEqual((await change(goodPassword, 'dora1234567890')).json.code, 'password_unfit');
      assert.equal((await there.call('/session')).status, 200);
      assert.equal((await change(goodPassword, anotherPassword)).status, 200);
      assert.deepEqual([(await here.call('/session')).status, (await there.call('/session')).status], [200, 401]);
      assert.equal((await there.signIn('dora', goodPassword)).status, 401);
      assert.equal((await there.signIn('dora', anotherPassword)).status, 200);
    });

    test('who is disabled, signed out, reset or deleted is out at once', async () => {
      await makeOperator(server, 'emil');
      let emil = await signedIn('emil');
      await server.json('operator', 'disable', 'emil');
      assert.equal((await emil.call('/session')).status, 401);
      assert.equal((await emil.signIn('emil', goodPassword)).status, 401);
      await server.json('operator', 'enable', 'emil');
      emil = await signedIn('emil');
      assert.deepEqual(await server.json('operator', 'end-sessions', 'emil'), { ended: 1 });
      assert.equal((await emil.call('/session')).status, 401);
      emil = await signedIn('emil');
      const { invitation, has_password } = await server.json('operator', 'reset', 'emil', '--yes');
      assert.equal(has_password, false);
      assert.equal((await emil.call('/session')).status, 401);
      assert.equal((await emil.signIn('emil', goodPassword)).status, 401);
      await emil.call('/invitation', { body: { secret: invitation.secret, password: goodPassword } });
      emil = await signedIn('emil');
      await server.json('operator', 'delete', 'emil', '--yes');
      assert.equal((await emil.call('/session')).status, 401);
    });

    test('who is promoted or demoted is what they are from the next call on', async () => {
      await makeOperator(server, 'finn');
      const finn = await signedIn('finn');
      const ada = await signedIn('ada');
      const set = (administrator: boolean) => ada.call('/operators/finn', { method: 'PATCH', body: { administrator } });
      assert.equal((await finn.call('/operators')).status, 403);
      await set(true);
      assert.equal((await finn.call('/operators')).status, 200);
      await set(false);
      assert.equal((await finn.call('/operators')).status, 403);
    });

    test('who is the last administrator cannot be deleted, demoted or disabled', async () => {
      const ada = await signedIn('ada');
      const refusals = [
        await ada.call('/operators/ada', { method: 'DELETE' }),
        await ada.call('/operators/ada', { method: 'PATCH', body: { administrator: false } }),
        await ada.call('/operators/ada', { method: 'PATCH', body: { disabled: true } }),
      ];
      assert.deepEqual(
        refusals.map(({ json }) => json.code),
        ['conflict', 'conflict', 'conflict'],
      );
      assert.equal((await server.command('operator', 'delete', 'ada', '--yes')).code, 1);
    });
  });

  test('what operators did, and who failed to be one, is in the audit log, without a secret', async () => {
    await using other = await Fleetroot.start();
    const { id } = await makeOperator(other, 'gus', '--administrator');
    const gus = new CookieJar(other);
    for (const wrong of ['wrong password', 'wrong password']) await gus.signIn('gus', wrong);
    await gus.signIn('nobody-we-know', anotherPassword);
    await gus.signIn('gus', goodPassword);
    await gus.call('/session', { method: 'DELETE' });
    await other.restart();
    const entries: any[] = await other.json('audit', 'list');
    const about = entries.filter(({ object }) => object.kind === 'operator');
    const done = about.filter(({ result }) => result === 'done').map(({ action }) => action);
    assert.deepEqual(new Set(done), new Set(['operator.create', 'session.begin', 'session.end']));
    const failed = about.filter(({ action, result }) => action === 'session.begin' && result === 'unauthenticated');
    const count = (of: string) =>
      failed.reduce((sum, { object, after }) => (object.id === of ? sum + after.count : sum), 0);
    assert.deepEqual([count(id), count('')], [2, 1]);
    for (const { by } of failed) assert.deepEqual([by.name, by.address], ['nobody', '127.0.0.1']);
    assert.doesNotMatch(JSON.stringify(entries), /wrong password|nobody-we-know|mill otter|argon2/);
  });
});
