// A test account whose keys lie in an HSM (SoftHSM): its devices notice nothing, and software keys lie beside them.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import type { ConfigOptions } from '../../src/config.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { succeed } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { holders, needsSoftHsm, type TokenHome, tokenHome, variablesOf } from '../support/softhsm.ts';

/** What the server's configuration says of the token. */
function optionsOf({ settings }: TokenHome): ConfigOptions {
  return {
    'pkcs11.module': settings.module,
    'pkcs11.token_label': settings.tokenLabel!,
    'pkcs11.pin_file': settings.pinFile!,
  };
}

/** The operators' CA's key and the audit log's. */
const ofTheServer = 2;

/** How many private keys are on the token. */
function privateKeys(token: TokenHome): number {
  return (
    token.tool('--login', '--pin', token.pin, '--list-objects', '--type', 'privkey').split('Private Key').length - 1
  );
}

describe('keys in an HSM', { skip: needs('openssl', 'curl', 'unzip') || needsSoftHsm() }, () => {
  test('a test account’s keys are made on the token, and its devices are provisioned over the wire', async () => {
    await using token = tokenHome();
    await using fleetroot = await Fleetroot.start({ options: { ...optionsOf(token), 'custody.default': 'pkcs11' } });
    const account = await fleetroot.json('account', 'create', 'in-the-hsm');
    assert.equal(privateKeys(token) - ofTheServer, 4, 'two gateway CAs, a Fleet Root CA, a provisioning CA');

    const image = await fleetroot.image('in-the-hsm');
    const device = await image.boot('in-the-hsm-1');
    assert.equal((await device.whoAmI()).json.device_id, 'in-the-hsm-1');
    const root = fleetroot.file('root.pem');
    await writeFile(root, account.fleet_root_cas[0].certificates[0].certificate);
    const strict = ['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', root, device.certificate];
    assert.match(await succeed('openssl', strict), /OK/);

    await fleetroot.restart();
    assert.equal((await device.whoAmI()).status, 200);
    assert.equal((await (await image.boot('in-the-hsm-2')).whoAmI()).status, 200);

    await fleetroot.json('account', 'delete', 'in-the-hsm', '--yes');
    assert.equal(privateKeys(token), ofTheServer, 'the keys of an account that is gone are destroyed');
  });

  test('the maker’s library has none of the secrets that the server has in variables', async () => {
    await using token = tokenHome();
    const secrets = {
      'custody.master_key_variable': 'FLEETROOT_TEST_MASTER_KEY',
      'custody.next_passphrase_variable': 'FLEETROOT_TEST_NEXT_PASSPHRASE',
      'vault.token_variable': 'FLEETROOT_TEST_VAULT_TOKEN',
    };
    for (const name of Object.values(secrets)) process.env[name] = randomBytes(32).toString('base64');
    const options = { ...optionsOf(token), ...secrets, 'vault.address': 'http://127.0.0.1:1' };
    await using fleetroot = await Fleetroot.start({ options: { ...options, 'custody.default': 'pkcs11' } });
    await fleetroot.json('account', 'create', 'in-the-hsm');
    const [holder, ...others] = holders();
    assert.deepEqual(others, []);
    const known = variablesOf(holder!);
    assert.ok(known.includes('SOFTHSM2_CONF'), 'what the library wants it has');
    assert.deepEqual(
      Object.values(secrets).filter((name) => known.includes(name)),
      [],
    );
  });

  test('keys of software and of the token work side by side, and a new default only concerns new keys', async () => {
    await using token = tokenHome();
    await using fleetroot = await Fleetroot.start({ options: optionsOf(token) });
    const settings = fleetroot.file('fleetroot.toml');
    await fleetroot.json('account', 'create', 'before');
    assert.equal(privateKeys(token), 0);

    await writeFile(settings, '[custody]\ndefault = "pkcs11"\n');
    await fleetroot.restart();
    await fleetroot.json('account', 'create', 'in-the-hsm');
    assert.equal(privateKeys(token), 4);

    await writeFile(settings, '[custody]\ndefault = "software"\n');
    await fleetroot.restart();
    await fleetroot.json('account', 'create', 'after');
    assert.equal(privateKeys(token), 4);
    for (const account of ['before', 'in-the-hsm', 'after']) {
      const device = await (await fleetroot.image(account)).boot(`device-of-${account}`);
      assert.equal((await device.whoAmI()).json.account, account);
    }
  });
});
