// Certificates as they come, real and hostile: what is read of them, what is refused, and whose signature it is.

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { test } from 'node:test';

import { AsnConvert } from '@peculiar/asn1-schema';
import { Certificate as PeculiarCertificate } from '@peculiar/asn1-x509';
import fc from 'fast-check';

import {
  CertificateError,
  parseCertificate,
  tbsSha256Of,
  verifySignature,
  type Certificate,
} from '../../src/x509/certificate.ts';
import { elements, readElement } from '../../src/x509/der.ts';
import {
  bitString,
  boolean,
  element,
  explicit,
  implicit,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  utf8String,
} from '../../src/x509/der-write.ts';
import { extensionOids } from '../../src/x509/extensions.ts';
import { firstCommonName } from '../../src/x509/name.ts';
import { parsePublicKey } from '../../src/x509/key.ts';
import {
  basicConstraints,
  extendedKeyUsage,
  extension,
  general,
  keyUsage,
  make,
  makeCa,
  makeDer,
  nameConstraints,
  newKey,
  pssParameters,
  type Shape,
} from '../support/certificate-maker.ts';
import { Openssl } from '../support/openssl.ts';

const key = newKey();
const refuses = (shape: Shape, because: RegExp): void =>
  assert.throws(
    () => parseCertificate(makeDer(shape, key)),
    (error) => error instanceof CertificateError && because.test(error.message) && !error.privateKeyFound,
    String(because),
  );

/** The chains of the guide, of aktualizr-cert-provider and of plain `openssl x509 -req`, made by openssl. */
function realCertificates(openssl: Openssl): Buffer[] {
  openssl.run(`
    openssl ecparam -genkey -name prime256v1 -noout -out root.key
    openssl req -x509 -new -key root.key -subj '/CN=Fleet Root/O=Acme' -days 9000 -outform DER -out root.der \
      -addext keyUsage=keyCertSign -addext extendedKeyUsage=critical,serverAuth -addext nameConstraints='permitted;dirName:sub' \
      -config - <<END
[req]
distinguished_name=dn
x509_extensions=none
[dn]
[none]
basicConstraints=CA:TRUE
subjectKeyIdentifier=hash
[sub]
O=Acme
END
    openssl x509 -inform DER -in root.der -out root.crt
    openssl ecparam -genkey -name prime256v1 -noout -out device.key
    openssl req -new -key device.key -subj /CN=device-1 -out device.csr
    printf 'keyUsage=critical,digitalSignature\\nextendedKeyUsage=critical,clientAuth\\nsubjectAltName=DNS:a.example,IP:10.0.0.1,email:a@b.example,URI:urn:x,otherName:1.2.3;UTF8:o,dirName:d,RID:1.2.3.4\\n[d]\\nCN=d\\n' >device.ext
    openssl x509 -req -in device.csr -CA root.crt -CAkey root.key -set_serial 1048575 -days 365 -sha256 -extfile device.ext -outform DER -out device.der
    openssl req -new -newkey rsa:2048 -nodes -keyout rsa.key -subj '/C=DE/ST=Berlin/O=Acme/CN=device 2' -out rsa.csr
    openssl x509 -req -in rsa.csr -CA root.crt -CAkey root.key -set_serial 0x00c0ffee -days 365 -outform DER -out v1.der`);
  return ['root.der', 'device.der', 'v1.der'].map((file) => openssl.read(file));
}

test('certificates by openssl read as Node and @peculiar read them', () => {
  using openssl = new Openssl();
  for (const der of realCertificates(openssl)) {
    const ours = parseCertificate(der);
    const nodes = new X509Certificate(der);
    assert.equal(ours.serial.toUpperCase(), nodes.serialNumber);
    assert.equal(ours.notBefore, nodes.validFromDate.getTime());
    assert.equal(ours.notAfter, nodes.validToDate.getTime());
    assert.equal(ours.sha256, nodes.fingerprint256.replaceAll(':', '').toLowerCase());
    assert.deepEqual(ours.publicKey.spki, nodes.publicKey.export({ type: 'spki', format: 'der' }));
    assert.equal(ours.tbsSha256, createHash('sha256').update(ours.tbs).digest('hex'));
    agreesWithPeculiar(ours, AsnConvert.parse(der, PeculiarCertificate));
  }
});

