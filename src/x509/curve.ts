// The three named curves that keys may lie on, and whether a point lies on one.

/** A curve y² = x³ − 3x + b over the integers modulo p (SP 800-186 §3.2.1: all three have a = −3). */
export interface Curve {
  readonly kind: 'p256' | 'p384' | 'p521';
  readonly bits: number;
  /** How many octets a coordinate takes. */
  readonly octets: number;
  /** OpenSSL's name. */
  readonly name: string;
  readonly p: bigint;
  readonly b: bigint;
}

/** By the dotted object identifier of a named curve (RFC 5480 §2.1.1.1). */
export const curves: ReadonlyMap<string, Curve> = new Map([
  [
    '1.2.840.10045.3.1.7',
    {
      kind: 'p256',
      bits: 256,
      octets: 32,
      name: 'prime256v1',
      p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
      b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    },
  ],
  [
    '1.3.132.0.34',
    {
      kind: 'p384',
      bits: 384,
      octets: 48,
      name: 'secp384r1',
      p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
      b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    },
  ],
  [
    '1.3.132.0.35',
    {
      kind: 'p521',
      bits: 521,
      octets: 66,
      name: 'secp521r1',
      p: 2n ** 521n - 1n,
      b: 0x51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
    },
  ],
]);

/** Whether two coordinates, big-endian, are those of a point on the curve. */
export function isOnCurve({ p, b }: Curve, xOctets: Buffer, yOctets: Buffer): boolean {
  const x = BigInt(`0x${xOctets.toString('hex')}`);
  const y = BigInt(`0x${yOctets.toString('hex')}`);
  return x < p && y < p && (y * y - (x * x - 3n) * x - b) % p === 0n;
}
