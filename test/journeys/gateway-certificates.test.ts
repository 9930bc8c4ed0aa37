// The gateway's own certificate: hosts, renewal by itself, and the switch to the standby gateway CA, stranding nobody.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import { call, type Device, type Image } from '../support/image.ts';
import { Line } from '../support/line.ts';
import { execute, succeed } from '../support/process.ts';

const day = 24 * 60 * 60 * 1000;

describe('the certificate of the device gateway', () => {
  let fleetroot: Fleetroot;
  let image: Image;
  let device: Device;
  let ahead = 0;

  before(async () => {
    fleetroot = await Fleetroot.start({ clock: () => Date.now() + ahead });
    await fleetroot.json('account', 'create', 'acme');
    image = await fleetroot.image('acme');
    device = await image.boot('device-1');
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  /** What `openssl s_client` of the guide is shown: certificates, the gateway's first, as files. */
  async function shownChain(...options: string[]): Promise<string[]> {
    const { stdout } = await execute('openssl', [
      ...['s_client', '-connect', `127.0.0.1:${fleetroot.port}`, '-showcerts'],
      ...(options.length > 0 ? options : ['-servername', new URL(image.url).hostname]),
    ]);
    const certificates = stdout.match(/-----BEGIN CERTIFICATE-----[^]+?-----END CERTIFICATE-----\n/g) ?? [];
    return Promise.all(
      certificates.map(async (pem) => {
        const file = fleetroot.file(`shown-${crypto.randomUUID()}.pem`);
        await writeFile(file, pem);
        return file;
      }),
    );
  }

  const show = async (file: string, ...what: string[]) =>
    (await succeed('openssl', ['x509', '-in', file, '-noout', ...what])).trim();

  test("the guide's s_client is shown the chain with its root, which works as the trusted CA", async () => {
    const chain = await shownChain();
    assert.equal(chain.length, 2);
    const [gateway = '', root = ''] = chain;
    await succeed('openssl', ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', root, gateway]);
    assert.equal((await call({ ...device, trusts: root }, '/device')).status, 200);
    assert.ok((await readFile(image.trusts, 'utf8')).includes((await readFile(root, 'utf8')).trim()));
  });

  test('a board whose clock is years behind trusts it: everything of the gateway is valid from 2020', async () => {
    for (const file of await shownChain()) {
      assert.equal(await show(file, '-startdate'), 'notBefore=Jan  1 00:00:00 2020 GMT');
    }
  });

  test('a host that is added is in the certificate and reaches the account; removed, it does not', async () => {
    await fleetroot.json('account', 'host', 'add', 'acme', 'Devices.Acme.Example');
    const named = { ...device, url: `https://devices.acme.example:${fleetroot.port}` };
    assert.equal((await call(named, '/device')).status, 200);
    const fresh = await fleetroot.image('acme');
    assert.equal(fresh.url, named.url);
    await fleetroot.json('account', 'host', 'remove', 'acme', 'devices.acme.example');
    assert.notEqual((await call(named, '/device')).curl, 0);
    assert.equal((await device.whoAmI()).status, 200);
  });

  test('a host belongs to one account; wildcards and names under the gateway domain to none', async () => {
    await fleetroot.json('account', 'create', 'other');
    await fleetroot.json('account', 'host', 'add', 'acme', 'shared.example');
    const refusals = [
      ['shared.example', /belongs to an account|host_taken|taken/],
      ['*.example.com', /neither a host name nor an IP address/],
      ['x.gateway.localhost', /gateway domain/],
    ] as const;
    for (const [host, why] of refusals) {
      const { code, stderr } = await fleetroot.command('account', 'host', 'add', 'other', host);
      assert.equal(code, 1, host);
      assert.match(stderr, why);
    }
    await fleetroot.json('account', 'host', 'remove', 'acme', 'shared.example');
  });

  test('an address that is added serves devices that send no SNI', async () => {
    await fleetroot.json('account', 'host', 'add', 'acme', '127.0.0.1');
    const byAddress = { ...device, url: `https://127.0.0.1:${fleetroot.port}` };
    for (const tls of ['1.2', '1.3'] as const) assert.equal((await call(byAddress, '/device', { tls })).status, 200);
    const chain = await shownChain('-noservername');
    assert.match(await show(chain[0] ?? '', '-ext', 'subjectAltName'), /IP Address:127\.0\.0\.1/);
    const asked = await fleetroot.image('acme', '--host', '127.0.0.1:443');
    assert.equal(asked.url, 'https://127.0.0.1:443');
    const unknown = await fleetroot.command(
      'credentials',
      'create',
      'acme',
      '-o',
      fleetroot.file('no.zip'),
      '--host',
      '10.9.9.9',
    );
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /no host of this account/);
    await fleetroot.json('account', 'host', 'remove', 'acme', '127.0.0.1');
  });

  test('it renews itself well before it ends, and open connections go on', async () => {
    const [before = ''] = await shownChain();
    using line = await Line.open(device);
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 200);
    ahead = 70 * day;
    await fleetroot.renew();
    const [renewed = ''] = await shownChain();
    assert.notEqual(await show(renewed, '-serial'), await show(before, '-serial'));
    const until = Date.parse((await show(renewed, '-enddate')).replace('notAfter=', ''));
    assert.ok(until > Date.now() + ahead + 85 * day);
    line.send('GET', '/device');
    assert.equal((await line.reply())?.status, 200);
    ahead = 0;
  });

  test('switched to the standby gateway CA, devices with the old credentials still trust it', async () => {
    const issuer = async () => show((await shownChain())[0] ?? '', '-issuer');
    const before = await issuer();
    await fleetroot.json('account', 'gateway-ca', 'switch', 'acme', '--yes');
    const after = await issuer();
    assert.notEqual(after, before);
    assert.equal((await device.whoAmI()).status, 200);
    assert.equal((await (await image.boot('device-2')).whoAmI()).status, 200);
    const { gateway_cas } = await fleetroot.json('account', 'show', 'acme');
    assert.deepEqual(gateway_cas.map((ca: { state: string }) => ca.state).sort(), ['active', 'retired', 'standby']);
    // Perhaps it was stolen: nobody who is provisioned from now on trusts it.
    const pinned = await readFile((await fleetroot.image('acme')).trusts, 'utf8');
    assert.equal(pinned.match(/BEGIN CERTIFICATE/g)?.length, 2);
    const oldPins = (await readFile(image.trusts, 'utf8')).match(/-----BEGIN[^]+?END CERTIFICATE-----/g) ?? [];
    assert.equal(oldPins.filter((pin) => pinned.includes(pin)).length, 1);
  });
});
