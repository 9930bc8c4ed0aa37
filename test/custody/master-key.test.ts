// The master key: made once, found again wherever it is configured, and never silently another one.

import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';

import { type ConfigOptions, loadConfig } from '../../src/config.ts';
import type { Seal } from '../../src/custody/seal.ts';
import { openLog } from '../../src/log.ts';
import { serverValue } from '../../src/registry/server-values.ts';
import { openMasterKey } from '../../src/server/master-key.ts';
import { sqlite } from '../support/registry.ts';

const oneKey = Buffer.alloc(32, 1).toString('base64');
const anotherKey = Buffer.alloc(32, 2).toString('base64');
const passphrase = 'correct horse battery staple';

/** A server's data directory with a real registry, over several starts. */
class Home implements Disposable {
  readonly #home = sqlite.home();
  readonly directory = this.#home.directory;
  readonly file = this.at('master.key');

  at(name: string): string {
    return `${this.directory}/${name}`;
  }

  write(name: string, content: string, mode = 0o600): string {
    writeFileSync(this.at(name), content, { mode });
    chmodSync(this.at(name), mode);
    return this.at(name);
  }

  /** What lies in the data directory but the registry. */
  get files(): string[] {
    return readdirSync(this.directory).filter((name) => !/^(registry|lock)\.db/.test(name));
  }

  /** Starts as far as the seal, does something with it, and ends in order. */
  async start<Result>(
    { options = {}, env = {} }: { options?: ConfigOptions; env?: Record<string, string> } = {},
    use: (seal: Seal) => Result = () => undefined as Result,
  ): Promise<Result> {
    const config = loadConfig({ dataDir: this.directory, options, env: {} });
    await using registry = await this.#home.open();
    const before = { ...process.env };
    Object.assign(process.env, env);
    try {
      await using masterKey = await openMasterKey(config, registry, openLog('silent'));
      return use(masterKey.seal);
    } finally {
      for (const name of Object.keys(env)) delete process.env[name];
      Object.assign(process.env, before);
    }
  }

  /** What the registry remembers under a key. */
  async remembered(key: string): Promise<Uint8Array | undefined> {
    await using registry = await this.#home.open();
    return await serverValue(registry.read, key);
  }

  /** As if the start before had been ended by a power cut before it recorded anything. */
  async forget(): Promise<void> {
    const { DatabaseSync } = await import('node:sqlite');
    using database = new DatabaseSync(this.at('registry.db'), { timeout: 10_000 });
    database.exec(`DELETE FROM server WHERE key LIKE 'seal%'`);
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    await using registry = await this.#home.open();
    await registry.write('rememberServerValue', { key, value });
  }

  [Symbol.dispose](): void {
    this.#home[Symbol.dispose]();
  }
}

function refusal(message: RegExp, hint: RegExp) {
  return (error: any) => {
    assert.match(error.message, message);
    assert.match(error.hint, hint);
    return error.code === 'custody_unavailable';
  };
}

const sealIt = (seal: Seal) => seal.seal(Buffer.from('a key'), 'it');
const opens = (sealed: Buffer) => (seal: Seal) => seal.open(sealed, 'it').reveal().toString();

describe('the first start', () => {
  test('makes a master key that only its owner can read', async () => {
    using home = new Home();
    await home.start();
    assert.equal(statSync(home.file).mode & 0o777, 0o600);
    assert.match(readFileSync(home.file, 'latin1'), /^[A-Za-z0-9+/]{43}=\n$/);
    assert.deepEqual(home.files, ['master.key']);
  });

  test('makes another one on every server', async () => {
    using home = new Home();
    using other = new Home();
    await Promise.all([home.start(), other.start()]);
    assert.notEqual(readFileSync(home.file, 'latin1'), readFileSync(other.file, 'latin1'));
  });

  test('goes on where a power cut has ended the one before', async () => {
    using home = new Home();
    await home.start();
    // The key is there, its proof is not yet; and the remains of a key that was being written lie about.
    await home.forget();
    home.write('master.key.new', 'half', 0o644);
    const key = readFileSync(home.file, 'latin1');
    await home.start();
    assert.equal(readFileSync(home.file, 'latin1'), key);
    assert.ok(await home.remembered('seal'));
  });

  test('makes no key where one is configured, be it in a file that is missing', async () => {
    using home = new Home();
    await home.start({ options: { 'custody.master_key_variable': 'ONE' }, env: { ONE: oneKey } });
    assert.deepEqual(home.files, []);
    await home.forget();
    const missing = { options: { 'custody.master_key_file': home.at('elsewhere.key') } };
    await assert.rejects(home.start(missing), refusal(/missing/, /backup/));
    assert.deepEqual(home.files, []);
  });
});