test('every field of the guide’s certificates is there', () => {
  using openssl = new Openssl();
  const [root, device, v1] = realCertificates(openssl).map(parseCertificate) as [Certificate, Certificate, Certificate];
  assert.equal(root.version, 3);
  assert.equal(root.subject.text, 'O=Acme,CN=Fleet Root');
  assert.deepEqual(root.extensions.basicConstraints, { ca: true, pathLength: null });
  assert.deepEqual([...root.extensions.keyUsage!], ['keyCertSign']);
  assert.deepEqual(root.extensions.extendedKeyUsage, ['1.3.6.1.5.5.7.3.1']);
  assert.equal(root.extensions.nameConstraints?.permitted[0]?.form, 'directoryName');
  assert.deepEqual(root.extensions.nameConstraints?.excluded, []);
  assert.match(root.extensions.subjectKeyIdentifier!, /^[0-9a-f]{40}$/);
  assert.deepEqual(root.extensions.unknownCritical, []);
  assert.equal(firstCommonName(device.subject), 'device-1');
  assert.equal(device.serial, '0fffff');
  assert.deepEqual([...device.extensions.keyUsage!], ['digitalSignature']);
  assert.equal(device.extensions.basicConstraints, null);
  assert.deepEqual(
    device.extensions.subjectAlternativeNames?.map((name) => [
      name.form,
      typeof name.value === 'string' ? name.value : null,
    ]),
    [
      ['dNSName', 'a.example'],
      ['iPAddress', null],
      ['rfc822Name', 'a@b.example'],
      ['uniformResourceIdentifier', 'urn:x'],
      ['otherName', null],
      ['directoryName', null],
      ['registeredID', '1.2.3.4'],
    ],
  );
  assert.deepEqual([v1.version, v1.serial, v1.publicKey.kind, v1.publicKey.bits], [1, 'c0ffee', 'rsa', 2048]);
  assert.deepEqual(v1.extensions.all, []);
  assert.equal(v1.extensions.keyUsage, null);
  for (const certificate of [root, device, v1]) assert.ok(verifySignature(certificate, root.publicKey));
  assert.ok(!verifySignature(device, device.publicKey));
});

test('an authority key identifier by name and serial number alone gives no hash', () => {
  const byName = sequence(implicit(1, general.directory(sequence()), true), implicit(2, Buffer.of(1), false));
  const both = sequence(
    implicit(0, Buffer.of(0xab), false),
    ...elements(readElement(byName).content).map(({ raw }) => raw),
  );
  const read = (value: Buffer): string | null =>
    make({ extensions: [extension(extensionOids.authorityKeyIdentifier, value)] }).certificate.extensions
      .authorityKeyIdentifier;
  assert.equal(read(byName), null);
  assert.equal(read(both), 'ab');
});

test('serial numbers that devices have are read: negative, zero, 21 octets; a whole book is not', () => {
  const serial = (octets: Buffer): string => parseCertificate(makeDer({ serial: octets }, key)).serial;
  assert.equal(serial(Buffer.of(0)), '00');
  assert.equal(serial(Buffer.of(0x80)), '-80');
  assert.equal(serial(Buffer.of(0xff)), '-01');
  assert.equal(serial(Buffer.of(0xfe, 0xff)), '-0101');
  assert.equal(serial(Buffer.of(0, 0x80)), '80');
  assert.equal(serial(Buffer.alloc(21, 0x7f)), '7f'.repeat(21));
  assert.equal(serial(Buffer.alloc(64, 0x7f)), '7f'.repeat(64));
  refuses({ serial: Buffer.alloc(65, 0x7f) }, /serial number is longer than 64 octets/);
});

