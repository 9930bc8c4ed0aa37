// Public keys that must not be certified: of a kind that is not, too small, or known to be broken. Checks of numbers alone.

import { curves } from './curve.ts';
import { children, readBitStringOctets, readElement, readOid, tags, type Element } from './der.ts';
import { bitLength, keyAlgorithms, type PublicKey } from './key.ts';

/** Of RSA, in bits: less can be factored, more takes each verification of a signature too long. */
const modulusBits = { least: 2_048, most: 8_192 };
/** CA/Browser Forum BR §6.1.6; smaller ones have broken too many signatures and encryptions. */
const leastExponent = 65_537n;
/** In octets, as public keys are read at all; each bit costs a squaring. */
const mostExponentOctets = 8;

/** CA/Browser Forum BR §6.1.6: no factor below 752. */
const smallPrimes = primesBelow(752);
const smallPrimesProduct = product(smallPrimes);

/**
 * The primes that Infineon's generator took for every size of key, and for each the residues that its keys have modulo
 * it: the powers of 65,537 (Nemec et al., "The Return of Coppersmith's Attack", 2017, §2). One honest key in 2^27 has
 * them all by chance.
 */
const rocaPrimes = smallPrimes.filter((prime) => prime <= 167);
const rocaResidues = rocaPrimes.map((prime) => powersOf(65_537 % prime, prime));
const rocaProduct = product(rocaPrimes);

/** Steps of Fermat's method: those broken keys fall within a few (Böck, "Fermat Attack on RSA", 2022). */
const fermatRounds = 100;

const certified = 'only P-256, P-384 and RSA keys are certified';

/** Names for people of what is not certified: curves and algorithms. */
const names: Readonly<Record<string, string>> = {
  '1.2.840.10045.3.1.1': 'the curve P-192',
  '1.3.132.0.10': 'the curve secp256k1',
  '1.3.132.0.33': 'the curve P-224',
  '1.3.132.0.35': 'the curve P-521',
  '1.3.36.3.3.2.8.1.1.7': 'the curve brainpoolP256r1',
  '1.3.36.3.3.2.8.1.1.11': 'the curve brainpoolP384r1',
  '1.3.36.3.3.2.8.1.1.13': 'the curve brainpoolP512r1',
  '1.2.840.10040.4.1': 'DSA',
  '1.3.101.110': 'X25519',
  '1.3.101.112': 'Ed25519',
  '1.3.101.113': 'Ed448',
};

/**
 * The sentence that says why a key must not be certified, or null. Bounded in time, whatever the key: a few milliseconds
 * for the largest that is accepted. Debian's keys of 2006 to 2008 (CVE-2008-0166) are not looked for: there is no exact
 * way without lists of hundreds of thousands of them, and no device of today makes them.
 */
export function weaknessOf(publicKey: PublicKey): string | null {
  if (publicKey.kind === 'p256' || publicKey.kind === 'p384') return null;
  const [algorithm, key] = children(readElement(publicKey.spki), tags.sequence, 'public key');
  const [type, parameters] = children(algorithm, tags.sequence, 'public key algorithm');
  const oid = readOid(type);
  switch (oid) {
    case keyAlgorithms.ecPublicKey:
      return `The key ${faultOfCurve(parameters)}; ${certified}.`;
    case keyAlgorithms.rsassaPss:
      // The certificate's rsaEncryption (see `canonicalSpki`) would not match it: TLS libraries refuse the pair.
      return `The key is an RSA key for RSASSA-PSS alone; ${certified}, RSA without that restriction.`;
    case keyAlgorithms.rsaEncryption:
      return weaknessOfRsa(readBitStringOctets(key));
    default:
      return `The key is of ${names[oid] ?? `the unknown algorithm ${oid}`}; ${certified}.`;
  }
}

function faultOfCurve(parameters: Element | undefined): string {
  if (parameters?.tag !== tags.oid) return 'does not name its curve';
  const oid = readOid(parameters);
  if (names[oid] === undefined && curves.has(oid)) return 'is no point of its curve, or is written in an odd form';
  return `is on ${names[oid] ?? `the unknown curve ${oid}`}`;
}

