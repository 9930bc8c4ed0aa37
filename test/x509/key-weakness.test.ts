// Keys that must not be certified: each kind of broken one gets its sentence, honest ones get none.

import assert from 'node:assert/strict';
import { checkPrimeSync, ECDH, generatePrimeSync } from 'node:crypto';
import { test } from 'node:test';

import fc from 'fast-check';

import { DerError } from '../../src/x509/der.ts';
import { bitString, element, integer, nullValue, oid, sequence } from '../../src/x509/der-write.ts';
import { parsePublicKey } from '../../src/x509/key.ts';
import { weaknessOf } from '../../src/x509/key-weakness.ts';
import { newKey } from '../support/certificate-maker.ts';
import { Openssl } from '../support/openssl.ts';
import { needs } from '../support/require.ts';

const rsaEncryption = sequence(oid('1.2.840.113549.1.1.1'), nullValue());

function octetsOf(number: bigint): Buffer {
  const hex = number.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}

/** What is said of an RSA key of these numbers. */
function saidOf(n: bigint, e = 65_537n): string | null {
  const key = bitString(sequence(integer(octetsOf(n)), integer(octetsOf(e))));
  return weaknessOf(parsePublicKey(sequence(rsaEncryption, key)));
}

const prime = (bits: number): bigint => generatePrimeSync(bits, { bigint: true });
/** Of 2,048 bits: OpenSSL sets the two highest bits of a prime. */
const honest = prime(1_024) * prime(1_024);

function primeFrom(start: bigint): bigint {
  for (let candidate = start | 1n; ; candidate += 2n) if (checkPrimeSync(candidate)) return candidate;
}

test('honest keys of the kinds that are certified have none', () => {
  for (const kind of ['P-256', 'P-384', 'rsa2048'] as const)
    assert.equal(weaknessOf(parsePublicKey(newKey(kind).spki)), null);
  assert.equal(saidOf(honest), null);
  assert.equal(saidOf(honest, 2n ** 64n - 1n), null);
  // Of 3,072, 4,096 and 8,192 bits, without primes of such sizes, which take long to find.
  assert.equal(saidOf(honest * prime(1_024)), null);
  assert.equal(saidOf(honest * prime(1_024) * prime(1_024)), null);
  assert.equal(saidOf([1, 2, 3].reduce((so) => so * prime(1_024) * prime(1_024), honest)), null);
});

test('kinds that are not certified are named', { skip: needs('openssl') }, () => {
  using openssl = new Openssl();
  const said = (command: string): string | null => {
    openssl.run(`openssl ${command} -out key.pem; openssl pkey -in key.pem -pubout -outform DER -out key.der`);
    return weaknessOf(parsePublicKey(openssl.read('key.der')));
  };
  const curve = (name: string) => said(`genpkey -algorithm EC -pkeyopt ec_paramgen_curve:${name}`);
  const only = '; only P-256, P-384 and RSA keys are certified.';
  assert.equal(curve('P-521'), `The key is on the curve P-521${only}`);
  assert.equal(curve('secp256k1'), `The key is on the curve secp256k1${only}`);
  assert.equal(curve('brainpoolP256r1'), `The key is on the curve brainpoolP256r1${only}`);
  assert.equal(curve('sect283k1'), `The key is on the unknown curve 1.3.132.0.16${only}`);
  assert.equal(curve('P-256 -pkeyopt ec_param_enc:explicit'), `The key does not name its curve${only}`);
  assert.equal(said('genpkey -algorithm ED25519'), `The key is of Ed25519${only}`);
  assert.equal(said('genpkey -algorithm X448'), `The key is of the unknown algorithm 1.3.101.111${only}`);
  assert.equal(
    said('genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048'),
    'The key is an RSA key for RSASSA-PSS alone; only P-256, P-384 and RSA keys are certified, RSA without that restriction.',
  );
});

test('a point that is off its curve, or in the hybrid form, is said to be none', () => {
  const { spki } = newKey();
  const moved = Buffer.from(spki.with(-1, spki.at(-1)! ^ 1));
  const hybrid = Buffer.concat([
    spki.subarray(0, -65),
    ECDH.convertKey(spki.subarray(-65), 'prime256v1', undefined, undefined, 'hybrid'),
  ]);
  for (const wrong of [moved, hybrid]) {
    assert.match(weaknessOf(parsePublicKey(wrong))!, /no point of its curve, or is written in an odd form/);
  }
});

test('RSA is of 2,048 to 8,192 bits: 512 and 65,537 are named', () => {
  const of = (bits: number): string | null => saidOf(2n ** BigInt(bits) - 1n);
  assert.equal(of(512), 'The RSA key has 512 bits; at least 2,048 are needed.');
  assert.equal(of(2_047), 'The RSA key has 2,047 bits; at least 2,048 are needed.');
  assert.equal(of(8_193), 'The RSA key has 8,193 bits; at most 8,192 are accepted.');
  assert.equal(of(65_537), 'The RSA key has 65,537 bits; at most 8,192 are accepted.');
  for (const bits of [2_048, 8_192]) assert.doesNotMatch(of(bits)!, /bits/);
});

test('public exponents that are small, even or endless are refused', () => {
  const fault = (e: bigint) =>
    `The RSA key's public exponent is ${e.toLocaleString('en')}; it must be odd and at least 65,537.`;
  for (const e of [0n, 1n, 2n, 3n, 17n, 65_535n, 65_536n, 65_538n]) assert.equal(saidOf(honest, e), fault(e));
  assert.match(saidOf(honest, 2n ** 64n + 1n)!, /public exponent has more than 64 bits/);
});

