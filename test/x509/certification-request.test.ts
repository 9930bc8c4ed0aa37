// Certification requests: what real clients make, what nobody makes who means well, and the forms they are sent in.

import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import { faultOfDeviceId } from '../../src/provisioning/device-id.ts';
import {
  CertificationRequestError,
  faultOfRequestSignature,
  parseCertificationRequest,
  readRequestFile,
  verifyRequestSignature,
  type CertificationRequest,
} from '../../src/x509/certification-request.ts';
import { tags } from '../../src/x509/der.ts';
import {
  bitString,
  boolean,
  element,
  implicit,
  integer,
  nullValue,
  octetString,
  oid,
  printableString,
  sequence,
  set,
  utf8String,
} from '../../src/x509/der-write.ts';
import { weaknessOf } from '../../src/x509/key-weakness.ts';
import { commonName, encodeName, firstCommonName } from '../../src/x509/name.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { algorithms, make, newKey, type KeyPair } from '../support/certificate-maker.ts';
import { Openssl } from '../support/openssl.ts';
import { needs } from '../support/require.ts';

const key = newKey();

/** What a request shall be; what is left out is ordinary. */
interface Shape {
  readonly subject?: Buffer;
  readonly key?: KeyPair;
  readonly spki?: Buffer;
  /** What stands after the public key; by default attributes of which there are none. */
  readonly rest?: readonly Buffer[];
  readonly version?: Buffer;
  readonly algorithm?: keyof typeof algorithms;
  readonly signature?: Buffer;
}

const named = (...names: string[]): Buffer => encodeName(names.map((value) => ({ type: commonName, value })));

/** The DER of a request that openssl would refuse to make. */
function makeRequest(shape: Shape = {}): Buffer {
  const { algorithm = 'ecdsa-sha256', key: signer = key } = shape;
  const info = sequence(
    shape.version ?? integer(0),
    shape.subject ?? named('device-1'),
    shape.spki ?? signer.spki,
    ...(shape.rest ?? [implicit(0, Buffer.alloc(0), true)]),
  );
  const signature = shape.signature ?? bitString(sign(algorithms[algorithm].hash, info, signer.privateKey));
  return sequence(info, algorithms[algorithm].identifier, signature);
}

const extensionRequest = (list: Buffer): Buffer => sequence(oid('1.2.840.113549.1.9.14'), set(list));
const withExtensions = (...extensions: Buffer[]): Buffer[] => [
  implicit(0, extensionRequest(sequence(...extensions)), true),
];

const good = makeRequest();
const base64 = good.toString('base64');
const pem = encodePem('CERTIFICATE REQUEST', good);
const pkcs8 = key.privateKey.export({ type: 'pkcs8', format: 'der' });

function refuses(read: () => unknown, because: RegExp, privateKeyFound = false): void {
  assert.throws(
    read,
    (error) =>
      error instanceof CertificationRequestError &&
      because.test(error.message) &&
      error.privateKeyFound === privateKeyFound,
    String(because),
  );
}
const refusesDer = (der: Buffer, because: RegExp): void => refuses(() => parseCertificationRequest(der), because);
const refusesFile = (file: string | Buffer, because: RegExp, privateKeyFound = false): void =>
  refuses(() => readRequestFile(Buffer.from(file)), because, privateKeyFound);

const summary = ({ subject, publicKey, attributes }: CertificationRequest) => ({
  subject: subject.text,
  kind: publicKey.kind,
  bits: publicKey.bits,
  ...attributes,
});

