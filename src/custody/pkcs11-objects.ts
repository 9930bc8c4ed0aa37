// The objects of PKCS #11 that a key is on its token: what is asked for of them, and the public key read from them.

import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import type { webcrypto } from 'node:crypto';
import type { Mechanism, Template } from 'pkcs11js';

import type { KeyType, SigningAlgorithm } from './custodian.ts';
import { CustodyProblem } from './custodian.ts';
import type { Pkcs11 } from './pkcs11-module.ts';

/** CKA_EC_PARAMS, the curve's OID in DER (RFC 5480 §2.1.1.1), and the octets of a coordinate. */
const curves = {
  p256: { oid: Buffer.from('06082a8648ce3d030107', 'hex'), name: 'P-256', size: 32 },
  p384: { oid: Buffer.from('06052b81040022', 'hex'), name: 'P-384', size: 48 },
} as const;

const publicExponent = Buffer.from([1, 0, 1]);

/** The start of a DigestInfo, before the digest itself (RFC 8017 §9.2, note 1). */
const digestInfo = {
  'rsa-sha256': Buffer.from('3031300d060960864801650304020105000420', 'hex'),
  'rsa-sha384': Buffer.from('3041300d060960864801650304020205000430', 'hex'),
} as const;

/** The numbers of a private key, as a JWK names them (RFC 7518 §6). */
type JwkPart = 'n' | 'e' | 'd' | 'p' | 'q' | 'dp' | 'dq' | 'qi' | 'x' | 'y';

/** How a token makes a key pair of this type, and with what attributes. */
export function generation(p: Pkcs11, id: string, keyType: KeyType): [Mechanism, Template, Template] {
  const curve = curveOf(keyType);
  const mechanism = curve ? p.CKM_EC_KEY_PAIR_GEN : p.CKM_RSA_PKCS_KEY_PAIR_GEN;
  const domain = curve
    ? [{ type: p.CKA_EC_PARAMS, value: curve.oid }]
    : [
        { type: p.CKA_MODULUS_BITS, value: bitsOf(keyType) },
        { type: p.CKA_PUBLIC_EXPONENT, value: publicExponent },
      ];
  return [{ mechanism }, [...publicObject(p, id, keyType), ...domain], privateObject(p, id, keyType)];
}

/**
 * The two objects of a private key that was made elsewhere (PKCS#8, DER). The buffers of its secret parts are the
 * caller's to wipe; Node gives them as text, too, which nothing can wipe.
 */
export function importation(
  p: Pkcs11,
  id: string,
  keyType: KeyType,
  pkcs8: Buffer,
): { publicKey: Buffer; publicObject: Template; privateObject: Template; secrets: Buffer[] } {
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const jwk = key.export({ format: 'jwk' });
  const secrets: Buffer[] = [];
  const open = (name: JwkPart): Buffer => Buffer.from(jwk[name]!, 'base64url');
  const secret = (name: JwkPart): Buffer => {
    secrets.push(open(name));
    return secrets.at(-1)!;
  };
  const curve = curveOf(keyType);
  const [openParts, secretParts]: [Template, Template] = curve
    ? [
        [
          { type: p.CKA_EC_PARAMS, value: curve.oid },
          { type: p.CKA_EC_POINT, value: Buffer.concat([pointHeader(curve.size), open('x'), open('y')]) },
        ],
        [
          { type: p.CKA_EC_PARAMS, value: curve.oid },
          { type: p.CKA_VALUE, value: secret('d') },
        ],
      ]
    : [
        [
          { type: p.CKA_MODULUS, value: open('n') },
          { type: p.CKA_PUBLIC_EXPONENT, value: open('e') },
        ],
        [
          { type: p.CKA_MODULUS, value: open('n') },
          { type: p.CKA_PUBLIC_EXPONENT, value: open('e') },
          { type: p.CKA_PRIVATE_EXPONENT, value: secret('d') },
          { type: p.CKA_PRIME_1, value: secret('p') },
          { type: p.CKA_PRIME_2, value: secret('q') },
          { type: p.CKA_EXPONENT_1, value: secret('dp') },
          { type: p.CKA_EXPONENT_2, value: secret('dq') },
          { type: p.CKA_COEFFICIENT, value: secret('qi') },
        ],
      ];
  return {
    publicKey: createPublicKey(key).export({ type: 'spki', format: 'der' }),
    publicObject: [{ type: p.CKA_CLASS, value: p.CKO_PUBLIC_KEY }, ...publicObject(p, id, keyType), ...openParts],
    privateObject: [{ type: p.CKA_CLASS, value: p.CKO_PRIVATE_KEY }, ...privateObject(p, id, keyType), ...secretParts],
    secrets,
  };
}

/** What a private key of ours says of itself; `made` on the token, it has never been otherwise. */
export function promises(p: Pkcs11, made: boolean): [attribute: number, value: boolean][] {
  const always: [number, boolean][] = [
    [p.CKA_TOKEN, true],
    [p.CKA_PRIVATE, true],
    [p.CKA_SENSITIVE, true],
    [p.CKA_EXTRACTABLE, false],
    [p.CKA_SIGN, true],
  ];
  const ever: [number, boolean][] = [
    [p.CKA_ALWAYS_SENSITIVE, true],
    [p.CKA_NEVER_EXTRACTABLE, true],
  ];
  return made ? [...always, ...ever] : always;
}

