// What an EST server asks of the requests it is sent (CsrAttrs, RFC 7030 §4.5.2, RFC 9908 §3.2).

import { oid, sequence, set } from './der-write.ts';
import { keyAlgorithms } from './key.ts';

const secp256r1 = oid('1.2.840.10045.3.1.7');
const ecdsaWithSha256 = oid('1.2.840.10045.4.3.2');

/** CsrAttrs (DER) that ask for a P-256 key and a signature by ECDSA with SHA-256. */
export const csrAttributes: Buffer = sequence(
  sequence(oid(keyAlgorithms.ecPublicKey), set(secp256r1)),
  ecdsaWithSha256,
);
