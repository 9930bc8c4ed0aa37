// The key of the standby gateway CA lies outside until it is needed: exported, erased here, imported, and then switched to.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, afterEach, before, describe, test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Device, Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { Pki } from '../support/pki.ts';
import { succeed } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { atTerminal } from '../support/terminal.ts';

const passphrase = 'a passphrase that is long enough';
const day = 24 * 60 * 60 * 1000;

describe('the standby gateway CA', { skip: needs('openssl', 'curl', 'unzip') }, () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let ahead = 0;

  before(async () => {
    fleetroot = await Fleetroot.start({ clock: () => Date.now() + ahead });
    pki = await Pki.open();
  });
  afterEach(() => {
    ahead = 0;
  });
  after(async () => {
    await pki[Symbol.asyncDispose]();
    await fleetroot[Symbol.asyncDispose]();
  });

  const gateway = (word: string, account: string, ...rest: string[]) =>
    fleetroot.command('account', 'gateway-ca', word, account, ...rest, '--yes');

  async function exported(account: string): Promise<string> {
    const file = fleetroot.file(`${crypto.randomUUID()}.key`);
    fleetroot.typed.push(passphrase, passphrase);
    const { code, stderr } = await gateway('export', account, '-o', file);
    assert.equal(code, 0, stderr);
    return file;
  }

  /** An account whose standby's key lies in a file alone. */
  async function keptOutside(account: string): Promise<{ image: Image; file: string }> {
    await fleetroot.json('account', 'create', account);
    const image = await fleetroot.image(account);
    const file = await exported(account);
    const { code, stderr } = await gateway('erase', account);
    assert.equal(code, 0, stderr);
    return { image, file };
  }

  const importing = (account: string, file: string, ...typed: string[]) => {
    fleetroot.typed.splice(0, Infinity, ...typed);
    return gateway('import', account, file);
  };

  const standbyOf = async (account: string) =>
    (await fleetroot.json('account', 'show', account)).gateway_cas.find((ca: any) => ca.state === 'standby');
  const eventsOf = async (key: string) =>
    (await fleetroot.json('custody', 'show', key)).events.map(({ event }: { event: string }) => event);

  /** Both pins that a device has trust the gateway, and it is known there. */
  async function isServed(device: Device): Promise<void> {
    assert.equal((await device.whoAmI()).status, 200);
  }

  test('its key is exported, erased, imported when it is needed, and no device is stranded by the switch', async () => {
    await fleetroot.json('account', 'create', 'acme');
    const image = await fleetroot.image('acme');
    const device = await image.boot('device-1');
    const { key } = await standbyOf('acme');
    const file = await exported('acme');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const sealed = sealedKey(key);
    assert.ok(inDatabase(sealed));
    assert.equal((await gateway('erase', 'acme')).code, 0);
    assert.equal(inDatabase(sealed), false, 'the sealed key is still in a file of the database');

    const outside = await standbyOf('acme');
    assert.deepEqual([outside.key, outside.key_state], [key, 'erased']);
    assert.match((await fleetroot.command('account', 'show', 'acme')).stdout, /standby until .* key: erased\n/);
    assert.match((await fleetroot.command('account', 'show', 'acme')).stdout, /active until .* key: software\n/);
    await isServed(device);
    await isServed(await image.boot('device-2'));

    using line = await Line.open(device);
    const { code, stderr } = await importing('acme', file, passphrase);
    assert.equal(code, 0, stderr);
    assert.deepEqual(await eventsOf(key), ['created', 'exported', 'erased', 'imported']);
    assert.equal((await standbyOf('acme')).key_state, 'held');
    assert.equal((await fleetroot.command('custody', 'check', key)).code, 0);
    assert.equal((await gateway('switch', 'acme')).code, 0);
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 200);
    await isServed(device);
    await isServed(await image.boot('device-3'));
  });

  test('while it lies outside, a switch changes nothing and says what to do first', async () => {
    const { image } = await keptOutside('waiting');
    const before = await fleetroot.json('account', 'show', 'waiting');
    const keys = await fleetroot.json('custody', 'list');
    const { code, stderr } = await gateway('switch', 'waiting');
    assert.equal(code, 1);
    assert.match(stderr, /^error: The key of the standby gateway CA has been erased here and lies outside\.$/m);
    assert.match(stderr, /^hint: Import it first: `account gateway-ca import`\.$/m);
    assert.deepEqual(await fleetroot.json('account', 'show', 'waiting'), before);
    assert.deepEqual(await fleetroot.json('custody', 'list'), keys);
    await isServed(await image.boot('device-1'));
  });

  test('while it lies outside, starts and renewals are not disturbed, and no other standby is made', async () => {
    const { image } = await keptOutside('steady');
    const standby = await standbyOf('steady');
    const device = await image.boot('device-1');
    await fleetroot.restart();
    assert.deepEqual(await standbyOf('steady'), standby);
    ahead = 70 * day;
    await fleetroot.renew();
    await isServed(device);
    assert.deepEqual(await standbyOf('steady'), standby);
    assert.equal((await fleetroot.json('account', 'show', 'steady')).gateway_cas.length, 2);
    // New devices have both pins still.
    const pinned = readFileSync((await fleetroot.image('steady')).trusts, 'utf8');
    assert.equal(pinned.match(/BEGIN CERTIFICATE/g)?.length, 2);
    // It is nothing that fails, either.
    const check = await fleetroot.command('custody', 'check');
    assert.equal(check.code, 0, check.stdout);
    const one = await fleetroot.command('custody', 'check', standby.key);
    assert.equal(one.code, 1);
    assert.match(one.stdout, /no_such_key: Key .* has been erased here and lies outside\./);
  });

  test('it is erased only once it was exported, and only while it is the standby', async () => {
    await fleetroot.json('account', 'create', 'careful');
    const refused = await gateway('erase', 'careful');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^error: Key .* was never exported: erased here it would be lost\.$/m);
    assert.equal((await standbyOf('careful')).key_state, 'held');
    await exported('careful');
    // What was the standby is the active one now; the new standby was never exported.
    assert.equal((await gateway('switch', 'careful')).code, 0);
    assert.match((await gateway('erase', 'careful')).stderr, /was never exported/);
    await exported('careful');
    assert.equal((await gateway('erase', 'careful')).code, 0);
    const again = await gateway('erase', 'careful');
    assert.deepEqual([again.code, /^error: Key .* has been erased here/m.test(again.stderr)], [1, true]);
    fleetroot.typed.push(passphrase, passphrase);
    const gone = await gateway('export', 'careful', '-o', fleetroot.file('gone.key'));
    assert.deepEqual([gone.code, /^error: Key .* has been erased here/m.test(gone.stderr)], [1, true]);
  });

  test('without --yes and a terminal nothing is erased', async () => {
    await fleetroot.json('account', 'create', 'hasty');
    await exported('hasty');
    assert.equal((await fleetroot.command('account', 'gateway-ca', 'erase', 'hasty')).code, 1);
    assert.equal((await standbyOf('hasty')).key_state, 'held');
  });

  test('no other key comes in under its name, and none that is there already', async () => {
    const { file } = await keptOutside('choosy');
    const other = await exportedElsewhere();
    for (const [path, typed, says] of [
      [other, [passphrase], /^error: The private key is not that of key /m],
      [file, ['not the passphrase'], /^error: the passphrase does not open /m],
      [file, [], /a passphrase was asked for, and none came/],
      [await pki.write('nothing'), [], /holds no private key/],
      [fleetroot.file('missing'), [], /cannot read .*missing: no such file/],
    ] as const) {
      const { code, stderr } = await importing('choosy', path, ...typed);
      assert.equal(code, 1, path);
      assert.match(stderr, says);
      assert.equal((await standbyOf('choosy')).key_state, 'erased');
    }
    assert.equal((await importing('choosy', file, passphrase)).code, 0);
    const twice = await importing('choosy', file, passphrase);
    assert.match(twice.stderr, /^error: Key .* was not erased here\.$/m);

    async function exportedElsewhere(): Promise<string> {
      await fleetroot.json('account', 'create', 'elsewhere');
      return exported('elsewhere');
    }
  });

  test('it comes back in any form that openssl writes', async () => {
    const { file } = await keptOutside('anyform');
    const open = `openssl pkey -in "$file" -passin "pass:${passphrase}"`;
    for (const [form, script, typed] of [
      ['PKCS#8 in the clear', open, []],
      ['PKCS#8, DER', `${open} -outform DER`, []],
      ['PKCS#8 as openssl encrypts it', `${open} | openssl pkcs8 -topk8 -passout pass:another`, ['another']],
      ['encrypted, DER', `${open} | openssl pkcs8 -topk8 -outform DER -passout pass:another`, ['another']],
      ['scrypt', `${open} | openssl pkcs8 -topk8 -scrypt -passout pass:another`, ['another']],
      ['SEC 1', `${open} | openssl ec`, []],
      ['SEC 1, encrypted as of old', `${open} | openssl ec -aes256 -passout pass:another`, ['another']],
    ] as const) {
      const path = await pki.write('', '.key');
      await pki.shell(`${script} > "$path"`, { file, path });
      const { code, stderr } = await importing('anyform', path, ...typed);
      assert.equal(code, 0, `${form}: ${stderr}`);
      assert.equal((await gateway('erase', 'anyform')).code, 0);
    }
  });

  test('at a terminal the passphrase of the file is asked for once', { skip: needs('python3') }, async () => {
    const { file } = await keptOutside('typed');
    const words = ['account', 'gateway-ca', 'import', 'typed', file, '--data', fleetroot.dir];
    const { code, shown } = await atTerminal(words, [[`Passphrase of ${file}: `, `${passphrase}\r`]]);
    assert.equal(code, 0, shown);
    assert.ok(!shown.includes(passphrase), shown);
    assert.equal((await standbyOf('typed')).key_state, 'held');
  });

  test('it is a key like any other, that can be moved', async () => {
    await fleetroot.json('account', 'create', 'mover');
    const { key } = await standbyOf('mover');
    const { code, stderr } = await fleetroot.command('custody', 'move', key, '--to', 'software', '--yes');
    assert.equal(code, 1);
    assert.match(stderr, /is in the custodian software already/);
  });

  test('openssl finds in the file the key of the certificate that devices pin', async () => {
    await fleetroot.json('account', 'create', 'pinned');
    const file = await exported('pinned');
    const certificate = await pki.write((await standbyOf('pinned')).certificate);
    const publicKey = await succeed('openssl', ['pkey', '-in', file, '-passin', `pass:${passphrase}`, '-pubout']);
    assert.equal(publicKey, await succeed('openssl', ['x509', '-in', certificate, '-noout', '-pubkey']));
  });

  /** What is remembered of a key of the software custodian: the key itself, sealed. */
  function sealedKey(id: string): Buffer {
    const database = new DatabaseSync(join(fleetroot.dir, 'registry.db'), { readOnly: true });
    try {
      const row = database.prepare('SELECT remembered FROM keys WHERE id = ?').get(id)!;
      return Buffer.from(row['remembered'] as Uint8Array);
    } finally {
      database.close();
    }
  }

  const inDatabase = (bytes: Buffer): boolean =>
    readdirSync(fleetroot.dir)
      .filter((name) => name.startsWith('registry.db'))
      .some((name) => readFileSync(join(fleetroot.dir, name)).includes(bytes));
});
