// The custodian of HSMs, over SoftHSM: which token, its PIN, what it promises of a key, and how it goes away and comes back.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, randomBytes, randomUUID, verify } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { subscribe } from 'node:diagnostics_channel';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import type { Custodian, CustodyFault, CustodyKey, KeyType, SigningAlgorithm } from '../../src/custody/custodian.ts';
import { requireUsablePin } from '../../src/custody/pkcs11-login.ts';
import { Secret } from '../../src/secret.ts';
import { eventually } from '../support/eventually.ts';
import { execute, temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import {
  holders,
  needsSoftHsm,
  securityOfficerPin,
  softhsmModule,
  stateOf,
  type TokenHome,
  tokenHome,
  variablesOf,
} from '../support/softhsm.ts';

const root = join(import.meta.dirname, '../..');

async function newKey(custodian: Custodian, keyType: KeyType = 'p256'): Promise<CustodyKey> {
  const request = { id: randomUUID(), keyType, exportable: false };
  return { ...request, ...(await custodian.create(request)) };
}

async function signs(custodian: Custodian, key: CustodyKey): Promise<boolean> {
  const algorithm: SigningAlgorithm = key.keyType.startsWith('rsa') ? 'rsa-sha384' : 'ecdsa-sha384';
  const data = randomBytes(100);
  const signature = await custodian.sign(key, algorithm, data);
  const publicKey = createPublicKey({ key: Buffer.from(key.publicKey), format: 'der', type: 'spki' });
  return verify('sha384', data, publicKey, signature);
}

const faulty = (fault: CustodyFault, message = /./) => ({ name: 'Problem', fault, message });

const isRunning = (pid: number): boolean => stateOf(pid) !== null;

/** A program that signs by the token, says so and who holds it, and then does what is in `then` before it lets it go. */
function serving({ settings }: TokenHome, then: string): string {
  const custody = JSON.stringify(pathToFileURL(join(root, 'src/custody/pkcs11.ts')).href);
  return `(async () => {
    require('node:diagnostics_channel').subscribe('child_process', ({ process: child }) => globalThis.holder = child);
    const { createPkcs11Custodian } = await import(${custody});
    const custodian = createPkcs11Custodian({ ...${JSON.stringify(settings)}, sessions: 2, timeout: 20000, withheldVariables: [] });
    const request = { id: 'a', keyType: 'p256', exportable: false };
    const key = { ...request, ...(await custodian.create(request)) };
    await custodian.sign(key, 'ecdsa-sha256', Buffer.alloc(1));
    console.log('signed');
    console.log(holder.pid);
    ${then}
    await custodian[Symbol.asyncDispose]();
  })();`;
}

/** How many processes have been started, whatever became of them. */
let started = 0;
subscribe('child_process', () => (started += 1));

const skip = needsSoftHsm();

describe('the token', { skip }, () => {
  test('is found by its label and by its serial number', async () => {
    await using held = tokenHome();
    const key = await newKey(await held.open());
    const bySerial = await held.open({ tokenLabel: null, tokenSerial: held.serial() });
    assert.ok(await signs(bySerial, key));
  });

  test('that is not there is named, together with those that are', async () => {
    await using held = tokenHome();
    const custodian = await held.open({ tokenLabel: 'another' });
    const told = await custodian.check().catch((error: unknown) => error as Error & { hint: string });
    assert.match(told!.message, /has no token labelled another; it has .*fleetroot-/);
    assert.match(told!.hint, /pkcs11\.token_label/);
    await assert.rejects(custodian.check(), faulty('unavailable'));
  });

  test('is to be the only one of its label', async () => {
    await using held = tokenHome();
    const args = ['--init-token', '--free', '--label', held.label, '--so-pin', securityOfficerPin, '--pin', held.pin];
    execFileSync('softhsm2-util', args, { stdio: 'pipe' });
    const custodian = await held.open();
    await assert.rejects(custodian.check(), faulty('unavailable', /has 2 tokens labelled/));
    await (await held.open({ tokenLabel: null, tokenSerial: held.serial() })).check();
  });

  test('cannot be reached without its module', async () => {
    await using held = tokenHome();
    for (const module of ['/nowhere/libhsm.so', '/etc/hostname']) {
      const custodian = await held.open({ module });
      await assert.rejects(custodian.check(), faulty('unavailable', new RegExp(`module ${module} does not load`)));
    }
  });
});

test(
  'its process has no variable of the environment that is withheld from it, and all the others',
  { skip },
  async () => {
    await using held = tokenHome();
    process.env['FLEETROOT_TEST_WITHHELD'] = 'the master key';
    const before = new Set(holders());
    await (await held.open({ withheldVariables: ['FLEETROOT_TEST_WITHHELD'] })).check();
    await (await held.open()).check();
    const has = holders()
      .filter((pid) => !before.has(pid))
      .toSorted((one, other) => one - other)
      .map((pid) => ['SOFTHSM2_CONF', 'FLEETROOT_TEST_WITHHELD'].filter((name) => variablesOf(pid).includes(name)));
    assert.deepEqual(has, [['SOFTHSM2_CONF'], ['SOFTHSM2_CONF', 'FLEETROOT_TEST_WITHHELD']]);
  },
);

test('without the addon it says what to run, and everything else goes on', { skip }, async () => {
  await using here = await temporaryDirectory();
  cpSync(join(root, 'src'), here.file('src'), { recursive: true });
  mkdirSync(here.file('node_modules/pkcs11js'), { recursive: true });
  for (const file of ['index.js', 'package.json']) {
    cpSync(join(root, 'node_modules/pkcs11js', file), here.file(`node_modules/pkcs11js/${file}`));
  }
  symlinkSync(join(root, 'node_modules/lru-cache'), here.file('node_modules/lru-cache'));
  writeFileSync(here.file('package.json'), '{"type":"module"}');
  const settings = `{ module: ${JSON.stringify(softhsmModule)}, tokenLabel: 'a', tokenSerial: null, pinFile: null, pinVariable: 'P', sessions: 1, timeout: 20000, withheldVariables: [] }`;
  writeFileSync(
    here.file('ask.ts'),
    `import { createPkcs11Custodian } from './src/custody/pkcs11.ts';
     await using custodian = createPkcs11Custodian(${settings});
     await custodian.check().catch(({ fault, message, hint }) => console.log(JSON.stringify([fault, message, hint])));`,
  );
  const { stdout, stderr } = await execute(process.execPath, [here.file('ask.ts')]);
  const [fault, message, hint] = JSON.parse(stdout || `["${stderr}"]`) as string[];
  assert.equal(fault, 'unavailable');
  assert.match(message!, /pkcs11js, is not built/);
  assert.match(hint!, /scripts\/build-pkcs11.*apt-get install python3 make g\+\+/);
});

describe('the PIN', { skip: skip || needs('pkcs11-tool') }, () => {
  /** SoftHSM shows this flag from the first wrong PIN to the next right one. */
  const wrongPinWasTried = (held: TokenHome) =>
    held.tool('--list-token-slots').split(held.label)[1]!.split('Slot ')[0]!.includes('user PIN count low');

  test('may be in a variable, and a line may end it in its file', async (t) => {
    await using held = tokenHome();
    process.env['FLEETROOT_TEST_PIN'] = held.pin;
    t.after(() => delete process.env['FLEETROOT_TEST_PIN']);
    await (await held.open({ pinFile: null, pinVariable: 'FLEETROOT_TEST_PIN' })).check();
    writeFileSync(held.pinFile, `${held.pin}\r\n`);
    await (await held.open()).check();
  });

  test('is wrong only once: it is tried again when its file has been written, not before', async () => {
    await using held = tokenHome();
    const logInWithTheRightOne = () => held.tool('--login', '--pin', held.pin, '--list-objects');
    writeFileSync(held.pinFile, 'wrong-1234');
    const custodian = await held.open();
    await assert.rejects(custodian.check(), faulty('denied', /does not take the PIN of the file/));
    assert.ok(wrongPinWasTried(held));
    logInWithTheRightOne();

    // Asked until it has really looked again, in a new process.
    const before = started;
    await eventually(async () => {
      await assert.rejects(custodian.check(), faulty('denied'));
      await assert.rejects(newKey(custodian), faulty('denied'));
      return started - before >= 2;
    });
    assert.ok(!wrongPinWasTried(held));

    utimesSync(held.pinFile, new Date(), new Date());
    await eventually(() =>
      custodian.check().then(
        () => false,
        () => wrongPinWasTried(held),
      ),
    );

    writeFileSync(held.pinFile, held.pin);
    await eventually(() =>
      custodian.check().then(
        () => true,
        () => false,
      ),
    );
    assert.ok(await signs(custodian, await newKey(custodian)));
  });

  test('that nobody wrote, or that others may read, is not tried', async () => {
    await using held = tokenHome();
    for (const [content, mode, message] of [
      ['\n', 0o600, /is empty/],
      [held.pin, 0o644, /can be reached by others than its owner and group \(mode 644\)/],
    ] as const) {
      writeFileSync(held.pinFile, content);
      execFileSync('chmod', [mode.toString(8), held.pinFile]);
      await assert.rejects((await held.open()).check(), faulty('denied', message));
    }
    await assert.rejects((await held.open({ pinFile: '/nowhere/pin' })).check(), faulty('denied', /ENOENT/));
    execFileSync('chmod', ['440', held.pinFile]);
    await (await held.open()).check();
  });

  test('is never in what is said', async () => {
    await using held = tokenHome();
    writeFileSync(held.pinFile, 'wrong-secret-1234');
    const told = await (await held.open()).check().catch((error: unknown) => error);
    assert.ok(!JSON.stringify([told, String(told), (told as Error).stack]).includes('wrong-secret'));
  });
});

test('the last try of a PIN is left to people, and a locked one is told as such', () => {
  const flags = { CKF_USER_PIN_INITIALIZED: 0x8, CKF_USER_PIN_LOCKED: 0x40000, CKF_USER_PIN_FINAL_TRY: 0x20000 };
  requireUsablePin(flags, 'The token', 0x8);
  assert.throws(() => requireUsablePin(flags, 'The token', 0x20008), faulty('denied', /does not try/));
  assert.throws(() => requireUsablePin(flags, 'The token', 0x40008), faulty('sealed', /has locked its user PIN/));
  assert.throws(() => requireUsablePin(flags, 'The token', 0), faulty('sealed', /has no user PIN yet/));
});

describe('a key on the token', { skip: skip || needs('pkcs11-tool') }, () => {
  test('is sensitive, was never anything else, and signs, and does nothing more', async () => {
    await using held = tokenHome();
    const custodian = await held.open();
    for (const keyType of ['p256', 'rsa2048'] as const) {
      const { id } = await newKey(custodian, keyType);
      const shown = held.tool(
        '--login',
        '--pin',
        held.pin,
        '--list-objects',
        '--type',
        'privkey',
        '--label',
        `fleetroot-${id}`,
      );
      assert.match(shown, /Access: +sensitive, always sensitive, never extractable, local\n/);
      assert.match(shown, /Usage: +sign\n/);
      assert.match(shown, new RegExp(`ID: +${Buffer.from(id).toString('hex')}\n`));
      const withoutPin = held.tool('--list-objects', '--type', 'privkey');
      assert.ok(!withoutPin.includes(id), 'it shows without a login');
    }
  });

  test('that was taken in is sensitive and not extractable from then on', async () => {
    await using held = tokenHome();
    const custodian = await held.open();
    for (const [keyType, kind] of [
      ['p384', 'EC'],
      ['rsa2048', 'RSA'],
    ] as const) {
      const { privateKey } =
        kind === 'EC'
          ? generateKeyPairSync('ec', { namedCurve: 'P-384' })
          : generateKeyPairSync('rsa', { modulusLength: 2048 });
      using pkcs8 = new Secret(privateKey.export({ type: 'pkcs8', format: 'der' }));
      const request = { id: randomUUID(), keyType, exportable: false };
      await custodian.import(request, pkcs8);
      const shown = held.tool(
        '--login',
        '--pin',
        held.pin,
        '--list-objects',
        '--type',
        'privkey',
        '--label',
        `fleetroot-${request.id}`,
      );
      assert.match(shown, /Access: +sensitive\n/);
      assert.match(shown, /Usage: +sign\n/);
    }
  });

  test('may have any ID, and does not take the place of another', async () => {
    await using held = tokenHome();
    const custodian = await held.open();
    const request = { id: `CA "à" \u{1F511} ${'x'.repeat(80)}`, keyType: 'p256', exportable: false } as const;
    const key = { ...request, ...(await custodian.create(request)) };
    await assert.rejects(custodian.create(request), faulty('corrupted', /has a key .* already/));
    using other = new Secret(
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'der' }),
    );
    await assert.rejects(custodian.import(request, other), faulty('corrupted', /has another key .* already/));
    assert.ok(await signs(custodian, key));
  });

  test('that was replaced there by another does not sign for it', async () => {
    await using held = tokenHome();
    const custodian = await held.open();
    const [key, other] = [await newKey(custodian), await newKey(custodian)];
    const ids = [key, other].map(({ id }) => Buffer.from(id).toString('hex'));
    await custodian.destroy(key);
    for (const type of ['privkey', 'pubkey']) {
      held.tool('--login', '--pin', held.pin, '--set-id', ids[0]!, '--id', ids[1]!, '--type', type);
    }
    await assert.rejects(signs(custodian, key), faulty('corrupted', /not the one that was recorded/));
    await assert.rejects(signs(await held.open(), key), faulty('corrupted', /not the one that was recorded/));
  });

  test('signs for its record from a copy on another token, as from a back-up', async () => {
    await using held = tokenHome();
    await using copy = tokenHome();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    using pkcs8 = new Secret(privateKey.export({ type: 'pkcs8', format: 'der' }));
    const request = { id: randomUUID(), keyType: 'p384', exportable: false } as const;
    const key = { ...request, ...(await (await held.open()).import(request, pkcs8)) };
    const restored = await copy.open();
    await assert.rejects(signs(restored, key), faulty('no_such_key'));
    await restored.import(request, pkcs8);
    assert.ok(await signs(restored, key));
  });

  test('signs by RSA on a token that wants the digest made for it', async (t) => {
    await using held = tokenHome();
    const plain = process.env['SOFTHSM2_CONF']!;
    const without = join(held.pinFile, '../without.conf');
    writeFileSync(without, `${readFileSync(plain, 'utf8')}slots.mechanisms = CKM_RSA_PKCS_KEY_PAIR_GEN,CKM_RSA_PKCS\n`);
    process.env['SOFTHSM2_CONF'] = without;
    t.after(() => (process.env['SOFTHSM2_CONF'] = plain));
    assert.doesNotMatch(held.tool('--list-mechanisms'), /SHA/);
    const custodian = await held.open();
    const key = await newKey(custodian, 'rsa3072');
    const data = randomBytes(1000);
    for (const algorithm of ['rsa-sha256', 'rsa-sha384'] as const) {
      const signature = await custodian.sign(key, algorithm, data);
      const publicKey = createPublicKey({ key: Buffer.from(key.publicKey), format: 'der', type: 'spki' });
      assert.ok(verify(algorithm.slice('rsa-'.length), data, publicKey, signature));
    }
    await assert.rejects(newKey(custodian, 'p256'), faulty('denied', /CKR_MECHANISM_INVALID/));
  });
});

