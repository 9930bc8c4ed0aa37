// Path validation (RFC 5280 §6.1): who is let in, and the rule that keeps each other one out.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseCertificates, parseCertificate } from '../../src/x509/certificate.ts';
import { bitString, element, nullValue, oid, printableString, sequence, set } from '../../src/x509/der-write.ts';
import { commonName, encodeName } from '../../src/x509/name.ts';
import { findPaths } from '../../src/x509/path.ts';
import {
  basicConstraints,
  day,
  extendedKeyUsage,
  extension,
  general,
  keyUsage,
  make,
  makeCa,
  nameConstraints,
  newKey,
  now,
  subjectAltName,
  type Made,
  type Shape,
} from '../support/certificate-maker.ts';
import { Openssl } from '../support/openssl.ts';
import { accepts, refuses, search } from '../support/path-search.ts';

const root = makeCa('Root');
const factory = makeCa('Factory', { by: root });
const anchors = [root];
const minute = 60_000;

test('a device of the guide is under its Fleet Root CA, whose EKU is serverAuth', () => {
  using openssl = new Openssl();
  openssl.run(`
    openssl ecparam -genkey -name prime256v1 -noout -out root.key
    openssl req -x509 -new -key root.key -subj /CN=Fleet -days 9000 -out root.crt \
      -addext keyUsage=keyCertSign -addext extendedKeyUsage=critical,serverAuth
    openssl ecparam -genkey -name prime256v1 -noout -out device.key
    openssl req -new -key device.key -subj /CN=device-1 -out device.csr
    printf 'keyUsage=critical,digitalSignature\\nextendedKeyUsage=critical,clientAuth\\n' >device.ext
    openssl x509 -req -in device.csr -CA root.crt -CAkey root.key -CAcreateserial -days 365 -extfile device.ext -out device.crt
    openssl x509 -req -in device.csr -CA root.crt -CAkey root.key -CAcreateserial -days 365 -out v1.crt`);
  const read = (file: string): ReturnType<typeof parseCertificate> => parseCertificates(openssl.read(file))[0]!;
  const [anchor, device, v1] = [read('root.crt'), read('device.crt'), read('v1.crt')];
  const question = {
    others: [],
    anchors: [{ id: 'fleet', certificate: anchor }],
    now: Date.now(),
    tolerance: 0,
    excluded: new Set<string>(),
  };
  for (const leaf of [device, v1]) {
    const { paths, failure } = findPaths({ ...question, leaf });
    assert.equal(failure, null);
    assert.deepEqual(
      paths.map((path) => path.certificates),
      [[leaf, anchor]],
    );
    assert.equal(paths[0]!.anchor.id, 'fleet');
  }
});

test('a path says how long it holds, from the tightest of its certificates, and which keys are on it', () => {
  const short = makeCa('Short', { by: root, notBefore: now - day / 2, notAfter: now + day / 4 });
  const leaf = make({ by: short, notBefore: now - day, notAfter: now + day / 2 });
  const [path] = search(leaf, { anchors, others: [short] }).paths;
  assert.deepEqual([path!.notBefore, path!.notAfter], [now - day / 2, now + day / 4]);
  assert.deepEqual(
    path!.publicKeys,
    [leaf, short, root].map(({ certificate }) => certificate.publicKey.sha256),
  );
  const brief = makeCa('Brief', { notAfter: now + 1_000 });
  assert.equal(search(make({ by: brief }), { anchors: [brief] }).paths[0]!.notAfter, now + 1_000);
});

test('a signature by another key of the same name counts for nothing', () => {
  const impostor = makeCa('Root');
  refuses(
    make({ by: impostor }),
    { anchors },
    'certificate_untrusted',
    /"CN=device-1" names "CN=Root" as its issuer, but is not signed by the key/,
  );
  refuses(make({ by: impostor }), { anchors, others: [impostor] }, 'certificate_untrusted', /not signed by the key/);
  const forged = makeCa('Factory', { by: impostor });
  refuses(make({ by: forged }), { anchors, others: [forged] }, 'certificate_untrusted', /"CN=Factory" names "CN=Root"/);
});

