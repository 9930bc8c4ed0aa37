// Registering Fleet Root CAs: files as customers have them are taken, what could never serve is refused with the reason.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, describe, test } from 'node:test';

import {
  addIntermediate,
  readDistrusted,
  registerFleetRootCa,
  trust,
} from '../../src/issuing/fleet-root-registration.ts';
import { fleetRootCertificatesOf, trustOf } from '../../src/registry/fleet-root-cas.ts';
import type { Account } from '../../src/registry/tables.ts';
import { certificateToPem } from '../../src/x509/certificate.ts';
import { nullValue, sequence, set, oid, utf8String, printableString } from '../../src/x509/der-write.ts';
import { commonName } from '../../src/x509/name.ts';
import { basicConstraints, extension, keyUsage, make, makeCa, newKey } from '../support/certificate-maker.ts';
import type { Made, Shape } from '../support/certificate-maker.ts';
import { day, newAccount, newCa, openIssuing } from '../support/issuing.ts';
import { Openssl } from '../support/openssl.ts';
import { needs } from '../support/require.ts';

const issuing = await openIssuing();
const { registry, clock } = issuing;
const { now } = clock;
after(() => issuing[Symbol.asyncDispose]());

const newAccountFor = () => newAccount(issuing, { kind: 'production', name: `account-${randomUUID().slice(0, 8)}` });

const register = (account: Account, file: Uint8Array | string, name: string | null = null) =>
  registerFleetRootCa(registry, account, Buffer.from(file), { name, now });

const distrust = async (account: Account, file: Uint8Array) => {
  const key = readDistrusted(account, file);
  await registry.write('distrustKey', key);
  return key.public_key_sha256;
};

const pem = (...made: Made[]) => made.map(({ certificate }) => certificateToPem(certificate.der)).join('');

function ca(subject: string | Buffer, shape: Shape = {}): Made {
  return makeCa(subject, { notBefore: now - day, notAfter: now + 1000 * day, ...shape });
}

describe('a Fleet Root CA is registered', () => {
  test('from DER and from PEM, with text around it, a byte order mark and Windows line ends', async () => {
    const account = await newAccountFor();
    const files = [
      (made: Made) => made.certificate.der,
      (made: Made) => pem(made),
      (made: Made) => `\ufeffSubject: CN=x\r\n${pem(made).replaceAll('\n', '\r\n')}\r\n\r\n`,
    ];
    for (const [index, file] of files.entries()) {
      const made = ca(`Root ${index}`);
      const { added, intermediates, ca: row } = await register(account, file(made));
      assert.deepEqual([added, intermediates, row.name, row.state], ['new', 0, `Root ${index}`, 'active']);
      assert.equal(row.public_key_sha256, made.certificate.publicKey.sha256);
    }
  });

  test('with the intermediates that follow it in the file, in any order', async () => {
    const account = await newAccountFor();
    const root = ca('Root');
    const plant = ca('Plant', { by: root });
    const line = ca('Line', { by: plant });
    const registered = await register(account, pem(root, line, plant, root));
    assert.equal(registered.intermediates, 2);
    const rows = await fleetRootCertificatesOf(registry.read, account.id);
    assert.deepEqual(Object.fromEntries(rows.map(({ sha256, role }) => [sha256, role])), {
      [root.certificate.sha256]: 'anchor',
      [plant.certificate.sha256]: 'intermediate',
      [line.certificate.sha256]: 'intermediate',
    });
  });

  test('from what the guide, and from what a plain openssl makes', { skip: needs('openssl') }, async () => {
    const account = await newAccountFor();
    using openssl = new Openssl();
    openssl.run(`
      openssl ecparam -genkey -name prime256v1 -out ca.key
      openssl req -x509 -new -key ca.key -days 36500 -subj '/CN=guide' -out guide.pem \\
        -addext keyUsage=keyCertSign -addext extendedKeyUsage=critical,serverAuth
      openssl req -x509 -newkey rsa:2048 -nodes -keyout plain.key -days 36500 -subj '/CN=plain' -out plain.pem`);
    assert.equal((await register(account, openssl.read('guide.pem'))).ca.name, 'guide');
    assert.equal((await register(account, openssl.read('plain.pem'))).ca.name, 'plain');
  });

  test('that is a subordinate CA, or has an Ed25519 key', async () => {
    const account = await newAccountFor();
    await register(account, pem(ca('Subordinate', { by: ca('Above') })));
    await register(account, pem(ca('Edwards', { key: newKey('ed25519') })));
  });

  test('once: renewed with the same key it stays the same one, in capitals or as a PrintableString too', async () => {
    const account = await newAccountFor();
    const root = ca('Root');
    const first = await register(account, pem(root), 'mine');
    const printable = sequence(set(sequence(oid(commonName), printableString('ROOT'))));
    for (const renewed of [
      ca('Root', { key: root.key, notAfter: now + 2000 * day }),
      ca(printable, { key: root.key, notAfter: now + 3000 * day }),
      ca('Root', { key: root.key, by: ca('Another') }),
    ]) {
      const again = await register(account, pem(renewed));
      assert.deepEqual([again.added, again.ca.id], ['certificate', first.ca.id]);
    }
    assert.equal((await fleetRootCertificatesOf(registry.read, account.id)).length, 4);
    await assert.rejects(register(account, pem(root)), { code: 'conflict', message: /already, as "mine"/ });
  });

  test('in two accounts', async () => {
    const root = ca('Root');
    for (const account of [await newAccountFor(), await newAccountFor()]) await register(account, pem(root));
  });

  test('under a name of its own where its common name is taken, unfit or missing', async () => {
    const account = await newAccountFor();
    const nameOf = async (subject: string | Buffer) => (await register(account, pem(ca(subject)))).ca.name;
    assert.equal(await nameOf('Root'), 'Root');
    assert.equal(await nameOf('Root'), 'Root 2');
    assert.equal(await nameOf('Root\u202e'), 'Fleet Root CA');
    assert.equal(await nameOf(randomUUID()), 'Fleet Root CA 2');
    assert.equal(await nameOf(sequence(set(sequence(oid('2.5.4.10'), utf8String('Acme'))))), 'Fleet Root CA 3');
  });

  test('under the name it is given, unless that is taken or could be taken for an ID or a SHA-256', async () => {
    const account = await newAccountFor();
    assert.equal((await register(account, pem(ca('Root')), 'Werk 1 – Süd')).ca.name, 'Werk 1 – Süd');
    await assert.rejects(register(account, pem(ca('Root')), 'Werk 1 – Süd'), { code: 'name_taken' });
    for (const name of [
      '',
      ' x',
      'x'.repeat(65),
      'a\nb',
      randomUUID(),
      'ab'.repeat(32),
      Array(32).fill('AB').join(':'),
    ]) {
      await assert.rejects(register(account, pem(ca('Root')), name), { code: 'invalid_request' }, JSON.stringify(name));
    }
  });
});

