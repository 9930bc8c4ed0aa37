// Files of certificates as people keep them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { CertificateError, certificateToPem, parseCertificates } from '../../src/x509/certificate.ts';
import { sequence } from '../../src/x509/der-write.ts';
import { encodePem, pemBlocks } from '../../src/x509/pem.ts';
import { extension, make, newKey } from '../support/certificate-maker.ts';
import { Openssl } from '../support/openssl.ts';

const [first, second] = [make({ subject: 'first' }), make({ subject: 'second' })].map(
  ({ certificate }) => certificate.der,
) as [Buffer, Buffer];
const [firstPem, secondPem] = [certificateToPem(first), certificateToPem(second)];

const subjects = (file: string | Buffer): string[] =>
  parseCertificates(Buffer.from(file)).map(({ subject }) => subject.text);
const refuses = (file: string | Buffer, because: RegExp, privateKeyFound = false): void =>
  assert.throws(
    () => subjects(file),
    (error) =>
      error instanceof CertificateError && because.test(error.message) && error.privateKeyFound === privateKeyFound,
    String(because),
  );

test('PEM with one certificate or several, and DER', () => {
  assert.deepEqual(subjects(firstPem), ['CN=first']);
  assert.deepEqual(subjects(firstPem + secondPem + firstPem), ['CN=first', 'CN=second', 'CN=first']);
  assert.deepEqual(subjects(first), ['CN=first']);
  assert.deepEqual(subjects(Buffer.concat([first, second])), ['CN=first', 'CN=second']);
});

test('byte order marks, Windows line ends, blank lines, indentation, one long line and old labels make no difference', () => {
  const base64 = first.toString('base64');
  for (const file of [
    `\ufeff${firstPem}`,
    firstPem.replaceAll('\n', '\r\n'),
    firstPem.replaceAll('\n', '\r'),
    `\n\n \t\n${firstPem.replaceAll('\n', '\n\n')}\n\n`,
    firstPem.replace(/^/gm, '      '),
    `-----BEGIN CERTIFICATE-----${base64}-----END CERTIFICATE-----`,
    `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{7}/g, '$& \t\n')}\n-----END CERTIFICATE-----`,
    firstPem.replaceAll('CERTIFICATE', 'X509 CERTIFICATE'),
    Buffer.from(`\ufeff${firstPem}`, 'utf16le'),
    firstPem.trimEnd(),
  ]) {
    assert.deepEqual(subjects(file), ['CN=first']);
  }
});

test('text and other blocks around the certificates are passed over', () => {
  const other = encodePem('EC PARAMETERS', Buffer.of(6, 1, 0)) + encodePem('PUBLIC KEY', newKey().spki);
  assert.deepEqual(subjects(`Müller's roots -----\n${other}# one\n${firstPem}subject=second\n${secondPem}the end`), [
    'CN=first',
    'CN=second',
  ]);
});

