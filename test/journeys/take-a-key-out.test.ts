// The customer takes a key out: a generated Fleet Root CA's, encrypted, by whom it was asked for, and openssl signs with it.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Image } from '../support/image.ts';
import { operatorCall } from '../support/operator-call.ts';
import { Ca, deviceExtensions, Pki } from '../support/pki.ts';
import { execute, succeed } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { atTerminal } from '../support/terminal.ts';
import { fleetroot as program } from '../support/transcript.ts';

const passphrase = 'correct horse Batterie, äußerst';

describe('a Fleet Root CA is taken out', { skip: needs('openssl', 'curl', 'unzip') }, () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let image: Image;
  let root: any;

  before(async () => {
    fleetroot = await Fleetroot.start();
    pki = await Pki.open();
    await fleetroot.json('account', 'create', 'acme');
    image = await fleetroot.image('acme');
    [root] = await fleetroot.json('fleet-root', 'list', 'acme');
  });
  after(async () => {
    await pki[Symbol.asyncDispose]();
    await fleetroot[Symbol.asyncDispose]();
  });

  const exportTo = (file: string, typed: readonly string[], ca = 'generated', ...more: string[]) => {
    fleetroot.typed.splice(0, Infinity, ...typed);
    return fleetroot.command('fleet-root', 'export', 'acme', ca, '-o', file, '--yes', ...more);
  };
  const keyOf = async (ca: string) =>
    (await fleetroot.json('custody', 'list', '--account', 'acme')).find((key: any) => key.used_by?.name === ca);
  const events = async (key: { id: string }) =>
    (await fleetroot.json('custody', 'show', key.id)).events.map(({ event }: { event: string }) => event);

  test('encrypted, for this user alone, and recorded', async () => {
    const key = await keyOf('generated');
    assert.deepEqual(await events(key), ['created']);
    const file = fleetroot.file('root.key');
    const { code, stdout, stderr } = await exportTo(file, [passphrase, passphrase], 'generated', '--json');
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { key: key.id, public_key_sha256: key.public_key_sha256, file });
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.match(await readFile(file, 'utf8'), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
    assert.deepEqual(await events(key), ['created', 'exported']);
    assert.equal(fleetroot.typed.length, 0);
  });

  test('openssl opens it with the passphrase, signs a device with it, and the gateway lets the device in', async () => {
    const file = fleetroot.file('signing.key');
    assert.equal((await exportTo(file, [passphrase, passphrase], root.sha256)).code, 0);
    const wrong = await execute('openssl', ['pkey', '-in', file, '-passin', 'pass:another passphrase', '-noout']);
    assert.notEqual(wrong.code, 0);
    const key = await pki.write(await pki.openssl('pkey', '-in', file, '-passin', `pass:${passphrase}`), '.key');
    const certificate = await pki.write(root.certificates[0].certificate, '.crt');
    const ca = new Ca(pki, { certificate, key });
    const device = await pki.issue(ca, 'made-elsewhere', { extensions: deviceExtensions });
    const answer = await image.withCertificate(device.certificate, device.key).whoAmI();
    assert.deepEqual([answer.status, answer.json?.device_id], [200, 'made-elsewhere']);
    // And the server goes on making devices with the key that it has kept.
    assert.equal((await (await image.boot('made-here')).whoAmI()).status, 200);
  });

  test('nothing is asked of the server, and no file left, where the passphrases differ or are too short', async () => {
    const key = await keyOf('generated');
    const before = await events(key);
    const file = fleetroot.file('refused.key');
    for (const [typed, says] of [
      [[passphrase, `${passphrase}.`], /the two passphrases differ: nothing was done/],
      [['only eleven', 'only eleven'], /a passphrase has 12 to 1024 characters: nothing was done/],
      [['äöüäöüäöüäö', 'äöüäöüäöüäö'], /a passphrase has 12 to 1024 characters/],
      [['twelve\u0008characters', 'twelve\u0008characters'], /control characters/],
      [[passphrase], /a passphrase was asked for, and none came/],
      [[], /a passphrase was asked for, and none came/],
    ] as const) {
      const { code, stderr } = await exportTo(file, typed);
      assert.equal(code, 1);
      assert.match(stderr, says);
      assert.equal(existsSync(file), false);
    }
    assert.deepEqual(await events(key), before);
  });

  test('no file is overwritten, and then nothing is given out', async () => {
    const before = await events(await keyOf('generated'));
    const file = fleetroot.file('precious');
    await writeFile(file, 'precious');
    const { code, stderr } = await exportTo(file, [passphrase, passphrase]);
    assert.equal(code, 1);
    assert.match(stderr, /precious exists, and nothing is overwritten/);
    assert.equal(await readFile(file, 'utf8'), 'precious');
    assert.deepEqual(await events(await keyOf('generated')), before);
  });

  test('it needs an express confirmation', async () => {
    const file = fleetroot.file('unconfirmed.key');
    fleetroot.typed.splice(0, Infinity, passphrase, passphrase);
    const { code, stderr } = await fleetroot.command('fleet-root', 'export', 'acme', 'generated', '-o', file);
    assert.equal(code, 1);
    assert.match(stderr, /needs to be confirmed/);
    assert.equal(existsSync(file), false);
  });

  test('the key of a registered CA was never here', async () => {
    await fleetroot.json('fleet-root', 'register', 'acme', (await pki.guideRoot('theirs')).certificate);
    const { code, stderr } = await exportTo(fleetroot.file('theirs.key'), [passphrase, passphrase], 'theirs');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: The Fleet Root CA "theirs" was registered by its certificate: its private key was never here\.$/m,
    );
  });

  test('a key that was made not to be given out is not, now or later', async () => {
    const made = await fleetroot.json('account', 'create', 'closed', '--exportable', 'no');
    const keys = await fleetroot.json('custody', 'list', '--account', 'closed');
    assert.equal(keys.length, 4);
    assert.ok(keys.every((key: any) => key.exportable === false));
    const body = { passphrase };
    for (const path of ['fleet-root-cas/generated/export', 'gateway-cas/standby/export']) {
      const { status, json } = await operatorCall(fleetroot.dir, 'POST', `/accounts/closed/${path}`, { body });
      assert.deepEqual([status, json.code], [409, 'key_not_exportable']);
      assert.match(
        json.detail,
        /^Key [0-9a-f-]{36} was made in the custodian software, or moved there, not to be given out, and cannot be made exportable later\.$/,
      );
    }
    // A standby that comes with a switch is no more exportable than those before it.
    await fleetroot.json('account', 'gateway-ca', 'switch', made.name, '--yes');
    const later = await fleetroot.json('custody', 'list', '--account', 'closed');
    assert.deepEqual([later.length, later.some((key: any) => key.exportable)], [5, false]);
  });

  test('the passphrase is in no argument or variable, and the server takes none that is too short', async () => {
    const { json } = await operatorCall(fleetroot.dir, 'POST', '/accounts/acme/fleet-root-cas/generated/export', {
      body: { passphrase: 'only eleven' },
    });
    assert.equal(json.code, 'invalid_request');
    const given = await program(['fleet-root', 'export', 'acme', 'generated', '-o', 'x', '--passphrase', passphrase]);
    assert.equal(given.code, 2);
  });

  test('from a script, the passphrase comes as two lines of stdin', async () => {
    const file = fleetroot.file('script.key');
    const words = ['fleet-root', 'export', 'acme', 'generated', '-o', file, '--yes', '--data', fleetroot.dir];
    const { code, stderr } = await program(words, { input: `${passphrase}\r\n${passphrase}` });
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    await succeed('openssl', ['pkey', '-in', file, '-passin', `pass:${passphrase}`, '-noout']);
  });

  test('at a terminal it is asked for twice, and nothing of it is shown', { skip: needs('python3') }, async () => {
    const file = fleetroot.file('typed.key');
    const words = ['fleet-root', 'export', 'acme', 'generated', '-o', file, '--data', fleetroot.dir];
    const { code, shown } = await atTerminal(words, [
      ['can make devices of acme. [y/N] ', 'yes\r'],
      // A slip of the finger, taken back: the last character is one of two octets.
      ['Passphrase for the private key', `${passphrase}ü\u007f\r`],
      ['The same passphrase again', `something else\u0015${passphrase}\r`],
    ]);
    assert.equal(code, 0, shown);
    assert.match(shown, /typed\.key is written/);
    assert.ok(!shown.includes('horse') && !shown.includes('something else'), shown);
    await succeed('openssl', ['pkey', '-in', file, '-passin', `pass:${passphrase}`, '-noout']);
  });

  test('at a terminal, Ctrl-C ends it, and nothing is done', { skip: needs('python3') }, async () => {
    const before = await events(await keyOf('generated'));
    const file = fleetroot.file('interrupted.key');
    const words = ['fleet-root', 'export', 'acme', 'generated', '-o', file, '--yes', '--data', fleetroot.dir];
    const { code, shown } = await atTerminal(words, [
      ['Passphrase for the private key', `${passphrase}\r`],
      ['The same passphrase again', 'corr\u0003'],
    ]);
    assert.equal(code, 1, shown);
    assert.match(shown, /interrupted: nothing was done/);
    assert.equal(existsSync(file), false);
    assert.deepEqual(await events(await keyOf('generated')), before);
  });
});
