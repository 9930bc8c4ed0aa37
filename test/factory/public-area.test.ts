// Public areas of keys in TPMs: what is read, and the sentence for each of those that are cut, stretched or of other kinds.

import assert from 'node:assert/strict';
import { generateKeyPairSync, hash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';

import { PublicAreaError, readPublicArea } from '../../src/factory/tpm/public-area.ts';
import { parsePublicKey } from '../../src/x509/key.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
const sized = (octets: Buffer): Buffer => Buffer.concat([number(octets.length), octets]);
const number = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);
const jwk = (namedCurve: string) => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve });
  const { x, y } = publicKey.export({ format: 'jwk' });
  const point = [Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')] as const;
  return { point, sha256: parsePublicKey(publicKey.export({ format: 'der', type: 'spki' })).sha256 };
};
const p256 = jwk('P-256');

/** A public area on P-256 as tpm2_create writes it, with what a test has otherwise. */
function eccArea({
  type = '0023',
  nameAlg = '000b',
  policy = '0000',
  symmetric = '0010',
  scheme = '0010',
  curve = '0003',
  kdf = '0010',
  point = p256.point,
  more = '',
} = {}): Buffer {
  const parameters = bytes(`${symmetric} ${scheme} ${curve} ${kdf}`);
  const head = bytes(`${type} ${nameAlg} 00040472 ${policy}`);
  return sized(Buffer.concat([head, parameters, sized(point[0]), sized(point[1]), bytes(more)]));
}

const { publicKey: rsaKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const modulus = Buffer.from(rsaKey.export({ format: 'jwk' }).n!, 'base64url');

function rsaArea({ scheme = '0010', bits = '0800', exponent = '00000000', n = modulus } = {}): Buffer {
  return sized(Buffer.concat([bytes(`0001 000b 00040472 0000 0010 ${scheme} ${bits} ${exponent}`), sized(n)]));
}

test('keys on P-256 and P-384 and of RSA are read, with and without the length before them', () => {
  const area = eccArea();
  const read = readPublicArea(area);
  assert.equal(read.publicKey.sha256, p256.sha256);
  assert.equal(read.objectAttributes, 0x00040472);
  assert.equal(read.name.toString('hex'), `000b${hash('sha256', area.subarray(2))}`);
  assert.deepEqual(readPublicArea(area.subarray(2)).name, read.name);
  const p384 = jwk('P-384');
  assert.equal(readPublicArea(eccArea({ curve: '0004', point: p384.point })).publicKey.sha256, p384.sha256);
  const rsa = parsePublicKey(rsaKey.export({ format: 'der', type: 'spki' })).sha256;
  for (const exponent of ['00000000', '00010001']) {
    assert.equal(readPublicArea(rsaArea({ exponent })).publicKey.sha256, rsa);
  }
});

test('a policy, a cipher and a scheme with its hash are passed over', () => {
  const policy = `0020 ${'ab'.repeat(32)}`;
  const read = readPublicArea(eccArea({ policy, symmetric: '0006 0080 0043', scheme: '0018 000b', kdf: '0020 000b' }));
  assert.equal(read.publicKey.sha256, p256.sha256);
  assert.ok(readPublicArea(rsaArea({ scheme: '0016 000b' })));
});

test('coordinates whose leading zeros a TPM has left out are whole again', () => {
  let short = jwk('P-256');
  while (short.point[0][0] !== 0) short = jwk('P-256');
  const read = readPublicArea(eccArea({ point: [short.point[0].subarray(1), short.point[1]] }));
  assert.equal(read.publicKey.sha256, short.sha256);
});

for (const [what, area, sentence] of [
  ['nothing', Buffer.alloc(0), /ends before its fields do/],
  ['a length that is not its own', Buffer.concat([eccArea(), Buffer.of(0)]), /says that it has 86 octets, and has 87/],
  ['a symmetric key', eccArea({ type: '0025' }), /type is 0x0025/],
  ['a Name by SHA-1', eccArea({ nameAlg: '0004' }), /nameAlg .* is 0x0004/],
  ['a Name by SHA-384', eccArea({ nameAlg: '000c' }), /only SHA-256/],
  ['no Name', eccArea({ nameAlg: '0010' }), /nameAlg .* is 0x0010/],
  ['a policy of 20 octets', eccArea({ policy: `0014 ${'ab'.repeat(20)}` }), /authPolicy .* 20 octets/],
  ['a scheme of group signatures', eccArea({ scheme: '001a 000b 0000' }), /scheme 0x001a/],
  ['P-521', eccArea({ curve: '0005' }), /curve 0x0005/],
  ['BN P-256', eccArea({ curve: '0010' }), /curve 0x0010/],
  ['a point off its curve', eccArea({ point: [p256.point[0], p256.point[0]] }), /has no public key/],
  ['no point', eccArea({ point: [Buffer.alloc(0), Buffer.alloc(0)] }), /has no public key/],
  ['a coordinate too long', eccArea({ point: [Buffer.alloc(33), p256.point[1]] }), /more than 32 octets/],
  ['octets after it', eccArea({ more: '00' }), /octets after the end/],
  ['RSA of 1,024 bits', rsaArea({ bits: '0400', n: modulus.subarray(128) }), /RSA of 1024 bits/],
  ['RSA of 8,192 bits', rsaArea({ bits: '2000', n: Buffer.alloc(600, 0xff) }), /RSA of 8192 bits/],
  ['a modulus shorter than it says', rsaArea({ n: modulus.subarray(1) }), /does not have the 2048 bits/],
  ['a modulus that begins with zero', rsaArea({ n: Buffer.concat([Buffer.of(0), modulus.subarray(1)]) }), /2048 bits/],
  ['an exponent of 1', rsaArea({ exponent: '00000001' }), /has no public key/],
  ['2 KiB', sized(Buffer.alloc(2_048)), /longer than 1024 octets/],
] as const) {
  test(`a public area with ${what} is refused`, () => {
    assert.throws(
      () => readPublicArea(area),
      (error) => error instanceof PublicAreaError && sentence.test(error.message),
    );
  });
}

const areas = [eccArea(), eccArea({ scheme: '0018 000b' }), rsaArea()];

test('one that is cut anywhere is refused', () => {
  for (const area of areas) {
    for (let length = 0; length < area.length; length += 1) {
      // With its length made right, and without any.
      for (const cut of [area.subarray(0, length), sized(area.subarray(2, Math.max(2, length)))]) {
        assert.throws(() => readPublicArea(cut), PublicAreaError);
      }
    }
  }
});

test('whatever comes is a public area or is refused, and no edited one keeps its Name', () => {
  const edit = fc.record({ area: fc.constantFrom(...areas), at: fc.nat(), xor: fc.integer({ min: 1, max: 255 }) });
  fc.assert(
    fc.property(edit, ({ area, at, xor }) => {
      const edited = Buffer.from(area);
      edited[at % area.length]! ^= xor;
      const name = nameOf(edited);
      if (name !== null) assert.notDeepEqual(name, readPublicArea(area).name);
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => {
      nameOf(Buffer.from(octets));
    }),
    { numRuns: 500 },
  );
});

function nameOf(area: Buffer): Buffer | null {
  try {
    return readPublicArea(area).name;
  } catch (error) {
    assert.ok(error instanceof PublicAreaError, String(error));
    return null;
  }
}