test('a self-signed device, a stranger and a chain without its intermediate are told apart', () => {
  refuses(make(), { anchors }, 'certificate_untrusted', /"CN=device-1" is signed by itself, and not trusted here/);
  const stranger = makeCa('Stranger');
  refuses(
    make({ by: stranger }),
    { anchors, others: [stranger] },
    'certificate_untrusted',
    /"CN=Stranger" is signed by itself/,
  );
  refuses(
    make({ by: factory }),
    { anchors },
    'certificate_untrusted',
    /The issuer of "CN=device-1", "CN=Factory", was neither sent nor is it known here/,
  );
  refuses(
    make({ by: factory }),
    { anchors: [], others: [factory] },
    'certificate_untrusted',
    /The issuer of "CN=Factory", "CN=Root",/,
  );
});

test('a CA is named as RFC 5280 §7.1 compares names, not byte by byte', () => {
  const name = sequence(set(sequence(oid(commonName), printableString(' ROOT '))));
  assert.deepEqual(accepts(make({ by: root, issuer: name }), { anchors }), ['CN=device-1', 'CN=Root']);
  refuses(make({ by: root, issuer: 'Root2' }), { anchors }, 'certificate_untrusted', /neither sent/);
  const inner = makeCa('Factory', { by: root, issuer: name });
  accepts(make({ by: inner, issuer: 'FACTORY' }), { anchors, others: [inner] });
});

test('both ends of the validity belong to it', () => {
  const device = make({ by: root, notBefore: now - 1_000, notAfter: now + 1_000 });
  for (const at of [now - 1_000, now, now + 1_000]) accepts(device, { anchors, at });
  refuses(
    device,
    { anchors, at: now + 1_001 },
    'certificate_expired',
    /"CN=device-1" expired at 2026-06-15T12:00:01.000Z, and it is 2026-06-15T12:00:01.001Z here/,
  );
  refuses(
    device,
    { anchors, at: now - 1_001 },
    'certificate_not_yet_valid',
    /is valid from 2026-06-15T11:59:59.000Z, and it is 2026-06-15T11:59:58.999Z here/,
  );
});

test('clocks may differ by the tolerance, for every certificate on the path', () => {
  const tolerance = 10 * minute;
  const brief = { notBefore: now, notAfter: now };
  const ca = makeCa('Brief CA', { by: root, ...brief });
  const self = makeCa('Brief Root', brief);
  for (const [leaf, question, title] of [
    [make({ by: root, ...brief }), { anchors }, 'device-1'],
    [make({ by: ca }), { anchors, others: [ca] }, 'Brief CA'],
    [make({ by: self }), { anchors: [self] }, 'Brief Root'],
  ] as const) {
    for (const at of [now - tolerance, now + tolerance]) accepts(leaf, { ...question, tolerance, at });
    refuses(leaf, { ...question, tolerance, at: now + tolerance + 1 }, 'certificate_expired', new RegExp(title));
    refuses(leaf, { ...question, tolerance, at: now - tolerance - 1 }, 'certificate_not_yet_valid', new RegExp(title));
  }
});

test('a certificate without an end lasts until 9999, one from before 1970 has begun', () => {
  const shape: Shape = { notBefore: Date.UTC(1955, 0, 1), notAfter: Date.UTC(9999, 11, 31, 23, 59, 59) };
  const ca = makeCa('Eternal', shape);
  accepts(make({ by: ca, ...shape }), { anchors: [ca] });
  accepts(make({ by: ca, ...shape }), { anchors: [ca], at: Date.UTC(1960, 0, 1) });
});

test('a device does not make other devices: what is no CA has signed nothing', () => {
  const device = make({ subject: 'evil', by: root, extensions: [keyUsage('digitalSignature', 'keyCertSign')] });
  refuses(
    make({ by: device }),
    { anchors, others: [device] },
    'certificate_invalid',
    /"CN=evil" signed another, but has no basicConstraints/,
  );
  const denied = make({ subject: 'evil', by: root, extensions: [basicConstraints(false)] });
  refuses(
    make({ by: denied }),
    { anchors, others: [denied] },
    'certificate_invalid',
    /"CN=evil" signed another, but is no CA/,
  );
});

test('an intermediate of version 1 or 2 is no CA', () => {
  for (const version of [1, 2]) {
    const old = make({ subject: 'Old', by: root, version });
    refuses(
      make({ by: old }),
      { anchors, others: [old] },
      'certificate_invalid',
      new RegExp(`"CN=Old" .* version ${version}`),
    );
  }
});

test('a leaf may be of version 1, and may be a CA', () => {
  accepts(make({ by: root, version: null }), { anchors });
  accepts(factory, { anchors });
});