describe('registration is refused', () => {
  const unfit: [what: string, file: () => Uint8Array | string, reason: RegExp][] = [
    ['for a file with nothing in it', () => '', /no certificate/],
    [
      'for a private key in the file',
      () => `${pem(ca('Root'))}-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n`,
      /private key/,
    ],
    ['for a private key as DER', () => newKey().privateKey.export({ type: 'pkcs8', format: 'der' }), /private key/],
    [
      'for the certificate of a device',
      () => pem(make({ subject: 'device-1', notAfter: now + day })),
      /\(CN=device-1\) is no CA certificate/,
    ],
    [
      'for CA:FALSE',
      () => pem(make({ extensions: [basicConstraints(false)], notAfter: now + day })),
      /no CA certificate/,
    ],
    [
      'for version 1, which says nothing',
      () => pem(make({ version: null, extensions: null, notAfter: now + day })),
      /no CA certificate/,
    ],
    [
      'for a keyUsage without keyCertSign',
      () => pem(make({ extensions: [basicConstraints(true), keyUsage('digitalSignature')], notAfter: now + day })),
      /without keyCertSign/,
    ],
    ['for RSA with 1,024 bits', () => pem(ca('Root', { key: newKey('rsa1024') })), /1024 bits, and 2,048/],
    [
      'for a key on another curve',
      () => pem(ca('Root', { key: newKey('secp256k1') })),
      /public key that is not accepted/,
    ],
    ['for a signature with SHA-1', () => pem(ca('Root', { algorithm: 'ecdsa-sha1' })), /ECDSA with SHA-1/],
    [
      'for a signature with MD5',
      () => pem(ca('Root', { key: newKey('rsa2048'), algorithm: 'rsa-md5' })),
      /RSA with MD5/,
    ],
    [
      'for one that has expired, with both times',
      () => pem(ca('Root', { notAfter: now - day })),
      /expired at 2026-06-14T.*; it is 2026-06-15T/,
    ],
    [
      'for a critical extension that nobody here understands',
      () => pem(ca('Root', { extensions: [extension('1.2.3.4', nullValue(), true)] })),
      /not understood: 1\.2\.3\.4/,
    ],
    [
      'for an intermediate that is none',
      () => pem(ca('Root'), make({ notAfter: now + day })),
      /^Certificate 2 of 2 \(CN=device-1\) is no CA/,
    ],
    [
      'for an intermediate of another CA',
      () => pem(ca('Root'), ca('Plant', { by: ca('Other') })),
      /CN=Plant was not issued under/,
    ],
    [
      'for a chain whose root comes last, which would make the intermediate the anchor',
      () => {
        const root = ca('Root');
        return pem(ca('Plant', { by: root }), root);
      },
      /CN=Root was not issued under/,
    ],
    ['for a crowd', () => pem(...Array(21).fill(ca('Root'))), /more than 20/],
  ];
  for (const [what, file, reason] of unfit) {
    test(what, async () => {
      const account = await newAccountFor();
      await assert.rejects(register(account, file()), { name: 'Problem', code: 'certificate_unfit', message: reason });
      assert.deepEqual((await trustOf(registry.read, account.id)).fleet_root_cas, []);
    });
  }

  test('for a damaged file whose own signature is wrong', { skip: needs('openssl') }, async () => {
    using openssl = new Openssl();
    openssl.run("openssl req -x509 -newkey rsa:2048 -nodes -keyout k -days 36500 -subj '/CN=Root' -outform DER -out r");
    const der = openssl.read('r');
    der[der.length - 1]! ^= 1;
    const account = await newAccountFor();
    await assert.rejects(register(account, der), { code: 'certificate_unfit', message: /signature is wrong/ });
  });

  test("for a key that this server holds or has held, any account's, as anchor or intermediate", async () => {
    const test = await newAccount(issuing, { name: `test-${randomUUID().slice(0, 8)}` });
    const account = await newAccountFor();
    const held = { code: 'key_held_by_server' };
    for (const profile of ['fleet_root_ca', 'provisioning_ca', 'gateway_ca'] as const) {
      const { certificate, key } = await newCa(issuing, test, profile);
      await assert.rejects(register(account, certificate.der), held);
      await assert.rejects(register(test, certificate.der), held);
      // The same key in a certificate that the customer's own CA has made.
      const root = ca('Root');
      const crossed = ca('Crossed', { by: root, spki: certificate.publicKey.spki });
      await assert.rejects(register(account, pem(crossed)), held);
      await assert.rejects(register(account, pem(root, crossed)), held);
      const { ca: mine } = await register(account, pem(root), profile);
      await assert.rejects(addIntermediate(registry, account, mine.id, Buffer.from(pem(crossed)), { now }), held);
      await issuing.issuer.keys.destroy(key);
      await assert.rejects(register(account, certificate.der), held);
    }
  });

  test('for a key that the account distrusts, or that of a disabled Fleet Root CA under another name', async () => {
    const account = await newAccountFor();
    const root = ca('Root');
    const file = Buffer.from(pem(root));
    await distrust(account, file);
    await assert.rejects(register(account, file), { code: 'conflict', message: /distrusts/ });
    await trust(registry, account, file);
    const { ca: row } = await register(account, file);
    await registry.write('setFleetRootState', { account_id: account.id, fleet_root_ca_id: row.id, state: 'disabled' });
    const renamed = pem(ca('Renamed', { key: root.key }));
    await assert.rejects(register(account, renamed), { code: 'conflict', message: /"Root", which is disabled/ });
  });
});

