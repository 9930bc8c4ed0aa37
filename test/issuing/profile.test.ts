// What we issue, as others see it: openssl's strict verifier, and a second opinion on the encoding.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { AsnConvert } from '@peculiar/asn1-schema';
import { Certificate as SecondOpinion } from '@peculiar/asn1-x509';

import { createGatewayCas, issueGatewayCertificate } from '../../src/issuing/gateway-ca.ts';
import { makeKeyPair } from '../../src/issuing/keys.ts';
import { createProvisioningCa, issueProvisioningKeyCertificate } from '../../src/issuing/provisioning-ca.ts';
import { gatewayCasOf } from '../../src/registry/gateway-cas.ts';
import { type Certificate, certificateToPem, parseCertificate } from '../../src/x509/certificate.ts';
import { day, deviceRequest, newAccount, newCa, openIssuing, year } from '../support/issuing.ts';
import { Openssl } from '../support/openssl.ts';
import { needs } from '../support/require.ts';

const clientAuth = ['1.3.6.1.5.5.7.3.2'];
const serverAuth = ['1.3.6.1.5.5.7.3.1'];
const ca = { basicConstraints: { ca: true, pathLength: 0 }, keyUsage: ['keyCertSign', 'cRLSign'] };
const leaf = { basicConstraints: null, keyUsage: ['digitalSignature'] };
const since2020 = '2020-01-01T00:00:00.000Z';

/** One certificate of every profile, and what issued each: a test account's, made when the clock said `now`. */
async function issueAll() {
  await using issuing = await openIssuing();
  const { issuer, registry, seal } = issuing;
  const account = await newAccount(issuing);
  await registry.write('addHost', { account_id: account.id, host: '192.0.2.7' });
  await registry.write('addHost', { account_id: account.id, host: '2001:db8::7' });
  await createGatewayCas(issuer, account);
  const [activeRow, standbyRow] = await gatewayCasOf(registry.read, account.id);
  const gatewayCa = parseCertificate(activeRow!.certificate);
  const standby = parseCertificate(standbyRow!.certificate);
  const gateway = parseCertificate((await issueGatewayCertificate(issuer, seal, account)).certificate);
  const provisioningCa = parseCertificate((await createProvisioningCa(issuer, account)).certificate);
  using pair = await makeKeyPair('p256');
  const asked = { publicKey: pair.publicKey, id: 'provisioning-key-1', notAfter: issuing.clock.now + year };
  const provisioningKey = parseCertificate(await issueProvisioningKeyCertificate(issuer, account, asked));
  const fleetRoot = await newCa(issuing, account, 'fleet_root_ca');
  const request = await deviceRequest(account, fleetRoot, { deviceId: 'Fahrzeug Ä-1 🚗' });
  const device = parseCertificate(await issuer.issue(issuer.prepare(request)));
  const fleetRootCa = fleetRoot.certificate;
  const all = { gatewayCa, standby, gateway, provisioningCa, provisioningKey, fleetRootCa, device };
  return { all, now: issuing.clock.now, account };
}

const { all, now, account } = await issueAll();

function described({ subject, notBefore, notAfter, extensions }: Certificate) {
  return {
    subject: subject.attributes.map(({ type, value }) => `${type}=${value}`).join(),
    notBefore: new Date(notBefore).toISOString(),
    notAfter: new Date(notAfter).toISOString(),
    basicConstraints: extensions.basicConstraints,
    keyUsage: [...extensions.keyUsage!],
    extendedKeyUsage: extensions.extendedKeyUsage,
    critical: extensions.all.filter(({ critical }) => critical).map(({ oid }) => oid),
  };
}

const iso = (ms: number) => new Date(ms - (ms % 1000)).toISOString();
const criticalOfCa = ['2.5.29.19', '2.5.29.15'];
const criticalOfLeaf = ['2.5.29.15'];

describe('every profile is what the issue says', () => {
  test('device: its ID and nothing else, a day back, ten years by the policy', () => {
    assert.deepEqual(described(all.device), {
      ...leaf,
      subject: '2.5.4.3=Fahrzeug Ä-1 🚗',
      notBefore: iso(now - day),
      notAfter: iso(now + 10 * year),
      extendedKeyUsage: clientAuth,
      critical: criticalOfLeaf,
    });
  });

  test('provisioning key: its ID, until the time asked for', () => {
    assert.deepEqual(described(all.provisioningKey), {
      ...leaf,
      subject: '2.5.4.3=provisioning-key-1',
      notBefore: iso(now - day),
      notAfter: iso(now + year),
      extendedKeyUsage: clientAuth,
      critical: criticalOfLeaf,
    });
  });

  test('gateway: the account and its host, from 2020 on for boards without a clock, 90 days', () => {
    assert.deepEqual(described(all.gateway), {
      ...leaf,
      subject: `2.5.4.10=acme,2.5.4.3=${account.id}.gateway.localhost`,
      notBefore: since2020,
      notAfter: iso(now + 90 * day),
      extendedKeyUsage: serverAuth,
      critical: criticalOfLeaf,
    });
  });

  test('gateway CA: from 2020 on, 20 years', () => {
    const { subject, ...rest } = described(all.gatewayCa);
    assert.match(subject, /^2\.5\.4\.10=acme,2\.5\.4\.3=Gateway CA [0-9a-f-]{36}$/);
    const times = { notBefore: since2020, notAfter: iso(now + 20 * year) };
    assert.deepEqual(rest, { ...ca, ...times, extendedKeyUsage: null, critical: criticalOfCa });
  });

  for (const [title, name, certificate] of [
    ['Fleet Root CA', 'Fleet Root CA', all.fleetRootCa],
    ['provisioning CA', 'Provisioning CA', all.provisioningCa],
  ] as const) {
    test(`${title}: for clients alone, 30 years`, () => {
      const { subject, ...rest } = described(certificate);
      assert.match(subject, new RegExp(`^2\\.5\\.4\\.10=acme,2\\.5\\.4\\.3=${name} [0-9a-f-]{36}$`));
      const times = { notBefore: iso(now - day), notAfter: iso(now + 30 * year) };
      assert.deepEqual(rest, { ...ca, ...times, extendedKeyUsage: clientAuth, critical: criticalOfCa });
    });
  }

  test('no two CAs have one name or one key', () => {
    const cas = [all.gatewayCa, all.standby, all.provisioningCa, all.fleetRootCa];
    assert.equal(new Set(cas.map(({ subject }) => subject.text)).size, 4);
    assert.equal(new Set(cas.map(({ publicKey }) => publicKey.sha256)).size, 4);
  });

  test('serial numbers are of 16 octets, and no two the same', () => {
    const serials = Object.values(all).map(({ serial }) => serial);
    for (const serial of serials) assert.match(serial, /^[4-7][0-9a-f]{31}$/);
    assert.equal(new Set(serials).size, serials.length);
  });
});