test('a CA whose keyUsage has no keyCertSign has signed nothing; one without keyUsage may sign', () => {
  const ca = (by: Made | undefined, ...extensions: Buffer[]): Made =>
    make({ subject: 'CA', ...(by === undefined ? {} : { by }), extensions: [basicConstraints(true), ...extensions] });
  for (const by of [root, undefined]) {
    const silent = ca(by, keyUsage('digitalSignature', 'cRLSign'));
    const question = by === undefined ? { anchors: [silent] } : { anchors, others: [silent] };
    refuses(
      make({ by: silent }),
      question,
      'certificate_invalid',
      /"CN=CA" signed another, but its keyUsage has no keyCertSign/,
    );
    const plain = ca(by);
    accepts(make({ by: plain }), by === undefined ? { anchors: [plain] } : { anchors, others: [plain] });
  }
});

test('the EKU of a CA does not decide, critical or not', () => {
  for (const critical of [false, true]) {
    const extensions = [extendedKeyUsage(critical, '1.3.6.1.5.5.7.3.1')];
    const ca = makeCa('Web CA', { by: root, extensions });
    accepts(make({ by: ca }), { anchors, others: [ca] });
    const own = makeCa('Web Root', { extensions });
    accepts(make({ by: own }), { anchors: [own] });
  }
});

test('a path length counts the CAs below, not the leaf', () => {
  const ca = (pathLength?: number, by: Made = root, subject = 'A'): Made =>
    makeCa(subject, { by, ...(pathLength === undefined ? {} : { pathLength }) });
  const [none, one] = [ca(0), ca(1)];
  accepts(make({ by: none }), { anchors, others: [none] });
  accepts(factory, { anchors: [makeCa('Root', { key: root.key, pathLength: 0 })] });
  for (const [top, below] of [
    [none, 'CN=B'],
    [one, 'CN=C'],
  ] as const) {
    const b = ca(undefined, top, 'B');
    const c = ca(undefined, b, 'C');
    const others = [top, b, c];
    if (top === one) accepts(make({ by: b }), { anchors, others });
    refuses(
      make({ by: c }),
      { anchors, others },
      'certificate_invalid',
      new RegExp(`"${top === none ? 'CN=B' : below}" is one CA more than the path length`),
    );
  }
});

test('a path length further down tightens the one above, and never widens it', () => {
  const a = makeCa('A', { by: root, pathLength: 1 });
  const wide = makeCa('B', { by: a, pathLength: 9 });
  const c = makeCa('C', { by: wide });
  refuses(make({ by: c }), { anchors, others: [a, wide, c] }, 'certificate_invalid', /"CN=C" is one CA more/);
  const far = makeCa('A', { by: root, pathLength: 9 });
  const narrow = makeCa('B', { by: far, pathLength: 0 });
  const below = makeCa('C', { by: narrow });
  refuses(
    make({ by: below }),
    { anchors, others: [far, narrow, below] },
    'certificate_invalid',
    /"CN=C" is one CA more/,
  );
});

test('a self-issued CA is not counted in the path length, but its own counts', () => {
  const a = makeCa('A', { by: root, pathLength: 0 });
  const renewed = makeCa('A', { by: a });
  accepts(make({ by: renewed }), { anchors, others: [a, renewed] });
  const other = makeCa('A2', { by: a });
  refuses(make({ by: other }), { anchors, others: [a, other] }, 'certificate_invalid', /path length/);
  const wide = makeCa('A', { by: root, pathLength: 3 });
  const tight = makeCa('A', { by: wide, pathLength: 0 });
  const b = makeCa('B', { by: tight });
  refuses(make({ by: b }), { anchors, others: [wide, tight, b] }, 'certificate_invalid', /"CN=B" is one CA more/);
});

test('an anchor’s own path length applies, and it may be a subordinate CA', () => {
  const anchor = makeCa('Sub', { by: root, pathLength: 0 });
  accepts(make({ by: anchor }), { anchors: [anchor] });
  const below = makeCa('Below', { by: anchor });
  refuses(
    make({ by: below }),
    { anchors: [anchor], others: [below] },
    'certificate_invalid',
    /"CN=Below" is one CA more/,
  );
  // The same CA is no narrower where the one above it is trusted as well, by a certificate without the limit.
  const unlimited = makeCa('Sub', { by: root, key: anchor.key });
  assert.equal(search(make({ by: below }), { anchors: [anchor, root], others: [unlimited, below] }).paths.length, 1);
});