describe('requests of real clients', () => {
  test('openssl: every kind of key, requested extensions, a challenge password', { skip: needs('openssl') }, () => {
    using openssl = new Openssl();
    openssl.run(`
      for curve in P-256 P-384 P-521; do
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:$curve -nodes -keyout $curve.pem -subj /CN=$curve -out $curve.csr
      done
      openssl req -new -newkey rsa:2048 -nodes -keyout rsa.pem -subj /O=Maker/CN=rsa -out rsa.csr
      openssl req -new -newkey rsa:512 -nodes -keyout rsa512.pem -subj /CN=rsa512 -out rsa512.csr
      openssl req -new -newkey ed25519 -nodes -keyout ed25519.pem -subj /CN=ed25519 -out ed25519.csr
      openssl req -new -key P-256.pem -subj / -outform DER -out nameless.csr
      openssl req -new -key P-256.pem -subj /CN=asks -addext basicConstraints=critical,CA:TRUE \\
                  -addext subjectAltName=DNS:other.example -out asks.csr
      openssl req -new -x509 -key P-256.pem -subj /CN=own -out own.crt
      openssl x509 -x509toreq -in own.crt -signkey P-256.pem -out own.csr
      printf '[req]\\ndistinguished_name=dn\\nattributes=at\\nprompt=no\\n[dn]\\nCN=secretive\\n[at]\\nchallengePassword=geheim\\n' > c.cnf
      openssl req -new -key P-256.pem -config c.cnf -out secretive.csr`);
    const expected = [
      ['P-256', 'p256', 256],
      ['P-384', 'p384', 384],
      ['P-521', 'p521', 521],
      ['rsa', 'rsa', 2048],
      ['rsa512', 'rsa', 512],
      ['ed25519', 'ed25519', 256],
      ['nameless', 'p256', 256],
      ['asks', 'p256', 256],
      ['own', 'p256', 256],
      ['secretive', 'p256', 256],
    ] as const;
    for (const [file, kind, bits] of expected) {
      const request = readRequestFile(openssl.read(`${file}.csr`));
      assert.deepEqual([request.publicKey.kind, request.publicKey.bits], [kind, bits], file);
      assert.equal(firstCommonName(request.subject), file === 'nameless' ? null : file);
      assert.equal(faultOfRequestSignature(request), null, file);
      assert.ok(verifyRequestSignature(request));
      assert.equal(request.attributes.challengePassword, file === 'secretive');
      assert.deepEqual(request.attributes.extensions, file === 'asks' ? ['2.5.29.19', '2.5.29.17'] : []);
    }
  });

  test(
    'GnuTLS: text around it, an old label, critical extensions, a challenge password',
    { skip: needs('certtool') },
    () => {
      using files = new Openssl();
      files.run(`
      printf 'cn = "device-17"\\nsigning_key\\ntls_www_client\\nchallenge_password = geheim\\n' > template
      certtool --generate-privkey --key-type ecdsa --curve secp256r1 --outfile ec.pem
      certtool --generate-request --load-privkey ec.pem --template template --outfile ec.csr
      certtool --generate-privkey --key-type rsa --bits 2048 --outfile rsa.pem
      certtool --generate-request --load-privkey rsa.pem --template template --outfile rsa.csr`);
      for (const [file, kind, bits] of [
        ['ec.csr', 'p256', 256],
        ['rsa.csr', 'rsa', 2048],
      ] as const) {
        assert.match(files.read(file).toString(), /Version: 1[^]+-----BEGIN NEW CERTIFICATE REQUEST-----/);
        const request = readRequestFile(files.read(file));
        assert.equal(faultOfRequestSignature(request), null);
        assert.deepEqual(summary(request), {
          subject: 'CN=device-17',
          kind,
          bits,
          challengePassword: true,
          extensions: ['2.5.29.19', '2.5.29.15', '2.5.29.37'],
        });
      }
    },
  );

  test('the common name in each type of string that openssl writes', { skip: needs('openssl') }, () => {
    using openssl = new Openssl();
    openssl.run('openssl ecparam -name prime256v1 -genkey -noout -out key.pem');
    for (const mask of ['0x0800', '0x2000', '0x0100', '0x0004']) {
      const settings = `[req]\nstring_mask=MASK:${mask}\nutf8=yes\nprompt=no\ndistinguished_name=dn\n[dn]\nCN=Gerät-1\n`;
      writeFileSync(join(openssl.directory, 'c.cnf'), settings);
      openssl.run('openssl req -new -key key.pem -config c.cnf -out request.csr');
      const { subject } = readRequestFile(openssl.read('request.csr'));
      assert.equal(firstCommonName(subject), 'Gerät-1', mask);
    }
  });

  test('keys that are not certified are read, so that it can be said why not', { skip: needs('openssl') }, () => {
    using openssl = new Openssl();
    openssl.run(`
      for curve in brainpoolP256r1 secp256k1; do
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:$curve -nodes -keyout key.pem -subj /CN=x -out $curve.csr
      done
      openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit \\
                  -nodes -keyout key.pem -subj /CN=x -out explicit.csr
      openssl genpkey -genparam -algorithm DSA -pkeyopt pbits:1024 -out dsa.params
      openssl genpkey -paramfile dsa.params -out dsa.pem
      openssl req -new -key dsa.pem -sha256 -subj /CN=x -out dsa.csr`);
    for (const file of ['brainpoolP256r1', 'secp256k1', 'explicit', 'dsa']) {
      const request = readRequestFile(openssl.read(`${file}.csr`));
      assert.equal(request.publicKey.kind, 'other');
      assert.notEqual(weaknessOf(request.publicKey), null);
      assert.notEqual(faultOfRequestSignature(request), null);
    }
  });
});

