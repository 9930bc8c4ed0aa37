// Production accounts: generation and validation are kept by separate parties, and nothing here can join the two.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { certificateToPem, type Certificate, parseCertificates } from '../../src/x509/certificate.ts';
import { basicConstraints, keyUsage, make } from '../support/certificate-maker.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Device } from '../support/image.ts';
import { type Ca, Pki } from '../support/pki.ts';

describe('a production account', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  let production: Fleet;
  /** A test account, whose keys the server holds. */
  let testing: Fleet;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    root = await pki.guideRoot('ours');
    production = await Fleet.open(fleetroot, 'production', root);
    testing = await Fleet.openTest(fleetroot, 'testing', root);
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  test('has no Fleet Root CA of ours, and its credentials.zip has the URL and the gateway CAs alone', async () => {
    const fresh = await Fleet.open(fleetroot, 'fresh');
    assert.deepEqual(await fresh.fleetRoot('list'), []);
    assert.deepEqual((await readdir(fresh.image.dir)).sort(), ['autoprov.url', 'server_ca.pem']);
    assert.equal(parseCertificates(await readFile(fresh.image.trusts)).length, 2);
    assert.deepEqual(await fleetroot.json('provisioning-key', 'list', 'fresh'), []);
  });

  for (const option of [
    ['--description', 'line 1'],
    ['--expires', '90d'],
    ['--max-uses', '10'],
    ['--device-id-pattern', '.*'],
    ['--network', '10.0.0.0/8'],
  ]) {
    test(`refuses ${option[0]} of a provisioning key instead of ignoring it`, async () => {
      const file = fleetroot.file('refused.zip');
      const { code, stderr } = await fleetroot.command('credentials', 'create', 'production', '-o', file, ...option);
      assert.equal(code, 1);
      assert.match(stderr, /A production account has no provisioning keys/);
      assert.match(stderr, /hint: Leave the options out/);
      await assert.rejects(readFile(file));
    });
  }

  test('has neither a key type nor a validity for certificates that it does not issue', async () => {
    for (const option of [
      ['--key-type', 'rsa2048'],
      ['--validity', '1y'],
    ]) {
      const { code, stderr } = await fleetroot.command('account', 'set', 'production', ...option);
      assert.equal(code, 1);
      assert.match(stderr, /A production account issues no device certificates/);
    }
  });

  test('makes no device at POST /devices, whoever asks', async () => {
    const known = await root.guideDevice('asks-for-another');
    assert.equal(await production.arrive(known), 'in');
    const body = JSON.stringify({ deviceId: 'another', ttl: '36000' });
    const device = production.image.withCertificate(known.certificate, known.key);
    const refused = await device.call('/devices', { method: 'POST', body });
    assert.equal(refused.status, 403);
    assert.equal(refused.json.code, 'provisioning_not_offered');
    // The provisioning key of a test account is a stranger here.
    const { certificate, key } = await testing.image.provisioner();
    const stranger = production.image.withCertificate(certificate!, key!);
    const answer = await stranger.call('/devices', { method: 'POST', body });
    assert.equal(answer.json.code, 'certificate_untrusted');
    assert.ok(!(await production.devices()).some((each) => each.device_id === 'another'));
  });

  test('lets no device be provisioned again', async () => {
    assert.equal(await production.arrive(await root.guideDevice('not-again')), 'in');
    const { code, stderr } = await fleetroot.command('device', 'reprovision', 'production', 'not-again');
    assert.equal(code, 1);
    assert.match(stderr, /does not issue device certificates/);
  });

  describe('and the keys that this server holds', () => {
    let fleetRootCa: Certificate;
    /** A device of the test account, which this server has made. */
    let made: Device;

    before(async () => {
      const generated = await testing.fleetRoot('show', 'generated');
      fleetRootCa = parseCertificates(Buffer.from(generated.certificates[0].certificate))[0]!;
      made = await testing.image.boot('made-by-the-server');
    });

    /** The same name and key, certified by the registered root: what its owner may do by mistake, or be talked into. */
    const crossCertificate = async (held: Certificate): Promise<string> => {
      const extensions = [basicConstraints(true), keyUsage('keyCertSign')];
      const year = 365 * 24 * 60 * 60 * 1000;
      const validity = { notBefore: Date.now() - year, notAfter: Date.now() + year };
      const shape = { subject: held.subject.der, spki: held.publicKey.spki, extensions, ...validity };
      return pki.write(certificateToPem(make({ ...shape, by: await root.made() }).certificate.der));
    };

    test('a generated Fleet Root CA is not registered anywhere, under its own name or another', async () => {
      const other = await Fleet.openTest(fleetroot, 'another-test');
      const renamed = await crossCertificate(fleetRootCa);
      for (const file of [await pki.write(certificateToPem(fleetRootCa.der)), renamed]) {
        for (const account of [production, testing, other]) {
          const { stderr } = await account.registerRefused(file);
          assert.match(stderr, /This server holds, or has held, the private key of CN=/);
          assert.match(stderr, /hint: .*your own infrastructure/);
        }
      }
    });

    test('nor are gateway CAs and the provisioning CA, of production accounts too', async () => {
      const gatewayCas = parseCertificates(await readFile(testing.image.trusts));
      const others = parseCertificates(await readFile(production.image.trusts));
      for (const held of [...gatewayCas, ...others]) {
        const { stderr } = await production.registerRefused(await pki.write(certificateToPem(held.der)));
        assert.match(stderr, /This server holds, or has held/);
      }
    });

    test('not as an intermediate either', async () => {
      const cross = await crossCertificate(fleetRootCa);
      const added = await fleetroot.command('fleet-root', 'add-intermediate', 'production', 'ours', cross);
      assert.equal(added.code, 1);
      assert.match(added.stderr, /This server holds, or has held/);
      const fresh = await pki.guideRoot('with-a-held-one');
      const file = await pki.bundle(fresh.certificate, await pki.write(certificateToPem(fleetRootCa.der)));
      await production.registerRefused(file);
    });

    test('a path that contains one counts for nothing, though the registered root has signed it', async () => {
      const chain = await pki.chain(made, await crossCertificate(fleetRootCa));
      assert.equal(await production.arrive(chain), 'certificate_untrusted');
      const { rule, remedy } = await production.explain(chain);
      assert.match(rule, /leads through a key that this server holds, which proves nothing in a production account/);
      assert.match(remedy, /held outside this server/);
      assert.ok(!(await production.devices()).some((each) => each.device_id === 'made-by-the-server'));
      // The same certificates are good elsewhere: it is the kind of the account that decides.
      const other = await Fleet.openTest(fleetroot, 'credulous', root);
      assert.equal(await other.arrive(chain), 'in');
    });

    test('nor does a path whose leaf has such a key', async () => {
      const held = await root.shapedDevice({ subject: 'held-leaf', spki: fleetRootCa.publicKey.spki });
      assert.equal((await production.explain(held)).code, 'certificate_untrusted');
    });

    test('that an account was deleted changes nothing: the key has been here', async () => {
      const doomed = await Fleet.openTest(fleetroot, 'doomed');
      const theirs = await doomed.image.boot('of-the-deleted');
      const [{ certificates }] = await doomed.fleetRoot('list');
      const held = parseCertificates(Buffer.from(certificates[0].certificate))[0]!;
      const gatewayCa = parseCertificates(await readFile(doomed.image.trusts))[0]!;
      await fleetroot.json('account', 'delete', 'doomed', '--yes');
      for (const each of [held, gatewayCa]) {
        const { stderr } = await production.registerRefused(await pki.write(certificateToPem(each.der)));
        assert.match(stderr, /This server holds, or has held/);
      }
      const chain = await pki.chain(theirs, await crossCertificate(held));
      assert.equal(await production.arrive(chain), 'certificate_untrusted');
    });
  });
});
