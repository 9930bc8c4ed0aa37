// The proof that a custodian has a key: the public key that it tells, and a signature that verifies.

import { createPublicKey, randomBytes, verify } from 'node:crypto';

import { type CustodyKey, CustodyProblem, type Custodian, type SigningAlgorithm } from '../custody/custodian.ts';
import { Problem } from '../problem.ts';
import type { Secret } from '../secret.ts';

/** Has the custodian sign a random text (which is no certificate) by a key, and verifies it. Throws CustodyProblem. */
export async function proveKey(custodian: Custodian, key: CustodyKey, algorithm: SigningAlgorithm): Promise<void> {
  const publicKey = await custodian.publicKey(key);
  if (!publicKey.equals(key.publicKey)) {
    throw new CustodyProblem('corrupted', `The custodian ${custodian.name} holds another key under ${key.id}.`);
  }
  const text = Buffer.concat([Buffer.from('fleetroot: this key is there '), randomBytes(16)]);
  const signature = await custodian.sign(key, algorithm, text);
  const spki = createPublicKey({ key: publicKey, format: 'der', type: 'spki' });
  if (!verify(algorithm.split('-')[1], text, spki, signature)) {
    throw new CustodyProblem('corrupted', `The custodian ${custodian.name} made a wrong signature with key ${key.id}.`);
  }
}

/** The public key (SubjectPublicKeyInfo, DER) of a private one (PKCS#8, DER). Throws Problem('invalid_request'). */
export function publicHalf(privateKey: Secret): Buffer {
  try {
    const key = createPublicKey({ key: privateKey.reveal(), format: 'der', type: 'pkcs8' } as never);
    return key.export({ type: 'spki', format: 'der' });
  } catch {
    throw new Problem('invalid_request', 'This is no private key in PKCS#8.');
  }
}
