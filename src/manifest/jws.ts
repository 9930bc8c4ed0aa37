// Compact JWS (RFC 7515) as they cross the gap: read, and verified by a key that is known from elsewhere.

import { decodeProtectedHeader } from 'jose/decode/protected_header';
import { JWSSignatureVerificationFailed } from 'jose/errors';
import { compactVerify } from 'jose/jws/compact/verify';
import { Problem } from '../problem.ts';
import { type Certificate, CertificateError, parseCertificate } from '../x509/certificate.ts';
import type { PublicKey } from '../x509/key.ts';

/** The algorithms that statements are signed with, by the kind of the key. */
const algorithms: Partial<Record<PublicKey['kind'], string>> = { p256: 'ES256', p384: 'ES384' };

/** Certificates in one statement at the most. */
const mostCertificates = 4;

/**
 * The certificates that a statement carries (`x5c`, RFC 7515 §4.1.6), the signer's first: read, and nothing believed.
 * Throws Problem('invalid_request') that begins with `what`.
 */
export function certificatesOf(jws: string, what: string): Certificate[] {
  let x5c: unknown;
  try {
    x5c = decodeProtectedHeader(jws).x5c;
  } catch (cause) {
    throw new Problem('invalid_request', `${what} is no signed statement (JWS).`, null, { cause });
  }
  if (!Array.isArray(x5c) || x5c.length === 0 || x5c.length > mostCertificates) {
    throw new Problem('invalid_request', `${what} does not carry the certificates of who signed it.`);
  }
  return x5c.map((one) => {
    try {
      return parseCertificate(Buffer.from(String(one), 'base64'));
    } catch (cause) {
      if (!(cause instanceof CertificateError)) throw cause;
      throw new Problem('invalid_request', `A certificate in ${what} cannot be read: ${cause.message}`, null, {
        cause,
      });
    }
  });
}

/**
 * The payload of a statement of this type (`typ`), once its signature has been verified by `key`. Throws
 * Problem('invalid_request') that begins with `what`.
 */
export async function verifyStatement(
  jws: string,
  { key, type, what }: { key: PublicKey; type: string; what: string },
): Promise<unknown> {
  const algorithm = algorithms[key.kind];
  if (algorithm === undefined) throw new Problem('invalid_request', `${what} is signed by a key that signs none.`);
  try {
    const { payload, protectedHeader } = await compactVerify(jws, key.toKeyObject(), { algorithms: [algorithm] });
    if (protectedHeader.typ !== type) {
      throw new Problem('invalid_request', `${what} is a statement of another type, ${String(protectedHeader.typ)}.`);
    }
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    if (cause instanceof JWSSignatureVerificationFailed) {
      throw new Problem('invalid_request', `${what} has been changed, or is signed by another key.`, null, { cause });
    }
    throw new Problem('invalid_request', `${what} cannot be read: ${(cause as Error).message}`, null, { cause });
  }
}
