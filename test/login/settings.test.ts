// The public URL that links name and passkeys are bound to: what is taken for one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../src/config.ts';

const operatorOf = (url: string) =>
  loadConfig({ dataDir: '/nowhere', options: { 'operator.public_url': url }, env: {} }).operator;

test('the public URL is a host and maybe a port, over TLS or on this machine', () => {
  assert.equal(operatorOf('https://Fleet.example/').publicUrl, 'https://fleet.example');
  assert.equal(operatorOf('https://fleet.example:8443').publicUrl, 'https://fleet.example:8443');
  assert.equal(operatorOf('http://localhost:8080').publicUrl, 'http://localhost:8080');
  for (const url of [
    'http://fleet.example',
    'https://fleet.example/console',
    'https://fleet.example/?a',
    'https://user@fleet.example',
    'ftp://fleet.example',
    'fleet.example',
  ]) {
    assert.throws(() => operatorOf(url), /operator-public-url is to be an https URL/, url);
  }
});
