// Key pairs that leave us once, inside a PKCS#12 or a credentials.zip: made, handed over, wiped.

import { createECDH, type ECDH, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';

import type { KeyType } from '../custody/custodian.ts';
import { Secret } from '../secret.ts';
import { bitString, explicit, integer, octetString, oid, sequence } from '../x509/der-write.ts';

/** A key pair in the clear. Disposing of it wipes the private key. */
export interface KeyPair extends Disposable {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
  /** PKCS#8, DER. */
  readonly privateKey: Secret;
}

/** Makes a key pair: an EC one on this thread in some 80 µs, an RSA one in a thread of the pool in tens of milliseconds. */
export async function makeKeyPair(keyType: KeyType): Promise<KeyPair> {
  switch (keyType) {
    case 'p256':
      return makeEcKeyPair(p256);
    case 'p384':
      return makeEcKeyPair(p384);
    case 'rsa2048':
    case 'rsa3072':
    case 'rsa4096':
      return makeRsaKeyPair(Number(keyType.slice(3)));
  }
}

async function makeRsaKeyPair(modulusLength: number): Promise<KeyPair> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength,
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  return keyPair(publicKey, privateKey);
}

/** The encodings of an EC key pair with zeros where the private scalar and the public point go. */
interface EcTemplate {
  /** As `createECDH` calls it. */
  readonly curve: string;
  readonly spki: Buffer;
  readonly pkcs8: Buffer;
  /** Octets of a scalar. */
  readonly size: number;
  /** Where the scalar begins in `pkcs8`; the point ends both encodings. */
  readonly scalarAt: number;
  /** What makes the keys of this turn of the event loop, and holds the last of them until the turn ends. */
  ecdh: ECDH | null;
}

const p256 = ecTemplate('prime256v1', '1.2.840.10045.3.1.7', 32);
const p384 = ecTemplate('secp384r1', '1.3.132.0.34', 48);

/** SubjectPublicKeyInfo by RFC 5480 §2, PKCS#8 by RFC 5958 §2 around the ECPrivateKey of RFC 5915 §3. */
function ecTemplate(curve: string, curveOid: string, size: number): EcTemplate {
  const algorithm = sequence(oid('1.2.840.10045.2.1'), oid(curveOid));
  const point = bitString(Buffer.alloc(1 + 2 * size));
  const publicKey = explicit(1, point);
  const ecPrivateKey = sequence(integer(1), octetString(Buffer.alloc(size)), publicKey);
  const pkcs8 = sequence(integer(0), algorithm, octetString(ecPrivateKey));
  return {
    curve,
    spki: sequence(algorithm, point),
    pkcs8,
    size,
    scalarAt: pkcs8.length - publicKey.length - size,
    ecdh: null,
  };
}

/**
 * OpenSSL makes the key; its own DER encoder would take twice as long as that. The scalar goes from OpenSSL's buffer
 * straight to its place, so that there is one copy to wipe.
 */
function makeEcKeyPair(template: EcTemplate): KeyPair {
  const { spki, pkcs8, size, scalarAt } = template;
  const ecdh = ecdhOfThisTurn(template);
  const point = ecdh.generateKeys();
  const publicKey = Buffer.from(spki);
  // In memory of its own: small buffers share theirs, and what goes to another thread is copied with all it shares.
  const privateKey = Buffer.alloc(pkcs8.length, pkcs8);
  publicKey.set(point, spki.length - point.length);
  privateKey.set(point, pkcs8.length - point.length);
  const scalar = ecdh.getPrivateKey();
  // It comes without leading zeros, and RFC 5915 §3 has them.
  privateKey.set(scalar, scalarAt + size - scalar.length);
  scalar.fill(0);
  return keyPair(publicKey, privateKey);
}

/** Setting a curve up takes a fifth of making a key, so keys that are made together share it. */
function ecdhOfThisTurn(template: EcTemplate): ECDH {
  if (template.ecdh === null) {
    template.ecdh = createECDH(template.curve);
    setImmediate(() => {
      template.ecdh = null;
    });
  }
  return template.ecdh;
}

function keyPair(publicKey: Buffer, pkcs8: Buffer): KeyPair {
  const privateKey = new Secret(pkcs8);
  return { publicKey, privateKey, [Symbol.dispose]: () => privateKey.wipe() };
}