test('a modulus with a small factor is refused', () => {
  for (const factor of [2, 3, 251, 751]) {
    const modulus = BigInt(factor) * prime(1_024) * prime(1_023);
    assert.match(saidOf(modulus)!, new RegExp(`divisible by ${factor}:`));
  }
  assert.equal(saidOf(757n * prime(1_024) * prime(1_023)), null);
});

test('a negative modulus or exponent is refused', () => {
  const of = (n: Buffer, e: Buffer): string | null =>
    weaknessOf(parsePublicKey(sequence(rsaEncryption, bitString(sequence(element(0x02, n), element(0x02, e))))));
  assert.match(of(Buffer.alloc(256, 0xf1), Buffer.of(1, 0, 1))!, /negative/);
  assert.match(of(integer(octetsOf(honest)).subarray(4), Buffer.of(0xff))!, /negative/);
});

test('keys of the security chips of 2017 are known by their primes (ROCA)', () => {
  // p = k·M + (65,537^a mod M), M the product of the first 126 primes, as those chips made keys of 2,048 bits.
  const primes: bigint[] = [];
  for (let n = 2n; primes.length < 126; n += 1n) if (primes.every((p) => n % p !== 0n)) primes.push(n);
  const m = primes.reduce((so, p) => so * p, 1n);
  const power = (exponent: bigint): bigint => {
    let result = 1n;
    for (const bit of exponent.toString(2)) result = (((result * result) % m) * (bit === '1' ? 65_537n : 1n)) % m;
    return result;
  };
  const broken = (a: bigint): bigint => generatePrimeSync(1_025, { bigint: true, add: m, rem: power(a) });
  const n = broken(1_234_567_890_123_456_789n) * broken(987_654_321_987_654_321n);
  assert.match(saidOf(n)!, /ROCA, CVE-2017-15361/);
  // One such prime beside an honest one is not what they made.
  assert.equal(saidOf(broken(42n) * prime(1_024)), null);
});

test('primes that lie close to each other are found, those that do not are not (Fermat)', () => {
  const p = prime(1_024);
  for (const distance of [2n, 2n ** 500n, 2n ** 510n]) {
    assert.match(saidOf(p * primeFrom(p + distance))!, /CVE-2022-26320/);
  }
  assert.match(saidOf(p * p)!, /CVE-2022-26320/);
  // A distance of 2^k takes (2^k)²/(8·√n) steps and some: here 2^21, far more than 100.
  assert.equal(saidOf(p * primeFrom(p + 2n ** 524n)), null);
});

test('a hundred steps of Fermat are taken, and no more', () => {
  // n = (a + b)(a − b); the method begins above the root of n, which falls short of a by more the larger b is.
  const stepsTo = (a: bigint, n: bigint): number => {
    let steps = 0;
    for (let below = a - 1n; below * below >= n; below -= 1n) steps += 1;
    return steps;
  };
  // a is a multiple of every small prime and b of none, so that n is a multiple of none.
  const numbers = Array.from({ length: 750 }, (_, n) => BigInt(n + 2));
  const small = numbers.filter((n) => numbers.every((divisor) => divisor >= n || n % divisor !== 0n));
  const a = small.reduce((so, p) => so * p, 1n) << 10n;
  const beside = (start: bigint): bigint => {
    for (let b = start | 1n; ; b += 2n) if (small.every((p) => b % p !== 0n)) return b;
  };
  const all: number[] = [];
  const first = 1n << BigInt(a.toString(2).length >> 1);
  for (let b = beside(first); all.every((steps) => steps < 400); b = beside((b * 41n) / 40n)) {
    const n = a * a - b * b;
    const steps = stepsTo(a, n);
    all.push(steps);
    if (steps < 100) assert.match(saidOf(n)!, /CVE-2022-26320/, String(steps));
    else assert.equal(saidOf(n), null, String(steps));
  }
  assert.ok(
    all.some((steps) => steps >= 95 && steps < 100) && all.some((steps) => steps >= 100 && steps < 106),
    String(all),
  );
});

test('whatever the key, there is a sentence or none, and none only for a kind that is certified', () => {
  const spkis = (['P-256', 'P-384', 'P-521', 'rsa2048', 'ed25519', 'rsa-pss2048'] as const).map(
    (kind) => newKey(kind).spki,
  );
  const mutated = fc
    .tuple(fc.constantFrom(...spkis), fc.array(fc.tuple(fc.nat(2_000), fc.nat(255)), { maxLength: 3 }))
    .map(([spki, changes]) =>
      changes.reduce((bytes, [at, value]) => Buffer.from(bytes.with(at % bytes.length, value)), spki),
    );
  const numbers = fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 1_040 }), fc.uint8Array({ minLength: 1, maxLength: 10 }))
    .map(([n, e]) => sequence(rsaEncryption, bitString(sequence(integer(n), integer(e)))));
  fc.assert(
    fc.property(fc.oneof(mutated, numbers), (spki) => {
      let key;
      try {
        key = parsePublicKey(spki);
      } catch (error) {
        assert.ok(error instanceof DerError, String(error));
        return;
      }
      const weakness = weaknessOf(key);
      if (weakness === null)
        assert.ok(['p256', 'p384', 'rsa'].includes(key.kind) && (key.kind !== 'rsa' || key.bits >= 2_048));
      else assert.match(weakness, /^The .+\.$/);
    }),
    { numRuns: 1_000 },
  );
});