test('times from before 1970 to the end of 9999 are read', () => {
  const { certificate } = make({ notBefore: Date.UTC(1960, 0, 1), notAfter: Date.UTC(9999, 11, 31, 23, 59, 59) });
  assert.equal(certificate.notBefore, Date.UTC(1960, 0, 1));
  assert.equal(new Date(certificate.notAfter).toISOString(), '9999-12-31T23:59:59.000Z');
  const early = make({ notBefore: element(0x18, Buffer.from('20200101000000Z')) });
  assert.equal(early.certificate.notBefore, Date.UTC(2020, 0, 1));
});

test('defaults that are written out are let pass: devices have them', () => {
  const written = sequence(oid(extensionOids.basicConstraints), boolean(false), octetString(sequence(boolean(false))));
  const { extensions } = make({ extensions: [written] }).certificate;
  assert.deepEqual(extensions.basicConstraints, { ca: false, pathLength: null });
  assert.equal(make({ version: 1 }).certificate.version, 1);
  const subtree = sequence(general.dns('a'), implicit(0, Buffer.of(0), false));
  const constraints = sequence(implicit(0, subtree, true));
  assert.equal(
    make({ extensions: [extension(extensionOids.nameConstraints, constraints)] }).certificate.extensions.nameConstraints
      ?.permitted.length,
    1,
  );
});

test('a certificate of an unknown version is refused', () => {
  refuses({ version: 4 }, /no X\.509 version 4/);
  refuses({ version: 0 }, /negative/);
});

test('extensions in a certificate of version 1 or 2 are refused', () => {
  for (const version of [null, 1, 2]) refuses({ version, extensions: [keyUsage('keyCertSign')] }, /cannot have/);
});

test('an extension that is there twice is refused, known or not', () => {
  refuses({ extensions: [basicConstraints(false), basicConstraints(true)] }, /2\.5\.29\.19 is there twice/);
  const unknown = extension('1.2.3', Buffer.of(1));
  refuses({ extensions: [unknown, unknown] }, /twice/);
});

test('two signature algorithms that differ are refused', () => {
  const sha384 = sequence(oid('1.2.840.10045.4.3.3'));
  refuses({ outerIdentifier: sha384 }, /differ/);
  refuses({ outerIdentifier: sequence(oid('1.2.840.10045.4.3.2'), nullValue()) }, /differ/);
});

test('garbage after the certificate or inside it is refused', () => {
  const der = makeDer({}, key);
  const [tbs, algorithm, signature] = elements(readElement(der).content).map(({ raw }) => raw) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  for (const wrong of [
    Buffer.concat([der, Buffer.of(0)]),
    sequence(tbs, algorithm, signature, nullValue()),
    sequence(tbs, algorithm),
    sequence(tbs),
    sequence(),
    sequence(sequence(readElement(tbs).content, nullValue()), algorithm, signature),
    sequence(tbs, algorithm, bitString(Buffer.of(0x80), 7)),
    sequence(tbs, sequence(oid('1.2.3'), nullValue(), nullValue()), signature),
  ]) {
    assert.throws(() => parseCertificate(wrong), CertificateError);
  }
});

test('the parts of a TBSCertificate are those of its version, no more and no fewer', () => {
  const uniqueIds = [1, 2].map((n) => implicit(n, Buffer.of(0, 1), false));
  const threeTimes = sequence(...['26', '27', '28'].map((year) => element(0x17, Buffer.from(`${year}0101000000Z`))));
  const changed = (version: number | null, change: (fields: Buffer[]) => Buffer[]): Buffer => {
    const [tbs, ...rest] = elements(readElement(makeDer({ version }, key)).content).map(({ raw }) => raw);
    return sequence(sequence(...change(elements(readElement(tbs!).content).map(({ raw }) => raw))), ...rest);
  };
  for (const version of [2, 3]) parseCertificate(changed(version, (fields) => [...fields, ...uniqueIds]));
  const wrong: [number | null, (fields: Buffer[]) => Buffer[]][] = [
    [1, (fields) => [...fields, ...uniqueIds]],
    [null, (fields) => [...fields, ...uniqueIds]],
    [3, (fields) => [...fields, ...uniqueIds.toReversed()]],
    [3, (fields) => fields.with(4, threeTimes)],
    [3, (fields) => fields.slice(0, -1)],
    [3, (fields) => fields.toSpliced(5, 1)],
  ];
  for (const [version, change] of wrong)
    assert.throws(() => parseCertificate(changed(version, change)), CertificateError);
});

