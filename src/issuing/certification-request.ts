// PKCS#10 certification requests for keys of ours (RFC 2986 §4), such as that of a factory's line to its Fleet Root.

import type { SigningAlgorithm } from '../custody/custodian.ts';
import { bitString, implicit, integer, oid, sequence } from '../x509/der-write.ts';
import { encodeName } from '../x509/name.ts';
import type { SigningKeys } from './issuer.ts';
import { algorithmOf, type SigningKey } from './signing-ca.ts';

/** Without parameters (RFC 5758 §3.2). */
const signatureOids: Partial<Record<SigningAlgorithm, string>> = {
  'ecdsa-sha256': '1.2.840.10045.4.3.2',
  'ecdsa-sha384': '1.2.840.10045.4.3.3',
};

/**
 * Makes a request (DER) for a key of ours, signed by it. It asks for a name and nothing else, since whoever signs the
 * certificate decides what is in it. Throws CustodyProblem, TypeError for a key that is not EC.
 */
export async function signCertificationRequest(
  keys: SigningKeys,
  key: SigningKey,
  subject: readonly { readonly type: string; readonly value: string }[],
): Promise<Buffer> {
  const algorithm = algorithmOf(key);
  const signatureOid = signatureOids[algorithm];
  if (signatureOid === undefined) throw new TypeError(`a ${key.key_type} key signs no request`);
  // The attributes must be there, also where there are none (RFC 2986 §4.1).
  const attributes = implicit(0, Buffer.alloc(0), true);
  const info = sequence(integer(0), encodeName(subject), key.public_key, attributes);
  const signature = await keys.sign(key, algorithm, info);
  return sequence(info, sequence(oid(signatureOid)), bitString(signature));
}
