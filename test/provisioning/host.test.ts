// Hosts: every spelling of one is the same host, and whatever is taken for one can stand in a gateway certificate.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeKeyPair } from '../../src/issuing/keys.ts';
import { Problem } from '../../src/problem.ts';
import { canonicalHost } from '../../src/provisioning/host.ts';
import { newAccount, newCa, openIssuing } from '../support/issuing.ts';

const spellings: [spelling: string, host: string][] = [
  ['Device.ACME.example.', 'device.acme.example'],
  ['xn--gert-loa.example', 'xn--gert-loa.example'],
  ['localhost', 'localhost'],
  ['10.0.2.2', '10.0.2.2'],
  ['[2001:DB8:0:0::1]', '2001:db8::1'],
  ['::ffff:10.0.2.2', '10.0.2.2'],
];

for (const [spelling, host] of spellings) {
  test(`${spelling} is the host ${host}`, () => assert.equal(canonicalHost(spelling), host));
}

for (const fault of ['', '.', 'a..b', '-a', 'a-', 'a_b.example', '*.example', '10.0.2', 'a.1', 'fe80::1%eth0', 'a/b']) {
  test(`"${fault}" is no host`, () => {
    assert.throws(
      () => canonicalHost(fault),
      (error) => error instanceof Problem && error.code === 'invalid_request',
    );
  });
}

test('a gateway certificate can name every host that an account can be given', async () => {
  await using issuing = await openIssuing();
  const account = await newAccount(issuing);
  const ca = await newCa(issuing, account, 'gateway_ca');
  using pair = await makeKeyPair('p256');
  const { publicKey } = pair;
  const almost = fc.oneof(
    fc.domain(),
    fc.ipV4(),
    fc.ipV6(),
    fc.string({ unit: fc.constantFrom(...'aZ0-_.:%[]*'), maxLength: 12 }),
    fc.string({ unit: fc.constantFrom('a', '-', '.'), minLength: 60, maxLength: 260 }),
  );
  fc.assert(
    fc.property(almost, (text) => {
      let host: string;
      try {
        host = canonicalHost(text);
      } catch {
        return;
      }
      assert.equal(canonicalHost(host), host);
      issuing.issuer.prepare({ profile: 'gateway', account, ca, publicKey, hosts: [host] });
    }),
    { numRuns: 1000 },
  );
});