describe('intermediates', () => {
  test('are added under the CA, by its ID, name or SHA-256, and only once', async () => {
    const account = await newAccountFor();
    const root = ca('Root');
    const { ca: row } = await register(account, pem(root));
    const plant = ca('Plant', { by: root });
    const line = ca('Line', { by: plant });
    const add = (ref: string, ...made: Made[]) =>
      addIntermediate(registry, account, ref, Buffer.from(pem(...made)), { now });
    assert.equal((await add(row.id, plant)).added, 1);
    // Known ones vouch for those under them.
    assert.equal((await add('Root', line)).added, 1);
    assert.equal((await add(root.certificate.sha256.toUpperCase(), line, plant)).added, 0);
    await assert.rejects(add('Root', ca('Plant', { by: ca('Other') })), { code: 'certificate_unfit' });
    await assert.rejects(add('nobody', plant), { code: 'not_found' });
  });

  test('that are distrusted are not added', async () => {
    const account = await newAccountFor();
    const root = ca('Root');
    await register(account, pem(root));
    const plant = Buffer.from(pem(ca('Plant', { by: root })));
    await distrust(account, plant);
    await assert.rejects(addIntermediate(registry, account, 'Root', plant, { now }), { code: 'conflict' });
  });
});

describe('distrust', () => {
  test('is of a public key, whatever certificate shows it, and ends by trust', async () => {
    const account = await newAccountFor();
    const root = ca('Root');
    const plant = ca('Plant', { by: root });
    const distrusted = async () => (await trustOf(registry.read, account.id)).distrusted_keys;
    const sha256 = await distrust(account, Buffer.from(pem(plant)));
    assert.equal(sha256, plant.certificate.publicKey.sha256);
    assert.deepEqual(
      (await distrusted()).map(({ public_key_sha256 }) => public_key_sha256),
      [sha256],
    );
    const other = Buffer.from(pem(ca('Plant of another name', { key: plant.key })));
    assert.equal(await trust(registry, account, other), sha256);
    assert.deepEqual(await distrusted(), []);
    await assert.rejects(trust(registry, account, other), { code: 'not_found' });
  });

  test('is of one certificate, not of a file of several', async () => {
    const account = await newAccountFor();
    const both = Buffer.from(pem(ca('One'), ca('Two')));
    await assert.rejects(distrust(account, both), { code: 'certificate_unfit', message: /2 certificates/ });
  });
});
