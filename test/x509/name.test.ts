// Distinguished names: the same text in any type, the comparison of RFC 5280 §7.1, and a text that is safe to show.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { AsnConvert } from '@peculiar/asn1-schema';
import { Name as PeculiarName } from '@peculiar/asn1-x509';
import fc from 'fast-check';

import { DerError, elements, readElement, tags, type Element } from '../../src/x509/der.ts';
import { element, integer, oid, sequence, set, utf8String } from '../../src/x509/der-write.ts';
import {
  commonName,
  encodeName,
  firstCommonName,
  parseName,
  sameName,
  withinName,
  type Name,
} from '../../src/x509/name.ts';
import { Openssl } from '../support/openssl.ts';

const organization = '2.5.4.10';
const country = '2.5.4.6';

const read = (der: Buffer): Name => parseName(readElement(der));
const attribute = (type: string, value: Buffer): Buffer => sequence(oid(type), value);
const named = (value: Buffer): Name => read(sequence(set(attribute(commonName, value))));
const cn = (text: string): Name => named(utf8String(text));
const names = (...attributes: [type: string, value: string][]): Name =>
  read(encodeName(attributes.map(([type, value]) => ({ type, value }))));

/** A text in two or four octets a code point. */
function wide(text: string, width: 2 | 4): Buffer {
  return Buffer.concat(
    [...text].map((character) => {
      const octets = Buffer.alloc(width);
      octets.writeUIntBE(character.codePointAt(0)!, 0, width);
      return octets;
    }),
  );
}

test('a device ID is the same text in every string type', () => {
  const text = 'VIN-1é';
  const encodings = [
    utf8String(text),
    element(tags.teletexString, Buffer.from(text, 'latin1')),
    element(tags.bmpString, wide(text, 2)),
    element(tags.universalString, wide(text, 4)),
  ];
  for (const encoding of encodings) assert.equal(firstCommonName(named(encoding)), text);
  for (const tag of [tags.printableString, tags.ia5String, tags.numericString, tags.visibleString]) {
    assert.equal(firstCommonName(named(element(tag, Buffer.from('0042')))), '0042');
  }
});

test('of several common names the first in encoding order counts, also inside one RDN', () => {
  const two = read(
    sequence(set(attribute(commonName, utf8String('first'))), set(attribute(commonName, utf8String('2')))),
  );
  assert.equal(firstCommonName(two), 'first');
  // Not the order that DER wants for a set, but the one that was sent.
  const one = read(
    sequence(element(tags.set, attribute(commonName, utf8String('zz')), attribute(commonName, utf8String('a')))),
  );
  assert.equal(firstCommonName(one), 'zz');
  assert.equal(firstCommonName(names([organization, 'CN=fake'])), null);
  assert.equal(firstCommonName(read(sequence())), null);
});

test('a common name may be empty or hold any character: it is given as it is', () => {
  for (const text of ['', '\0', 'a\0b', '\u202eevil', 'line\nbreak', ' ', 'x'.repeat(4_000)]) {
    assert.equal(firstCommonName(cn(text)), text);
  }
});

test('a name of more than 4 KiB is not read', () => {
  const long = (length: number): Element => readElement(encodeName([{ type: commonName, value: 'x'.repeat(length) }]));
  assert.ok(parseName(long(4_000)).key.length > 0);
  assert.throws(() => parseName(long(5_000), 'subject'), /^DerError: The subject is longer than 4 KiB\.$/);
  const rdns = sequence(...Array<Buffer>(3_000).fill(set(sequence(oid(commonName), utf8String('')))));
  assert.throws(() => parseName(readElement(rdns)), DerError);
});

test('a run of marks that no text has is compared octet by octet, and never normalised', (t) => {
  const marked = (count: number, base = 'a'): Name => cn(base + '\u0315\u0300\u05ae'.repeat(count / 3));
  const normalize = t.mock.method(String.prototype, 'normalize').mock;
  assert.ok(sameName(marked(30), marked(30, 'A')));
  assert.equal(normalize.callCount(), 2);
  assert.ok(sameName(marked(33), marked(33)));
  assert.ok(!sameName(marked(33), marked(33, 'A')));
  assert.equal(normalize.callCount(), 2);
});

test('a common name that is not of its type does not pass for another', () => {
  for (const value of [
    element(tags.utf8String, Buffer.of(0xff)),
    element(tags.utf8String, Buffer.of(0xc0, 0x80)), // NUL, overlong
    element(tags.utf8String, Buffer.of(0xed, 0xa0, 0x80)), // a surrogate
    element(tags.printableString, Buffer.of(0xe9)),
    element(tags.ia5String, Buffer.of(0x80)),
    element(tags.bmpString, Buffer.of(0x41)),
    element(tags.bmpString, Buffer.of(0xd8, 0x00)),
    element(tags.universalString, Buffer.of(0x00, 0x11, 0x00, 0x00)),
    element(tags.universalString, Buffer.of(0, 0, 0)),
    element(tags.octetString, Buffer.from('id')),
    integer(7),
  ]) {
    // The second is a good one; the first still decides.
    const name = read(sequence(set(attribute(commonName, value)), set(attribute(commonName, utf8String('good')))));
    assert.throws(() => firstCommonName(name), DerError);
    assert.ok(sameName(name, name));
  }
});