describe('many at once', { skip }, () => {
  test('2,000 signatures over eight sessions are made, each of its own data, and nothing crashes', async () => {
    await using held = tokenHome();
    const custodian = await held.open({ sessions: 8 });
    const keys = [await newKey(custodian), await newKey(custodian, 'rsa2048'), await newKey(custodian, 'p384')];
    const before = holders();
    const done = await Promise.all(Array.from({ length: 2_000 }, (_, index) => signs(custodian, keys[index % 3]!)));
    assert.ok(done.every(Boolean));
    // The signatures would have been asked for again of another.
    assert.deepEqual(holders(), before);
  });

  test('the event loop goes on while the HSM makes and uses RSA-4096 keys', async () => {
    await using held = tokenHome();
    const custodian = await held.open({ sessions: 1 });
    const state = { working: true };
    const work = newKey(custodian, 'rsa4096')
      .then((key) => Promise.all(Array.from({ length: 20 }, () => signs(custodian, key))))
      .finally(() => (state.working = false));
    let turns = 0;
    while (state.working) {
      await new Promise((resolve) => setImmediate(resolve));
      turns += 1;
    }
    assert.ok((await work).every(Boolean));
    // A call that blocked would let it have a turn or two for each signature.
    assert.ok(turns > 1_000, `${turns} turns`);
  });

  test('too many are turned away', async () => {
    await using held = tokenHome();
    const custodian = await held.open();
    const key = await newKey(custodian);
    const outcomes = await Promise.allSettled(Array.from({ length: 5_000 }, () => signs(custodian, key)));
    const refused = outcomes.filter((one) => one.status === 'rejected');
    assert.equal(refused.length, 5_000 - 4_096);
    assert.match(String(refused[0]!.reason), /4096 calls wait for the HSM/);
  });
});