describe('openssl verify -x509_strict', { skip: needs('openssl') }, () => {
  /** Its verdict on a certificate under these CAs, at the time of the tests. */
  function verdict(purpose: string, certificate: Certificate, ...cas: Certificate[]): string {
    using openssl = new Openssl();
    writeFileSync(join(openssl.directory, 'leaf.pem'), certificateToPem(certificate.der));
    writeFileSync(join(openssl.directory, 'cas.pem'), cas.map(({ der }) => certificateToPem(der)).join(''));
    const at = Math.floor(now / 1000);
    return openssl.run(`openssl verify -x509_strict -attime ${at} ${purpose} -CAfile cas.pem leaf.pem 2>&1 || true`);
  }
  const ok = 'leaf.pem: OK\n';

  test('takes a device and a provisioning key for a client of its own CA, and of no other', () => {
    assert.equal(verdict('-purpose sslclient', all.device, all.fleetRootCa), ok);
    assert.equal(verdict('-purpose sslclient', all.provisioningKey, all.provisioningCa), ok);
    assert.notEqual(verdict('-purpose sslclient', all.provisioningKey, all.fleetRootCa), ok);
    assert.notEqual(verdict('-purpose sslclient', all.device, all.provisioningCa), ok);
  });

  test('takes the gateway for a server under its name and its addresses, with either CA first in the store', () => {
    const name = `-verify_hostname ${account.id}.gateway.localhost`;
    for (const check of [name, '-verify_ip 192.0.2.7', '-verify_ip 2001:db8::7']) {
      assert.equal(verdict(`-purpose sslserver ${check}`, all.gateway, all.gatewayCa, all.standby), ok);
      assert.equal(verdict(`-purpose sslserver ${check}`, all.gateway, all.standby, all.gatewayCa), ok);
    }
    assert.notEqual(verdict('-purpose sslserver -verify_hostname other.example', all.gateway, all.gatewayCa), ok);
  });

  test('takes the gateway on a board whose clock is years behind', () => {
    using openssl = new Openssl();
    writeFileSync(join(openssl.directory, 'leaf.pem'), certificateToPem(all.gateway.der));
    writeFileSync(join(openssl.directory, 'cas.pem'), certificateToPem(all.gatewayCa.der));
    const at = Date.UTC(2020, 0, 2) / 1000;
    assert.equal(openssl.run(`openssl verify -x509_strict -attime ${at} -CAfile cas.pem leaf.pem`), ok);
  });

  test('does not take a device for a server, nor anything under a Fleet Root CA', () => {
    assert.notEqual(verdict('-purpose sslserver', all.device, all.fleetRootCa), ok);
    assert.notEqual(verdict('-purpose sslserver', all.gateway, all.fleetRootCa, all.provisioningCa), ok);
  });
});

describe('the encoding', () => {
  for (const [name, { der, subject, serial }] of Object.entries(all)) {
    test(`of the ${name} is what a second library makes of it again`, () => {
      const opinion = AsnConvert.parse(der, SecondOpinion);
      assert.deepEqual(Buffer.from(AsnConvert.serialize(opinion)), der);
    });

    test(`of the ${name} says the same to Node`, () => {
      const certificate = new X509Certificate(der);
      assert.equal(certificate.serialNumber.toLowerCase(), serial);
      const commonName = subject.attributes.at(-1)!.value!;
      assert.ok(certificate.toLegacyObject().subject['CN'] === commonName);
    });
  }
});

describe('the signature algorithm follows the key of the issuer', () => {
  for (const [keyType, oid] of [
    ['p256', '1.2.840.10045.4.3.2'],
    ['p384', '1.2.840.10045.4.3.3'],
    ['rsa2048', '1.2.840.113549.1.1.11'],
  ] as const) {
    test(`${keyType}, for the CA itself and for what it issues`, async () => {
      await using issuing = await openIssuing();
      const { issuer } = issuing;
      const other = await newAccount(issuing);
      const root = await newCa(issuing, other, 'fleet_root_ca', keyType);
      const device = parseCertificate(await issuer.issue(issuer.prepare(await deviceRequest(other, root))));
      assert.deepEqual([root.certificate.signatureAlgorithm, device.signatureAlgorithm], [oid, oid]);
      assert.ok(new X509Certificate(device.der).verify(root.certificate.publicKey.toKeyObject()));
    });
  }
});
