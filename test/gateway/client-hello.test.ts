// The host that a connection asks for, read from its first bytes: as TLS itself reads it, at whatever byte they are cut.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { readClientHello } from '../../src/gateway/client-hello.ts';
import { clientHello } from '../support/client-hello.ts';

/** The same message in records of so many octets (RFC 8446 §5.1). */
function inRecordsOf(size: number, hello: Buffer): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.of(22, 3, 1, part.length >> 8, part.length & 255), part);
  }
  return Buffer.concat(records);
}

describe('a ClientHello', () => {
  let named: Buffer;
  let nameless: Buffer;
  let old: Buffer;

  before(async () => {
    named = await clientHello({ servername: 'gateway.acme.example' });
    nameless = await clientHello({});
    old = await clientHello({ servername: 'gateway.acme.example', maxVersion: 'TLSv1.2' });
  });

  test('says the host, or that there is none, and nothing before it is whole', () => {
    for (const [hello, serverName] of [
      [named, 'gateway.acme.example'],
      [old, 'gateway.acme.example'],
      [nameless, null],
    ] as const) {
      for (let size = 0; size < hello.length; size += 1) {
        assert.equal(readClientHello(hello.subarray(0, size)).kind, 'partial', `${size}`);
      }
      assert.deepEqual(readClientHello(hello), { kind: 'whole', serverName });
      assert.deepEqual(readClientHello(Buffer.concat([hello, Buffer.of(20, 3, 3)])), { kind: 'whole', serverName });
    }
  });

  test('says it in as many records as anybody makes of it', () => {
    for (const size of [Math.ceil((named.length - 5) / 64), 100, 16_384]) {
      const hello = inRecordsOf(size, named);
      assert.deepEqual(readClientHello(hello), { kind: 'whole', serverName: 'gateway.acme.example' });
      assert.equal(readClientHello(hello.subarray(0, -1)).kind, 'partial');
    }
  });

  test('in more records than that it is not read: each that comes would have all of them read anew', () => {
    const crumbs = inRecordsOf(1, named);
    assert.equal(readClientHello(crumbs.subarray(0, 64 * 6)).kind, 'partial');
    for (const size of [65 * 6, crumbs.length]) assert.equal(readClientHello(crumbs.subarray(0, size)).kind, 'other');
  });

  test('is not what something else is', () => {
    for (const text of [
      'GET / HTTP/1.1\r\n\r\n',
      'SSH-2.0-x\r\n',
      '\x80\x2e\x01\x03\x01',
      '\x15\x03\x01\x00\x02\x01\x00',
    ]) {
      assert.equal(readClientHello(Buffer.from(text, 'latin1')).kind, 'other', text);
    }
    // A ServerHello, an empty record, a record and a message that are too long.
    for (const hex of ['1603010005020000010000', '1603010000', '160301ffff', '160301400001ffffff']) {
      assert.equal(readClientHello(Buffer.from(hex, 'hex')).kind, 'other', hex);
    }
  });

  test('whatever is changed in it, it is read without a fault', () => {
    fc.assert(
      fc.property(fc.nat({ max: named.length - 1 }), fc.nat(255), fc.nat({ max: named.length }), (at, octet, end) => {
        const hello = Buffer.from(named);
        hello[at] = octet;
        const read = readClientHello(hello.subarray(0, end));
        assert.ok(read.kind !== 'whole' || read.serverName === null || read.serverName.length > 0);
      }),
      { numRuns: 5_000, seed: 1 },
    );
  });
});
