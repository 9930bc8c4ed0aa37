// Gateway CAs and gateway certificates: for all hosts, under the active CA, renewed in time, switched when it must be.

import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, randomUUID } from 'node:crypto';
import { after, afterEach, describe, test } from 'node:test';

import { CustodyProblem } from '../../src/custody/custodian.ts';
import {
  createGatewayCas,
  currentGatewayCertificate,
  gatewayCertificateDue,
  issueGatewayCertificate,
  openGatewayKey,
  switchGatewayCa,
} from '../../src/issuing/gateway-ca.ts';
import { gatewayCasOf, gatewayCertificateOf } from '../../src/registry/gateway-cas.ts';
import { keysOf, requireKey } from '../../src/registry/keys.ts';
import type { Account, GatewayCertificate } from '../../src/registry/tables.ts';
import { parseCertificate, verifySignature } from '../../src/x509/certificate.ts';
import { day, newAccount, openIssuing } from '../support/issuing.ts';

/** The key by which custody cannot sign while a test has set it. */
const custody: { away: string | null } = { away: null };
const issuing = await openIssuing((real) => ({
  ...real,
  sign: async (key, ...rest) => {
    if (key.id === custody.away) throw new CustodyProblem('sealed', 'The vault is sealed.');
    return real.sign(key, ...rest);
  },
}));
const { issuer, registry, seal, clock } = issuing;
const noon = clock.now;
after(() => issuing[Symbol.asyncDispose]());
afterEach(() => {
  clock.now = noon;
  custody.away = null;
});

async function newGateway(): Promise<Account> {
  const account = await newAccount(issuing, { name: `account-${randomUUID().slice(0, 8)}`, kind: 'production' });
  await createGatewayCas(issuer, account);
  return account;
}

const addHost = (account: Account, host: string) => registry.write('addHost', { account_id: account.id, host });

/** The hosts in the certificate, as it has them. */
function hostsIn({ certificate }: GatewayCertificate): string[] {
  return parseCertificate(certificate).extensions.subjectAlternativeNames!.map((name) =>
    name.form === 'dNSName' ? name.value : name.form === 'iPAddress' ? name.value.join('.') : name.form,
  );
}

describe('the gateway CAs of an account', () => {
  test('are two, one active and one standby, with keys and names of their own', async () => {
    const account = await newGateway();
    const [active, standby, ...more] = await gatewayCasOf(registry.read, account.id);
    assert.deepEqual([active!.state, standby!.state, more], ['active', 'standby', []]);
    assert.notEqual(active!.key_id, standby!.key_id);
    const [one, other] = [active!, standby!].map(({ certificate }) => parseCertificate(certificate));
    assert.notEqual(one!.subject.text, other!.subject.text);
    assert.deepEqual([active!.sha256, active!.not_after], [one!.sha256, one!.notAfter]);
  });

  test('are made complete where a power cut has left one out, and not made again', async () => {
    const account = await newAccount(issuing, { name: 'half' });
    await createGatewayCas(issuer, account);
    await registry.write('switchGatewayCa', { account_id: account.id });
    await createGatewayCas(issuer, account);
    const states = async () => (await gatewayCasOf(registry.read, account.id)).map(({ state }) => state);
    assert.deepEqual(await states(), ['active', 'retired', 'standby']);
    await createGatewayCas(issuer, account);
    assert.deepEqual(await states(), ['active', 'retired', 'standby']);
  });
});

