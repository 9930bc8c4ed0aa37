// A test account whose keys lie in OpenBao: its devices notice nothing, and the next account's keys may lie elsewhere.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import { OpenBao, openbao } from '../support/openbao.ts';
import { succeed } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { vaultAccess } from '../support/vault.ts';

/** What `/readyz` says. */
async function readyz(fleetroot: Fleetroot): Promise<any> {
  return (await fetch(`http://127.0.0.1:${fleetroot.server.operatorPort}/readyz`)).json();
}

describe('keys in OpenBao', { skip: needs('openssl', 'curl', 'unzip') || openbao() }, () => {
  test('a test account’s keys are made in the vault, and its devices are provisioned over the wire', async () => {
    await using bao = await OpenBao.server();
    const vault = await vaultAccess(bao);
    await using fleetroot = await Fleetroot.start({ options: { ...vault.options, 'custody.default': 'vault' } });
    const account = await fleetroot.json('account', 'create', 'vaulted');
    const made = await vault.keys();
    assert.equal(made.length, 6, 'two gateway CAs, a Fleet Root CA, a provisioning CA; two of the server itself');

    const image = await fleetroot.image('vaulted');
    const device = await image.boot('in-the-vault-1');
    assert.equal((await device.whoAmI()).json.device_id, 'in-the-vault-1');
    const root = fleetroot.file('root.pem');
    await writeFile(root, account.fleet_root_cas[0].certificates[0].certificate);
    const strict = ['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', root, device.certificate];
    assert.match(await succeed('openssl', strict), /OK/);

    await fleetroot.restart();
    assert.equal((await device.whoAmI()).status, 200);
    const next = await image.boot('in-the-vault-2');
    assert.equal((await next.whoAmI()).status, 200);

    await fleetroot.json('account', 'delete', 'vaulted', '--yes');
    assert.equal((await vault.keys()).length, 2, 'the keys of an account that is gone are destroyed');
  });

  test('keys of several custodians work side by side, and a new default only concerns new keys', async () => {
    await using bao = await OpenBao.server();
    const vault = await vaultAccess(bao);
    await using fleetroot = await Fleetroot.start({ options: vault.options });
    const settings = fleetroot.file('fleetroot.toml');
    await fleetroot.json('account', 'create', 'before');
    assert.deepEqual(await vault.keys(), []);

    await writeFile(settings, '[custody]\ndefault = "vault"\n');
    await fleetroot.restart();
    await fleetroot.json('account', 'create', 'vaulted');
    const made = await vault.keys();
    assert.equal(made.length, 4);

    await writeFile(settings, '[custody]\ndefault = "software"\n');
    await fleetroot.restart();
    await fleetroot.json('account', 'create', 'after');
    assert.deepEqual(await vault.keys(), made);

    for (const account of ['before', 'vaulted', 'after']) {
      const device = await (await fleetroot.image(account)).boot(`device-of-${account}`);
      assert.equal((await device.whoAmI()).json.account, account);
    }
    await fleetroot.json('account', 'gateway-ca', 'switch', 'vaulted', '--yes');
    assert.deepEqual(await vault.keys(), made, 'the new standby’s key is software');
    assert.equal((await (await (await fleetroot.image('vaulted')).boot('after-the-switch')).whoAmI()).status, 200);
  });

  test('a key that somebody deleted there, and a vault that is configured no more, are told by /readyz', async () => {
    await using bao = await OpenBao.server();
    const { options } = await vaultAccess(bao);
    await using fleetroot = await Fleetroot.start();
    const settings = fleetroot.file('fleetroot.toml');
    const vault = Object.entries(options).map(([key, value]) => `${key.replace('vault.', '')} = "${String(value)}"\n`);
    await writeFile(settings, `[custody]\ndefault = "vault"\n[vault]\n${vault.join('')}`);
    await fleetroot.restart();
    await fleetroot.json('account', 'create', 'vaulted');
    assert.deepEqual(await readyz(fleetroot), { status: 'ready' });

    const keys = await fleetroot.json('custody', 'list');
    const { id } = keys.find(({ purpose }: { purpose: string }) => purpose === 'fleet-root-ca');
    const path = `transit/keys/${(await bao.keys()).find((name) => name.endsWith(id))}`;
    await bao.api('POST', `${path}/config`, { body: { deletion_allowed: true } });
    await bao.api('DELETE', path);
    const image = await fleetroot.image('vaulted');
    await assert.rejects(image.boot('too-late'), /503/);
    const gone = await readyz(fleetroot);
    assert.equal(gone.status, 'degraded');
    assert.deepEqual([gone.faults[0].custodian, gone.faults[0].fault], ['vault', 'no_such_key']);
    await fleetroot.json('account', 'delete', 'vaulted', '--yes');
    await fleetroot.json('account', 'create', 'vaulted');
    await (await fleetroot.image('vaulted')).boot('in-time');

    await writeFile(settings, '');
    await fleetroot.restart();
    const { status, faults } = await readyz(fleetroot);
    assert.equal(status, 'degraded');
    assert.match(faults[0].reason, /4 key\(s\) lie in the custodian vault, which is not configured/);
  });
});
