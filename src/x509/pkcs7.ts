// PKCS#7 that carries certificates and nothing else, as EST replies do (RFC 5652 §5, RFC 7030 §4.1.3).

import { explicit, implicit, integer, oid, sequence, set } from './der-write.ts';
import { readElement } from './der.ts';
import { base64Lines } from './pem.ts';

const signedData = oid('1.2.840.113549.1.7.2');
const data = oid('1.2.840.113549.1.7.1');

/**
 * A certs-only SignedData (DER) of certificates (DER): version 1, no digest algorithms, no content, no signers. DER sorts
 * them, so their order says nothing. Throws RangeError for none.
 */
export function encodeCertsOnly(certificates: readonly Uint8Array[]): Buffer {
  if (certificates.length === 0) throw new RangeError('A PKCS#7 of no certificates says nothing.');
  const sorted = readElement(set(...certificates)).content;
  return sequence(
    signedData,
    explicit(0, sequence(integer(1), set(), sequence(data), implicit(0, sorted, true), set())),
  );
}

/**
 * The body of an EST reply: base64 of 64 columns, line feeds, one at the end, which is what every client reads. OpenSSL
 * says nothing at all to a line without an end, `base64 -d` takes no CRLF, and libest no longer lines.
 */
export function estBase64(der: Uint8Array): string {
  return base64Lines(der);
}
