// The command line from elsewhere: over HTTPS, with a login or a token, and never to a server that is not the one meant.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { clientOf } from '../../src/cli/client.ts';
import { contextsFile } from '../../src/cli/contexts.ts';
import { run } from '../../src/cli/program.ts';
import { Secret } from '../../src/secret.ts';
import { goodPassword, makeOperator } from '../support/cookie-jar.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { temporaryDirectory } from '../support/process.ts';
import { secretOfUri, totpAt } from '../support/totp.ts';

type TemporaryDirectory = Awaited<ReturnType<typeof temporaryDirectory>>;

/** Somebody at another machine: a home directory of their own, and no data directory. */
class Elsewhere implements AsyncDisposable {
  readonly home: TemporaryDirectory;
  readonly typed: string[] = [];
  env: NodeJS.ProcessEnv;

  constructor(home: TemporaryDirectory) {
    this.home = home;
    this.env = { HOME: home.path };
  }

  async command(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    let stdout = '';
    let stderr = '';
    const code = await run(words, this.env, {
      out: (text) => void (stdout += String(text)),
      err: (text) => void (stderr += text),
      ask: async () => null,
      askSecret: async () => {
        const line = this.typed.shift();
        return line === undefined ? null : Secret.fromText(line);
      },
    });
    return { code, stdout, stderr };
  }

  async json(...words: string[]): Promise<any> {
    const { code, stdout, stderr } = await this.command(...words, '--json');
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.home[Symbol.asyncDispose]();
  }
}

async function administered(server: Fleetroot): Promise<{ url: string; ca: string }> {
  await makeOperator(server, 'alice', '--administrator');
  return { url: `https://localhost:${server.server.operatorPort}`, ca: server.file('operator-ca.crt') };
}

describe('from another machine', () => {
  test('alice signs in once, and her commands go there until she signs out', async () => {
    await using server = await Fleetroot.start();
    const { url, ca } = await administered(server);
    await using alice = new Elsewhere(await temporaryDirectory());
    alice.typed.push(goodPassword);
    const { code, stdout, stderr } = await alice.command('login', '--url', url, '--name', 'alice', '--ca', ca);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^You are signed in at https:\/\/localhost:\d+\/ as alice/);
    await alice.json('account', 'create', 'acme');
    assert.deepEqual(
      (await alice.json('account', 'list')).map((each: { name: string }) => each.name),
      ['acme'],
    );
    const who = await alice.json('whoami');
    assert.deepEqual([who.kind, who.name, who.administrator], ['operator', 'alice', true]);
    const kept = readFileSync(contextsFile(alice.env), 'utf8');
    assert.ok(!kept.includes(goodPassword));

    assert.equal((await alice.command('logout')).code, 0);
    assert.deepEqual(await alice.json('context', 'list'), []);
    // What was kept is worth nothing any more, also to whoever has copied it.
    writeFileSync(contextsFile(alice.env), kept);
    const after = await alice.command('account', 'list');
    assert.equal(after.code, 1);
    assert.match(after.stderr, /error: The session has ended\.\nhint: Sign in again\./);
  });

  test('a wrong password is told as one, and nothing is kept', async () => {
    await using server = await Fleetroot.start();
    const { url, ca } = await administered(server);
    await using mallory = new Elsewhere(await temporaryDirectory());
    mallory.typed.push('not the password at all');
    const { code, stderr } = await mallory.command('login', '--url', url, '--name', 'alice', '--ca', ca);
    assert.equal(code, 1);
    assert.match(stderr, /^error: /);
    assert.deepEqual(await mallory.json('context', 'list'), []);
  });

  test('a second factor is asked for where one is due', async () => {
    await using server = await Fleetroot.start();
    const { url, ca } = await administered(server);
    await using alice = new Elsewhere(await temporaryDirectory());
    alice.typed.push(goodPassword);
    await alice.json('login', '--url', url, '--name', 'alice', '--ca', ca);
    const cookie = JSON.parse(readFileSync(contextsFile(alice.env), 'utf8')).all[new URL(url).host].login.cookie;
    const api = clientOf({ kind: 'remote', url: new URL(url), ca: readFileSync(ca, 'utf8'), login: { cookie } });
    const { uri } = await api.post<{ uri: string }>('/session/totp', { password: goodPassword });
    const secret = secretOfUri(uri);
    await api.post('/session/totp/confirm', { code: totpAt(secret, Date.now()) });
    // A code is never taken twice: the next one is that of the step after.
    alice.typed.push(goodPassword, totpAt(secret, Date.now() + 30_000));
    const { code, stderr } = await alice.command('login', '--url', url, '--name', 'alice', '--ca', ca);
    assert.equal(code, 0, stderr);
    assert.deepEqual(alice.typed, []);
  });

  test('a token does what its role allows, from a variable, an option or a context', async () => {
    await using server = await Fleetroot.start();
    const { url, ca } = await administered(server);
    await server.json('account', 'create', 'acme');
    const { token } = await server.json('token', 'create', 'acme', '--role', 'auditor', '--description', 'ci');
    await using ci = new Elsewhere(await temporaryDirectory());
    ci.env = { ...ci.env, FLEETROOT_URL: url, FLEETROOT_CA: ca, FLEETROOT_TOKEN: token };
    assert.deepEqual(await ci.json('device', 'list', 'acme'), []);
    const refused = await ci.command('account', 'set', 'acme', '--admission', 'approval');
    assert.deepEqual(
      [refused.code, refused.stderr.split('\n')[0]],
      [1, 'error: The role of this operator does not allow it.'],
    );
    ci.env = { HOME: ci.home.path };
    assert.deepEqual(await ci.json('device', 'list', 'acme', '--url', url, '--ca', ca, '--token', token), []);
    ci.typed.push(token);
    await ci.json('login', '--url', url, '--token-stdin', '--as', 'ci', '--ca', ca);
    assert.deepEqual(await ci.json('device', 'list', 'acme'), []);
    assert.deepEqual(await ci.json('device', 'list', 'acme', '--context', 'ci'), []);
    await server.json('token', 'revoke', 'acme', (await server.json('token', 'list', 'acme'))[0].id, '--yes');
    assert.equal((await ci.command('device', 'list', 'acme')).code, 1);
  });

  test('a server whose certificate leads elsewhere is sent nothing', async () => {
    await using server = await Fleetroot.start();
    const { url } = await administered(server);
    await using other = await Fleetroot.start();
    await using alice = new Elsewhere(await temporaryDirectory());
    for (const more of [[], ['--ca', other.file('operator-ca.crt')]]) {
      alice.typed.splice(0, alice.typed.length, goodPassword);
      const { code, stderr } = await alice.command('login', '--url', url, '--name', 'alice', ...more);
      assert.equal(code, 1);
      assert.match(
        stderr,
        /^error: the certificate of the server at .* is not trusted .*\nhint: name its CA with --ca/,
      );
    }
    assert.deepEqual((await server.json('operator', 'show', 'alice')).last_sign_in_at, null);
  });

  test('a server that is not there is told as one', async () => {
    await using alice = new Elsewhere(await temporaryDirectory());
    const { code, stderr } = await alice.command('account', 'list', '--url', 'https://127.0.0.1:1');
    assert.equal(code, 1);
    assert.match(stderr, /^error: no server answers at https:\/\/127\.0\.0\.1:1\//);
  });
});
