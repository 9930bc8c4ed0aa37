// The doors behind the routes: whoever calls the functions themselves, with whatever account in hand, issues nothing for production.

import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';

import type { Custodian } from '../../src/custody/custodian.ts';
import { createSeal } from '../../src/custody/seal.ts';
import { createSoftwareCustodian } from '../../src/custody/software.ts';
import { deviceIssuingKeys } from '../../src/issuing/device-issuing-keys.ts';
import { addIntermediate, registerFleetRootCa } from '../../src/issuing/fleet-root-registration.ts';
import { HeldKeys } from '../../src/issuing/held-keys.ts';
import { Issuer, type Prepared } from '../../src/issuing/issuer.ts';
import type { IssuanceRequest } from '../../src/issuing/request.ts';
import type { SigningCa } from '../../src/issuing/signing-ca.ts';
import { keysOf } from '../../src/registry/keys.ts';
import type { Account, KeyRow } from '../../src/registry/tables.ts';
import type { Registry } from '../../src/registry/writer.ts';
import { Secret } from '../../src/secret.ts';
import { certificateToPem } from '../../src/x509/certificate.ts';
import { encodeName } from '../../src/x509/name.ts';
import { basicConstraints, keyUsage, make, makeDer } from '../support/certificate-maker.ts';
import { day, deviceRequest, newAccount, newCa } from '../support/issuing.ts';
import { type Ca, Pki } from '../support/pki.ts';
import { backends, type Home, insertRows, rowsOf } from '../support/registry.ts';

const refused = { name: 'Problem', code: 'provisioning_not_offered' };
const held = { name: 'Problem', code: 'key_held_by_server' };