describe('a later start', () => {
  test('opens what an earlier one has sealed', async () => {
    using home = new Home();
    assert.equal(await home.start({}, opens(await home.start({}, sealIt))), 'a key');
  });

  test('stops without the master key, and does not make a new one', async () => {
    using home = new Home();
    await home.start();
    renameSync(home.file, home.at('lost'));
    await assert.rejects(home.start(), refusal(/missing.*master\.key/, /backup/));
    assert.deepEqual(home.files, ['lost']);
  });

  test('stops with another master key, wherever it comes from', async () => {
    using home = new Home();
    const options = { 'custody.master_key_variable': 'ONE' };
    await home.start({ options, env: { ONE: oneKey } });
    const wrong = refusal(/not the one under which/, /belongs to this/);
    await assert.rejects(home.start({ options, env: { ONE: anotherKey } }), wrong);
    home.write('master.key', anotherKey);
    await assert.rejects(home.start(), wrong);
    await home.start({ options, env: { ONE: `${oneKey}\n` } });
  });

  test('goes on with a proof of the first version, and writes it anew under the same key', async () => {
    using home = new Home();
    const options = { 'custody.master_key_variable': 'ONE' };
    const env = { ONE: oneKey };
    await home.start({ options, env });
    const first =
      'AadZyintzS19FJp/1mUV/xsq7t9O7WHyZgh5eZkd5rh0FouXoF21Y3ZeKUtHgk74wzJkVDIEcgKgYX0IF2HLd7uEm09ar9w5ik3/gh0AvzX3Q6xefmM=';
    await home.put('seal', Buffer.from(first, 'base64'));
    await assert.rejects(home.start({ options, env: { ONE: anotherKey } }), refusal(/not the one/, /belongs/));
    await home.start({ options, env });
    assert.equal((await home.remembered('seal'))![0], 2);
    await home.start({ options, env });
  });
});

describe('a passphrase', () => {
  const options = { 'custody.passphrase_variable': 'PASS' };
  const env = { PASS: passphrase };

  test('opens at a later start what was sealed at the first, and no other passphrase does', async () => {
    using home = new Home();
    const sealed = await home.start({ options, env }, sealIt);
    assert.deepEqual(home.files, []);
    assert.equal(await home.start({ options, env }, opens(sealed)), 'a key');
    const file = home.write('passphrase', `${passphrase}\n`);
    assert.equal(await home.start({ options: { 'custody.passphrase_file': file } }, opens(sealed)), 'a key');
    await assert.rejects(
      home.start({ options, env: { PASS: `${passphrase}s` } }),
      (error: Error) => /not the one under which/.test(error.message) && !error.message.includes(passphrase),
    );
    await assert.rejects(home.start({ options, env: { PASS: 'short' } }), refusal(/fewer than 16/, /six random/));
  });

  test('is another master key in another registry', async () => {
    using home = new Home();
    using other = new Home();
    const sealed = await home.start({ options, env }, sealIt);
    await other.start({ options, env });
    await assert.rejects(other.start({ options, env }, opens(sealed)), { code: 'custody_unavailable' });
  });

  test('and a master key do not stand for each other, and the refusal says which it was', async () => {
    using home = new Home();
    await home.start();
    await assert.rejects(home.start({ options, env }), refusal(/sealed under a master key\./, /rotate-master/));
    using other = new Home();
    await other.start({ options, env });
    await assert.rejects(other.start(), refusal(/sealed under a master passphrase\./, /rotate-master/));
    assert.deepEqual(other.files, []);
  });

  test('is not derived by what else than the server has written into the registry', async () => {
    using home = new Home();
    await home.start({ options, env });
    const derivation = JSON.parse(Buffer.from((await home.remembered('seal_derivation'))!).toString());
    await home.put('seal_derivation', Buffer.from(JSON.stringify({ ...derivation, memory: 2 ** 30 })));
    await assert.rejects(home.start({ options, env }), refusal(/out of all bounds/, /backup/));
    await home.put('seal_derivation', Buffer.from(JSON.stringify({ ...derivation, passes: 4 })));
    await assert.rejects(home.start({ options, env }), refusal(/not the one/, /belongs/));
    await home.put('seal_derivation', Buffer.from(JSON.stringify(derivation)));
    await home.start({ options, env });
  });
});

