// Name constraints: which names stand inside a subtree, by every form, and what happens where that cannot be told.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { parseCertificate } from '../../src/x509/certificate.ts';
import { element, ia5String, oid, sequence, set, utf8String } from '../../src/x509/der-write.ts';
import { comparisonLimit, faultOfNames } from '../../src/x509/name-constraints.ts';
import { commonName, emailAddress, encodeName } from '../../src/x509/name.ts';
import { general, makeCa, makeDer, nameConstraints, newKey, subjectAltName } from '../support/certificate-maker.ts';

const key = newKey();
const organization = '2.5.4.10';
const mailIn = (address: Buffer): Buffer => sequence(set(sequence(oid(emailAddress), address)));

interface Case {
  readonly subject?: Buffer;
  readonly names?: Buffer[];
  readonly permitted?: Buffer[];
  readonly excluded?: Buffer[];
}

/** Whether a certificate with these names keeps these constraints. */
function keeps({ subject = sequence(), names = [], permitted = [], excluded = [] }: Case): boolean {
  const constraints = makeCa('CA', { key, extensions: [nameConstraints({ permitted, excluded })] }).certificate
    .extensions.nameConstraints!;
  const certificate = parseCertificate(
    makeDer({ subject, extensions: names.length > 0 ? [subjectAltName(...names)] : [] }, key),
  );
  return faultOfNames(certificate, constraints, { comparisons: comparisonLimit }) === null;
}

type Verdict = 'inside' | 'outside' | 'unclear';

/** Inside is permitted and excluded, outside neither, and what is unclear is not permitted but excluded. */
function standing(name: Buffer, subtree: Buffer): Verdict {
  const permitted = keeps({ names: [name], permitted: [subtree] });
  const free = keeps({ names: [name], excluded: [subtree] });
  assert.ok(!(permitted && free));
  return permitted ? 'inside' : free ? 'outside' : 'unclear';
}

function stands(form: (text: string) => Buffer, cases: [name: string, subtree: string, verdict: Verdict][]): void {
  for (const [name, subtree, verdict] of cases) {
    assert.equal(standing(form(name), form(subtree)), verdict, `${name} in ${subtree}`);
  }
}

test('a DNS subtree holds its name and all names below it, whatever their case', () => {
  stands(general.dns, [
    ['example.com', 'example.com', 'inside'],
    ['a.b.example.com', 'example.com', 'inside'],
    ['A.EXAMPLE.com', 'Example.COM', 'inside'],
    ['badexample.com', 'example.com', 'outside'],
    ['com', 'example.com', 'outside'],
    ['a.example.com', '.example.com', 'inside'],
    ['example.com', '.example.com', 'outside'],
    ['anything', '', 'inside'],
    ['under_score.example.com', 'example.com', 'inside'],
  ]);
});

test('a DNS name with the root’s dot does not slip out of its subtree', () => {
  stands(general.dns, [
    ['evil.example.com.', 'example.com', 'inside'],
    ['evil.example.com', 'example.com.', 'inside'],
  ]);
});

test('a wildcard that reaches into a subtree is excluded by it and not permitted by it', () => {
  stands(general.dns, [
    ['*.example.com', 'example.com', 'inside'],
    ['*.example.com', '.example.com', 'inside'],
    ['*.example.com', 'foo.example.com', 'unclear'],
    ['*.example.com', 'example.org', 'outside'],
    ['*.com', 'example.com', 'unclear'],
    ['f*.example.com', 'example.com', 'unclear'],
    ['a.*.com', 'example.com', 'unclear'],
  ]);
});

test('what is no DNS name is unclear', () => {
  for (const name of [
    '',
    ' ',
    'a..example.com',
    '.example.com',
    'a\0.example.com',
    'a b.example.com',
    `${'a'.repeat(64)}.example.com`,
    '..',
  ]) {
    assert.equal(standing(general.dns(name), general.dns('example.com')), 'unclear', name);
  }
  assert.equal(standing(general.dns('a.com'), general.dns('a b')), 'unclear');
  const long = (count: number): Buffer => general.dns(`${'a.'.repeat(count)}example.com`);
  assert.equal(standing(long(121), general.dns('example.com')), 'inside');
  assert.equal(standing(long(122), general.dns('example.com')), 'unclear');
});