describe('behind the routes, a production account', () => {
  let home: Home;
  let registry: Registry;
  let keys: HeldKeys;
  let issuer: Issuer;
  let pki: Pki;
  let outside: Ca;
  let testing: Account;
  let fleetRoot: SigningCa;
  let production: Account;
  let gatewayCa: SigningCa;
  /** What a caller has who takes the account for another kind than it is. */
  let mistaken: Account;
  /** How often custody was asked to make or destroy a key. */
  const asked = { create: 0, destroy: 0 };

  before(async () => {
    home = backends[0]!.home();
    registry = await home.open();
    pki = await Pki.open();
    const named = (name: string): Custodian => {
      const custodian = createSoftwareCustodian(createSeal(new Secret(randomBytes(32))));
      const create: Custodian['create'] = (request) => ((asked.create += 1), custodian.create(request));
      const destroy: Custodian['destroy'] = (key) => ((asked.destroy += 1), custodian.destroy(key));
      return { ...custodian, name, create, destroy };
    };
    const custodians = new Map([named('software'), named('vault')].map((each) => [each.name, each]));
    keys = new HeldKeys({ registry, custodians, newKeysIn: 'software' });
    issuer = new Issuer({ registry, keys, clock: Date.now });
    const issuing = { registry, issuer } as never;
    testing = await newAccount(issuing, { name: 'testing' });
    fleetRoot = await newCa(issuing, testing);
    production = await newAccount(issuing, { name: 'production', kind: 'production' });
    gatewayCa = await newCa(issuing, production, 'gateway_ca');
    mistaken = { ...production, kind: 'test' };
    outside = await pki.guideRoot('outside');
    await registerFleetRootCa(registry, production, await readFile(outside.certificate), {
      name: null,
      now: Date.now(),
    });
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
    home[Symbol.dispose]();
    await pki[Symbol.asyncDispose]();
  });

  /** A certificate of a CA under another name, for a key that the server holds: signed by its owner, or by the outside CA. */
  async function certificateFor(key: KeyRow, owner: Secret | null): Promise<Buffer> {
    const subject = encodeName([{ type: '2.5.4.3', value: `renamed ${randomUUID()}` }]);
    const spki = Buffer.from(key.public_key);
    const validity = { notBefore: Date.now() - day, notAfter: Date.now() + day };
    const shape = { subject, spki, extensions: [basicConstraints(true), keyUsage('keyCertSign')], ...validity };
    if (owner === null)
      return Buffer.from(certificateToPem(make({ ...shape, by: await outside.made() }).certificate.der));
    const privateKey = createPrivateKey({ key: owner.reveal(), format: 'der', type: 'pkcs8' });
    const own = { privateKey, spki: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }) };
    return Buffer.from(certificateToPem(makeDer(shape, own)));
  }

  /** The account's keys are those of gateways, and it trusts none that the server holds. */
  async function assertNothing(): Promise<void> {
    for (const { purpose } of await keysOf(registry.read, production.id)) assert.equal(purpose, 'gateway-ca');
    assert.deepEqual(await deviceIssuingKeys(registry.read, production.id), []);
  }

  test('is prepared no device, no provisioning key and no CA of either, with a key of its own or of another', async () => {
    const requests = async (account: Account, ca: SigningCa): Promise<IssuanceRequest[]> => {
      const device = await deviceRequest(account, ca);
      const itself = { account, key: ca.key, id: randomUUID() };
      return [
        device,
        { ...device, profile: 'provisioning_key', id: 'key-1', notAfter: Date.now() + day },
        { ...itself, profile: 'fleet_root_ca' },
        { ...itself, profile: 'provisioning_ca' },
      ];
    };
    for (const ca of [fleetRoot, gatewayCa]) {
      for (const request of await requests(production, ca)) assert.throws(() => issuer.prepare(request), refused);
      // Not the account's own key, or one that signs gateways.
      for (const request of await requests(mistaken, ca)) assert.throws(() => issuer.prepare(request), TypeError);
    }
    // @ts-expect-error: what everybody else is given of the keys has no `sign`.
    void issuer.keys.sign;
    await assertNothing();
  });

  test('is made no key but that of a gateway CA, even where it is taken for a test account', async () => {
    for (const purpose of ['fleet-root-ca', 'provisioning-ca'] as const) {
      const before = { ...asked };
      await assert.rejects(keys.create({ account: production, purpose, keyType: 'p256' }), refused);
      assert.deepEqual(asked, before, 'custody was asked for a key');
      await assert.rejects(keys.create({ account: mistaken, purpose, keyType: 'p256' }), refused);
      assert.deepEqual(asked, { create: before.create + 1, destroy: before.destroy + 1 });
    }
    await assertNothing();
  });

  test('has no signature recorded for it that a device could use, whoever holds the key', async () => {
    // Prepared with everything forged that a caller can: the account is taken for a test account, the key for its own.
    const forged = { ...fleetRoot, key: { ...fleetRoot.key, account_id: production.id } };
    const prepared: Prepared = issuer.prepare(await deviceRequest(mistaken, forged));
    await assert.rejects(issuer.issue(prepared), refused);
    const { intention } = prepared;
    for (const profile of ['device', 'provisioning_key', 'fleet_root_ca', 'provisioning_ca', 'of a later version']) {
      await assert.rejects(registry.write('intendCertificate', { certificate: { ...intention, profile } }), refused);
    }
    await assertNothing();
  });

  test('has neither a provisioning CA nor a provisioning key nor a generated Fleet Root CA recorded', async () => {
    const account_id = production.id;
    const certificate = fleetRoot.certificate.der;
    const named = { id: randomUUID(), account_id, certificate, not_after: 1 };
    await assert.rejects(registry.write('recordProvisioningCa', { ...named, key_id: gatewayCa.key.id }), refused);
    const limits = { description: null, max_uses: null, device_id_pattern: null, networks: '[]' };
    const key = { ...named, ...limits, tbs_sha256: 'tbs', public_key_sha256: 'key' };
    await assert.rejects(registry.write('recordProvisioningKey', { key }), refused);
    const ca = {
      id: randomUUID(),
      account_id,
      name: 'generated',
      kind: 'generated',
      state: 'active',
      key_id: fleetRoot.key.id,
      subject: new Uint8Array(fleetRoot.certificate.subject.der),
      public_key_sha256: fleetRoot.certificate.publicKey.sha256,
      successor_id: null,
    } as const;
    await assert.rejects(registry.write('addFleetRootCa', { ca, certificates: [] }), refused);
    const registered = { ...ca, kind: 'registered', key_id: null } as const;
    await assert.rejects(registry.write('addFleetRootCa', { ca: registered, certificates: [] }), held);
    await assertNothing();
  });

  test('trusts no key that the server holds, exported or not, moved or not, of a Fleet Root CA or a gateway', async () => {
    const now = Date.now();
    for (const { key } of [fleetRoot, gatewayCa]) {
      using exported = await keys.export(key);
      for (const owner of [exported, null]) {
        const file = await certificateFor(key, owner);
        await assert.rejects(registerFleetRootCa(registry, production, file, { name: null, now }), held);
        const roots = Buffer.concat([await readFile(outside.certificate), file]);
        if (owner !== null) continue;
        await assert.rejects(registerFleetRootCa(registry, production, roots, { name: null, now }), held);
        await assert.rejects(addIntermediate(registry, production, 'outside', file, { now }), held);
      }
    }
    await assertNothing();

    const moved = await keys.move(fleetRoot.key, 'vault', { exportable: false });
    assert.deepEqual([moved.account_id, moved.purpose], [testing.id, 'fleet-root-ca']);
    const file = await certificateFor(moved, null);
    await assert.rejects(registerFleetRootCa(registry, production, file, { name: null, now }), held);
    const [listed] = await deviceIssuingKeys(registry.read, testing.id);
    assert.deepEqual([listed!.key.id, listed!.key.custodian], [moved.id, 'vault']);
    await assertNothing();
  });

  test('is given no certificate of a held key as a row either, which is decided where it is written', async () => {
    const [ca] = await registry.read
      .selectFrom('fleet_root_cas')
      .selectAll()
      .where('account_id', '=', production.id)
      .execute();
    const rows = [
      {
        role: 'intermediate' as const,
        sha256: fleetRoot.certificate.sha256,
        public_key_sha256: fleetRoot.certificate.publicKey.sha256,
        certificate: new Uint8Array(fleetRoot.certificate.der),
        not_after: fleetRoot.certificate.notAfter,
      },
    ];
    const where = { account_id: production.id, fleet_root_ca_id: ca!.id };
    await assert.rejects(registry.write('addFleetRootCertificates', { ...where, rows }), held);
    const { created_at: _, ...another } = { ...ca!, id: randomUUID(), name: 'another', public_key_sha256: 'another' };
    await assert.rejects(registry.write('addFleetRootCa', { ca: another, certificates: rows }), held);
    await assertNothing();
  });

  test('takes in no key but its own: what was erased comes back as it was', async () => {
    const { key, certificate } = gatewayCa;
    const named = { id: randomUUID(), account_id: production.id, key_id: key.id, state: 'standby' } as const;
    const { der, sha256, notAfter: not_after } = certificate;
    await registry.write('recordGatewayCa', { ...named, certificate: der, sha256, not_after });
    const erased = await keys.erase(key);
    using other = await keys.export((await newCa({ issuer } as never, testing)).key);
    await assert.rejects(keys.restore(erased, other), { code: 'invalid_request' });
    await assertNothing();
  });
});

