// Statements signed by a key of ours: compact JWS (RFC 7515) over JSON, such as a line's mandate or its manifest.

import type { SigningAlgorithm } from '../custody/custodian.ts';
import { ecdsaIntegers } from '../x509/ecdsa-signature.ts';
import type { SigningKeys } from './issuer.ts';
import { algorithmOf, type SigningKey } from './signing-ca.ts';

/** The JWS algorithm of each signature that is made here (RFC 7518 §3.4), and the octets of its r and of its s. */
const algorithms: Partial<Record<SigningAlgorithm, { alg: string; octets: number }>> = {
  'ecdsa-sha256': { alg: 'ES256', octets: 32 },
  'ecdsa-sha384': { alg: 'ES384', octets: 48 },
};

/**
 * Signs a statement. `header` gets its `alg` from the key; `x5c` of it is Base64 of DER, the signer's certificate first
 * (RFC 7515 §4.1.6). Libraries that make a JWS want the private key in process, so its three parts are put together here;
 * whoever reads it verifies it with one. Throws CustodyProblem, TypeError for a key that is not EC.
 */
export async function signStatement(
  keys: SigningKeys,
  key: SigningKey,
  header: Readonly<Record<string, unknown>>,
  payload: Readonly<Record<string, unknown>>,
): Promise<string> {
  const algorithm = algorithmOf(key);
  const form = algorithms[algorithm];
  if (form === undefined) throw new TypeError(`a ${key.key_type} key signs no statement`);
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${part({ alg: form.alg, ...header })}.${part(payload)}`;
  const signature = ecdsaIntegers(await keys.sign(key, algorithm, Buffer.from(input)), form.octets);
  return `${input}.${signature.toString('base64url')}`;
}