describe('the proof of possession', () => {
  test('a signature by SHA-1 is refused, and by which algorithm is said', { skip: needs('openssl') }, () => {
    using openssl = new Openssl();
    openssl.run(`
      openssl ecparam -name prime256v1 -genkey -noout -out ec.pem
      openssl req -new -key ec.pem -sha1 -subj /CN=x -out ec.csr
      openssl req -new -newkey rsa:2048 -nodes -keyout rsa.pem -sha1 -subj /CN=x -out rsa.csr
      openssl req -new -key rsa.pem -md5 -subj /CN=x -out md5.csr`);
    const fault = (file: string) => faultOfRequestSignature(readRequestFile(openssl.read(file)));
    assert.equal(fault('ec.csr'), 'The request is signed by ECDSA with SHA-1, which is not accepted.');
    assert.equal(fault('rsa.csr'), 'The request is signed by RSA with SHA-1, which is not accepted.');
    assert.equal(fault('md5.csr'), 'The request is signed by RSA with MD5, which is not accepted.');
  });

  test('a bit that is turned anywhere makes it none', () => {
    for (let at = 0; at < good.length; at += 1) {
      const turned = Buffer.from(good.with(at, good[at]! ^ (1 << (at % 8))));
      try {
        assert.notEqual(faultOfRequestSignature(parseCertificationRequest(turned)), null, String(at));
      } catch (error) {
        assert.ok(error instanceof CertificationRequestError, String(error));
      }
    }
  });

  test('a signature by another key, an empty one and one by another kind of key are none', () => {
    const fault = (shape: Shape) => faultOfRequestSignature(parseCertificationRequest(makeRequest(shape)));
    assert.equal(fault({}), null);
    const sentence = "The request's signature was not made by the key that is in it.";
    assert.equal(fault({ key: newKey(), spki: key.spki }), sentence);
    assert.equal(fault({ signature: bitString(Buffer.alloc(0)) }), sentence);
    assert.equal(fault({ key: newKey('rsa2048'), spki: key.spki, algorithm: 'rsa-sha256' }), sentence);
  });
});