describe('a token that goes away', { skip }, () => {
  test('and comes back is used again, with the keys it had', async () => {
    await using held = tokenHome();
    const custodian = await held.open();
    const [key, other] = [await newKey(custodian), await newKey(custodian, 'rsa2048')];
    held.takeAway();
    await assert.rejects(signs(custodian, key), faulty('unavailable'));
    await assert.rejects(custodian.check(), faulty('unavailable'));
    await assert.rejects(newKey(custodian), faulty('unavailable'));
    held.bringBack();
    await eventually(() =>
      custodian.check().then(
        () => true,
        () => false,
      ),
    );
    assert.ok(await signs(custodian, key));
    assert.ok(await signs(custodian, other));
  });

  test('does not have its keys said to be lost, or destroyed', async () => {
    await using held = tokenHome();
    const key = await newKey(await held.open());
    const asks = [
      (custodian: Custodian) => signs(custodian, key),
      (custodian: Custodian) => custodian.publicKey(key),
      (custodian: Custodian) => custodian.destroy(key),
    ];
    const opened = await Promise.all(asks.map(async (ask) => ({ ask, custodian: await held.open() })));
    for (const { custodian } of opened) await custodian.check();
    held.takeAway();
    for (const { ask, custodian } of opened) await assert.rejects(ask(custodian), faulty('unavailable'));
    held.bringBack();
    assert.ok(await signs(await held.open(), key));
  });

  test('and is made anew has lost them', async () => {
    await using held = tokenHome();
    const custodian = await held.open();
    const key = await newKey(custodian);
    held.initialiseAnew();
    await assert.rejects(signs(custodian, key), faulty('no_such_key', /has no private key/));
    await custodian.destroy(key);
    assert.ok(await signs(custodian, await newKey(custodian)));
  });
});

