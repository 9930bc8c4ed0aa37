// Provisioning with device credentials: a fleet's own PKI, and devices that are added when they first connect.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { call } from '../support/image.ts';
import { type Ca, deviceExtensions, Pki } from '../support/pki.ts';
import { succeed } from '../support/process.ts';

describe('provisioning with device credentials', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  let fleet: Fleet;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    root = await pki.guideRoot('myfleet');
    fleet = await Fleet.open(fleetroot, 'fleet', root);
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  test('the guide, step by step: root made and registered, device made, connected, and in the list under its CN', async () => {
    const account = await Fleet.open(fleetroot, 'guide');
    assert.deepEqual(await account.fleetRoot('list'), []);
    const theirs = await pki.guideRoot('guidefleet');
    const registered = await account.register(theirs);
    assert.equal(registered.name, 'guidefleet');
    assert.equal(registered.kind, 'registered');
    assert.equal(registered.state, 'active');
    assert.equal(registered.devices, 0);

    const deviceId = randomUUID();
    const device = await theirs.guideDevice(deviceId);
    const answer = await account.connect(device);
    assert.equal(answer.status, 200);
    assert.equal(answer.json.account, 'guide');
    assert.equal(answer.json.device_id, deviceId);
    assert.equal(answer.json.state, 'active');

    const [listed, ...others] = await account.devices();
    assert.deepEqual(others, []);
    assert.equal(listed.device_id, deviceId);
    assert.equal(listed.uuid, answer.json.uuid);
    assert.equal(listed.method, 'device');
    assert.equal(listed.fleet_root_ca, registered.id);
    assert.equal(listed.fleet_root_ca_name, 'guidefleet');
    assert.equal(listed.provisioning_key, null);
    assert.equal(listed.certificate_not_after, answer.json.certificate_not_after);
    assert.equal((await account.fleetRoot('show', 'guidefleet')).devices, 1);
  });

  test("the gateway's root, fetched with the guide's s_client, is all that a device needs to trust", async () => {
    const device = await root.guideDevice('fetcher');
    const { host, hostname } = new URL(fleet.image.url);
    const fetched = pki.file('.crt');
    await pki.shell(
      `openssl s_client -connect "127.0.0.1:$port" -servername "$gateway" -showcerts </dev/null |
         sed -n '/-BEGIN CERTIFICATE-/,/-END CERTIFICATE-/p' > "$fetched"`,
      { port: host.slice(hostname.length + 1), gateway: hostname, fetched },
    );
    const trusting = { ...fleet.image.withCertificate(device.certificate, device.key), trusts: fetched };
    const resolve = ['--resolve', `${host}:127.0.0.1`, '--cacert', fetched];
    const url = `${trusting.url}/device`;
    const said = await succeed('curl', ['-sS', ...resolve, '--cert', device.certificate, '--key', device.key, url]);
    assert.equal(JSON.parse(said).device_id, 'fetcher');
    assert.deepEqual(await fleetroot.json('refusal', 'list', 'fleet'), []);
  });

  for (const tls of ['1.2', '1.3'] as const) {
    test(`a device is the same device each time it comes (TLS ${tls})`, async () => {
      const device = await root.guideDevice(`again-${tls}`);
      const [first, second] = [await fleet.connect(device, { tls }), await fleet.connect(device, { tls })];
      assert.equal(first.status, 200);
      assert.equal(first.json.uuid, second.json.uuid);
    });
  }

  const generations = {
    'as the guide has it now (serverAuth)': () => pki.guideRoot('now'),
    'as older guides had it (clientAuth)': () => pki.guideRoot('older', 'clientAuth'),
    'as others made it (no extendedKeyUsage)': () => pki.guideRoot('none', null),
    'of a plain `openssl req -x509` (no keyUsage)': () => pki.plainRoot('plain'),
    'with a P-384 key': () => pki.root('p384', { keyType: 'p384', digest: 'sha384' }),
    'with an Ed25519 key': () => pki.root('ed25519', { keyType: 'ed25519' }),
    'with an RSA key': () => pki.root('rsa', { keyType: 'rsa2048' }),
  };
  for (const [index, [which, make]] of Object.entries(generations).entries()) {
    test(`devices get in under a root ${which}`, async () => {
      const theirs = await make();
      await fleet.register(theirs);
      assert.equal(await fleet.arrive(await theirs.guideDevice(`under-${index}`)), 'in');
    });
  }

  test('devices that aktualizr-cert-provider has equipped get in, also two with the same serial number', async () => {
    const one = await root.providedDevice('provided-1', { serial: 0xabcde });
    const other = await root.providedDevice('provided-2', { serial: 0xabcde });
    const answers = [await fleet.connect(one), await fleet.connect(other)];
    assert.deepEqual(
      answers.map((answer) => answer.json.device_id),
      ['provided-1', 'provided-2'],
    );
    assert.notEqual(answers[0]!.json.uuid, answers[1]!.json.uuid);
    await fleet.device('revoke', 'provided-1');
    assert.equal(await fleet.arrive(one), 'device_revoked');
    assert.equal(await fleet.arrive(other), 'in');
  });

  test('a leaf of X.509 version 1, as `openssl x509 -req` makes it, gets in', async () => {
    const device = await root.device('version-1', { extensions: [] });
    assert.match(await pki.openssl('x509', '-in', device.certificate, '-noout', '-text'), /Version: 1 /);
    assert.equal(await fleet.arrive(device), 'in');
  });

  for (const keyType of ['p256', 'p384', 'p521', 'ed25519', 'rsa2048'] as const) {
    test(`a device with a key of ${keyType} gets in, over TLS 1.2 and 1.3`, async () => {
      const device = await root.device(`key-${keyType}`, { keyType });
      assert.equal(await fleet.arrive(device, { tls: '1.2' }), 'in');
      assert.equal(await fleet.arrive(device, { tls: '1.3' }), 'in');
    });
  }

  test('a key or signature too weak to prove anything does not get in, and is told why', async () => {
    const env = await pki.lenient();
    const short = await root.device('short', { keyType: 'rsa1024' });
    assert.equal(await fleet.arrive(short, { env }), 'certificate_invalid');
    assert.match((await fleet.explain(short)).rule, /RSA key of 1024 bits/);
    const sha1 = await root.device('sha1', { digest: 'sha1' });
    assert.equal(await fleet.arrive(sha1, { env }), 'certificate_invalid');
    assert.match((await fleet.explain(sha1)).rule, /ECDSA with SHA-1/);
  });

  const purposes = {
    'extendedKeyUsage=anyExtendedKeyUsage': 'in',
    'extendedKeyUsage=serverAuth,clientAuth': 'in',
    'keyUsage=digitalSignature,keyEncipherment': 'in',
    'extendedKeyUsage=serverAuth': 'certificate_invalid',
    'extendedKeyUsage=critical,codeSigning': 'certificate_invalid',
    'keyUsage=critical,keyEncipherment': 'certificate_invalid',
    '1.2.3.4.5=critical,ASN1:NULL': 'certificate_invalid',
    '1.2.3.4.5=ASN1:NULL': 'in',
  };
  for (const [extension, outcome] of Object.entries(purposes)) {
    test(`the purpose of the leaf decides: ${extension} is ${outcome}`, async () => {
      const device = await root.device(`purpose-${Object.keys(purposes).indexOf(extension)}`, {
        extensions: [extension],
      });
      assert.equal(await fleet.arrive(device), outcome);
    });
  }

  test('a later certificate under the same root is the same device, and the list tells its latest end', async () => {
    const first = await root.device('renewing', { days: 100 });
    const uuid = (await fleet.connect(first)).json.uuid;
    const later = await root.device('renewing', { days: 300, key: first.key });
    const answer = await fleet.connect(later);
    assert.equal(answer.json.uuid, uuid);
    const certificates = await fleetroot.json('certificate', 'list', 'fleet', 'renewing');
    assert.deepEqual(certificates.map((each: { state: string }) => each.state).sort(), ['current', 'superseded']);
    const shown = await fleet.device('show', 'renewing');
    assert.equal(shown.certificate_not_after, answer.json.certificate_not_after);
  });

  test('who is nobody here does not get in: no certificate, a stranger, one who signs himself, the root itself', async () => {
    const stranger = await pki.guideRoot('stranger');
    assert.equal((await call(fleet.image.stranger, '/device')).json.code, 'certificate_required');
    assert.equal(await fleet.arrive(await stranger.guideDevice('stranger-1')), 'certificate_untrusted');
    const impostor = await pki.guideRoot('myfleet');
    assert.equal(await fleet.arrive(await impostor.guideDevice('impostor')), 'certificate_untrusted');
    const own = await pki.issue(null, 'self-made', { extensions: deviceExtensions });
    assert.equal(await fleet.arrive(own), 'certificate_untrusted');
    assert.equal(await fleet.arrive(root), 'certificate_invalid');
    const ids = (await fleet.devices()).map((each) => each.device_id);
    for (const nobody of ['stranger-1', 'impostor', 'self-made', 'myfleet']) assert.ok(!ids.includes(nobody), nobody);
  });

  test('a device of one account is nobody in another, though both are on one server', async () => {
    const other = await Fleet.open(fleetroot, 'other', await pki.guideRoot('otherfleet'));
    const device = await root.guideDevice('ours');
    assert.equal(await fleet.arrive(device), 'in');
    assert.equal(await other.arrive(device), 'certificate_untrusted');
    assert.deepEqual(await other.devices(), []);
  });

  test('the same root in two accounts: SNI tells them apart, and each has its own devices', async () => {
    const twin = await Fleet.open(fleetroot, 'twin', root);
    const device = await root.guideDevice('both');
    const [here, there] = [await fleet.connect(device), await twin.connect(device)];
    assert.deepEqual([here.json.account, there.json.account], ['fleet', 'twin']);
    assert.notEqual(here.json.uuid, there.json.uuid);
    await twin.device('revoke', 'both');
    assert.equal(await twin.arrive(device), 'device_revoked');
    assert.equal(await fleet.arrive(device), 'in');
  });

  test('a test account has a registered root beside its generated one, and devices of both methods', async () => {
    const mixed = await Fleet.openTest(fleetroot, 'mixed', root);
    const shared = await mixed.image.boot('by-shared');
    assert.equal(await mixed.arrive(shared), 'in');
    assert.equal(await mixed.arrive(await root.guideDevice('by-device')), 'in');
    const methods = (await mixed.devices()).map(({ device_id, method, fleet_root_ca_name }) => [
      device_id,
      method,
      fleet_root_ca_name,
    ]);
    assert.deepEqual(methods, [
      ['by-device', 'device', 'myfleet'],
      ['by-shared', 'shared', 'generated'],
    ]);
  });

  test('after a restart a device is who it was', async () => {
    const device = await root.guideDevice('restarted');
    const { uuid } = (await fleet.connect(device)).json;
    await fleetroot.restart();
    const reopened = await fleet.reopened();
    assert.equal((await reopened.connect(device)).json.uuid, uuid);
  });
});
