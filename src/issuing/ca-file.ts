// Files of CA certificates that an operator gives: reading them, and refusing with the reason what could never serve.

import { Problem } from '../problem.ts';
import { type Certificate, CertificateError, parseCertificates, verifySignature } from '../x509/certificate.ts';
import { sameName } from '../x509/name.ts';
import { isAcceptedAlgorithm, nameOfRefusedAlgorithm } from '../x509/signature.ts';

/** Most certificates in one file. */
const fileLimit = 20;

function readFile(file: Uint8Array): Certificate[] {
  try {
    return parseCertificates(file);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    const hint = error.privateKeyFound
      ? 'Give the certificate alone: the private key of a Fleet Root CA never comes to this server.'
      : 'Give one certificate as PEM or DER; further ones in a PEM file are intermediates under it.';
    throw new Problem('certificate_unfit', error.message, hint, { cause: error });
  }
}

/** The one certificate in a file. Throws Problem('certificate_unfit'). */
export function readOneCertificate(file: Uint8Array): Certificate {
  const certificates = readFile(file);
  if (certificates.length === 1) return certificates[0]!;
  throw unfit(`There are ${certificates.length} certificates in the file.`, 'Give the one that is meant.');
}

/**
 * The CA certificates in a file of at most 20, each fit to stand on a path at this instant (ms since 1970).
 * Throws Problem('certificate_unfit') that says which one is not, and why.
 */
export function readCaCertificates(file: Uint8Array, now: number): Certificate[] {
  const certificates = readFile(file);
  if (certificates.length > fileLimit) throw unfit(`There are more than ${fileLimit} certificates in the file.`);
  certificates.forEach((certificate, index) => {
    const which = certificates.length === 1 ? 'The certificate' : `Certificate ${index + 1} of ${certificates.length}`;
    requireFit(certificate, which, now);
  });
  return certificates;
}

/**
 * What a CA certificate must be at this instant (ms since 1970) to count on a path at all, so that it is refused here and
 * not at the first device. Throws Problem('certificate_unfit').
 */
export function requireFit(certificate: Certificate, which: string, now: number): void {
  const { extensions, publicKey, signatureScheme, notAfter, subject, issuer } = certificate;
  // RFC 5280 §4.2.1.9. Version 1 has no basicConstraints and says nothing about its purpose.
  if (extensions.basicConstraints?.ca !== true) {
    throw unfit(
      `${which} (${subject.text}) is no CA certificate: it has no basicConstraints with CA:TRUE.`,
      'Give the certificate of the CA that signs device certificates, not that of a device.',
    );
  }
  // RFC 5280 §4.2.1.3; one without keyUsage may sign.
  if (extensions.keyUsage?.has('keyCertSign') === false) {
    throw unfit(`${which} (${subject.text}) has a keyUsage without keyCertSign: it may not sign certificates.`);
  }
  if (publicKey.kind === 'other') {
    throw unfit(`${which} has a public key that is not accepted.`, 'P-256, P-384, P-521, Ed25519 and RSA keys are.');
  }
  if (publicKey.kind === 'rsa' && publicKey.bits < 2048) {
    throw unfit(`${which} has an RSA key of ${publicKey.bits} bits, and 2,048 are the least.`);
  }
  if (!isAcceptedAlgorithm(signatureScheme)) {
    throw unfit(`${which} is signed by ${nameOfRefusedAlgorithm(signatureScheme)}, which is not accepted.`);
  }
  if (notAfter < now) {
    throw unfit(`${which} expired at ${new Date(notAfter).toISOString()}; it is ${new Date(now).toISOString()} now.`);
  }
  // RFC 5280 §6.1.3 (o), §4.2.
  if (extensions.unknownCritical.length > 0) {
    throw unfit(`${which} has a critical extension that is not understood: ${extensions.unknownCritical.join(', ')}.`);
  }
  const { subjectKeyIdentifier, authorityKeyIdentifier } = extensions;
  const signsItself =
    sameName(subject, issuer) && subjectKeyIdentifier !== null && subjectKeyIdentifier === authorityKeyIdentifier;
  if (signsItself && !verifySignature(certificate, publicKey)) {
    throw unfit(`${which} is signed by itself, and the signature is wrong.`, 'The file may be damaged.');
  }
}

/**
 * Requires that each was issued by one of the CAs, or by another that was, whatever their order.
 * Throws Problem('certificate_unfit').
 */
export function requireIssuedUnder(intermediates: readonly Certificate[], cas: readonly Certificate[]): void {
  const issuers = [...cas];
  let open = [...intermediates];
  while (open.length > 0) {
    const found = open.filter((one) => issuers.some((issuer) => isIssuedBy(one, issuer)));
    if (found.length === 0) {
      throw unfit(
        `The intermediate ${open[0]!.subject.text} was not issued under this Fleet Root CA.`,
        'In a file with several certificates the Fleet Root CA comes first, then the intermediates under it.',
      );
    }
    issuers.push(...found);
    open = open.filter((one) => !found.includes(one));
  }
}

function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  return sameName(certificate.issuer, issuer.subject) && verifySignature(certificate, issuer.publicKey);
}

function unfit(message: string, hint: string | null = null): Problem {
  return new Problem('certificate_unfit', message, hint);
}