describe('the process that holds the token', { skip }, () => {
  test('may crash: nobody who asks for a signature notices', async () => {
    await using held = tokenHome();
    const custodian = await held.open();
    const key = await newKey(custodian, 'rsa2048');
    const [holder] = holders();
    const signatures = Promise.all(Array.from({ length: 300 }, () => signs(custodian, key)));
    process.kill(holder!, 'SIGKILL');
    assert.ok((await signatures).every(Boolean));
    assert.ok(!holders().includes(holder!));
  });

  test('may hang: calls end in their time, it is done away with, and the next one serves', async () => {
    await using held = tokenHome();
    const custodian = await held.open({ timeout: 1_500 });
    const key = await eventually(() => newKey(custodian).catch(() => null));
    const [holder] = holders();
    process.kill(holder!, 'SIGSTOP');
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => signs(custodian, key)));
    for (const outcome of outcomes) {
      assert.equal(outcome.status, 'rejected');
      assert.match(String(outcome.reason), /did not answer within/);
    }
    assert.ok(await eventually(() => signs(custodian, key).catch(() => false)));
    await eventually(() => !holders().includes(holder!));
  });

  test('may hang before it has opened anything: calls end in their time, and so does the server', async () => {
    await using here = await temporaryDirectory();
    // A module whose first function, C_Initialize, never returns (PKCS #11 v2.40 §3.6: a version, then the functions).
    const source = `#include <unistd.h>
      static unsigned long hang(void *arguments) { for (;;) pause(); }
      static struct { unsigned char version[2]; unsigned long (*functions[68])(void *); } all = { { 2, 40 }, { hang } };
      unsigned long C_GetFunctionList(void **list) { *list = &all; return 0; }`;
    writeFileSync(here.file('hang.c'), source);
    execFileSync('c++', ['-shared', '-fPIC', '-x', 'c', '-w', '-o', here.file('hang.so'), here.file('hang.c')]);
    await using held = tokenHome();
    const custodian = await held.open({ module: here.file('hang.so'), timeout: 500 });
    const told = await custodian.check().catch((error: unknown) => error);
    assert.match(String(told), /did not open its token within 500 ms/);
    // Now that it is known nobody else waits: the same is said again.
    assert.equal(await custodian.check().catch((error: unknown) => error), told);
    const [holder] = holders();
    await custodian[Symbol.asyncDispose]();
    await eventually(() => !isRunning(holder!));
  });

  test('keeps no key that came too late for whoever asked for it', { skip: needs('pkcs11-tool') }, async () => {
    await using held = tokenHome();
    const custodian = await held.open({ timeout: 400, sessions: 1 });
    const key = await eventually(() => newKey(custodian).catch(() => null));
    const state = { watching: true };
    const watch = (async () => {
      // So that it is seen not to hang.
      while (state.watching)
        await custodian.check().then(
          () => pause(20),
          () => {},
        );
    })();
    const late = await eventually(async () => {
      const id = randomUUID();
      const told = await custodian.create({ id, keyType: 'rsa4096', exportable: false }).catch(String);
      return typeof told === 'string' && told.includes('did not answer within') ? id : null;
    });
    await eventually(() => signs(custodian, key).catch(() => false));
    state.watching = false;
    await watch;
    const objects = () => held.tool('--login', '--pin', held.pin, '--list-objects');
    await eventually(() => !objects().includes(late));
    assert.ok(objects().includes(key.id));
  });

  test('ends with the custodian, and then the server may', async () => {
    await using held = tokenHome();
    const { stdout, code } = await execute(process.execPath, ['-e', serving(held, '')]);
    const [said, holder] = stdout.split('\n');
    assert.deepEqual([said, code], ['signed', 0]);
    assert.ok(!isRunning(Number(holder)));
  });

  test('ends with a server that was killed', async () => {
    await using held = tokenHome();
    const { stdout } = await execute(process.execPath, ['-e', serving(held, 'process.kill(process.pid, "SIGKILL");')]);
    const [said, holder] = stdout.split('\n');
    assert.equal(said, 'signed');
    await eventually(() => !isRunning(Number(holder)));
  });

  test('leaves the signals of a terminal or of systemd to the server', async () => {
    await using held = tokenHome();
    const custodian = await held.open();
    const key = await newKey(custodian);
    const before = holders();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      for (const holder of before) process.kill(holder, signal);
    assert.ok(await signs(custodian, key));
    assert.deepEqual(holders(), before);
  });
});
