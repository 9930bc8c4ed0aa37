// The strict DER reader and the writer that mirrors it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import {
  DerError,
  elements,
  readBitString,
  readBitStringOctets,
  readBoolean,
  readElement,
  readInteger,
  readOctetString,
  readOid,
  readSmallInteger,
  readTime,
  type Element,
} from '../../src/x509/der.ts';
import * as write from '../../src/x509/der-write.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const refuses = (read: () => unknown): void => assert.throws(read, DerError);

test('one element is read with its tag, its content and the whole of it', () => {
  const { tag, content, raw } = readElement(hex('04 03 aabbcc'));
  assert.deepEqual([tag, content.toString('hex'), raw.toString('hex')], [0x04, 'aabbcc', '0403aabbcc']);
});

test('lengths are definite, in their shortest form, and end inside the bytes', () => {
  for (const wrong of [
    '', // nothing
    '30', // no length
    '3002 05', // cut short
    '3080 0000', // indefinite
    '308101 00', // 1 needs no second octet
    '30820001 00', // leading zero
    `308200ff${'00'.repeat(255)}`, // leading zero
    '3085 0000000001 00', // five octets of length
    '30ff', // reserved
    '3084ffffffff', // four gigabytes claimed
  ]) {
    refuses(() => readElement(hex(wrong)));
    if (wrong !== '') refuses(() => elements(hex(wrong)));
  }
  assert.equal(readElement(hex(`308180${'00'.repeat(128)}`)).content.length, 128);
});

test('nothing may follow the one element, and elements follow each other without a gap', () => {
  refuses(() => readElement(hex('0500 00')));
  assert.deepEqual(
    elements(hex('0500 020101 0c00')).map(({ tag }) => tag),
    [0x05, 0x02, 0x0c],
  );
  refuses(() => elements(hex('0500 00')));
});

test('tags of several octets are not taken', () => refuses(() => readElement(hex('1f8100 00'))));

test('an integer has no octet too many, and a small one is neither negative nor huge', () => {
  for (const wrong of ['0200', '020200 01', '0202ff80', '0202ffff', '0302 0001'])
    refuses(() => readInteger(readElement(hex(wrong))));
  for (const right of ['020100', '02020080', '0201ff', '0202ff7f']) readInteger(readElement(hex(right)));
  assert.equal(readSmallInteger(readElement(hex('0203 010000'))), 65_536);
  refuses(() => readSmallInteger(readElement(hex('0201 ff'))));
  refuses(() => readSmallInteger(readElement(hex('0207 01000000000000'))));
});

test('a boolean is 00 or FF', () => {
  assert.equal(readBoolean(readElement(hex('0101ff'))), true);
  assert.equal(readBoolean(readElement(hex('010100'))), false);
  for (const wrong of ['010101', '0100', '0102ffff']) refuses(() => readBoolean(readElement(hex(wrong))));
});

test('the unused bits of a bit string are counted right and zero', () => {
  assert.deepEqual(readBitString(readElement(hex('03020780'))), { bytes: hex('80'), unusedBits: 7 });
  assert.deepEqual(readBitString(readElement(hex('030100'))), { bytes: hex(''), unusedBits: 0 });
  for (const wrong of ['0300', '03020880', '030101', '030207c0', '03020701']) {
    refuses(() => readBitString(readElement(hex(wrong))));
  }
  refuses(() => readBitStringOctets(readElement(hex('03020780'))));
});

test('an object identifier is in its shortest form and whole, however large its arcs', () => {
  const read = (text: string): string => readOid(readElement(hex(text)));
  assert.equal(read('0603 550403'), '2.5.4.3');
  assert.equal(read('0601 27'), '0.39');
  assert.equal(read('0601 28'), '1.0');
  assert.equal(read('0602 8837'), '2.999');
  for (const wrong of ['0600', '0602 8001', '0602 5580', `0641${'01'.repeat(65)}`]) refuses(() => read(wrong));
  const uuid = '2.25.329800735698586629295641978511506172918';
  assert.equal(readOid(readElement(write.oid(uuid))), uuid);
});