describe('requests as nobody makes them who means well', () => {
  test('cut at any octet, in any form, nothing is read', () => {
    for (const whole of [good, Buffer.from(pem.trimEnd()), Buffer.from(base64)]) {
      for (let length = 0; length < whole.length; length += 1) {
        refusesFile(whole.subarray(0, length), /^(The|There) .+\.$/);
      }
      assert.deepEqual(readRequestFile(whole).der, good);
    }
    refusesDer(good.subarray(0, -1), /The bytes end before the element does/);
  });

  test('anything after it, and parts that do not belong in it, are refused', () => {
    refusesDer(Buffer.concat([good, Buffer.of(0)]), /bytes after the end/);
    refusesDer(Buffer.concat([good, nullValue()]), /bytes after the end/);
    refusesDer(makeRequest({ rest: [implicit(0, Buffer.alloc(0), true), nullValue()] }), /parts that it cannot have/);
    refusesDer(makeRequest({ rest: [implicit(1, Buffer.alloc(0), true)] }), /parts that it cannot have/);
    const [info, algorithm, signature] = [sequence(), algorithms['ecdsa-sha256'].identifier, bitString(Buffer.of(1))];
    refusesDer(sequence(info, algorithm, signature, nullValue()), /more parts than three/);
    refusesDer(sequence(info, algorithm, signature), /no version/);
  });

  test('a version that there is not, no signature, half octets, no subject, no key', () => {
    refusesDer(makeRequest({ version: integer(1) }), /^The request is malformed\. There is no PKCS#10 version 2\.$/);
    refusesDer(makeRequest({ version: integer(-1) }), /version is negative/);
    refusesDer(makeRequest({ signature: Buffer.alloc(0) }), /no signature/);
    refusesDer(makeRequest({ signature: octetString(Buffer.alloc(8)) }), /signature has the tag 0x04/);
    refusesDer(makeRequest({ signature: bitString(Buffer.of(0x80), 7) }), /whole number of octets/);
    refusesDer(makeRequest({ subject: nullValue() }), /subject has the tag 0x05/);
    refusesDer(makeRequest({ spki: Buffer.alloc(0), rest: [] }), /no public key/);
  });

  test('of several common names the first counts; NUL and marks of direction are read, and are no device ID', () => {
    const first = (...names: string[]): string | null =>
      firstCommonName(parseCertificationRequest(makeRequest({ subject: named(...names) })).subject);
    assert.equal(first('first', 'second'), 'first');
    for (const name of ['device\0-1', '\u202e1-ecived', 'zero\u200bwidth', 'line\nbreak', '', 'x'.repeat(65)]) {
      assert.equal(first(name), name);
      assert.notEqual(faultOfDeviceId(name), null);
    }
    refusesDer(makeRequest({ subject: named('x'.repeat(4_096)) }), /subject is longer than 4 KiB/);
  });

  test('64 KiB of extensions: up to the limit they are ignored, beyond it the request is refused', () => {
    const padded = (octets: number): Buffer =>
      makeRequest({
        rest: withExtensions(sequence(oid('1.3.6.1.4.1.99999.1'), octetString(Buffer.alloc(octets, 7)))),
        signature: bitString(Buffer.alloc(72)),
      });
    const around = padded(60_000).length - 60_000;
    assert.equal(parseCertificationRequest(padded(65_536 - around)).der.length, 65_536);
    refusesDer(padded(65_537 - around), /larger than 64 KiB/);
    refusesFile(padded(65_537 - around), /larger than 64 KiB/);
    refusesFile(padded(65_537 - around).toString('base64'), /larger than 64 KiB/);
    refusesFile(Buffer.alloc(512 * 1024 + 1, 0x20), /larger than 512 KiB/);

    const many = Array.from({ length: 3_000 }, (_, n) =>
      sequence(oid(`1.3.6.1.4.1.${n}`), octetString(Buffer.alloc(0))),
    );
    const request = parseCertificationRequest(makeRequest({ rest: withExtensions(...many) }));
    assert.equal(faultOfRequestSignature(request), null);
    assert.deepEqual(
      request.attributes.extensions,
      Array.from({ length: 32 }, (_, n) => `1.3.6.1.4.1.${n}`),
    );
  });

  test('what old and odd clients leave out or put in is let pass', () => {
    const attributes = (...rest: Buffer[]) => {
      const request = parseCertificationRequest(makeRequest({ rest }));
      assert.equal(faultOfRequestSignature(request), null);
      return request.attributes;
    };
    const none = { challengePassword: false, extensions: [] };
    assert.deepEqual(attributes(), none);
    assert.deepEqual(attributes(...withExtensions()), none);
    assert.deepEqual(attributes(implicit(0, sequence(oid('1.2.840.113549.1.9.14'), set()), true)), none);
    assert.deepEqual(attributes(implicit(0, sequence(oid('1.2.3.4'), set(nullValue(), boolean(true))), true)), none);
    const usage = sequence(oid('2.5.29.15'), boolean(true), octetString(Buffer.of(9, 9)));
    assert.deepEqual(attributes(...withExtensions(usage, usage)).extensions, ['2.5.29.15']);
    const microsoft = sequence(oid('1.3.6.1.4.1.311.2.1.14'), set(sequence(usage)));
    const password = sequence(oid('1.2.840.113549.1.9.7'), set(printableString('geheim')));
    assert.deepEqual(attributes(implicit(0, Buffer.concat([password, microsoft]), true)), {
      challengePassword: true,
      extensions: ['2.5.29.15'],
    });
  });

  test('attributes that are none are refused', () => {
    const refusesAttributes = (content: Buffer, because: RegExp): void =>
      refusesDer(makeRequest({ rest: [implicit(0, content, true)] }), because);
    refusesAttributes(nullValue(), /attribute has the tag 0x05/);
    refusesAttributes(sequence(utf8String('x')), /attribute type/);
    refusesAttributes(sequence(oid('1.2.3')), /no set of attribute values/);
    refusesAttributes(sequence(oid('1.2.3'), set(), set()), /more parts than two/);
    refusesAttributes(extensionRequest(nullValue()), /list of extensions/);
    refusesAttributes(extensionRequest(sequence(sequence())), /no extension identifier/);
    refusesAttributes(Buffer.of(0x30, 0x10), /bytes end before/);
  });
});

describe('the forms that requests are sent in', () => {
  test('DER, PEM with either label, bare base64: with any white space, marks and text around them', () => {
    const wrapped = (columns: number, end: string): string =>
      base64.replaceAll(new RegExp(`.{1,${columns}}`, 'g'), `$&${end}`);
    for (const file of [
      good,
      pem,
      encodePem('NEW CERTIFICATE REQUEST', good),
      `Subject: CN=device-1\n${pem}and more text\n`,
      pem.replaceAll('\n', '\r\n'),
      `\ufeff${pem}`,
      Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from(pem, 'utf16le')]),
      encodePem('CERTIFICATE', make().certificate.der) + pem,
      base64,
      `${base64}\n`,
      wrapped(64, '\n'),
      wrapped(76, '\r\n'),
      wrapped(1, ' \t\n'),
      `\ufeff${wrapped(64, '\n')}`,
      Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from(wrapped(64, '\r\n'), 'utf16le')]),
    ]) {
      const request = readRequestFile(Buffer.from(file));
      assert.deepEqual(request.der, good);
      assert.equal(faultOfRequestSignature(request), null);
    }
  });

  test('two requests in one are refused, however they are sent', () => {
    const tooMany = /^There is more than one request where exactly one is expected\.$/;
    const other = makeRequest({ subject: named('device-2') });
    refusesFile(pem + encodePem('NEW CERTIFICATE REQUEST', other), tooMany);
    refusesFile(pem + pem, tooMany);
    refusesFile(Buffer.concat([good, other]), tooMany);
    refusesFile(Buffer.concat([good, other]).toString('base64'), tooMany);
    refusesFile(encodePem('CERTIFICATE REQUEST', Buffer.concat([good, good])), tooMany);
    // Of the length of a signature by P-256 it depends how the base64 ends; by Ed25519 it always does with padding.
    const edKey = newKey('ed25519');
    const padded = ['a', 'aa', 'aaa']
      .map((name) => makeRequest({ key: edKey, algorithm: 'ed25519', subject: named(name) }).toString('base64'))
      .find((text) => text.endsWith('='))!;
    refusesFile(padded + padded, tooMany);
    refusesFile(`${padded}\n\n${padded}\n`, tooMany);
  });

  test('a private key beside it, or in its place, is told of', () => {
    const found =
      /^There is a private key in what was sent, which must never leave its device; send the request alone\.$/;
    const { privateKey } = newKey('rsa2048');
    const keys = [
      pkcs8,
      privateKey.export({ type: 'pkcs1', format: 'der' }),
      key.privateKey.export({ type: 'sec1', format: 'der' }),
      key.privateKey.export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: 'geheim' }),
    ];
    for (const each of keys) {
      refusesFile(each, found, true);
      refusesFile(each.toString('base64'), found, true);
      refusesFile(Buffer.concat([good, each]), found, true);
      refusesFile(encodePem('CERTIFICATE REQUEST', each), found, true);
      refusesFile(pem + encodePem('PRIVATE KEY', each), found, true);
    }
    for (const label of ['EC PRIVATE KEY', 'ENCRYPTED PRIVATE KEY', 'RSA PRIVATE KEY']) {
      refusesFile(encodePem(label, pkcs8) + pem, found, true);
    }
    refusesFile(`${pem}-----BEGIN PRIVATE KEY-----\ncut`, found, true);
    refusesFile(Buffer.concat([Buffer.from(pem), pkcs8]), /no text/);
  });

  test('what is no base64, no request, or nothing at all gets its sentence', () => {
    refusesFile('', /^There is no request: nothing was sent\.$/);
    refusesFile(' \r\n', /nothing was sent/);
    refusesFile(`${base64.slice(0, 40)}*${base64.slice(41)}`, /neither DER nor PEM nor base64/);
    refusesFile('hello, world', /neither DER nor PEM nor base64/);
    refusesFile(base64.replace(/=*$/, '').slice(0, 41), /base64 of the request is cut, or padded wrongly/);
    refusesFile(`${base64}===`.replace(/=+$/, '====='), /padded wrongly/);
    refusesFile(Buffer.concat([Buffer.from('x'), Buffer.alloc(3)]), /no text/);
    refusesFile(pem.replace('M', '*'), /not base64 between BEGIN and END/);
    refusesFile('-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n', /not base64 between BEGIN and END/);
    refusesFile('-----BEGIN ', /^There is no CERTIFICATE REQUEST\.$/);
    refusesFile(encodePem('PUBLIC KEY', key.spki), /^There is no CERTIFICATE REQUEST, only PUBLIC KEY\.$/);
    const certificate = make().certificate.der;
    refusesFile(encodePem('CERTIFICATE', certificate), /^There is no CERTIFICATE REQUEST, only CERTIFICATE\.$/);
    refusesFile(certificate, /^There is a certificate where a certification request is expected\.$/);
    refusesFile(certificate.toString('base64'), /^There is a certificate where/);
    refusesFile(Buffer.from('3080', 'hex'), /malformed/);
    refusesFile(sequence(), /malformed/);
  });
});

