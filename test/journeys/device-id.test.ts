// The device ID: the first CN of the subject, whatever string it is written in, compared exactly.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { implicit, oid, sequence, set, utf8String } from '../../src/x509/der-write.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { type Ca, Pki } from '../support/pki.ts';

/** Identifier octets of the string types (X.680 §8.4), and how each writes a text. */
const strings: Readonly<Record<string, readonly [tag: number, encode: (text: string) => Buffer]>> = {
  UTF8String: [0x0c, (text) => Buffer.from(text)],
  PrintableString: [0x13, (text) => Buffer.from(text, 'latin1')],
  TeletexString: [0x14, (text) => Buffer.from(text, 'latin1')],
  IA5String: [0x16, (text) => Buffer.from(text, 'latin1')],
  UniversalString: [0x1c, (text) => Buffer.concat([...text].map((character) => codePoint(character, 4)))],
  BMPString: [0x1e, (text) => Buffer.concat([...text].map((character) => codePoint(character, 2)))],
};

function codePoint(character: string, width: 2 | 4): Buffer {
  const octets = Buffer.alloc(width);
  octets.writeUIntBE(character.codePointAt(0)!, 0, width);
  return octets;
}

/** A string of any type. */
function string(tag: number, content: Buffer): Buffer {
  const written = implicit(0, content, false);
  return Buffer.concat([Buffer.of(tag), written.subarray(1)]);
}

const attribute = (type: string, value: Buffer): Buffer => sequence(oid(type), value);
const commonName = (value: Buffer): Buffer => attribute('2.5.4.3', value);

