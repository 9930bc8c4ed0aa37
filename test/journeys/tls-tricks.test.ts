// TLS used against its purpose: a second handshake, a rewritten signature. Nobody becomes another.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { certificateToPem, parseCertificates } from '../../src/x509/certificate.ts';
import { children, readElement, readInteger, tags } from '../../src/x509/der.ts';
import { bitString, integer, sequence } from '../../src/x509/der-write.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Device, Image } from '../support/image.ts';
import { type Credentials, Pki } from '../support/pki.ts';
import { execute } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { TlsClient } from '../support/tls-client.ts';

const versions = ['1.2', '1.3'] as const;
const hostOf = ({ url }: { url: string }): string => new URL(url).hostname;
const whoAmI = (host: string): string => `GET /device HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

describe('a connection over TLS', { skip: needs('cc', 'libssl', 'openssl') }, () => {
  let fleetroot: Fleetroot;
  let image: Image;
  let device: Device;
  let client: TlsClient;
  before(async () => {
    client = await TlsClient.build();
    fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    image = await fleetroot.image('acme');
    device = await image.boot('dev-1');
  });
  after(async () => {
    await fleetroot[Symbol.asyncDispose]();
    await client[Symbol.asyncDispose]();
  });

  test('is not negotiated again, to become another device, the provisioner or nobody', async () => {
    const host = hostOf(image);
    const provisioner = (await image.provisioner()) as Credentials;
    for (const thenAs of [await image.boot('dev-2'), provisioner, null]) {
      const { port } = fleetroot;
      const sequel = await client.run({ port, sni: host, tls: '1.2', as: device, thenAs, send: whoAmI(host) });
      assert.equal(sequel.renegotiation, 'no renegotiation');
      assert.equal(sequel.received, '');
    }
  });

  test('tells nobody which Fleet Root CAs there are: no CA names are sent', async () => {
    for (const tls of versions) {
      const to = [
        '-connect',
        `127.0.0.1:${fleetroot.port}`,
        '-servername',
        hostOf(image),
        `-tls${tls.replace('.', '_')}`,
      ];
      const { stdout } = await execute('openssl', ['s_client', ...to]);
      assert.match(stdout, /^No client certificate CA names sent$/m);
      assert.equal(
        (await client.run({ port: fleetroot.port, sni: hostOf(image), tls, send: 'x' })).handshake?.caNames,
        0,
      );
    }
  });

  test('is not made with what is too old or too weak', async () => {
    const to = ['-connect', `127.0.0.1:${fleetroot.port}`, '-servername', hostOf(image)];
    for (const weak of [
      ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'],
      ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA'],
      ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-CCM'],
      ['-tls1_3', '-groups', 'ffdhe2048'],
      ['-alpn', 'h2'],
    ]) {
      const { stdout, stderr } = await execute('openssl', ['s_client', ...to, ...weak]);
      assert.match(stdout + stderr, /Cipher is \(NONE\)|no protocols available/, weak.join(' '));
    }
    const { stdout } = await execute('openssl', ['s_client', ...to, '-alpn', 'h2,http/1.1']);
    assert.match(stdout, /^ALPN protocol: http\/1\.1$/m);
  });
});

describe('a certificate with its ECDSA signature rewritten, (r, n−s) for (r, s)', { skip: needs('openssl') }, () => {
  let fleetroot: Fleetroot;
  let image: Image;
  let pki: Pki;
  before(async () => {
    pki = await Pki.open();
    fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    image = await fleetroot.image('acme');
  });
  after(async () => {
    await fleetroot[Symbol.asyncDispose]();
    await pki[Symbol.asyncDispose]();
  });

  /** The same device with the other form of its certificate. */
  async function rewritten(device: Device): Promise<Device> {
    const [certificate] = parseCertificates(await readFile(device.certificate));
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const [r, s] = children(readElement(certificate!.signature), tags.sequence, 'signature');
    const other = (order - BigInt(`0x${readInteger(s).toString('hex')}`)).toString(16).padStart(64, '0');
    const content = Buffer.from(other, 'hex');
    const minimal = content.subarray(content.findIndex((octet) => octet !== 0));
    const signed = minimal[0]! < 0x80 ? minimal : Buffer.concat([Buffer.of(0), minimal]);
    const [, algorithm] = children(readElement(certificate!.der), tags.sequence, 'certificate');
    const der = sequence(certificate!.tbs, algorithm!.raw, bitString(sequence(r!.raw, integer(signed))));
    assert.notDeepEqual(der, certificate!.der);
    return image.withCertificate(await pki.write(certificateToPem(der)), device.key);
  }

  for (const tls of versions) {
    test(`is the same certificate of the same device (TLS ${tls})`, async () => {
      const device = await image.boot(`same-${tls}`);
      const { uuid } = (await device.whoAmI({ tls })).json;
      assert.equal((await (await rewritten(device)).whoAmI({ tls })).json.uuid, uuid);
      assert.equal((await fleetroot.json('certificate', 'list', 'acme', `same-${tls}`)).length, 1);
    });
  }

  test('is revoked with it, in whichever form it came first', async () => {
    for (const [deviceId, first] of [
      ['as-issued', 'issued'],
      ['as-rewritten', 'rewritten'],
    ] as const) {
      const device = await image.boot(deviceId);
      const other = await rewritten(device);
      assert.equal((await (first === 'issued' ? device : other).whoAmI()).status, 200);
      const [{ sha256 }] = await fleetroot.json('certificate', 'list', 'acme', deviceId);
      await fleetroot.json('certificate', 'revoke', 'acme', sha256);
      for (const form of [device, other]) assert.equal((await form.whoAmI()).json.code, 'certificate_revoked');
    }
  });

  test('stays refused when its device is revoked or deleted', async () => {
    for (const [act, code] of [
      ['revoke', 'device_revoked'],
      ['delete', 'certificate_revoked'],
    ] as const) {
      const device = await image.boot(`to-${act}`);
      const other = await rewritten(device);
      await fleetroot.json('device', act, 'acme', `to-${act}`, '--yes');
      for (const form of [other, device]) assert.equal((await form.whoAmI()).json.code, code);
    }
  });

  test('is revoked too where the device brought it from a PKI of its own', async () => {
    const root = await pki.guideRoot('malleable');
    await fleetroot.json('fleet-root', 'register', 'acme', root.certificate);
    const { certificate, key } = await root.guideDevice('own-1');
    const device = image.withCertificate(certificate, key);
    const other = await rewritten(device);
    const { uuid } = (await other.whoAmI()).json;
    assert.equal((await device.whoAmI()).json.uuid, uuid);
    const [{ sha256 }] = await fleetroot.json('certificate', 'list', 'acme', 'own-1');
    await fleetroot.json('certificate', 'revoke', 'acme', sha256);
    for (const form of [device, other]) assert.equal((await form.whoAmI()).json.code, 'certificate_revoked');
  });
});