test('a certificate over 64 KiB is refused before it is looked at', () => {
  const octets = (count: number): Shape => ({ extensions: [extension('1.2.3', Buffer.alloc(count))] });
  parseCertificate(makeDer(octets(60_000), key));
  assert.throws(() => parseCertificate(makeDer(octets(66_000), key)), /larger than 64 KiB/);
});

test('malformed extensions are refused, critical or not', () => {
  const malformed: [oid: string, value: Buffer][] = [
    [extensionOids.basicConstraints, nullValue()],
    [extensionOids.basicConstraints, sequence(boolean(true), element(0x02, Buffer.of(0xff)))],
    [extensionOids.basicConstraints, sequence(boolean(true), integer(0), integer(0))],
    [extensionOids.basicConstraints, Buffer.concat([sequence(), Buffer.of(0)])],
    [extensionOids.keyUsage, octetString(Buffer.of(0x80))],
    [extensionOids.extendedKeyUsage, sequence()],
    [extensionOids.extendedKeyUsage, sequence(utf8String('clientAuth'))],
    [extensionOids.subjectKeyIdentifier, Buffer.alloc(20)],
    [extensionOids.authorityKeyIdentifier, octetString(Buffer.alloc(20))],
    [extensionOids.subjectAlternativeName, sequence()],
    [extensionOids.subjectAlternativeName, sequence(utf8String('a'))],
    [extensionOids.subjectAlternativeName, sequence(general.dns('\xe9'))],
    [extensionOids.subjectAlternativeName, sequence(implicit(0, oid('1.2.3'), true))],
    [extensionOids.subjectAlternativeName, sequence(implicit(8, Buffer.of(0x80), false))],
    [extensionOids.nameConstraints, sequence()],
    [extensionOids.nameConstraints, sequence(implicit(0, Buffer.alloc(0), true))],
    [extensionOids.nameConstraints, sequence(implicit(2, sequence(general.dns('a')), true))],
    [extensionOids.nameConstraints, sequence(...[1, 0].map((n) => implicit(n, sequence(general.dns('a')), true)))],
    [extensionOids.nameConstraints, sequence(...[1, 1].map((n) => implicit(n, sequence(general.dns('a')), true)))],
    [extensionOids.nameConstraints, sequence(implicit(0, sequence(), true))],
    [
      extensionOids.nameConstraints,
      sequence(implicit(0, sequence(general.dns('a'), implicit(0, Buffer.of(1), false)), true)),
    ],
    [
      extensionOids.nameConstraints,
      sequence(implicit(0, sequence(general.dns('a'), implicit(1, Buffer.of(9), false)), true)),
    ],
  ];
  for (const [type, value] of malformed) {
    for (const critical of [false, true]) refuses({ extensions: [extension(type, value, critical)] }, /malformed/);
  }
  refuses({ extensions: [sequence(oid('1.2.3'))] }, /no extension value/);
  refuses({ extensions: [sequence(oid('1.2.3'), octetString(Buffer.of(1)), nullValue())] }, /more parts/);
});

test('critical extensions that nobody here processes are listed, those of policies are known', () => {
  const policies = ['2.5.29.32', '2.5.29.33', '2.5.29.36', '2.5.29.54', '2.5.29.18', '2.5.29.9'];
  const { extensions } = make({
    extensions: [
      ...policies.map((type) => extension(type, sequence(), true)),
      extension('2.5.29.31', sequence(), true), // cRLDistributionPoints: to be fetched, or not to be used
      extension('1.2.3.4', Buffer.of(0), true),
      extension('1.2.3.5', Buffer.of(0), false),
      extendedKeyUsage(true, '1.2.3.6'),
    ],
  }).certificate;
  assert.deepEqual(extensions.unknownCritical, ['2.5.29.31', '1.2.3.4']);
  assert.equal(extensions.all.length, 10);
});