test('what openssl prints with a certificate, in each of its ways, is read', () => {
  using openssl = new Openssl();
  openssl.run(`
    openssl ecparam -genkey -name prime256v1 -noout -out key.pem
    openssl req -x509 -new -key key.pem -subj /CN=root -days 10 -out root.crt
    openssl x509 -in root.crt -text -out text.crt
    openssl x509 -in root.crt -outform DER -out root.der
    openssl crl2pkcs7 -nocrl -certfile root.crt -certfile root.crt | openssl pkcs7 -print_certs -out printed.crt
    openssl pkcs12 -export -inkey key.pem -in root.crt -passout pass: -out root.p12
    openssl pkey -in key.pem -outform DER -out pkcs8.der
    openssl ec -in key.pem -outform DER -out sec1.der
    openssl pkcs8 -topk8 -in key.pem -passout pass:x -out encrypted.pem
    cat root.crt key.pem > both.pem`);
  for (const file of ['root.crt', 'text.crt', 'root.der']) assert.deepEqual(subjects(openssl.read(file)), ['CN=root']);
  assert.deepEqual(subjects(openssl.read('printed.crt')), ['CN=root', 'CN=root']);
  for (const file of ['both.pem', 'key.pem', 'encrypted.pem'])
    refuses(openssl.read(file), /a private key in the file/, true);
  for (const file of ['root.p12', 'pkcs8.der', 'sec1.der'])
    refuses(openssl.read(file), /a private key or a PKCS#12/, true);
});

test('text that begins with the digit that DER begins with is text, and DER with PEM inside it is DER', () => {
  assert.deepEqual(subjects(`0 s:CN = first\n${firstPem}`), ['CN=first']);
  const comment = extension('1.2.3', Buffer.from(secondPem));
  assert.deepEqual(subjects(make({ subject: 'talkative', extensions: [comment] }).certificate.der), ['CN=talkative']);
});

test('a private key is found even where its block is damaged', () => {
  for (const label of [
    'PRIVATE KEY',
    'EC PRIVATE KEY',
    'RSA PRIVATE KEY',
    'ENCRYPTED PRIVATE KEY',
    'OPENSSH PRIVATE KEY',
  ]) {
    refuses(`${firstPem}-----BEGIN ${label}-----\nMIG`, /private key/, true);
    refuses(`-----BEGIN ${label}-----${firstPem}`, /private key/, true);
  }
});

test('a file without a certificate is refused, with what it has instead', () => {
  refuses('', /no certificate in the file\.$/);
  refuses('hello', /no certificate in the file\.$/);
  refuses(encodePem('CERTIFICATE REQUEST', sequence()), /only CERTIFICATE REQUEST/);
  refuses(Buffer.from([0x30, 0x80, 0, 0]), /neither PEM nor whole DER/);
  refuses(Buffer.concat([first, Buffer.of(0)]), /neither PEM nor whole DER/);
  refuses(sequence(), /malformed/);
  refuses('0', /neither PEM nor whole DER/);
});

test('of several certificates the wrong one is named', () => {
  const cut = '-----BEGIN CERTIFICATE-----\nMIIB\n';
  refuses(firstPem + cut, /^Certificate 2 of 2: .*BEGIN and END/);
  refuses(cut + firstPem, /^Certificate 1 of 2: .*BEGIN and END/);
  refuses(firstPem + encodePem('CERTIFICATE', Buffer.of(0x30, 0)), /^Certificate 2 of 2: The certificate is malformed/);
  refuses(encodePem('CERTIFICATE', Buffer.of(0x30, 0)), /^The certificate is malformed/);
  refuses(firstPem.replace('M', '*'), /not base64/);
  refuses(firstPem.replace(/\n-----END/, 'A\n-----END'), /not base64/);
  refuses(Buffer.concat([first, sequence()]), /^Certificate 2 of 2/);
});

test('a file over 1 MiB is refused', () => refuses(Buffer.alloc(1024 * 1024 + 1, 0x20), /larger than 1 MiB/));

test('a certificate is written in lines of 64 characters', () => {
  const lines = firstPem.split('\n');
  assert.equal(lines[0], '-----BEGIN CERTIFICATE-----');
  assert.deepEqual(lines.slice(-2), ['-----END CERTIFICATE-----', '']);
  assert.ok(lines.slice(1, -3).every((line) => line.length === 64));
  assert.equal(encodePem('X', Buffer.alloc(48)), `-----BEGIN X-----\n${'A'.repeat(64)}\n-----END X-----\n`);
});

test('whatever the text, its blocks are found, and what was written is found again', () => {
  const label = fc.stringMatching(/^[A-Z0-9]{1,8}( [A-Z0-9]{1,8})?$/);
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((octets) => Buffer.from(octets));
  fc.assert(
    fc.property(fc.array(fc.tuple(label, bytes), { maxLength: 4 }), fc.stringMatching(/^[^-]*$/), (blocks, between) => {
      const text = blocks.map(([name, value]) => between + encodePem(name, value)).join('') + between;
      assert.deepEqual(
        pemBlocks(text),
        blocks.map(([name, value]) => ({ label: name, bytes: value })),
      );
    }),
  );
});

test('whatever the bytes, a file gives certificates or a CertificateError', () => {
  const base = Buffer.from(firstPem + secondPem);
  const mutated = fc
    .array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 4 })
    .map((changes) => changes.reduce((bytes, [at, value]) => Buffer.from(bytes.with(at, value)), base));
  const pieces = fc
    .array(fc.constantFrom('-----BEGIN ', 'CERTIFICATE', '-----', '-----END ', '\n', 'PRIVATE KEY', firstPem, 'MIIB'), {
      maxLength: 12,
    })
    .map((parts) => Buffer.from(parts.join('')));
  const random = fc.uint8Array().map((octets) => Buffer.from(octets));
  fc.assert(
    fc.property(fc.oneof(mutated, pieces, random), (file) => {
      try {
        assert.ok(parseCertificates(file).length > 0);
      } catch (error) {
        assert.ok(error instanceof CertificateError, String(error));
      }
    }),
    { numRuns: 1_000 },
  );
});