test('times: both forms, both centuries, before 1970, and to the end of 9999', () => {
  const utc = (text: string): number => readTime(readElement(write.element(0x17, Buffer.from(text))));
  const general = (text: string): number => readTime(readElement(write.element(0x18, Buffer.from(text))));
  assert.equal(utc('491231235959Z'), Date.UTC(2049, 11, 31, 23, 59, 59));
  assert.equal(utc('500101000000Z'), Date.UTC(1950, 0, 1));
  assert.equal(general('99991231235959Z'), Date.UTC(9999, 11, 31, 23, 59, 59));
  assert.equal(general('20240229000000Z'), Date.UTC(2024, 1, 29));
  assert.equal(new Date(general('00500101000000Z')).toISOString(), '0050-01-01T00:00:00.000Z');
  assert.equal(general('19690720201740Z'), -14_182_940_000);
  for (const wrong of [
    '2401010000Z', // no seconds
    '240101000000', // no zone
    '240101000000+0000', // another zone
    '240230000000Z',
    '241301000000Z',
    '240001000000Z',
    '240100000000Z',
    '240101240000Z',
    '240101006000Z',
    '240101000060Z',
    '24010100000 Z',
    '24010100000١Z',
    '',
  ]) {
    refuses(() => utc(wrong));
    refuses(() => general(`20${wrong}`));
  }
  refuses(() => general('20240101000000.5Z'));
  refuses(() => general('20230229000000Z'));
  refuses(() => readTime(readElement(hex('0500'))));
  refuses(() => readTime(undefined));
});

test('what is written is read back as it was', () => {
  const roundTrip = <T>(arbitrary: fc.Arbitrary<T>, writer: (value: T) => Buffer, reader: (e: Element) => T): void =>
    fc.assert(fc.property(arbitrary, (value) => assert.deepEqual(reader(readElement(writer(value))), value)));
  roundTrip(fc.nat(2 ** 46), write.integer, readSmallInteger);
  roundTrip(fc.boolean(), write.boolean, readBoolean);
  roundTrip(
    fc.uint8Array({ maxLength: 300 }).map((octets) => Buffer.from(octets)),
    write.octetString,
    readOctetString,
  );
  const arcs = fc.array(fc.bigInt(0n, 2n ** 128n), { maxLength: 2 });
  const second = fc.tuple(fc.constantFrom(0, 1), fc.bigInt(0n, 39n));
  roundTrip(
    fc
      .tuple(fc.oneof(second, fc.tuple(fc.constant(2), fc.bigInt(0n, 2n ** 64n))), arcs)
      .map(([a, b]) => [...a, ...b].join('.')),
    write.oid,
    readOid,
  );
  const seconds = fc.integer({ min: Date.UTC(1, 0, 1) / 1000, max: Date.UTC(9999, 11, 31) / 1000 });
  roundTrip(
    seconds.map((second) => second * 1000),
    write.time,
    readTime,
  );
});

test('written numbers are the shortest of their value, negative ones and octets included', () => {
  const written = (value: Uint8Array | number): string => write.integer(value).toString('hex');
  assert.deepEqual([0, 127, 128, 255, 256, -1, -128, -129].map(written), [
    '020100',
    '02017f',
    '02020080',
    '020200ff',
    '02020100',
    '0201ff',
    '020180',
    '0202ff7f',
  ]);
  assert.deepEqual(['', '00', '0000', '80', '0001'].map(hex).map(written), [
    '020100',
    '020100',
    '020100',
    '02020080',
    '020101',
  ]);
  fc.assert(fc.property(fc.maxSafeInteger(), (value) => void readInteger(readElement(write.integer(value)))));
});

test('the writer refuses what it cannot say', () => {
  for (const wrong of [
    () => write.integer(0.5),
    () => write.oid('3.1'),
    () => write.oid('1.40'),
    () => write.oid('1'),
    () => write.printableString('a@b'),
    () => write.ia5String('ü'),
    () => write.time(Date.UTC(10_000, 0, 1)),
    () => write.time(Number.NaN),
  ]) {
    assert.throws(wrong, RangeError);
  }
});

test('a set is written in the order that DER wants', () => {
  assert.equal(write.set(hex('020102'), hex('020101'), hex('0100')).toString('hex'), '31080100020101020102');
});

test('whatever the bytes, a reader gives a value or a DerError', () => {
  const readers: ((e: Element) => unknown)[] = [
    readInteger,
    readSmallInteger,
    readBoolean,
    readBitString,
    readBitStringOctets,
    readOid,
    readTime,
    ({ content }) => elements(content),
  ];
  const tagged = fc.tuple(fc.constantFrom(1, 2, 3, 6, 0x17, 0x18, 0x30), fc.uint8Array({ maxLength: 40 }));
  const bytes = fc.oneof(
    fc.uint8Array().map((octets) => Buffer.from(octets)),
    tagged.map(([tag, content]) => write.element(tag, content)),
  );
  fc.assert(
    fc.property(bytes, (input) => {
      for (const reader of readers) {
        try {
          reader(readElement(input));
        } catch (error) {
          assert.ok(error instanceof DerError, String(error));
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

test('an element that is read is written back to the same bytes', () => {
  const bytes = fc.uint8Array({ maxLength: 20 }).map((octets) => Buffer.from(octets));
  fc.assert(
    fc.property(bytes, (input) => {
      try {
        const { tag, content } = readElement(input);
        assert.deepEqual(write.element(tag, content), input);
      } catch (error) {
        assert.ok(error instanceof DerError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});