test('a critical extension that is unknown ends every path, on leaf, CA and anchor', () => {
  const extensions = [extension('1.2.3.4', nullValue(), true)];
  refuses(
    make({ by: root, extensions }),
    { anchors },
    'certificate_invalid',
    /"CN=device-1" has the critical extension 1\.2\.3\.4, which is unknown/,
  );
  const ca = makeCa('CA', { by: root, extensions });
  refuses(make({ by: ca }), { anchors, others: [ca] }, 'certificate_invalid', /"CN=CA" has the critical/);
  const own = makeCa('Own', { extensions });
  refuses(make({ by: own }), { anchors: [own] }, 'certificate_invalid', /"CN=Own" has the critical/);
  accepts(make({ by: root, extensions: [extension('1.2.3.4', nullValue())] }), { anchors });
});

test('extensions about policies cannot end a path, where any policy will do', () => {
  const extensions = ['2.5.29.32', '2.5.29.33', '2.5.29.36', '2.5.29.54'].map((type) =>
    extension(type, sequence(), true),
  );
  const ca = makeCa('CA', { by: root, extensions });
  accepts(make({ by: ca, extensions }), { anchors, others: [ca] });
});

const within = (organization: string): Buffer => encodeName([{ type: '2.5.4.10', value: organization }]);
const deviceOf = (organization: string): Buffer =>
  encodeName([
    { type: '2.5.4.10', value: organization },
    { type: commonName, value: 'd' },
  ]);

test('name constraints of every CA above hold together, the anchor’s too', () => {
  const top = makeCa('Top', {
    extensions: [
      nameConstraints({ permitted: [general.dns('example.com')], excluded: [general.dns('secret.example.com')] }),
    ],
  });
  const mid = makeCa('Mid', {
    by: top,
    extensions: [nameConstraints({ permitted: [general.dns('a.example.com'), general.dns('example.org')] })],
  });
  const low = makeCa('Low', { by: mid, extensions: [nameConstraints({ excluded: [general.dns('x.a.example.com')] })] });
  const question = { anchors: [top], others: [mid, low] };
  const device = (name: string, by = low): Made => make({ by, extensions: [subjectAltName(general.dns(name))] });
  accepts(device('d.a.example.com'), question);
  accepts(make({ by: low }), question);
  refuses(
    device('b.example.com'),
    question,
    'certificate_invalid',
    /has a dNSName that is not among those permitted by the name constraints of "CN=Mid"/,
  );
  refuses(device('d.example.org'), question, 'certificate_invalid', /constraints of "CN=Top"/);
  refuses(device('x.a.example.com'), question, 'certificate_invalid', /excluded.* constraints of "CN=Low"/);
  accepts(device('x.a.example.com', mid), question);
  refuses(device('secret.example.com', top), question, 'certificate_invalid', /excluded.* constraints of "CN=Top"/);
});

test('name constraints hold for the names of CAs below, except of a self-issued one', () => {
  const top = makeCa(deviceOf('Elsewhere'), {
    extensions: [nameConstraints({ permitted: [general.directory(within('Acme'))] })],
  });
  const stray = makeCa(deviceOf('Other'), { by: top });
  refuses(
    make({ subject: deviceOf('Acme'), by: stray }),
    { anchors: [top], others: [stray] },
    'certificate_invalid',
    /"CN=d,O=Other" has a directoryName/,
  );
  const renewed = makeCa(deviceOf('Elsewhere'), { by: top });
  accepts(make({ subject: deviceOf('ACME'), by: renewed }), { anchors: [top], others: [renewed] });
  // A leaf is always held against them.
  refuses(
    make({ subject: deviceOf('Elsewhere'), by: top }),
    { anchors: [top] },
    'certificate_invalid',
    /has a directoryName/,
  );
});

test('keys on a path are P-256, P-384, P-521, Ed25519 or RSA of 2,048 bits', () => {
  for (const kind of ['P-256', 'P-384', 'P-521', 'ed25519', 'rsa2048', 'rsa-pss2048'] as const) {
    const own = makeCa(`${kind} root`, { key: newKey(kind) });
    const ca = makeCa(`${kind} CA`, { key: newKey(kind), by: own });
    accepts(make({ key: newKey(kind), by: ca }), { anchors: [own], others: [ca] });
  }
});

