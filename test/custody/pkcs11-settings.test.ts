// The settings of an HSM: which of them belong together, and that everything wrong with them is told at once.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { loadConfig } from '../../src/config.ts';
import { temporaryDirectory } from '../support/process.ts';

const right = {
  FLEETROOT_PKCS11_MODULE: '/usr/lib/hsm.so',
  FLEETROOT_PKCS11_TOKEN_LABEL: 'fleetroot',
  FLEETROOT_PKCS11_PIN_FILE: '/run/secrets/pin',
};

async function read(env: Record<string, string>) {
  await using directory = await temporaryDirectory();
  return loadConfig({ dataDir: directory.path, env }).pkcs11;
}

const faultsOf = (env: Record<string, string>) =>
  read(env).then(
    () => [],
    (error: Error) => error.message.split('\n  ').slice(1),
  );

test('without a module there is no HSM', async () => {
  assert.equal(await read({}), null);
});

test('a module, a token and a PIN are enough', async () => {
  assert.deepEqual(await read(right), {
    module: '/usr/lib/hsm.so',
    tokenLabel: 'fleetroot',
    tokenSerial: null,
    pinFile: '/run/secrets/pin',
    pinVariable: null,
    sessions: 8,
  });
});

test('of label and serial number, and of file and variable, there is exactly one', async () => {
  const { FLEETROOT_PKCS11_MODULE } = right;
  assert.deepEqual(await faultsOf({ FLEETROOT_PKCS11_MODULE }), [
    'pkcs11.module is given, but neither pkcs11.token_label nor pkcs11.token_serial',
    'pkcs11.module is given, but neither pkcs11.pin_file nor pkcs11.pin_variable',
  ]);
  assert.deepEqual(
    await faultsOf({ ...right, FLEETROOT_PKCS11_TOKEN_SERIAL: '1', FLEETROOT_PKCS11_PIN_VARIABLE: 'P' }),
    [
      'pkcs11.token_label and pkcs11.token_serial are given: keep one',
      'pkcs11.pin_file and pkcs11.pin_variable are given: keep one',
    ],
  );
});

test('what is wrong with each is told once', async () => {
  const wrong = { FLEETROOT_PKCS11_TOKEN_LABEL: 'x'.repeat(33), FLEETROOT_PKCS11_SESSIONS: '0' };
  assert.deepEqual(await faultsOf({ ...right, ...wrong }), [
    'FLEETROOT_PKCS11_TOKEN_LABEL is to be a text of 32 octets at the most',
    'FLEETROOT_PKCS11_SESSIONS is to be a whole number from 1 to 128',
  ]);
});

test('none of them makes an HSM without a module', async () => {
  assert.deepEqual(await faultsOf({ FLEETROOT_PKCS11_PIN_FILE: '/pin' }), [
    'pkcs11.pin_file is given, but not pkcs11.module',
  ]);
  assert.deepEqual(await faultsOf({ FLEETROOT_CUSTODY_DEFAULT: 'pkcs11' }), [
    'custody.default is pkcs11, but pkcs11.module is not given',
  ]);
});
