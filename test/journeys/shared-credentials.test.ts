// Provisioning with shared credentials: from credentials.zip to a device that is online with a certificate of its own.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import { call, type Image } from '../support/image.ts';
import { execute, succeed } from '../support/process.ts';

const day = 24 * 60 * 60 * 1000;

describe('provisioning with shared credentials', () => {
  let fleetroot: Fleetroot;
  let image: Image;

  before(async () => {
    fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    image = await fleetroot.image('acme');
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  test('credentials.zip has the entries that clients read, flat, in order, URL files bare', async () => {
    const zip = fleetroot.file('order.zip');
    await fleetroot.json('credentials', 'create', 'acme', '-o', zip);
    const names = await succeed('unzip', ['-Z1', zip]);
    assert.deepEqual(names.trim().split('\n'), ['autoprov.url', 'autoprov_credentials.p12', 'server_ca.pem']);
    assert.match(image.url, /^https:\/\/[0-9a-f-]{36}\.gateway\.localhost:\d+$/);
  });

  test('both gateway CAs are in credentials.zip and in what a device is given', async () => {
    const pinned = await readFile(image.trusts, 'utf8');
    assert.equal(pinned.match(/BEGIN CERTIFICATE/g)?.length, 2);
    const cas = await succeed('openssl', [
      ...['pkcs12', '-in', join(image.dir, 'autoprov_credentials.p12')],
      ...['-nokeys', '-cacerts', '-passin', 'pass:'],
    ]);
    for (const [ca] of pinned.matchAll(/-----BEGIN[^]+?END CERTIFICATE-----/g)) assert.ok(cas.includes(ca));
  });

  for (const tls of ['1.2', '1.3'] as const) {
    test(`a device boots, is given a certificate of its own, and is online with it (TLS ${tls})`, async () => {
      const answer = await image.provision(`boots-${tls}`, { tls });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('content-type'), 'application/x-pkcs12');
      const device = await image.device(answer.body);
      const who = await device.whoAmI({ tls });
      assert.equal(who.status, 200);
      assert.equal(who.json.device_id, `boots-${tls}`);
      assert.equal(who.json.state, 'active');
      const [listed] = (await fleetroot.json('device', 'list', 'acme')).filter(
        (each: { device_id: string }) => each.device_id === `boots-${tls}`,
      );
      assert.equal(listed.method, 'shared');
      assert.equal(listed.uuid, who.json.uuid);
    });
  }

  test('what is issued passes openssl verify -x509_strict, up to the Fleet Root CA in the bag', async () => {
    const device = await image.boot('strict-1');
    const cas = device.certificate.replace(/\.crt$/, '.cas');
    const strict = ['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', cas, device.certificate];
    assert.match(await succeed('openssl', strict), /OK/);
  });

  test('the wished validity is taken where it is shorter than the policy, and no wish is ever refused', async () => {
    for (const [ttl, days] of [
      [30, 30],
      ['30', 30],
      ['36000', 3650],
      [-1, 3650],
      ['soon', 3650],
      [null, 3650],
    ] as const) {
      const answer = await image.provision(`ttl-${JSON.stringify(ttl)}`, { ttl });
      const device = await image.device(answer.body);
      const { certificate_not_after } = (await device.whoAmI()).json;
      const left = (Date.parse(certificate_not_after) - Date.now()) / day;
      assert.ok(Math.abs(left - days) < 1.1, `${ttl}: ${left} days`);
    }
  });

  test('an account that wants RSA keys gives its devices RSA keys', async () => {
    await fleetroot.json('account', 'create', 'rsa');
    await fleetroot.json('account', 'set', 'rsa', '--key-type', 'rsa2048', '--validity', '90d');
    const device = await (await fleetroot.image('rsa')).boot('rsa-1');
    assert.match(await succeed('openssl', ['x509', '-in', device.certificate, '-noout', '-text']), /2048 bit/);
    assert.equal((await device.whoAmI()).status, 200);
  });

  test('a device ID that is taken is refused, whoever asks, and the first device goes on', async () => {
    const first = await image.boot('taken-1');
    for (const who of [image, await fleetroot.image('acme')]) {
      const answer = await who.provision('taken-1');
      assert.equal(answer.status, 409);
      assert.equal(answer.json.code, 'device_already_registered');
    }
    assert.equal((await first.whoAmI()).status, 200);
  });

  test('a wiped device with a fixed ID is let in once more by `device reprovision`; what it had is revoked', async () => {
    const first = await image.boot('wiped-1');
    assert.equal((await first.whoAmI()).status, 200);
    await fleetroot.json('device', 'reprovision', 'acme', 'wiped-1');
    const second = await image.boot('wiped-1');
    assert.equal((await second.whoAmI()).status, 200);
    assert.equal((await first.whoAmI()).json.code, 'certificate_revoked');
    assert.equal((await image.provision('wiped-1')).status, 409);
  });

  test('100 devices ask at once with a key of 10 uses: exactly 10 get in', async () => {
    const limited = await fleetroot.image('acme', '--max-uses', '10');
    const asked = Array.from({ length: 100 }, (_, index) => limited.provision(`crowd-${index}`));
    const statuses = (await Promise.all(asked)).map((answer) => answer.status);
    assert.equal(statuses.filter((status) => status === 200).length, 10);
    assert.equal(statuses.filter((status) => status === 403).length, 90);
    const keys = await fleetroot.json('provisioning-key', 'list', 'acme');
    const key = keys.find((each: { max_uses: number | null }) => each.max_uses === 10);
    assert.equal(key.uses, 10);
    assert.equal(key.state, 'exhausted');
  });

  test('a provisioning key is held to its pattern and its networks', async () => {
    const patterned = await fleetroot.image('acme', '--device-id-pattern', 'line-[0-9]{4}');
    assert.equal((await patterned.provision('line-0001')).status, 200);
    assert.equal((await patterned.provision('xline-0001')).json.code, 'device_id_not_allowed');
    assert.equal((await patterned.provision('line-00012')).json.code, 'device_id_not_allowed');
    const elsewhere = await fleetroot.image('acme', '--network', '10.0.0.0/8', '--network', '2001:db8::/32');
    assert.equal((await elsewhere.provision('network-1')).json.code, 'network_not_allowed');
    const here = await fleetroot.image('acme', '--network', '127.0.0.0/8');
    assert.equal((await here.provision('network-1')).status, 200);
  });

  test('a pattern that would take for ever elsewhere takes no time here', async () => {
    const evil = await fleetroot.image('acme', '--device-id-pattern', '(([a-z0-9])+-?)+');
    assert.equal((await evil.provision(`${'a'.repeat(40)}!`)).json.code, 'device_id_not_allowed');
  });

  test('a disabled provisioning key makes nothing more, also on a connection that is open', async () => {
    const leaked = await fleetroot.image('acme', '--description', 'leaked');
    assert.equal((await leaked.provision('leaked-1')).status, 200);
    const keys = await fleetroot.json('provisioning-key', 'list', 'acme');
    const key = keys.find((each: { description: string | null }) => each.description === 'leaked');
    await fleetroot.json('provisioning-key', 'disable', 'acme', key.id);
    assert.equal((await leaked.provision('leaked-2')).json.code, 'provisioning_key_disabled');
    const shown = await fleetroot.json('provisioning-key', 'show', 'acme', key.id);
    assert.equal(shown.state, 'disabled');
    assert.deepEqual(shown.devices, ['leaked-1']);
  });

  test('a provisioning key passes for no device, and a device for no provisioning key', async () => {
    const device = await image.boot('neither-1');
    assert.equal((await call(await image.provisioner(), '/device')).json.code, 'not_a_device');
    const body = JSON.stringify({ deviceId: 'neither-2', ttl: '36000' });
    assert.equal((await device.call('/devices', { method: 'POST', body })).json.code, 'not_a_provisioning_key');
    assert.equal((await call(image.stranger, '/devices', { method: 'POST', body })).json.code, 'certificate_required');
  });

  test('the private key of a provisioning key is nowhere on the server', async () => {
    const { key } = await image.provisioner();
    const text = await succeed('openssl', ['pkey', '-in', key ?? '', '-noout', '-text']);
    const secret = Buffer.from((/priv:([^]*?)pub:/.exec(text)?.[1] ?? '').replaceAll(/[^0-9a-f]/g, ''), 'hex');
    assert.ok(secret.length >= 31);
    const found = await execute('grep', [
      '-rlaP',
      '--include=registry.db*',
      `\\x${secret.subarray(-16).toString('hex').match(/../g)?.join('\\x')}`,
      fleetroot.dir,
    ]);
    assert.equal(found.stdout, '');
  });
});