test('weak and unknown keys end every path: of leaf, CA and anchor', () => {
  const rsa = newKey('rsa1024');
  const why = /has an RSA key of 1024 bits, and 2048 are needed/;
  refuses(make({ key: rsa, by: root }), { anchors }, 'certificate_invalid', why);
  const ca = makeCa('Weak', { key: rsa, by: root });
  refuses(make({ by: ca }), { anchors, others: [ca] }, 'certificate_invalid', why);
  const own = makeCa('Weak root', { key: rsa });
  refuses(make({ by: own }), { anchors: [own] }, 'certificate_invalid', why);
  refuses(
    make({ key: newKey('secp256k1'), by: root }),
    { anchors },
    'certificate_invalid',
    /public key that is not P-256/,
  );
});

test('a key with explicit curve parameters is refused, also as a CA’s', () => {
  using openssl = new Openssl();
  openssl.run(`
    openssl ecparam -genkey -name prime256v1 -noout -param_enc explicit -out key.pem
    openssl pkey -in key.pem -pubout -outform DER -out key.der
    openssl req -x509 -new -key key.pem -subj /CN=Explicit -days 10 -outform DER -out root.der`);
  refuses(
    make({ spki: openssl.read('key.der'), by: root }),
    { anchors },
    'certificate_invalid',
    /public key that is not P-256/,
  );
  const explicit = { certificate: parseCertificate(openssl.read('root.der')), key: newKey() };
  const { paths } = search(make({ by: explicit }), { anchors: [explicit], at: Date.now() });
  assert.deepEqual(paths, []);
});

