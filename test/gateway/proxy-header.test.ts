// What a load balancer says of a client: read exactly, at whatever byte it is cut, and nothing else is taken for it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type ProxyHeader, readProxyHeader } from '../../src/gateway/proxy-header.ts';
import { binaryHeader, headerOf, localHeader, tlv } from '../support/proxy-header.ts';

const hello = Buffer.from('1603010200', 'hex');
const line = (text: string): Buffer => Buffer.from(text, 'latin1');

/** What is read of a header with a client's bytes after it, which is the same wherever it is cut. */
function read(header: Buffer): ProxyHeader {
  const bytes = Buffer.concat([header, hello]);
  const whole = readProxyHeader(bytes);
  for (let size = 0; size < header.length; size += 1) {
    const part = readProxyHeader(bytes.subarray(0, size));
    assert.ok(part.kind === 'partial' || (part.kind === 'malformed' && whole.kind === 'malformed'), `at ${size}`);
  }
  return whole;
}

const whole = (header: Buffer, address: string, localAddress: string): void =>
  assert.deepEqual(read(header), { kind: 'whole', size: header.length, proxied: { address, localAddress } });
const ofBalancer = (header: Buffer): void =>
  assert.deepEqual(read(header), { kind: 'whole', size: header.length, proxied: null });
const malformed = (header: Buffer): void => assert.equal(read(header).kind, 'malformed', header.toString('latin1'));

const ipv6 = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');

describe('the PROXY protocol', () => {
  test('version 2: IPv4, IPv6, with and without TLVs', () => {
    whole(headerOf('198.51.100.7', '203.0.113.1'), '198.51.100.7', '203.0.113.1');
    const more = [tlv(2, line('gateway.example')), tlv(3, Buffer.alloc(4)), tlv(4, Buffer.alloc(3_000))];
    whole(headerOf('198.51.100.7', '203.0.113.1', Buffer.concat(more)), '198.51.100.7', '203.0.113.1');
    const from = ipv6('2001:0db8:0000:0000:0000:0000:0000:0007');
    const to = ipv6('2001:0db8:0000:0001:0000:0000:0000:0001');
    const content = Buffer.concat([from, to, Buffer.alloc(4)]);
    whole(binaryHeader({ family: 0x21, content }), '2001:db8::7', '2001:db8:0:1::1');
    // An IPv4 client of a balancer that listens on IPv6 is that IPv4 client.
    const mapped = ipv6('0000:0000:0000:0000:0000:ffff:c633:6407');
    const both = Buffer.concat([mapped, mapped, Buffer.alloc(4)]);
    whole(binaryHeader({ family: 0x21, content: both }), '198.51.100.7', '198.51.100.7');
  });

  test('version 2: what the balancer does for itself has no address, whatever it names', () => {
    ofBalancer(localHeader);
    ofBalancer(binaryHeader({ versionAndCommand: 0x20, family: 0x11, content: Buffer.alloc(12) }));
    ofBalancer(binaryHeader({ versionAndCommand: 0x20, family: 0xff, content: Buffer.alloc(3) }));
  });

  test('version 2: anything else is malformed', () => {
    const content = Buffer.alloc(216);
    for (const versionAndCommand of [0x22, 0x2f, 0x11, 0x01, 0x31, 0xf1]) {
      malformed(binaryHeader({ versionAndCommand, content }));
    }
    // No address at all, UDP, Unix sockets, what there is not.
    for (const family of [0x00, 0x01, 0x10, 0x12, 0x20, 0x22, 0x31, 0x32, 0x13, 0x41, 0xff]) {
      malformed(binaryHeader({ family, content }));
    }
    malformed(binaryHeader({ family: 0x11, content: Buffer.alloc(11) }));
    malformed(binaryHeader({ family: 0x21, content: Buffer.alloc(35) }));
    // It ends somewhere, and before that nothing is kept of it.
    malformed(headerOf('198.51.100.7', '203.0.113.1', Buffer.alloc(4_096 - 27)));
    malformed(binaryHeader({ versionAndCommand: 0x20, content: Buffer.alloc(65_535) }));
    const [first = 0, ...rest] = localHeader;
    malformed(Buffer.of(first, ...rest.slice(0, 10), 0, ...rest.slice(11)));
  });

  test('version 1', () => {
    whole(line('PROXY TCP4 198.51.100.7 203.0.113.1 40000 443\r\n'), '198.51.100.7', '203.0.113.1');
    whole(line('PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n'), '255.255.255.255', '255.255.255.255');
    whole(line('PROXY TCP6 2001:DB8:0:0:0:0:0:7 ::1 65535 65535\r\n'), '2001:db8::7', '::1');
    whole(line('PROXY TCP6 ::ffff:198.51.100.7 ::1 1 2\r\n'), '198.51.100.7', '::1');
    ofBalancer(line('PROXY UNKNOWN\r\n'));
    ofBalancer(line('PROXY UNKNOWN ffff:: nonsense 1 2 3 4\r\n'));
  });

  test('version 1: anything else is malformed', () => {
    for (const text of [
      'PROXY TCP4 198.51.100.7 203.0.113.1 40000\r\n',
      'PROXY TCP4 198.51.100.7 203.0.113.1 40000 443 \r\n',
      'PROXY TCP4  198.51.100.7 203.0.113.1 40000 443\r\n',
      'PROXY TCP4 198.51.100.07 203.0.113.1 40000 443\r\n',
      'PROXY TCP4 198.51.100.7 203.0.113.1 040 443\r\n',
      'PROXY TCP4 198.51.100.7 203.0.113.1 40000 65536\r\n',
      'PROXY TCP4 198.51.100 203.0.113.1 40000 443\r\n',
      'PROXY TCP4 ::1 ::1 40000 443\r\n',
      'PROXY TCP6 198.51.100.7 203.0.113.1 40000 443\r\n',
      'PROXY TCP6 fe80::1%eth0 fe80::2 40000 443\r\n',
      'PROXY UDP4 198.51.100.7 203.0.113.1 40000 443\r\n',
      'PROXY TCP4 198.51.100.7 203.0.113.1 40000 443\n\n',
      'PROXY constructor 198.51.100.7 203.0.113.1 40000 443\r\n',
      'PROXY \r\n',
      'PROXYTCP4 198.51.100.7 203.0.113.1 40000 443\r\n',
      `PROXY UNKNOWN ${'x'.repeat(92)}\r\n`,
      'GET / HTTP/1.1\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01',
      '\r\n\r\n',
    ]) {
      malformed(line(text));
    }
    ofBalancer(line(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`));
  });

  test('no bytes make it fail, or take what is not a header for one', () => {
    const beginnings = [Buffer.alloc(0), localHeader.subarray(0, 12), localHeader.subarray(0, 13), line('PROXY TCP4 ')];
    fc.assert(
      fc.property(fc.constantFrom(...beginnings), fc.uint8Array({ maxLength: 200 }), (beginning, rest) => {
        const bytes = Buffer.concat([beginning, rest]);
        const header = readProxyHeader(bytes);
        if (header.kind !== 'whole') return;
        assert.ok(header.size <= bytes.length);
        // What comes after it changes nothing.
        assert.deepEqual(readProxyHeader(bytes.subarray(0, header.size)), header);
      }),
      { numRuns: 5_000, seed: 1 },
    );
  });

  test('every address is read as it was written', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.uint8Array({ maxLength: 40 }), (from, to, more) => {
        whole(headerOf(from, to, more), from, to);
        whole(line(`PROXY TCP4 ${from} ${to} 1 2\r\n`), from, to);
      }),
      { numRuns: 100, seed: 1 },
    );
  });
});