/** The request, or null where it is refused as it should be; anything else that is thrown goes on. */
function readOrNull(read: () => CertificationRequest): CertificationRequest | null {
  try {
    return read();
  } catch (error) {
    assert.ok(error instanceof CertificationRequestError, String(error));
    assert.match(error.message, /^[A-Z].*\.$/);
    return null;
  }
}

test('whatever the bytes, there is a request or the one error, and what was read once is read again', () => {
  const rsa = makeRequest({
    key: newKey('rsa2048'),
    algorithm: 'rsa-sha256',
    rest: withExtensions(sequence(oid('2.5.29.15'), boolean(true), octetString(Buffer.of(3, 2, 7, 0x80)))),
  });
  const forms = [good, rsa, Buffer.from(pem), Buffer.from(base64), Buffer.from(encodePem('CERTIFICATE REQUEST', rsa))];
  const change = fc.array(fc.tuple(fc.nat(4_000), fc.nat(255)), { maxLength: 3 });
  const mutated = fc
    .tuple(fc.constantFrom(...forms), change)
    .map(([form, changes]) =>
      changes.reduce((bytes, [at, value]) => Buffer.from(bytes.with(at % bytes.length, value)), form),
    );
  const pieces = fc
    .array(fc.constantFrom(good, rsa, Buffer.from(pem), Buffer.from(base64), pkcs8, Buffer.from('\n'), Buffer.of(0)), {
      maxLength: 3,
    })
    .map((parts) => Buffer.concat(parts));
  const random = fc.uint8Array().map((octets) => Buffer.from(octets));
  fc.assert(
    fc.property(fc.oneof(mutated, pieces, random), (file) => {
      readOrNull(() => parseCertificationRequest(file));
      const request = readOrNull(() => readRequestFile(file));
      if (request === null) return;
      const again = readRequestFile(Buffer.from(encodePem('CERTIFICATE REQUEST', request.der)));
      const fields = ({ der, info, signature, publicKey, subject, attributes }: CertificationRequest) => ({
        octets: [der, info, signature, publicKey.canonicalSpki, subject.der].map((octets) => octets.toString('hex')),
        attributes,
        fault: faultOfRequestSignature(request),
        weakness: weaknessOf(publicKey),
      });
      assert.deepEqual(fields(again), fields(request));
    }),
    { numRuns: 1_000 },
  );
});

test('a value that is tagged as no string is kept, and is no common name', () => {
  const odd = sequence(set(sequence(oid(commonName), element(tags.octetString, Buffer.from('x')))));
  const { subject } = parseCertificationRequest(makeRequest({ subject: odd }));
  assert.throws(() => firstCommonName(subject), /common name/);
});