test('a mail subtree is one mailbox, a host or a domain', () => {
  stands(general.mail, [
    ['a@example.com', 'a@example.com', 'inside'],
    ['a@EXAMPLE.com', 'a@example.COM', 'inside'],
    ['A@example.com', 'a@example.com', 'unclear'],
    ['"a"@example.com', 'a@example.com', 'unclear'],
    ['b@example.com', 'a@example.com', 'outside'],
    ['a@example.org', 'a@example.com', 'outside'],
    ['a@example.com', 'example.com', 'inside'],
    ['a@mx.example.com', 'example.com', 'outside'],
    ['a@mx.example.com', '.example.com', 'inside'],
    ['a@example.com', '.example.com', 'outside'],
    ['x@evil.org@example.com', 'example.com', 'unclear'],
    ['a', 'example.com', 'unclear'],
    ['@example.com', 'example.com', 'unclear'],
    ['a@', 'example.com', 'unclear'],
    ['a@b c', 'example.com', 'unclear'],
    ['a@example.com', 'a@b c', 'unclear'],
    ['a@example.com', '', 'inside'],
  ]);
});

test('a URI subtree is about the host, which must be a name', () => {
  stands(general.uri, [
    ['https://example.com/x', 'example.com', 'inside'],
    ['https://user:pw@EXAMPLE.com:8443?q', 'example.com', 'inside'],
    ['https://a.example.com', 'example.com', 'outside'],
    ['https://a.example.com', '.example.com', 'inside'],
    ['https://example.com', '.example.com', 'outside'],
    ['https://example.com', '', 'inside'],
    ['https://a@b@example.com#f', 'example.com', 'inside'],
    ['https://evil.org\\@example.com', 'example.com', 'unclear'],
    ['https://10.0.0.1/', 'example.com', 'unclear'],
    ['https://[::1]/', 'example.com', 'unclear'],
    ['urn:uuid:1', 'example.com', 'unclear'],
    ['//example.com', 'example.com', 'unclear'],
    ['https:///x', 'example.com', 'unclear'],
    ['', 'example.com', 'unclear'],
    ['https://example.com', 'a b', 'unclear'],
  ]);
});

test('an address subtree is a prefix of its own family', () => {
  const v6 = (last: number): number[] => [0x20, 1, 0xd, 0xb8, ...Array.from({ length: 11 }, () => 0), last];
  const prefix = (octets: number[], bits: number): Buffer =>
    general.ip(...octets, ...octets.map((_, index) => 256 - 2 ** (8 - Math.min(8, Math.max(0, bits - index * 8)))));
  assert.equal(standing(general.ip(10, 1, 2, 3), prefix([10, 0, 0, 0], 8)), 'inside');
  assert.equal(standing(general.ip(11, 1, 2, 3), prefix([10, 0, 0, 0], 8)), 'outside');
  assert.equal(standing(general.ip(10, 0, 15, 3), prefix([10, 0, 0, 0], 20)), 'inside');
  assert.equal(standing(general.ip(10, 0, 16, 3), prefix([10, 0, 0, 0], 20)), 'outside');
  assert.equal(standing(general.ip(1, 2, 3, 4), prefix([0, 0, 0, 0], 0)), 'inside');
  assert.equal(standing(general.ip(...v6(1)), prefix(v6(0), 120)), 'inside');
  assert.equal(standing(general.ip(...v6(1)), prefix(v6(0), 128)), 'outside');
  assert.equal(standing(general.ip(...v6(1)), prefix([0, 0, 0, 0], 0)), 'outside');
  // Wrong lengths, and a mask that is no prefix.
  assert.equal(standing(general.ip(10, 1, 2), prefix([10, 0, 0, 0], 8)), 'unclear');
  assert.equal(standing(general.ip(), prefix([10, 0, 0, 0], 8)), 'unclear');
  assert.equal(standing(general.ip(10, 1, 2, 3), general.ip(10, 0, 0, 0)), 'unclear');
  for (const mask of [
    [255, 0, 255, 0],
    [255, 0x0f, 0, 0],
    [0xa0, 0, 0, 0],
  ]) {
    assert.equal(standing(general.ip(10, 1, 2, 3), general.ip(10, 0, 0, 0, ...mask)), 'unclear');
  }
});