test('what could sign is listed by what is there, not by the kind of the account', async () => {
  using home = backends[0]!.home();
  const db = await home.database();
  const rows = rowsOf('mine');
  await insertRows(db, rows);
  await insertRows(db, rowsOf('other'));
  const { account_id } = rows.keys[0]!;
  const ids = async () => (await deviceIssuingKeys(db, account_id)).map(({ key }) => key.id);
  await db.updateTable('accounts').set({ kind: 'production' }).execute();
  await db.updateTable('keys').set({ purpose: 'fleet-root-ca', destroyed_at: null }).execute();
  assert.deepEqual(await ids(), ['mine-key']);
  await db.updateTable('keys').set({ purpose: 'gateway-ca' }).execute();
  assert.deepEqual(await ids(), []);
  // A gateway CA's key, then one of another account, that the account comes to trust.
  for (const mark of ['mine', 'other']) {
    const trusted = { public_key_sha256: `${mark}-key-sha256` };
    await db.updateTable('fleet_root_certificates').set(trusted).where('account_id', '=', account_id).execute();
    assert.deepEqual(await ids(), [`${mark}-key`]);
  }
  await db.updateTable('keys').set({ destroyed_at: 1 }).execute();
  assert.deepEqual(await ids(), []);
  await db.updateTable('keys').set({ purpose: 'fleet-root-ca' }).execute();
  assert.deepEqual(await ids(), []);
});
