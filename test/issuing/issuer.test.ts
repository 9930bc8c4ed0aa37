// The issuer: nothing is signed that was not linted and recorded, nothing twice, nothing for whom it is not.

import assert from 'node:assert/strict';
import { createPrivateKey, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';

import type { Custodian } from '../../src/custody/custodian.ts';
import { createSoftwareCustodian } from '../../src/custody/software.ts';
import { createFleetRootCa } from '../../src/issuing/fleet-root-ca.ts';
import { createGatewayCas, currentGatewayCertificate, openGatewayKey } from '../../src/issuing/gateway-ca.ts';
import { HeldKeys } from '../../src/issuing/held-keys.ts';
import { Issuer, type Prepared, type Recording } from '../../src/issuing/issuer.ts';
import { LintError } from '../../src/issuing/lint.ts';
import { createProvisioningCa } from '../../src/issuing/provisioning-ca.ts';
import type { IssuanceRequest } from '../../src/issuing/request.ts';
import type { SigningCa } from '../../src/issuing/signing-ca.ts';
import { Problem } from '../../src/problem.ts';
import { certificateByTbs } from '../../src/registry/certificates.ts';
import { trustOf } from '../../src/registry/fleet-root-cas.ts';
import { keyById, keysOf } from '../../src/registry/keys.ts';
import type { Account } from '../../src/registry/tables.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { day, deviceRequest, newAccount, newCa, openIssuing, year } from '../support/issuing.ts';

/** A recording that notes what it is told, and may fail at a step. */
function notes(log: string[], failing?: keyof Recording): Recording {
  const note = (step: keyof Recording) => async () => {
    log.push(step);
    if (step === failing) throw new Problem('unavailable', `The disk is full at ${step}.`);
  };
  return { intend: note('intend'), complete: note('complete'), abandon: note('abandon') };
}

type Sign = Custodian['sign'];

/** What the custodian signs by in place of its own way, while a test has set it. */
const custody: { sign: Sign | null } = { sign: null };

const issuing = await openIssuing((real) => ({ ...real, sign: (...args) => (custody.sign ?? real.sign)(...args) }));
const { issuer, registry, seal, home, clock } = issuing;
const noon = clock.now;
after(() => issuing[Symbol.asyncDispose]());
afterEach(() => {
  custody.sign = null;
  clock.now = noon;
});

/** An account and a Fleet Root CA for one test. */
async function newRoot(): Promise<{ account: Account; root: SigningCa }> {
  const account = await newAccount(issuing, { name: `account-${randomUUID().slice(0, 8)}` });
  return { account, root: await newCa(issuing, account) };
}

describe('issuing', () => {
  test('records what will be signed, then signs, then records the certificate, then gives it', async () => {
    const { account, root } = await newRoot();
    const log: string[] = [];
    custody.sign = async () => {
      log.push('sign');
      throw new Problem('custody_unavailable');
    };
    await assert.rejects(issuer.issue(issuer.prepare(await deviceRequest(account, root)), notes(log)));
    assert.deepEqual(log, ['intend', 'sign', 'abandon']);

    custody.sign = null;
    log.length = 0;
    await issuer.issue(issuer.prepare(await deviceRequest(account, root)), notes(log));
    assert.deepEqual(log, ['intend', 'complete']);
  });

  test('leaves all of the certificate in the registry', async () => {
    const { account, root } = await newRoot();
    const prepared = issuer.prepare(await deviceRequest(account, root));
    const certificate = parseCertificate(await issuer.issue(prepared));
    const row = await certificateByTbs(registry.read, account.id, certificate.tbsSha256);
    assert.deepEqual(
      { ...row, der: Buffer.from(row!.der), created_at: 0 },
      {
        account_id: account.id,
        tbs_sha256: certificate.tbsSha256,
        sha256: certificate.sha256,
        profile: 'device',
        state: 'current',
        serial: certificate.serial,
        public_key_sha256: certificate.publicKey.sha256,
        not_before: certificate.notBefore,
        not_after: certificate.notAfter,
        device_uuid: null,
        subject_name: 'device-1',
        fleet_root_ca_id: root.key.id,
        provisioning_key_id: null,
        der: certificate.der,
        created_at: 0,
        first_used_at: null,
        reply: null,
        counted_use: 0,
        instance: registry.instance,
      },
    );
  });

  test('leaves the whole intention behind where the power fails at the signature', async () => {
    const { account, root } = await newRoot();
    const asked = Promise.withResolvers<Uint8Array>();
    custody.sign = (_key, _algorithm, data) => {
      asked.resolve(data);
      return new Promise(() => {});
    };
    const prepared = issuer.prepare(await deviceRequest(account, root));
    void issuer.issue(prepared);
    const signed = await asked.promise;
    const row = await certificateByTbs(registry.read, account.id, prepared.intention.tbs_sha256);
    assert.equal(row!.state, 'intended');
    assert.deepEqual(Buffer.from(row!.der), Buffer.from(signed));
  });

  test('leaves nothing behind where custody fails, and says that it did', async () => {
    const { account, root } = await newRoot();
    custody.sign = async () => {
      throw new Problem('custody_unavailable', 'The token is not there.');
    };
    const prepared = issuer.prepare(await deviceRequest(account, root));
    await assert.rejects(issuer.issue(prepared), { code: 'custody_unavailable', message: 'The token is not there.' });
    assert.equal(await certificateByTbs(registry.read, account.id, prepared.intention.tbs_sha256), undefined);
  });

  test('signs nothing where the intention cannot be recorded', async () => {
    const { account, root } = await newRoot();
    const log: string[] = [];
    custody.sign = async () => {
      log.push('sign');
      return Buffer.alloc(0);
    };
    const prepared = issuer.prepare(await deviceRequest(account, root));
    await assert.rejects(issuer.issue(prepared, notes(log, 'intend')), { code: 'unavailable' });
    assert.deepEqual(log, ['intend']);
  });

  test('gives no certificate whose record failed, and takes the intention back', async () => {
    const { account, root } = await newRoot();
    const log: string[] = [];
    const prepared = issuer.prepare(await deviceRequest(account, root));
    await assert.rejects(issuer.issue(prepared, notes(log, 'complete')), { message: 'The disk is full at complete.' });
    assert.deepEqual(log, ['intend', 'complete', 'abandon']);
  });

  test('tells the failure itself where taking the intention back fails too', async () => {
    const { account, root } = await newRoot();
    custody.sign = async () => {
      throw new Problem('custody_unavailable');
    };
    const prepared = issuer.prepare(await deviceRequest(account, root));
    await assert.rejects(issuer.issue(prepared, notes([], 'abandon')), { code: 'custody_unavailable' });
  });
});

describe('what is prepared', () => {
  test('is issued once', async () => {
    const { account, root } = await newRoot();
    const prepared = issuer.prepare(await deviceRequest(account, root));
    await issuer.issue(prepared);
    await assert.rejects(issuer.issue(prepared), TypeError);

    const other = issuer.prepare(await deviceRequest(account, root));
    const both = await Promise.allSettled([issuer.issue(other), issuer.issue(other)]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  });

  test('is issued by the issuer that prepared it, and cannot be made by hand', async () => {
    const { account, root } = await newRoot();
    const custodians = new Map([['software', createSoftwareCustodian(seal)]]);
    const keys = new HeldKeys({ registry, custodians, newKeysIn: 'software' });
    const another = new Issuer({ registry, keys, clock: () => clock.now });
    const prepared = issuer.prepare(await deviceRequest(account, root));
    const forged: Prepared[] = [
      { intention: prepared.intention },
      { ...prepared },
      Object.create(prepared),
      structuredClone(prepared),
    ];
    for (const one of forged) await assert.rejects(issuer.issue(one), TypeError);
    await assert.rejects(another.issue(prepared), TypeError);
    await issuer.issue(prepared);
  });

  test('is signed as it was linted, whatever becomes of the bytes that were recorded', async () => {
    const { account, root } = await newRoot();
    const prepared = issuer.prepare(await deviceRequest(account, root));
    const { tbs_sha256 } = prepared.intention;
    const der = await issuer.issue(prepared, {
      ...notes([]),
      intend: async (intention) => void intention.der.fill(0x55),
    });
    assert.equal(parseCertificate(der).tbsSha256, tbs_sha256);
  });

  test('has been through the lint: what breaks a rule does not come out', async () => {
    const { account, root } = await newRoot();
    for (const deviceId of ['', 'd'.repeat(65)]) {
      const request = await deviceRequest(account, root, { deviceId });
      assert.throws(() => issuer.prepare(request), LintError);
    }
    const reused = await deviceRequest(account, root, { publicKey: root.key.public_key });
    assert.throws(() => issuer.prepare(reused), LintError);
  });
});

describe('a wrong signature by custody', () => {
  const wrong: Sign = async () => Buffer.from('3006020101020101', 'hex');

  test('makes no CA', async () => {
    const { account, root } = await newRoot();
    custody.sign = wrong;
    const prepared = issuer.prepare({ profile: 'fleet_root_ca', account, key: root.key, id: 'another' });
    await assert.rejects(issuer.issue(prepared), { code: 'custody_unavailable', message: /wrong signature/ });
  });

  test('shows at the first device, so that a custodian that mixes up its keys is found out', async () => {
    const { account, root } = await newRoot();
    custody.sign = wrong;
    const prepared = issuer.prepare(await deviceRequest(account, root));
    await assert.rejects(issuer.issue(prepared), { code: 'custody_unavailable', message: /wrong signature/ });
  });

  test('shows within 256 devices where the machine begins to fail later', async () => {
    const { account, root } = await newRoot();
    const request = await deviceRequest(account, root);
    await issuer.issue(issuer.prepare(request));
    custody.sign = wrong;
    const outcomes = await Promise.allSettled(
      Array.from({ length: 256 }, () => issuer.issue(issuer.prepare(request), notes([]))),
    );
    assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 1);
  });
});

describe('a production account', () => {
  test('is refused every certificate and every key by which it could generate a device', async () => {
    const { account, root } = await newRoot();
    const production = await newAccount(issuing, { kind: 'production', name: `production-${account.name}` });
    const refused = { name: 'Problem', code: 'provisioning_not_offered' };
    for (const purpose of ['fleet-root-ca', 'provisioning-ca'] as const) {
      await assert.rejects(issuer.keys.create({ account: production, purpose, keyType: 'p256' }), refused);
    }
    const request = await deviceRequest(production, root);
    const ca = { account: production, key: root.key, id: 'ca' };
    for (const asked of [
      request,
      { ...request, profile: 'provisioning_key', id: 'key-1', notAfter: clock.now + day },
      { ...ca, profile: 'fleet_root_ca' },
      { ...ca, profile: 'provisioning_ca' },
    ] as IssuanceRequest[]) {
      assert.throws(() => issuer.prepare(asked), refused);
    }
    await assert.rejects(createFleetRootCa(issuer, production), refused);
    await assert.rejects(createProvisioningCa(issuer, production), refused);
    assert.deepEqual(await keysOf(registry.read, production.id), []);
    await issuer.issue(issuer.prepare(await deviceRequest(account, root)));
  });

  test('has gateway CAs, whose keys sign nothing but gateways', async () => {
    const { account } = await newRoot();
    const production = await newAccount(issuing, { kind: 'production', name: `production-${account.name}` });
    const gatewayCa = await newCa(issuing, production, 'gateway_ca');
    const asTest = { ...production, kind: 'test' as const };
    // Even where the account is taken for a test account.
    const device = await deviceRequest(asTest, gatewayCa);
    assert.throws(() => issuer.prepare(device), TypeError);
    assert.throws(
      () => issuer.prepare({ profile: 'fleet_root_ca', account: asTest, key: gatewayCa.key, id: 'x' }),
      TypeError,
    );
  });

  test('cannot have a device signed by the CA of a test account', async () => {
    const { account, root } = await newRoot();
    const other = await newAccount(issuing, { name: `other-${account.name}` });
    const device = await deviceRequest(other, root);
    assert.throws(() => issuer.prepare(device), TypeError);
  });
});

describe('validity', () => {
  test('of a device is what it asks for, and never more than the policy or the Fleet Root CA has', async () => {
    const { account, root } = await newRoot();
    const lasts = async (validitySeconds: number | null, policy = account) => {
      const { intention } = issuer.prepare(await deviceRequest(policy, root, { validitySeconds }));
      return intention.not_after - (clock.now - (clock.now % 1000));
    };
    assert.equal(await lasts(3600), 3600 * 1000);
    assert.equal(await lasts(null), 10 * year);
    // What aktualizr asks for: 36,000 days.
    assert.equal(await lasts(36_000 * 86_400), 10 * year);
    assert.equal(await lasts(null, { ...account, validity_seconds: (40 * year) / 1000 }), 30 * year);
  });

  test('begins no earlier than that of the Fleet Root CA, also when the clock has been set back', async () => {
    const { account, root } = await newRoot();
    clock.now -= 3600 * 1000;
    const { intention } = issuer.prepare(await deviceRequest(account, root));
    assert.equal(intention.not_before, root.certificate.notBefore);
  });

  test('cannot be had from a CA that has ended', async () => {
    const { account, root } = await newRoot();
    clock.now += 31 * year;
    const request = await deviceRequest(account, root);
    assert.throws(() => issuer.prepare(request), { code: 'unavailable', message: /has ended/ });
  });
});

describe('keys in custody', () => {
  test('sign nothing once they are destroyed, and stay known as ones that were held', async () => {
    const { account, root } = await newRoot();
    await issuer.keys.destroy(root.key);
    const key = await keyById(registry.read, root.key.id);
    assert.equal(key!.remembered, null);
    assert.equal(key!.public_key_sha256, root.certificate.publicKey.sha256);
    const prepared = issuer.prepare(await deviceRequest(account, { ...root, key: key! }));
    await assert.rejects(issuer.issue(prepared), { code: 'custody_unavailable', message: /destroyed/ });
    await issuer.keys.destroy(key!);
  });

  test('of a custodian that is not configured are out of reach, and said to be', async () => {
    const { account, root } = await newRoot();
    const prepared = issuer.prepare(
      await deviceRequest(account, { ...root, key: { ...root.key, custodian: 'vault' } }),
    );
    await assert.rejects(issuer.issue(prepared), { code: 'custody_unavailable', message: /vault/ });
  });

  test('are nowhere on the disk in the clear, nor is that of a gateway', async () => {
    const { account } = await newRoot();
    await createGatewayCas(issuer, account);
    await createProvisioningCa(issuer, account);
    await createFleetRootCa(issuer, account);
    const gateway = await currentGatewayCertificate(issuer, seal, account);
    const keys = await keysOf(registry.read, account.id);
    assert.equal(keys.length, 5);

    const secrets = [
      openGatewayKey(seal, gateway),
      ...keys.map((key) => seal.open(key.remembered!, `custody key ${key.id}`)),
    ];
    const scalars = secrets.map((secret) => {
      const key = createPrivateKey({ key: secret.reveal(), format: 'der', type: 'pkcs8' });
      return Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url');
    });
    const files = readdirSync(home.directory).map((file) => readFileSync(join(home.directory, file)));
    // That what is searched is what is written: the public keys are found.
    for (const { public_key } of keys) assert.ok(files.some((file) => file.includes(public_key)));
    for (const scalar of scalars) assert.ok(files.every((file) => !file.includes(scalar)));
  });
});

test('a generated Fleet Root CA is recorded with its certificate, and with the key that custody holds', async () => {
  const { account } = await newRoot();
  const ca = await createFleetRootCa(issuer, account);
  const { certificates } = await trustOf(registry.read, account.id);
  const [row, ...more] = certificates;
  const certificate = parseCertificate(row!.certificate);
  const key = await keyById(registry.read, ca.key_id!);
  assert.deepEqual([ca.name, ca.kind, ca.state, more], ['generated', 'generated', 'active', []]);
  assert.deepEqual([row!.role, row!.fleet_root_ca_id, row!.sha256], ['anchor', ca.id, certificate.sha256]);
  assert.deepEqual(Buffer.from(ca.subject), certificate.subject.der);
  assert.deepEqual([ca.public_key_sha256, key!.public_key_sha256], Array(2).fill(certificate.publicKey.sha256));
  await assert.rejects(createFleetRootCa(issuer, account), { code: 'name_taken' });
});