test('names of every form and constraints on them are read', () => {
  const { extensions } = makeCa('CA', {
    extensions: [
      nameConstraints({
        permitted: [general.dns('a.example')],
        excluded: [general.ip(10, 0, 0, 0, 255, 0, 0, 0), general.mail('x@y')],
      }),
    ],
  }).certificate;
  assert.deepEqual(extensions.nameConstraints?.permitted, [{ form: 'dNSName', value: 'a.example' }]);
  assert.deepEqual(
    extensions.nameConstraints?.excluded.map(({ form }) => form),
    ['iPAddress', 'rfc822Name'],
  );
});

test('signatures by every accepted algorithm are recognised, and nothing else is', () => {
  const other = { p256: newKey().spki, rsa: newKey('rsa2048').spki };
  const accepted = [
    ['P-256', 'ecdsa-sha256'],
    ['P-256', 'ecdsa-sha512'],
    ['P-384', 'ecdsa-sha384'],
    ['P-521', 'ecdsa-sha512'],
    ['rsa2048', 'rsa-sha256'],
    ['rsa2048', 'rsa-sha384'],
    ['rsa2048', 'rsa-sha512'],
    ['rsa2048', 'rsa-pss-sha256'],
    ['rsa-pss2048', 'rsa-pss-sha256'],
    ['ed25519', 'ed25519'],
  ] as const;
  for (const [kind, algorithm] of accepted) {
    const signer = newKey(kind);
    const { certificate } = make({ key: signer, algorithm });
    assert.ok(verifySignature(certificate, certificate.publicKey), algorithm);
    for (const spki of Object.values(other)) assert.ok(!verifySignature(certificate, parsePublicKey(spki)));
    const damaged = Buffer.from(certificate.der.with(-1, certificate.der.at(-1)! ^ 1));
    assert.ok(!verifySignature(parseCertificate(damaged), certificate.publicKey));
  }
});

test('SHA-1, MD5 and keys of other kinds sign nothing', () => {
  const rsaKey = newKey('rsa2048');
  for (const [signer, algorithm] of [
    [newKey(), 'ecdsa-sha1'],
    [rsaKey, 'rsa-sha1'],
    [rsaKey, 'rsa-md5'],
    [newKey('secp256k1'), 'ecdsa-sha256'],
  ] as const) {
    const { certificate } = make({ key: signer, algorithm });
    assert.ok(!verifySignature(certificate, certificate.publicKey), algorithm);
  }
});

test('a signature counts only under its own algorithm', () => {
  const rsaKey = newKey('rsa2048');
  const disguised = (identifier: Buffer, shape: Shape = {}): boolean => {
    const { certificate } = make({ key: rsaKey, ...shape, identifier });
    return verifySignature(certificate, certificate.publicKey);
  };
  assert.ok(!disguised(sequence(oid('1.2.840.10045.4.3.2'))));
  assert.ok(!disguised(sequence(oid('1.2.840.113549.1.1.12'), nullValue())));
  assert.ok(!disguised(sequence(oid('1.2.840.113549.1.1.11'), sequence())));
  assert.ok(disguised(sequence(oid('1.2.840.113549.1.1.11'))));
  const ed25519 = newKey('ed25519');
  assert.ok(!disguised(sequence(oid('1.3.101.112'), nullValue()), { key: ed25519 }));
});

test('RSASSA-PSS counts with SHA-2 for both hashes and the right salt', () => {
  const [sha1, sha256, sha384] = ['1.3.14.3.2.26', '2.16.840.1.101.3.4.2.1', '2.16.840.1.101.3.4.2.2'];
  const verdict = (parameters: Buffer[]): boolean => {
    const identifier = sequence(oid('1.2.840.113549.1.1.10'), ...parameters);
    const { certificate } = make({ key: pssKey, algorithm: 'rsa-pss-sha256', identifier });
    return verifySignature(certificate, certificate.publicKey);
  };
  const pssKey = newKey('rsa2048');
  assert.ok(verdict([pssParameters(sha256, sha256, 32)]));
  assert.ok(!verdict([pssParameters(sha256, sha256, 20)]));
  assert.ok(!verdict([pssParameters(sha256, sha1, 32)]));
  assert.ok(!verdict([pssParameters(sha256, sha384, 32)]));
  assert.ok(!verdict([pssParameters(sha1, sha1, 32)]));
  assert.ok(!verdict([]));
  assert.ok(!verdict([nullValue()]));
  assert.ok(!verdict([sequence()]));
  assert.ok(!verdict([sequence(explicit(0, nullValue()), explicit(1, nullValue()))]));
  const trailer = sequence(
    ...elements(readElement(pssParameters(sha256, sha256, 32)).content).map(({ raw }) => raw),
    explicit(3, integer(2)),
  );
  assert.ok(!verdict([trailer]));
});

