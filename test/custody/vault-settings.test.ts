// The settings of the custodian `vault`: what turns it on, and one login exactly.

import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { describe, test } from 'node:test';

import { type Config, type ConfigOptions, loadConfig } from '../../src/config.ts';

const address = 'https://vault.acme.example:8200';

function read(options: ConfigOptions): Config['vault'] {
  return loadConfig({ dataDir: '/nowhere', options, env: {} }).vault;
}

function refused(options: ConfigOptions, ...sentences: RegExp[]): void {
  assert.throws(
    () => read(options),
    ({ message }: Error) => {
      for (const sentence of sentences) assert.match(message, sentence);
      assert.match(message, new RegExp(`has ${sentences.length} fault`));
      return true;
    },
  );
}

describe('the settings of a vault', () => {
  test('are none where there is no vault', () => {
    assert.equal(read({}), null);
    refused({ 'vault.token_file': 'token' }, /vault\.token_file is given, but not vault\.address/);
    refused({ 'vault.mount': 'keys' }, /vault\.mount is given, but not vault\.address/);
    refused({ 'custody.default': 'vault' }, /custody\.default is vault, but vault\.address is not given/);
  });

  test('are an address, and a login', () => {
    assert.deepEqual(read({ 'vault.address': `${address}/`, 'vault.token_file': 'token' }), {
      address,
      ca: null,
      namespace: null,
      mount: 'transit',
      keyPrefix: 'fleetroot-',
      login: { by: 'token', file: resolve('token') },
      connections: 16,
    });
    const login = (options: ConfigOptions) => read({ 'vault.address': address, ...options })?.login;
    assert.deepEqual(login({ 'vault.token_variable': 'VAULT_TOKEN' }), { by: 'token', variable: 'VAULT_TOKEN' });
    assert.deepEqual(
      login({ 'vault.approle_role_id': 'id', 'vault.approle_secret_id_file': '/s', 'vault.approle_mount': '/a/b/' }),
      { by: 'approle', roleId: 'id', secretIdFile: '/s', mount: 'a/b' },
    );
    assert.deepEqual(login({ 'vault.certificate': '/c', 'vault.key': '/k', 'vault.certificate_role': 'fleetroot' }), {
      by: 'certificate',
      certificate: '/c',
      key: '/k',
      role: 'fleetroot',
      mount: 'cert',
    });
  });

  test('have exactly one login, and the whole of it', () => {
    refused({ 'vault.address': address }, /no login: vault\.token_file, or vault\.token_variable, or vault\.approle/);
    refused(
      {
        'vault.address': address,
        'vault.token_file': '/t',
        'vault.approle_role_id': 'id',
        'vault.approle_secret_id_file': '/s',
      },
      /vault\.token_file and vault\.approle_role_id and vault\.approle_secret_id_file are given: keep one/,
    );
    refused(
      { 'vault.address': address, 'vault.approle_role_id': 'id' },
      /vault\.approle_role_id is given, but not vault\.approle_secret_id_file/,
    );
    refused({ 'vault.address': address, 'vault.key': '/k' }, /vault\.key is given, but not vault\.certificate/);
  });

  test('send nothing without TLS to another machine', () => {
    const token = { 'vault.token_file': '/t' };
    for (const here of ['http://127.0.0.1:8200', 'http://[::1]:8200', 'http://localhost:8200']) {
      assert.equal(read({ 'vault.address': here, ...token })?.address, here);
    }
    for (const there of ['http://vault.acme.example', 'http://10.0.0.1:8200', 'http://127.0.0.1.acme.example']) {
      refused({ 'vault.address': there, ...token }, /vault-address is to begin with https:\/\//);
    }
  });

  test('are refused where they are nonsense, all at once', () => {
    for (const nonsense of ['vault', 'ftp://x', `${address}/v1`, 'https://u:p@x', `${address}?a`, 7]) {
      refused({ 'vault.address': nonsense, 'vault.token_file': '/t' }, /vault-address is to be an address/);
    }
    refused(
      {
        'vault.address': address,
        'vault.mount': '../sys',
        'vault.key_prefix': '-x',
        'vault.connections': 0,
        'vault.namespace': 'a\r\nb',
      },
      /vault-mount/,
      /vault-key-prefix/,
      /vault-connections/,
      /vault-namespace/,
      /no login/,
    );
  });
});