test('case, white space and string types make no difference between names (RFC 5280 §7.1)', () => {
  const same = (a: Name, b: Name): void => assert.ok(sameName(a, b) && sameName(b, a), `${a.text} ${b.text}`);
  same(cn('Acme Root CA'), cn('ACME root ca'));
  same(cn('Acme Root'), cn('  Acme \t Root '));
  same(cn('Acme\u00a0Root'), cn('Acme Root'));
  same(cn('Acme'), named(element(tags.printableString, Buffer.from('aCME'))));
  same(cn('Müller'), named(element(tags.teletexString, Buffer.from('MÜLLER', 'latin1'))));
  same(cn('Mu\u0308ller'), cn('Müller'));
  same(cn('Straße'), cn('STRASSE'));
  same(cn('ΟΔΟΣ'), cn('οδος'));
  same(cn('ﬁne'), cn('fine'));
  same(cn('Ａcme'), cn('acme'));
  same(cn('soft\u00adhyphen\u200b'), cn('softhyphen'));
});

test('other names are other names', () => {
  const different = (a: Name, b: Name): void => assert.ok(!sameName(a, b) && !sameName(b, a), `${a.text} ${b.text}`);
  different(cn('Acme'), cn('Acm'));
  different(cn('AcmeRoot'), cn('Acme Root'));
  different(cn('a'), names([organization, 'a']));
  different(cn('a'), names([commonName, 'a'], [commonName, 'a']));
  different(names([organization, 'a'], [commonName, 'b']), names([commonName, 'b'], [organization, 'a']));
  different(cn('a'), read(sequence()));
  // One RDN of two attributes, against two RDNs.
  const joined = read(sequence(set(attribute(commonName, utf8String('b')), attribute(organization, utf8String('a')))));
  different(joined, names([organization, 'a'], [commonName, 'b']));
  // What would be alike if the parts were merely strung together.
  different(names([commonName, 'a"],["2.5.4.3=b']), names([commonName, 'a'], [commonName, 'b']));
  different(cn('a\\nb'), names([commonName, 'a'], [commonName, 'b']));
  different(named(element(tags.octetString, Buffer.from('a'))), cn('a'));
  different(named(element(tags.octetString, Buffer.from('a'))), named(element(tags.octetString, Buffer.from('A'))));
  different(cn('#4:61'), named(element(tags.octetString, Buffer.from('a'))));
});

test('the attributes of one RDN are a set', () => {
  const parts = [attribute(commonName, utf8String('a')), attribute(organization, utf8String('b'))];
  const [a, b] = [
    read(sequence(element(tags.set, ...parts))),
    read(sequence(element(tags.set, ...parts.toReversed()))),
  ];
  assert.ok(sameName(a, b));
});

test('a subtree holds the names that begin with its RDNs', () => {
  const subtree = names([country, 'DE'], [organization, 'Acme']);
  assert.ok(withinName(subtree, names([country, 'de'], [organization, 'ACME '], [commonName, 'd'])));
  assert.ok(withinName(subtree, subtree));
  assert.ok(withinName(read(sequence()), subtree));
  assert.ok(!withinName(subtree, names([country, 'DE'])));
  assert.ok(!withinName(subtree, names([country, 'DE'], [organization, 'Acme2'])));
  assert.ok(!withinName(subtree, names([organization, 'Acme'], [country, 'DE'])));
  assert.ok(!withinName(subtree, read(sequence())));
});

test('the text of a name cannot be mistaken and cannot control who reads it', () => {
  assert.equal(
    names([country, 'DE'], [organization, 'Acme, Inc.'], [commonName, 'd 1']).text,
    'CN=d 1,O=Acme\\, Inc.,C=DE',
  );
  assert.equal(names(['1.2.3', 'x']).text, '1.2.3=x');
  assert.equal(cn('a\n\x1b[31m\u202e\0').text, 'CN=a\\u{a}\\u{1b}[31m\\u{202e}\\u{0}');
  assert.equal(cn(' "a"=\\+ ').text, 'CN=\\ \\"a\\"\\=\\\\\\+\\ ');
  assert.equal(cn('#a').text, 'CN=\\#a');
  assert.equal(named(element(tags.utf8String, Buffer.of(0xff))).text, 'CN=?');
  const joined = read(sequence(set(attribute(commonName, utf8String('b')), attribute(organization, utf8String('a')))));
  assert.match(joined.text, /^(CN=b\+O=a|O=a\+CN=b)$/);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) =>
      assert.doesNotMatch(cn(text.toWellFormed()).text, /[\p{C}\p{Zl}\p{Zp}]/u),
    ),
  );
});

