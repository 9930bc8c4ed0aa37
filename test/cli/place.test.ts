// Which server a command means, and what is kept of the logins to servers elsewhere.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { contextsFile, readContexts, writeContexts } from '../../src/cli/contexts.ts';
import { placeOf } from '../../src/cli/place.ts';
import { run } from '../../src/cli/program.ts';
import { temporaryDirectory } from '../support/process.ts';

const fleet = { url: 'https://fleet.example:8080/', ca: null, login: { token: 'frt_secret' }, name: 'alice' };

test('the line counts before the environment, and the environment before what is nearest', async () => {
  await using home = await temporaryDirectory();
  const env = { HOME: home.path };
  writeContexts(env, { current: 'fleet', all: { fleet, other: { ...fleet, url: 'https://other.example/' } } });
  const hrefOf = (...given: Parameters<typeof placeOf>) => {
    const place = placeOf(...given);
    return place.kind === 'socket' ? place.dataDir : place.url.href;
  };
  assert.equal(hrefOf({ data: '/srv/fleetroot' }, env), '/srv/fleetroot');
  assert.equal(hrefOf({}, env), fleet.url);
  assert.equal(hrefOf({ context: 'other' }, env), 'https://other.example/');
  assert.equal(hrefOf({ url: 'https://third.example' }, env), 'https://third.example/');
  assert.equal(hrefOf({}, { ...env, FLEETROOT_CONTEXT: 'other' }), 'https://other.example/');
  assert.equal(hrefOf({}, { ...env, FLEETROOT_URL: 'https://third.example' }), 'https://third.example/');
  assert.equal(hrefOf({}, { ...env, FLEETROOT_DATA: '/srv/fleetroot' }), '/srv/fleetroot');
  assert.equal(hrefOf({ data: '/srv/a' }, { ...env, FLEETROOT_URL: 'https://third.example' }), '/srv/a');
  assert.deepEqual((placeOf({ context: 'fleet', token: 'frt_other' }, env) as { login: unknown }).login, {
    token: 'frt_other',
  });
});

test('two servers at once, a login in the clear and a URL that is none are refused before anything is sent', () => {
  for (const pointers of [
    { data: '/srv/a', url: 'https://fleet.example' },
    { url: 'https://fleet.example', context: 'fleet' },
    { url: 'http://fleet.example' },
    { url: 'http://127.0.0.1.nip.io' },
    { url: 'ftp://fleet.example' },
    { url: 'fleet.example' },
    { data: '/srv/a', token: 'frt_secret' },
  ]) {
    assert.throws(() => placeOf(pointers, {}), { name: 'UsageError' }, JSON.stringify(pointers));
  }
  assert.equal(placeOf({ url: 'http://localhost:8080' }, {}).kind, 'remote');
});

test('logins lie in a file of the user alone, and nothing else is left beside it', async () => {
  await using home = await temporaryDirectory();
  const env = { XDG_CONFIG_HOME: join(home.path, 'config') };
  const written = { current: 'fleet', all: { fleet } };
  writeContexts(env, written);
  writeContexts(env, written);
  const file = contextsFile(env);
  assert.deepEqual(readContexts(env), written);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(file)).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(dirname(file)), ['contexts.json']);
});

test('a file of logins that is damaged is said to be, and is left as it is', async () => {
  await using home = await temporaryDirectory();
  const env = { HOME: home.path };
  const file = contextsFile(env);
  mkdirSync(dirname(file), { recursive: true });
  for (const content of ['', '{', '[]', '{"all":{"a":{"url":"nowhere","login":{}}}}', '{"all":{"a":null}}']) {
    writeFileSync(file, content);
    let said = '';
    const terminal = { out: () => {}, err: (text: string) => void (said += text), ask: async () => null };
    const code = await run(['context', 'list'], env, { ...terminal, askSecret: async () => null });
    assert.equal(code, 1, content);
    assert.match(said, /contexts\.json is damaged\nhint: /);
  }
});