describe('a gateway certificate', () => {
  test('has all hosts of the account, names and addresses, and a key that opens', async () => {
    const account = await newGateway();
    for (const host of ['fleet.example', '192.0.2.7', '2001:db8::7']) await addHost(account, host);
    const row = await issueGatewayCertificate(issuer, seal, account);
    const generated = `${account.id}.gateway.localhost`;
    assert.deepEqual(
      hostsIn(row).sort(),
      ['192.0.2.7', '32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.7', generated, 'fleet.example'].sort(),
    );
    assert.deepEqual(JSON.parse(row.hosts).sort(), ['192.0.2.7', '2001:db8::7', generated, 'fleet.example'].sort());

    using key = openGatewayKey(seal, row);
    const publicKey = createPublicKey(createPrivateKey({ key: key.reveal(), format: 'der', type: 'pkcs8' }));
    const certificate = parseCertificate(row.certificate);
    assert.deepEqual(publicKey.export({ format: 'der', type: 'spki' }), certificate.publicKey.spki);
    assert.throws(() => openGatewayKey(seal, { ...row, id: randomUUID() }), { code: 'custody_unavailable' });
  });

  test('has a host of more than 64 characters among its names, and another one, or none, as its common name', async () => {
    const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.example`;
    const account = await newGateway();
    await addHost(account, long);
    const { certificate } = await issueGatewayCertificate(issuer, seal, account);
    assert.match(parseCertificate(certificate).subject.text, new RegExp(`^CN=${account.id}`));

    const id = randomUUID();
    const { namespace, ...rest } = account;
    const nameless = await registry.write('insertAccount', {
      account: { ...rest, id, name: `long-${id.slice(0, 8)}`, namespace },
      host: `${id}.${long}`,
    });
    await createGatewayCas(issuer, nameless);
    const row = await issueGatewayCertificate(issuer, seal, nameless);
    assert.equal(parseCertificate(row.certificate).subject.text, `O=${nameless.name}`);
    assert.deepEqual(hostsIn(row), [`${id}.${long}`]);
  });

  test('stays as long as it is right', async () => {
    const account = await newGateway();
    const first = await currentGatewayCertificate(issuer, seal, account);
    clock.now += 59 * day;
    assert.deepEqual(await currentGatewayCertificate(issuer, seal, account), first);
  });

  test('is replaced when a third of its life is left', async () => {
    const account = await newGateway();
    const first = await currentGatewayCertificate(issuer, seal, account);
    assert.equal(gatewayCertificateDue(first, noon + 59 * day), false);
    assert.equal(gatewayCertificateDue(first, noon + 61 * day), true);
    clock.now += 61 * day;
    const next = await currentGatewayCertificate(issuer, seal, account);
    assert.notEqual(next.id, first.id);
    assert.equal(next.not_after, parseCertificate(first.certificate).notAfter + 61 * day);
    assert.deepEqual(await gatewayCertificateOf(registry.read, account.id), next);
  });

  test('is replaced for a host that comes or goes, and has all of many that come at once', async () => {
    const account = await newGateway();
    const hosts = ['one.example', 'two.example', 'three.example', 'four.example'];
    await currentGatewayCertificate(issuer, seal, account);
    await Promise.all(
      hosts.map(async (host) => {
        await addHost(account, host);
        await currentGatewayCertificate(issuer, seal, account);
      }),
    );
    const all = await gatewayCertificateOf(registry.read, account.id);
    assert.deepEqual(hostsIn(all!).sort(), [`${account.id}.gateway.localhost`, ...hosts].sort());

    await registry.write('removeHost', { account_id: account.id, host: 'one.example' });
    const row = await currentGatewayCertificate(issuer, seal, account);
    assert.ok(!hostsIn(row).includes('one.example'));
  });
});

describe('switching the gateway CA', () => {
  test('puts the gateway under the standby CA, whose certificate every device has had from its first day', async () => {
    const account = await newGateway();
    const before = await gatewayCasOf(registry.read, account.id);
    const first = await currentGatewayCertificate(issuer, seal, account);
    const { active, standby } = await switchGatewayCa(issuer, seal, account);

    const pinned = before.find(({ state }) => state === 'standby')!;
    assert.equal(active.id, pinned.id);
    const row = await currentGatewayCertificate(issuer, seal, account);
    assert.notEqual(row.id, first.id);
    assert.equal(row.gateway_ca_id, active.id);
    assert.ok(verifySignature(parseCertificate(row.certificate), parseCertificate(pinned.certificate).publicKey));

    const after = await gatewayCasOf(registry.read, account.id);
    assert.deepEqual(Object.fromEntries(after.map(({ id, state }) => [id, state])), {
      [active.id]: 'active',
      [standby.id]: 'standby',
      [first.gateway_ca_id]: 'retired',
    });
  });

  test('is made good by the next look where a power cut has left the old certificate', async () => {
    const account = await newGateway();
    const first = await currentGatewayCertificate(issuer, seal, account);
    await registry.write('switchGatewayCa', { account_id: account.id });
    const row = await currentGatewayCertificate(issuer, seal, account);
    assert.notEqual(row.gateway_ca_id, first.gateway_ca_id);
  });

  test('is refused while the key of the standby lies outside, at the last moment too', async () => {
    const account = await newGateway();
    const [active, standby] = await gatewayCasOf(registry.read, account.id);
    const key = await requireKey(registry.read, standby!.key_id);
    (await issuer.keys.export(key)).wipe();
    await issuer.keys.erase(key);
    const refused = { code: 'conflict', message: /lies outside/ };
    await assert.rejects(switchGatewayCa(issuer, seal, account), refused);
    await assert.rejects(registry.write('switchGatewayCa', { account_id: account.id }), refused);
    assert.deepEqual(await gatewayCasOf(registry.read, account.id), [active, standby]);
  });

  test('leaves no key behind where the key of the standby cannot be used', async () => {
    const account = await newGateway();
    const [active, standby] = await gatewayCasOf(registry.read, account.id);
    custody.away = standby!.key_id;
    await assert.rejects(switchGatewayCa(issuer, seal, account), { code: 'custody_unavailable' });
    assert.deepEqual(await gatewayCasOf(registry.read, account.id), [active, standby]);
    const living = (await keysOf(registry.read, account.id)).filter((key) => key.remembered !== null);
    assert.deepEqual(new Set(living.map(({ id }) => id)), new Set([active!.key_id, standby!.key_id]));
  });

  test('is refused without a standby', async () => {
    const account = await newGateway();
    await registry.write('switchGatewayCa', { account_id: account.id });
    await assert.rejects(switchGatewayCa(issuer, seal, account), { code: 'conflict', message: /standby/ });
  });
});