describe('a device ID', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  let fleet: Fleet;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    root = await pki.guideRoot('root');
    fleet = await Fleet.open(fleetroot, 'fleet', root);
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  /** What becomes of a device with this subject: `in`, or the code of its refusal. */
  const arrive = async (subject: Buffer): Promise<string> => fleet.arrive(await root.shapedDevice({ subject }));

  /** As whom a device with this subject gets in. */
  const enter = async (subject: Buffer): Promise<{ device_id: string; uuid: string }> => {
    const device = await root.shapedDevice({ subject });
    assert.equal(await fleet.arrive(device), 'in');
    return (await fleet.connect(device)).json;
  };

  test('is the same in every string type: one device, with six certificates', async () => {
    const uuids = new Set<string>();
    for (const [tag, encode] of Object.values(strings)) {
      const arrived = await enter(sequence(set(commonName(string(tag, encode('car 7'))))));
      assert.equal(arrived.device_id, 'car 7');
      uuids.add(arrived.uuid);
    }
    assert.equal(uuids.size, 1);
    assert.equal((await fleetroot.json('certificate', 'list', 'fleet', 'car 7')).length, 6);
  });

  test('is the same in those that hold more than ASCII', async () => {
    for (const [text, types] of [
      ['Stra\u00dfe', ['UTF8String', 'TeletexString', 'UniversalString', 'BMPString']],
      ['\u8eca', ['UTF8String', 'UniversalString', 'BMPString']],
      ['\u{1f697}', ['UTF8String', 'UniversalString']],
    ] as const) {
      const uuids = new Set<string>();
      for (const type of types) {
        const [tag, encode] = strings[type]!;
        const arrived = await enter(sequence(set(commonName(string(tag, encode(text))))));
        assert.equal(arrived.device_id, text);
        uuids.add(arrived.uuid);
      }
      assert.equal(uuids.size, 1, text);
    }
  });

  for (const [mask, type] of [
    ['MASK:0x800', 'BMPSTRING'],
    ['MASK:0x4', 'T61STRING'],
    ['utf8only', 'UTF8STRING'],
  ]) {
    test(`that openssl has written as ${type} is read as it was meant`, async () => {
      const config = ['[req]', 'prompt = no', 'utf8 = yes', `string_mask = ${mask}`, 'distinguished_name = dn'];
      const id = `M\u00fcnchen ${type}`;
      const [key, request, certificate] = [await pki.newKey(), pki.file('.csr'), pki.file('.crt')];
      const file = await pki.write(`${[...config, '[dn]', `CN = ${id}`].join('\n')}\n`, '.cnf');
      await pki.openssl('req', '-new', '-key', key, '-config', file, '-out', request);
      const signer = ['-CA', root.certificate, '-CAkey', root.key, '-set_serial', '7'];
      await pki.openssl('x509', '-req', '-in', request, ...signer, '-out', certificate);
      assert.match(await pki.openssl('asn1parse', '-in', certificate), new RegExp(type!));
      assert.equal((await fleet.connect({ certificate, key })).json.device_id, id);
    });
  }

  test('is the first of several CNs in encoding order, in one RDN or in many, whatever stands beside them', async () => {
    const cn = (text: string): Buffer => commonName(utf8String(text));
    const unit = attribute('2.5.4.11', utf8String('unit'));
    for (const [subject, id] of [
      [sequence(set(cn('first')), set(cn('second'))), 'first'],
      [sequence(set(unit), set(cn('zulu')), set(cn('alpha'))), 'zulu'],
      [sequence(set(cn('in-one-a'), cn('in-one-b'))), 'in-one-a'],
      [sequence(set(cn('with-unit'), unit), set(unit)), 'with-unit'],
      [sequence(set(attribute('2.5.4.11', utf8String('CN=forged')), cn('genuine'))), 'genuine'],
      [sequence(set(attribute('2.5.4.10', utf8String('x/CN=forged, CN=forged'))), set(cn('genuine-2'))), 'genuine-2'],
    ] as const) {
      const arrived = await enter(subject);
      assert.equal(arrived.device_id, id);
    }
    const both = await root.device('', { subject: '/CN=openssl-one/CN=openssl-two' });
    assert.equal((await fleet.connect(both)).json.device_id, 'openssl-one');
  });

  test('is compared exactly: case, blanks, normal forms and look-alikes make other devices', async () => {
    const ids = [
      'Caf\u00e9',
      'caf\u00e9',
      'Cafe\u0301',
      'Cafe',
      'Caf\u00e9 ',
      ' Caf\u00e9',
      'C\u0430f\u00e9',
      '\uff23af\u00e9',
    ];
    const uuids = new Set<string>();
    for (const id of ids) {
      const arrived = await enter(sequence(set(commonName(utf8String(id)))));
      assert.equal(arrived.device_id, id);
      uuids.add(arrived.uuid);
    }
    assert.equal(uuids.size, ids.length);
    const listed = (await fleet.devices()).map(({ device_id }) => device_id);
    for (const id of ids) assert.ok(listed.includes(id), id);
  });

  const illegal: Readonly<Record<string, string>> = {
    'an empty one': '',
    'white space': '   ',
    'a NUL': 'car\0',
    'a control character': 'car\u001b[31m',
    'a line break': 'car\n7',
    'a bidi mark': 'car\u202e7',
    'a zero-width character': 'car\u200b7',
    'a line separator': 'car\u20287',
    '65 characters': 'x'.repeat(65),
    '65 characters outside the BMP': '\u{1f697}'.repeat(65),
  };
  for (const [what, id] of Object.entries(illegal)) {
    test(`is none that people could not read for what it is: ${what}`, async () => {
      assert.equal(await arrive(sequence(set(commonName(utf8String(id))))), 'device_id_invalid');
    });
  }

  test('has up to 64 characters of any script', async () => {
    for (const id of ['x'.repeat(64), '\u8eca'.repeat(64), '\u{1f697}'.repeat(64)]) {
      const arrived = await enter(sequence(set(commonName(utf8String(id)))));
      assert.equal(arrived.device_id, id);
    }
  });

  test('is none where there is no CN, or the first of several is none', async () => {
    const cn = (text: string): Buffer => commonName(utf8String(text));
    assert.equal(await arrive(sequence()), 'device_id_invalid');
    assert.equal(await arrive(sequence(set(attribute('2.5.4.11', utf8String('unit'))))), 'device_id_invalid');
    assert.equal(await arrive(sequence(set(cn('')), set(cn('second-of-two')))), 'device_id_invalid');
    assert.ok(!(await fleet.devices()).some(({ device_id }) => device_id === 'second-of-two'));
  });

  test('is none where the octets are no text of their type, which openssl does not even show', async () => {
    for (const [tag, octets] of [
      [0x0c, [0xff, 0xfe]],
      [0x1e, [0x00, 0x41, 0x00]],
      [0x1e, [0xd8, 0x00, 0xdc, 0x00]],
      [0x1c, [0x00, 0x11, 0x00, 0x00]],
      [0x04, [0x41]],
    ] as const) {
      const device = await root.shapedDevice({ subject: sequence(set(commonName(string(tag, Buffer.from(octets))))) });
      assert.equal((await fleet.explain(device)).code, 'device_id_invalid', `${tag}: ${octets}`);
    }
  });
});