test('a directory subtree holds the names that begin with it, in the subject and in the subjectAltName', () => {
  const acme = encodeName([{ type: organization, value: 'Acme' }]);
  const device = encodeName([
    { type: organization, value: ' ACME' },
    { type: commonName, value: 'd' },
  ]);
  const stranger = encodeName([{ type: commonName, value: 'd' }]);
  const permitted = [general.directory(acme)];
  assert.ok(keeps({ subject: device, permitted }));
  assert.ok(!keeps({ subject: stranger, permitted }));
  assert.ok(!keeps({ subject: device, excluded: permitted }));
  assert.ok(keeps({ subject: stranger, excluded: permitted }));
  assert.ok(!keeps({ subject: device, names: [general.directory(stranger)], permitted }));
  assert.equal(standing(general.directory(device), general.directory(acme)), 'inside');
  // An empty subject is no name (RFC 5280 §6.1.3 (b)).
  assert.ok(keeps({ names: [general.dns('a')], permitted }));
});

test('an e-mail address in the subject is held against mail subtrees, beside a subjectAltName too', () => {
  const permitted = [general.mail('example.com')];
  assert.ok(keeps({ subject: mailIn(ia5String('a@example.com')), permitted }));
  assert.ok(!keeps({ subject: mailIn(ia5String('a@evil.org')), permitted }));
  assert.ok(!keeps({ subject: mailIn(utf8String('a@example.com')), excluded: permitted }));
  assert.ok(!keeps({ subject: mailIn(ia5String('a@evil.org')), names: [general.mail('a@example.com')], permitted }));
  // One that cannot be read could be any.
  assert.ok(!keeps({ subject: mailIn(element(0x0c, Buffer.of(0xff))), permitted }));
  assert.ok(!keeps({ subject: mailIn(element(0x0c, Buffer.of(0xff))), excluded: permitted }));
});

test('of several permitted subtrees one is enough, of several excluded ones each is too many', () => {
  const subtrees = [general.dns('a.example'), general.dns('b.example')];
  const names = [general.dns('x.b.example')];
  assert.ok(keeps({ names, permitted: subtrees }));
  assert.ok(!keeps({ names, excluded: subtrees }));
  assert.ok(!keeps({ names, permitted: subtrees, excluded: [general.dns('x.b.example')] }));
  assert.ok(!keeps({ names: [...names, general.dns('c.example')], permitted: subtrees }));
});

test('a form without a subtree is free', () => {
  const names = [
    general.mail('a@b'),
    general.other('1.2.3', utf8String('x')),
    general.registered('1.2.3'),
    general.ip(1, 2, 3, 4),
  ];
  assert.ok(keeps({ names, permitted: [general.dns('example.com')], excluded: [general.uri('example.com')] }));
});

test('a constrained form that nobody defined fails where a name of that form is present, and only there', () => {
  const forms = [general.other('1.2.3', utf8String('x')), general.registered('1.2.3'), element(0xa3), element(0xa5)];
  for (const form of forms) {
    assert.equal(standing(form, form), 'unclear');
    assert.ok(keeps({ names: [general.dns('a')], permitted: [form], excluded: [form] }));
  }
  assert.equal(standing(general.other('1.2.4', utf8String('x')), forms[0]!), 'unclear');
});

test('more names and subtrees than can be compared are refused', () => {
  const many = Array.from({ length: 300 }, (_, index) => general.dns(`n${index}`));
  assert.ok(keeps({ names: many.slice(0, 200), permitted: many }));
  assert.ok(!keeps({ names: many, permitted: many }));
});

test('an address or a URI too long to be one is unclear', () => {
  const long = `https://example.com/${'x'.repeat(2_000)}`;
  assert.equal(standing(general.uri(long), general.uri('example.com')), 'unclear');
  assert.equal(standing(general.uri(long.slice(0, 1_000)), general.uri('example.com')), 'inside');
});

test('no name is permitted and not excluded by the same subtree, whatever it holds', () => {
  const text = fc.oneof(
    fc.stringMatching(/^[a-c*.@:/ ]{0,10}$/),
    fc
      .array(fc.constantFrom('a', 'B', '.', '*.', '@', 'https://', 'example.com', '\\', '"'), { maxLength: 6 })
      .map((parts) => parts.join('')),
  );
  for (const form of [general.dns, general.mail, general.uri]) {
    fc.assert(
      fc.property(text, text, (name, subtree) => void standing(form(name), form(subtree))),
      { numRuns: 300 },
    );
  }
});
