// How often a sign-in may fail at a real server: who guesses waits, and keeps nobody else out.

import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { networkOf } from '../../src/login/throttle.ts';
import { CookieJar, goodPassword, makeOperator } from '../support/cookie-jar.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { needs } from '../support/require.ts';

const minute = 60_000;

describe('lock-out', { skip: needs('curl'), timeout: 300_000 }, () => {
  let now = Date.now();
  let server: Fleetroot;

  before(async () => {
    server = await Fleetroot.start({ clock: () => now });
    await makeOperator(server, 'ada', '--administrator');
    await makeOperator(server, 'bob');
  });
  after(() => server[Symbol.asyncDispose]());

  const guess = async (from: string, name = 'ada') =>
    (await new CookieJar(server, from).signIn(name, 'not the password')).status;

  test('who guesses waits a second, then two, then four, up to a quarter of an hour', async () => {
    for (let each = 0; each < 5; each += 1) assert.equal(await guess('127.0.0.11'), 401);
    const waits: number[] = [];
    for (let each = 0; each < 12; each += 1) {
      const { status, json, headers } = await new CookieJar(server, '127.0.0.11').signIn('ada', goodPassword);
      assert.deepEqual([status, json.code], [429, 'too_many_requests']);
      const wait = Number(headers.get('retry-after'));
      waits.push(wait);
      now += wait * 1000 - 1;
      assert.equal(await guess('127.0.0.11'), 429);
      now += 1;
      assert.equal(await guess('127.0.0.11'), 401);
    }
    assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    now += 15 * minute;
    assert.equal((await new CookieJar(server, '127.0.0.11').signIn('ada', goodPassword)).status, 200);
    assert.equal(await guess('127.0.0.11'), 401);
  });

  test('who guesses other names has the guesses counted by address, and a name of their own does not forget them', async () => {
    const answers: number[] = [];
    for (let each = 0; each < 25; each += 1) {
      if (each % 5 === 4) await new CookieJar(server, '127.0.0.12').signIn('bob', goodPassword);
      answers.push(await guess('127.0.0.12', `name-${each}`));
    }
    assert.deepEqual(
      answers.slice(0, 20),
      Array.from({ length: 20 }, () => 401),
    );
    assert.ok(answers.slice(20).every((status) => status === 429));
  });

  test('whoever is guessed at signs in from elsewhere, and from a browser that they have used before even from there', async () => {
    const known = new CookieJar(server, '127.0.0.13');
    assert.equal((await known.signIn('ada', goodPassword)).status, 200);
    for (let each = 0; each < 6; each += 1) await guess('127.0.0.13');
    assert.equal(await guess('127.0.0.13'), 429);
    assert.equal((await new CookieJar(server, '127.0.0.13').signIn('ada', goodPassword)).status, 429);
    assert.equal((await new CookieJar(server, '127.0.0.14').signIn('ada', goodPassword)).status, 200);
    assert.equal((await known.signIn('ada', goodPassword)).status, 200);
  });

  test('a browser is known for its own operator, and has a count of its own', async () => {
    const known = new CookieJar(server, '127.0.0.15');
    assert.equal((await known.signIn('bob', goodPassword)).status, 200);
    for (let each = 0; each < 6; each += 1) await guess('127.0.0.15');
    assert.equal((await known.signIn('ada', goodPassword)).status, 429);
    const answers = [];
    for (let each = 0; each < 11; each += 1) answers.push((await known.signIn('bob', 'not the password')).status);
    assert.deepEqual(answers, [...Array.from({ length: 10 }, () => 401), 429]);
  });

  test('a thousand bad sign-ins at once keep no administrator out, and do not hold the server up', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 250 });
    const flood = Array.from({ length: 1000 }, () => badSignIn(server, '127.0.0.16', agent));
    assert.equal((await new CookieJar(server, '127.0.0.17').signIn('ada', goodPassword)).status, 200);
    const answers = await Promise.all(flood);
    agent.destroy();
    const wrong = answers.filter((status) => status === 401).length;
    assert.ok(wrong <= 5, `${wrong} were looked at`);
    assert.equal(answers.filter((status) => status === 429).length, 1000 - wrong);
    assert.equal((await new CookieJar(server, '127.0.0.17').signIn('ada', goodPassword)).status, 200);
  });

  test('of whoever signs in from everywhere at once, two are looked at at a time, so that others have their turn', async () => {
    const cookies: string[] = [];
    for (let each = 0; each < 4; each += 1) {
      const jar = new CookieJar(server, '127.0.0.20');
      assert.equal((await jar.signIn('bob', goodPassword)).status, 200);
      // As it is called in plain HTTP, by which the sign-ins below come.
      const named = [...(await jar.cookies())].map(([name, value]) => `${name.replace(/^__Host-/, '')}=${value}`);
      cookies.push(named.join('; '));
    }
    const agent = new Agent({ maxSockets: 64 });
    const signIns = cookies.flatMap((cookie) =>
      Array.from({ length: 9 }, () =>
        signInOf(server, { name: 'bob', password: goodPassword, cookie }, '127.0.0.20', agent),
      ),
    );
    // All of them would have found room: more than all of them may wait.
    const answers = await Promise.all(signIns);
    const good = answers.filter((status) => status === 200).length;
    assert.ok(good >= 2 && good < answers.length, `${good} of ${answers.length}`);
    assert.equal(answers.filter((status) => status === 429).length, answers.length - good);
    assert.equal((await new CookieJar(server, '127.0.0.19').signIn('ada', goodPassword)).status, 200);
  });

  test('links are guessed ten times, and then waited for', async () => {
    const answers: number[] = [];
    for (let each = 0; each < 11; each += 1) {
      const body = { secret: `guess-${each}`, password: goodPassword };
      answers.push((await new CookieJar(server, '127.0.0.18').call('/invitation', { body })).status);
    }
    assert.deepEqual(answers, [...Array.from({ length: 10 }, () => 403), 429]);
  });
});

test('an IPv6 customer is one, whichever of their addresses they take', () => {
  assert.equal(networkOf('2001:db8:1:2:3::4'), networkOf('2001:db8:1:2:ffff::'));
  assert.notEqual(networkOf('2001:db8:1:2::1'), networkOf('2001:db8:1:3::1'));
  assert.equal(networkOf('::ffff:192.0.2.1'), networkOf('192.0.2.1'));
  assert.notEqual(networkOf('192.0.2.1'), networkOf('192.0.2.2'));
});

/** The status that one bad sign-in from an address is answered with. */
function badSignIn(server: Fleetroot, localAddress: string, agent: Agent): Promise<number> {
  return signInOf(server, { name: 'ada', password: 'not the password', cookie: '' }, localAddress, agent);
}

/** The status that a sign-in from an address is answered with. */
function signInOf(
  server: Fleetroot,
  { cookie, ...given }: { name: string; password: string; cookie: string },
  localAddress: string,
  agent: Agent,
): Promise<number> {
  const body = JSON.stringify(given);
  return new Promise((resolve, reject) => {
    const call = request({
      host: '127.0.0.1',
      port: server.server.operatorPort,
      localAddress,
      method: 'POST',
      path: '/api/v1/session',
      headers: {
        host: 'localhost',
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        ...(cookie !== '' && { cookie, 'x-fleetroot': '1' }),
      },
      agent,
    });
    call.once('error', reject);
    call.once('response', (response) => {
      response
        .resume()
        .once('end', () => resolve(response.statusCode ?? 0))
        .once('error', reject);
    });
    call.end(body);
  });
}