test('names as openssl writes them read as openssl prints them', () => {
  using openssl = new Openssl();
  openssl.run(`
    openssl ecparam -name prime256v1 -genkey -noout -out key.pem
    openssl req -new -key key.pem -utf8 -subj '/C=DE/O=Müller + Söhne/OU=a\\/b/CN=gerät 1' -outform DER -out req.der`);
  const printed = openssl
    .run('openssl req -inform DER -in req.der -noout -subject -nameopt RFC2253,utf8,-esc_msb')
    .trim();
  const [info] = elements(readElement(openssl.read('req.der')).content);
  const [, subject] = elements(info!.content);
  assert.equal(`subject=${parseName(subject).text}`, printed);
});

test('malformed names are refused', () => {
  const whole = encodeName([{ type: commonName, value: 'a' }]);
  for (const wrong of [
    set(),
    sequence(set()),
    sequence(sequence(attribute(commonName, utf8String('a')))),
    sequence(set(sequence())),
    sequence(set(sequence(oid(commonName)))),
    sequence(set(sequence(oid(commonName), utf8String('a'), utf8String('b')))),
    sequence(set(sequence(utf8String('a'), oid(commonName)))),
    Buffer.concat([whole, Buffer.of(0)]),
  ]) {
    assert.throws(() => read(wrong), DerError);
  }
});

const attributes = fc.array(
  fc.record({
    type: fc.constantFrom(commonName, organization, country, '1.2.3.4'),
    value: fc.oneof(fc.constantFrom('a', 'A', ' a', 'ß', 'SS', ''), fc.string({ unit: 'binary', maxLength: 8 })),
  }),
  { maxLength: 3 },
);
const anyName = attributes.map((list) => read(encodeName(list)));

test('being the same name is an equivalence, and the same names stand in the same subtrees', () => {
  fc.assert(
    fc.property(anyName, anyName, anyName, (a, b, c) => {
      assert.ok(sameName(a, a));
      assert.equal(sameName(a, b), sameName(b, a));
      if (sameName(a, b) && sameName(b, c)) assert.ok(sameName(a, c));
      if (sameName(a, b)) assert.equal(withinName(c, a), withinName(c, b));
      assert.equal(sameName(a, b), withinName(a, b) && withinName(b, a));
    }),
    { numRuns: 1_000 },
  );
});

test('changing case and adding white space never changes which name it is', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), (text) => {
      assert.ok(sameName(cn(text), cn(`  ${text.toUpperCase().replaceAll(' ', '   ')} `)));
    }),
  );
});

test('what is encoded reads back as it was', () => {
  fc.assert(
    fc.property(attributes, (list) => {
      const wellFormed = list.map(({ type, value }) => ({ type, value: value.toWellFormed() }));
      const { attributes: found } = read(encodeName(wellFormed));
      assert.deepEqual(
        found.map(({ type, value }) => ({ type, value })),
        wellFormed,
      );
      assert.deepEqual(
        found.map(({ rdn }) => rdn),
        [...wellFormed.keys()],
      );
    }),
  );
});

test('whatever the bytes, a name is read or a DerError; and where another library reads it too, they agree', () => {
  const whole = encodeName([
    { type: country, value: 'DE' },
    { type: commonName, value: 'device 1' },
  ]);
  const mutated = fc
    .array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 3 })
    .map((changes) => changes.reduce((bytes, [at, value]) => Buffer.from(bytes.with(at, value)), whole));
  const truncated = fc.nat(whole.length).map((length) => whole.subarray(0, length));
  const random = fc.uint8Array().map((octets) => Buffer.from(octets));
  fc.assert(
    fc.property(fc.oneof(mutated, truncated, random), (der) => {
      let name: Name;
      try {
        name = read(der);
        name.key;
        name.text;
        firstCommonName(name);
      } catch (error) {
        assert.ok(error instanceof DerError, String(error));
        return;
      }
      const theirs = peculiar(der);
      if (theirs === null) return;
      assert.deepEqual(
        name.attributes.map(({ type, rdn }) => [type, rdn]),
        [...theirs].flatMap((rdn, index) => [...rdn].map(({ type }) => [type, index])),
      );
      const plain = (tag: number): boolean => tag === tags.utf8String || tag === tags.printableString;
      for (const [index, { value, tag }] of name.attributes.entries()) {
        if (plain(tag) && value !== null)
          assert.equal(value, [...theirs].flatMap((rdn) => [...rdn])[index]!.value.toString());
      }
    }),
    { numRuns: 2_000 },
  );
});

function peculiar(der: Buffer): PeculiarName | null {
  try {
    return AsnConvert.parse(der, PeculiarName);
  } catch {
    return null;
  }
}