describe('a systemd credential', () => {
  const options = { 'custody.master_key_credential': 'master-key' };

  test('is read by its name, with the mode that systemd gives it for a User=, 0440 by an access-control list', async () => {
    using home = new Home();
    const env = { CREDENTIALS_DIRECTORY: home.directory };
    home.write('master-key', oneKey, 0o440);
    const sealed = await home.start({ options, env }, sealIt);
    home.write('phrase', passphrase, 0o400);
    chmodSync(home.at('master-key'), 0o400);
    assert.equal(await home.start({ options, env }, opens(sealed)), 'a key');
    await assert.rejects(
      home.start({ options: { 'custody.passphrase_credential': 'phrase' }, env }),
      refusal(/sealed under a master key/, /rotate-master/),
    );
  });

  test('that others can read, that is not there, or that no systemd gave, is told so', async () => {
    using home = new Home();
    const env = { CREDENTIALS_DIRECTORY: home.directory };
    await assert.rejects(home.start({ options, env }), refusal(/missing.*master-key/, /backup/));
    for (const mode of [0o444, 0o460, 0o450]) {
      home.write('master-key', oneKey, mode);
      await assert.rejects(home.start({ options, env }), refusal(/reached by others/, /chmod/));
    }
    await assert.rejects(home.start({ options }), refusal(/CREDENTIALS_DIRECTORY is not set/, /backup/));
  });
});

describe('a master key is refused', () => {
  test('in a file that others than its owner can reach', async () => {
    using home = new Home();
    home.write('master.key', oneKey);
    for (const mode of [0o640, 0o604, 0o620, 0o660, 0o644, 0o440]) {
      chmodSync(home.file, mode);
      await assert.rejects(home.start(), refusal(new RegExp(mode.toString(8)), /chmod 600/));
    }
    for (const mode of [0o400, 0o600]) {
      chmodSync(home.file, mode);
      await home.start();
    }
  });

  test('that is not 32 octets in base64', async () => {
    using home = new Home();
    const hex = Buffer.alloc(32, 1).toString('hex');
    const options = { 'custody.master_key_variable': 'ONE' };
    for (const text of ['', 'x', oneKey.slice(1), `${oneKey}${oneKey}`, hex, oneKey.replace('=', ''), `${oneKey}!`]) {
      const wrong = refusal(/not 32 octets/, /openssl rand -base64 32/);
      await assert.rejects(home.start({ options, env: { ONE: text } }), wrong);
    }
    await assert.rejects(home.start({ options }), refusal(/the variable ONE is not set/, /backup/));
  });

  test('without a word of it in the message', async () => {
    using home = new Home();
    home.write('master.key', 'my-secret-pass-phrase');
    await assert.rejects(home.start(), (error: Error) => !JSON.stringify([error.message, error]).includes('my-secret'));
    rmSync(home.file);
  });
});

test('all that is wrong with where the keys are is told at once', () => {
  const options = {
    'custody.master_key_file': '/a',
    'custody.passphrase_variable': 'B',
    'custody.next_passphrase_file': '/c',
    'custody.next_master_key_credential': 'd',
    'custody.passphrase_credential': '../e',
  };
  assert.throws(
    () => loadConfig({ dataDir: '/nowhere', options, env: {} }),
    (error: Error) =>
      /3 fault\(s\)/.test(error.message) &&
      /custody\.master_key_file and custody\.passphrase_variable are given: keep one/.test(error.message) &&
      /custody\.next_master_key_credential and custody\.next_passphrase_file are given/.test(error.message) &&
      /passphrase-credential is to be the name of a systemd credential/.test(error.message),
  );
});