/** RSAPublicKey (RFC 8017 §A.1.1), whose form the reader of the key has checked. */
function weaknessOfRsa(rsaPublicKey: Buffer): string | null {
  const [modulus, exponent] = children(readElement(rsaPublicKey), tags.sequence, 'RSA public key');
  const [n, e] = [modulus!.content, exponent!.content];
  if (n[0]! >= 0x80 || e[0]! >= 0x80) return 'The RSA key has a negative number in it.';
  const bits = bitLength(n);
  if (bits < modulusBits.least) return `The RSA key has ${bits.toLocaleString('en')} bits; at least 2,048 are needed.`;
  if (bits > modulusBits.most) return `The RSA key has ${bits.toLocaleString('en')} bits; at most 8,192 are accepted.`;
  return weaknessOfExponent(e) ?? weaknessOfModulus(numberOf(n));
}

function weaknessOfExponent(exponent: Buffer): string | null {
  if (bitLength(exponent) > mostExponentOctets * 8) {
    return "The RSA key's public exponent has more than 64 bits, which makes each check of a signature too slow.";
  }
  const e = numberOf(exponent);
  const sound = e >= leastExponent && e % 2n === 1n;
  return sound
    ? null
    : `The RSA key's public exponent is ${e.toLocaleString('en')}; it must be odd and at least 65,537.`;
}

function weaknessOfModulus(modulus: bigint): string | null {
  // One long division each; the rest is arithmetic of small numbers.
  const small = modulus % smallPrimesProduct;
  const factor = smallPrimes.find((prime) => small % BigInt(prime) === 0n);
  if (factor !== undefined) {
    return `The RSA key's modulus is divisible by ${factor}: it was made by a broken generator.`;
  }
  const residue = modulus % rocaProduct;
  if (rocaPrimes.every((prime, index) => rocaResidues[index]!.has(Number(residue % BigInt(prime))))) {
    return 'The RSA key was made by the broken generator of a security chip: its primes can be computed (ROCA, CVE-2017-15361).';
  }
  if (hasClosePrimes(modulus)) {
    return "The RSA key's primes are so close to each other that anybody can compute them (CVE-2022-26320).";
  }
  return null;
}

/** Fermat's method, so many steps of it: n = a² − b² where the primes, a + b and a − b, lie close to its square root. */
function hasClosePrimes(n: bigint): boolean {
  let a = squareRoot(n);
  if (a * a < n) a += 1n;
  let difference = a * a - n;
  for (let round = 0; round < fermatRounds; round += 1) {
    if (isSquare(difference)) return true;
    difference += 2n * a + 1n;
    a += 1n;
  }
  return false;
}

/** The residues of squares modulo 256: five numbers of six are seen at a glance to be no square. */
const squaresModulo256 = new Set(Array.from({ length: 256 }, (_, root) => (root * root) % 256));

function isSquare(value: bigint): boolean {
  return squaresModulo256.has(Number(BigInt.asUintN(8, value))) && squareRoot(value) ** 2n === value;
}

/** The whole part of a square root: Newton's method from above, which ends where it no longer falls. */
function squareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt(2 * value.toString(16).length);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

function numberOf(integer: Buffer): bigint {
  return BigInt(`0x${integer.toString('hex')}`);
}

function primesBelow(end: number): number[] {
  const primes: number[] = [];
  for (let number = 2; number < end; number += 1) {
    if (primes.every((prime) => number % prime !== 0)) primes.push(number);
  }
  return primes;
}

function product(numbers: readonly number[]): bigint {
  return numbers.reduce((so, number) => so * BigInt(number), 1n);
}

/** What the powers of a base leave modulo a prime. */
function powersOf(base: number, prime: number): ReadonlySet<number> {
  const powers = new Set<number>();
  for (let power = 1 % prime; !powers.has(power); power = (power * base) % prime) powers.add(power);
  return powers;
}
