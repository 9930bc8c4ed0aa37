// The master key: made once, found again, and never silently another one.

import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { type MasterKeySource, openSeal } from '../../src/custody/master-key.ts';
import { Secret } from '../../src/secret.ts';

const oneKey = Buffer.alloc(32, 1).toString('base64');
const anotherKey = Buffer.alloc(32, 2).toString('base64');

/** A server's data directory and what its registry remembers, over several starts. */
class Home implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'fleetroot-master-key-'));
  readonly file = join(this.directory, 'master.key');
  proof: Uint8Array | null = null;

  start(source: Partial<MasterKeySource> = {}) {
    return openSeal(
      { directory: this.directory, file: null, text: null, ...source },
      {
        read: async () => this.proof,
        write: async (proof) => {
          this.proof = proof;
        },
      },
    );
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

function refusal(message: RegExp, hint: RegExp) {
  return (error: any) => error.code === 'custody_unavailable' && message.test(error.message) && hint.test(error.hint);
}

describe('the first start', () => {
  test('makes a master key that only its owner can read', async () => {
    using home = new Home();
    await home.start();
    assert.equal(statSync(home.file).mode & 0o777, 0o600);
    assert.match(readFileSync(home.file, 'latin1'), /^[A-Za-z0-9+/]{43}=\n$/);
    assert.deepEqual(readdirSync(home.directory), ['master.key']);
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
    home.proof = null;
    writeFileSync(`${home.file}.new`, 'half', { mode: 0o644 });
    const key = readFileSync(home.file, 'latin1');
    await home.start();
    assert.equal(readFileSync(home.file, 'latin1'), key);
    assert.notEqual(home.proof, null);
  });

  test('makes no key where one is configured, be it in a file that is missing', async () => {
    using home = new Home();
    await home.start({ text: Secret.fromText(oneKey) });
    assert.deepEqual(readdirSync(home.directory), []);
    home.proof = null;
    const missing = join(home.directory, 'elsewhere.key');
    await assert.rejects(home.start({ file: missing }), refusal(/missing/, /backup/));
    assert.deepEqual(readdirSync(home.directory), []);
  });
});

describe('a later start', () => {
  test('opens what an earlier one has sealed', async () => {
    using home = new Home();
    const sealed = (await home.start()).seal(Buffer.from('a key'), 'it');
    assert.equal((await home.start()).open(sealed, 'it').reveal().toString(), 'a key');
  });

  test('stops without the master key, and does not make a new one', async () => {
    using home = new Home();
    await home.start();
    renameSync(home.file, join(home.directory, 'lost'));
    await assert.rejects(home.start(), refusal(/missing.*master\.key/, /backup/));
    assert.deepEqual(readdirSync(home.directory), ['lost']);
  });

  test('stops with another master key, wherever it comes from', async () => {
    using home = new Home();
    await home.start({ text: Secret.fromText(oneKey) });
    await assert.rejects(home.start({ text: Secret.fromText(anotherKey) }), refusal(/not the one/, /belongs to this/));
    writeFileSync(home.file, anotherKey, { mode: 0o600 });
    await assert.rejects(home.start(), refusal(/not the one/, /belongs to this/));
    await home.start({ text: Secret.fromText(`${oneKey}\n`) });
  });
});

describe('a master key is refused', () => {
  test('in a file that others than its owner can reach', async () => {
    using home = new Home();
    writeFileSync(home.file, oneKey);
    for (const mode of [0o640, 0o604, 0o620, 0o660, 0o644]) {
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
    for (const text of [
      '',
      'secret',
      oneKey.slice(1),
      `${oneKey}${oneKey}`,
      hex,
      oneKey.replace('=', ''),
      `${oneKey}!`,
    ]) {
      await assert.rejects(
        home.start({ text: Secret.fromText(text) }),
        refusal(/not 32 octets/, /openssl rand -base64 32/),
      );
    }
  });

  test('without a word of it in the message', async () => {
    using home = new Home();
    writeFileSync(home.file, 'my-secret-pass-phrase', { mode: 0o600 });
    await assert.rejects(home.start(), (error: Error) => !JSON.stringify([error.message, error]).includes('my-secret'));
  });
});