test('a leaf with a compressed point gets in, and under its one hash', () => {
  const { spki } = newKey();
  const compressed = Buffer.concat([Buffer.of(2 + (spki.at(-1)! & 1)), spki.subarray(-64, -32)]);
  const leaf = make({
    by: root,
    spki: sequence(sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7')), bitString(compressed)),
  });
  accepts(leaf, { anchors });
  const plain = make({ by: root, spki });
  refuses(leaf, { anchors, excluded: [plain] }, 'excluded', /"CN=device-1"/);
});

test('SHA-1 and MD5 signatures count for nothing below the anchor; that of the anchor itself is not looked at', () => {
  const rsaRoot = makeCa('RSA root', { key: newKey('rsa2048'), algorithm: 'rsa-sha1' });
  const question = { anchors: [rsaRoot] };
  accepts(make({ by: rsaRoot }), question);
  for (const [algorithm, name] of [
    ['rsa-sha1', 'SHA-1'],
    ['rsa-md5', 'MD5'],
  ] as const) {
    refuses(
      make({ by: rsaRoot, algorithm }),
      question,
      'certificate_invalid',
      new RegExp(`is signed by RSA with ${name}, which is not accepted`),
    );
    const ca = makeCa('Old CA', { by: rsaRoot, algorithm });
    refuses(
      make({ by: ca }),
      { ...question, others: [ca] },
      'certificate_invalid',
      new RegExp(`"CN=Old CA" is signed by RSA with ${name}`),
    );
  }
});

test('a root of version 1, or without extensions, is an anchor; one that denies being a CA is none', () => {
  for (const version of [1, 3]) {
    const old = make({ subject: 'Old root', version });
    accepts(make({ by: old }), { anchors: [old] });
  }
  const denied = make({ subject: 'No root', extensions: [basicConstraints(false)] });
  refuses(make({ by: denied }), { anchors: [denied] }, 'certificate_invalid', /"CN=No root" is no CA/);
});

test('an anchor’s own signature is not looked at: it is trusted by having been registered', () => {
  const damaged = Buffer.from(root.certificate.der.with(-1, root.certificate.der.at(-1)! ^ 1));
  accepts(make({ by: root }), { anchors: [{ certificate: parseCertificate(damaged), key: root.key }] });
});

test('an anchor that has ended counts for nothing, unless another certificate of that CA has not', () => {
  const ended = makeCa('Root', { key: root.key, notAfter: now - 1_000 });
  const leaf = make({ by: root });
  refuses(leaf, { anchors: [ended] }, 'certificate_expired', /"CN=Root" expired/);
  assert.equal(
    search(leaf, {
      anchors: [
        ['root', ended],
        ['root', root],
      ],
    }).paths.length,
    1,
  );
});

test('of a CA’s certificates the one that lasts longest is the path’s', () => {
  const [shorter, longer] = [1, 2].map((hours) =>
    makeCa('Root', { key: root.key, notAfter: now + hours * 3_600_000 }),
  ) as [Made, Made];
  const leaf = make({ by: root });
  for (const both of [
    [shorter, longer],
    [longer, shorter],
  ]) {
    const { paths } = search(leaf, { anchors: both.map((anchor) => ['root', anchor] as const) });
    assert.deepEqual(
      paths.map((path) => path.certificates.at(-1)!.sha256),
      [longer.certificate.sha256],
    );
  }
});

test('an anchor is no device, nor is its renewal', () => {
  refuses(root, { anchors }, 'certificate_invalid', /"CN=Root" is a trusted CA itself/);
  refuses(factory, { anchors: [root, factory] }, 'certificate_invalid', /"CN=Factory" is a trusted CA itself/);
  const renewed = makeCa('Root', { key: root.key, by: root, serial: Buffer.of(9) });
  refuses(renewed, { anchors }, 'certificate_invalid', /is a trusted CA itself/);
});

test('there is one path for each anchor ID that is reached', () => {
  const second = makeCa('Second root');
  const cross = makeCa('Factory', { by: second, key: factory.key });
  const leaf = make({ by: factory });
  const { paths } = search(leaf, {
    anchors: [
      ['1', root],
      ['2', second],
      ['1', root],
      ['3', makeCa('Third')],
    ],
    others: [factory, cross],
  });
  assert.deepEqual(paths.map(({ anchor }) => anchor.id).toSorted(), ['1', '2']);
});

test('an excluded key may stand nowhere on a path: not as leaf, not as CA, not as anchor', () => {
  const leaf = make({ by: factory });
  const question = { anchors, others: [factory] };
  accepts(leaf, question);
  for (const key of [leaf, factory, root]) {
    const { paths, failure } = search(leaf, { ...question, excluded: [key] });
    assert.deepEqual(paths, []);
    assert.equal(failure?.code, 'excluded');
    assert.equal(failure.publicKey, key.certificate.publicKey.sha256);
    assert.ok(failure.rule.includes(key.certificate.subject.text));
  }
});

test('an excluded key does not come back by a cross-certificate, a new certificate or under another name', () => {
  const other = makeCa('Other root');
  const leaf = make({ by: factory });
  const excluded = [factory];
  const cross = makeCa('Factory', { key: factory.key, by: other });
  refuses(leaf, { anchors: [root, other], others: [factory, cross], excluded }, 'excluded', /"CN=Factory"/);
  const renamed = makeCa('New name', { key: factory.key, by: root });
  refuses(make({ by: renamed }), { anchors, others: [renamed], excluded }, 'excluded', /"CN=New name"/);
  const anchor = makeCa('Factory', { key: factory.key });
  refuses(leaf, { anchors: [anchor], excluded }, 'excluded', /"CN=Factory"/);
});

test('where one path holds an excluded key, another one may still count', () => {
  const leaf = make({ by: factory });
  const other = makeCa('Other root');
  const cross = makeCa('Factory', { key: factory.key, by: other });
  const { paths } = search(leaf, {
    anchors: [
      ['1', root],
      ['2', other],
    ],
    others: [factory, cross],
    excluded: [root],
  });
  assert.deepEqual(
    paths.map(({ anchor }) => anchor.id),
    ['2'],
  );
});

test('a chain of another key under an excluded name is not said to be excluded', () => {
  const impostor = makeCa('Root');
  refuses(make({ by: impostor }), { anchors, excluded: [root] }, 'certificate_untrusted', /not signed by the key/);
});

test('the sentence of a refusal is bounded, and names a certificate without a subject by its number', () => {
  const { failure } = search(make({ subject: 'x'.repeat(4_000) }), { anchors });
  assert.ok(failure!.rule.length < 500);
  refuses(
    make({ subject: sequence(), serial: Buffer.of(0x2a), by: root, notAfter: now - day / 2 }),
    { anchors },
    'certificate_expired',
    /^The certificate with the serial number 2a expired/,
  );
});

test('names that are empty or cannot be read do not confuse the search', () => {
  const unreadable = sequence(set(sequence(oid(commonName), element(0x0c, Buffer.of(0xff)))));
  for (const subject of ['', 'a\0b', '\u202e', unreadable, sequence()])
    accepts(make({ subject, by: root }), { anchors });
  const odd = makeCa(unreadable, { by: root });
  accepts(make({ by: odd }), { anchors, others: [odd] });
});