/** By what an object of a key is found. */
export function search(p: Pkcs11, id: string, half: 'public' | 'private'): Template {
  return [
    { type: p.CKA_CLASS, value: half === 'public' ? p.CKO_PUBLIC_KEY : p.CKO_PRIVATE_KEY },
    { type: p.CKA_TOKEN, value: true },
    { type: p.CKA_ID, value: Buffer.from(id, 'utf8') },
  ];
}

/** The attributes of a public object from which `publicKeyOf` reads its key. */
export function publicParts(p: Pkcs11, keyType: KeyType): number[] {
  return curveOf(keyType) ? [p.CKA_EC_PARAMS, p.CKA_EC_POINT] : [p.CKA_MODULUS, p.CKA_PUBLIC_EXPONENT];
}

/** The public key (SPKI, DER) of these parts; throws CustodyProblem `corrupted` where it is none of this type. */
export function publicKeyOf(id: string, keyType: KeyType, parts: readonly Buffer[]): Buffer {
  try {
    const key = createPublicKey({ format: 'jwk', key: jwkOf(keyType, parts as [Buffer, Buffer]) });
    if (key.asymmetricKeyDetails?.modulusLength !== (curveOf(keyType) ? undefined : bitsOf(keyType))) {
      throw new RangeError('a modulus of another length');
    }
    return key.export({ type: 'spki', format: 'der' });
  } catch (cause) {
    throw new CustodyProblem('corrupted', `What lies on the token as key ${id} is no ${keyType} key.`, null, { cause });
  }
}

/** How a token makes a signature, of what, and how many octets it has. `mechanisms` are those that the token has. */
export function signing(
  p: Pkcs11,
  keyType: KeyType,
  algorithm: SigningAlgorithm,
  input: Buffer,
  mechanisms: ReadonlySet<number>,
): { mechanism: Mechanism; input: Buffer; size: number } {
  const curve = curveOf(keyType);
  if (curve) return { mechanism: { mechanism: p.CKM_ECDSA }, input, size: 2 * curve.size };
  const size = bitsOf(keyType) / 8;
  const rsa = algorithm as keyof typeof digestInfo;
  const whole = rsa === 'rsa-sha256' ? p.CKM_SHA256_RSA_PKCS : p.CKM_SHA384_RSA_PKCS;
  if (mechanisms.has(whole)) return { mechanism: { mechanism: whole }, input, size };
  const info = Buffer.concat([digestInfo[rsa], createHash(rsa.slice('rsa-'.length)).update(input).digest()]);
  return { mechanism: { mechanism: p.CKM_RSA_PKCS }, input: info, size };
}

function publicObject(p: Pkcs11, id: string, keyType: KeyType): Template {
  return [
    { type: p.CKA_KEY_TYPE, value: curveOf(keyType) ? p.CKK_EC : p.CKK_RSA },
    { type: p.CKA_TOKEN, value: true },
    { type: p.CKA_PRIVATE, value: false },
    { type: p.CKA_VERIFY, value: true },
    ...names(p, id),
  ];
}

/** Good for nothing but signing: SoftHSM gives a key every use that its template does not deny it. */
function privateObject(p: Pkcs11, id: string, keyType: KeyType): Template {
  const otherUses = [p.CKA_SIGN_RECOVER, p.CKA_DECRYPT, p.CKA_UNWRAP, p.CKA_DERIVE];
  return [
    { type: p.CKA_KEY_TYPE, value: curveOf(keyType) ? p.CKK_EC : p.CKK_RSA },
    { type: p.CKA_TOKEN, value: true },
    { type: p.CKA_PRIVATE, value: true },
    { type: p.CKA_SENSITIVE, value: true },
    { type: p.CKA_EXTRACTABLE, value: false },
    { type: p.CKA_SIGN, value: true },
    ...otherUses.map((type) => ({ type, value: false })),
    ...names(p, id),
  ];
}

/** The label is for people who look at the token; the ID is what counts. */
function names(p: Pkcs11, id: string): Template {
  return [
    { type: p.CKA_ID, value: Buffer.from(id, 'utf8') },
    { type: p.CKA_LABEL, value: `fleetroot-${id}` },
  ];
}

function jwkOf(keyType: KeyType, [first, second]: [Buffer, Buffer]): webcrypto.JsonWebKey {
  const curve = curveOf(keyType);
  if (!curve) return { kty: 'RSA', n: first.toString('base64url'), e: second.toString('base64url') };
  const point = second.subarray(-2 * curve.size);
  const header = second.subarray(0, -2 * curve.size);
  // Some tokens leave out the OCTET STRING around the point (PKCS #11 v2.40 Mechanisms §2.3.3).
  const known = [pointHeader(curve.size), Buffer.of(4)].some((one) => one.equals(header));
  if (!known || !first.equals(curve.oid)) throw new RangeError('no uncompressed point of this curve');
  const [x, y] = [point.subarray(0, curve.size), point.subarray(curve.size)].map((one) => one.toString('base64url'));
  return { kty: 'EC', crv: curve.name, x: x!, y: y! };
}

/** OCTET STRING, its length, and the octet that says "not compressed" (SEC 1 §2.3.3); 97 octets still fit a short length. */
function pointHeader(size: number): Buffer {
  return Buffer.of(0x04, 2 * size + 1, 0x04);
}

function curveOf(keyType: KeyType): (typeof curves)[keyof typeof curves] | null {
  return keyType === 'p256' || keyType === 'p384' ? curves[keyType] : null;
}

function bitsOf(keyType: KeyType): number {
  return Number(keyType.slice('rsa'.length));
}