test('an ECDSA signature has two forms: the certificate is the same one, its bytes are not', () => {
  const { certificate } = make();
  const [r, s] = elements(readElement(certificate.signature).content).map(({ content }) =>
    BigInt(`0x${content.toString('hex')}`),
  );
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const octets = (value: bigint): Buffer => integer(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'));
  const [tbs, algorithm] = elements(readElement(certificate.der).content).map(({ raw }) => raw) as [Buffer, Buffer];
  const twin = parseCertificate(sequence(tbs, algorithm, bitString(sequence(octets(r!), octets(n - s!)))));
  assert.ok(verifySignature(twin, certificate.publicKey));
  assert.equal(twin.tbsSha256, certificate.tbsSha256);
  assert.notEqual(twin.sha256, certificate.sha256);
});

/** What both libraries say of a certificate. */
function agreesWithPeculiar(
  ours: Certificate,
  { tbsCertificate: theirs, signatureAlgorithm }: PeculiarCertificate,
): void {
  assert.equal(ours.version, theirs.version + 1);
  assert.equal(ours.signatureAlgorithm, signatureAlgorithm.algorithm);
  assert.equal(ours.notBefore, theirs.validity.notBefore.getTime().getTime());
  assert.equal(ours.notAfter, theirs.validity.notAfter.getTime().getTime());
  assert.deepEqual(
    ours.subject.attributes.map(({ type }) => type),
    [...theirs.subject].flatMap((rdn) => [...rdn].map(({ type }) => type)),
  );
  assert.deepEqual(
    ours.extensions.all.map(({ oid: type, critical, value }) => [type, critical, value.toString('hex')]),
    [...(theirs.extensions ?? [])].map(({ extnID, critical, extnValue }) => [
      extnID,
      critical,
      Buffer.from(extnValue.buffer).toString('hex'),
    ]),
  );
}

test('whatever the bytes, there is a certificate or a CertificateError; and where others read it, they agree', () => {
  using openssl = new Openssl();
  const real = fc.constantFrom(...realCertificates(openssl));
  const mutated = fc
    .tuple(real, fc.array(fc.tuple(fc.nat(2_000), fc.nat(255)), { minLength: 1, maxLength: 3 }))
    .map(([der, changes]) =>
      changes.reduce((bytes, [at, value]) => Buffer.from(bytes.with(at % bytes.length, value)), der),
    );
  const truncated = fc.tuple(real, fc.nat(1_000)).map(([der, length]) => der.subarray(0, length));
  const shifted = fc
    .tuple(real, fc.nat(1_000), fc.uint8Array({ maxLength: 3 }))
    .map(([der, at, extra]) => Buffer.concat([der.subarray(0, at), extra, der.subarray(at + 1)]));
  const random = fc.uint8Array().map((octets) => Buffer.from(octets));
  fc.assert(
    fc.property(fc.oneof({ weight: 3, arbitrary: mutated }, truncated, shifted, random), (der) => {
      let ours: Certificate;
      try {
        ours = parseCertificate(der);
      } catch (error) {
        assert.ok(error instanceof CertificateError, String(error));
        return;
      }
      // Read alone, it is the same: by it the gateway recognises a certificate before it reads one.
      assert.equal(tbsSha256Of(der), ours.tbsSha256);
      verifySignature(ours, ours.publicKey);
      let theirs: PeculiarCertificate;
      try {
        theirs = AsnConvert.parse(der, PeculiarCertificate);
      } catch {
        return;
      }
      agreesWithPeculiar(ours, theirs);
    }),
    { numRuns: 3_000 },
  );
});
