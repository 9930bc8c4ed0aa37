// The roots of TPM makers as people bring them: files of CA certificates, pinned because somebody vouches for them.

import { Problem } from '../../problem.ts';
import { readCertificates } from '../../provisioning/device-identity.ts';
import { formatInstant } from '../../time.ts';
import { type Certificate, parseCertificate } from '../../x509/certificate.ts';
import type { Factory } from '../factory.ts';
import type { Records } from '../records/records.ts';
import { tpmRootsOf } from '../records/tpm-roots.ts';

/** A root as it is shown. */
export interface TpmRootShown {
  /** Of the certificate. */
  readonly sha256: string;
  readonly subject: string;
  readonly not_after: string;
  readonly added_at: string;
}

/** Pins the certificates of a file (PEM or DER, base64): all of them, or none. Throws Problem. */
async function addTpmRootFile(records: Records, { file }: { file: string }): Promise<TpmRootShown[]> {
  const certificates = readCertificates(Buffer.from(file, 'base64'), 'The file of roots');
  for (const certificate of certificates) refuseUnfit(certificate);
  const roots = certificates.map(({ der, sha256, subject, publicKey }) => ({
    sha256,
    public_key_sha256: publicKey.sha256,
    certificate: der,
    subject: subject.text,
  }));
  await records.write('addTpmRoots', { roots });
  const added = new Set(roots.map(({ sha256 }) => sha256));
  return (await shownTpmRoots(records)).filter(({ sha256 }) => added.has(sha256));
}

/** Old roots are of X.509 version 1, or say nothing of themselves; a certificate that signs others never says it does not. */
function refuseUnfit({ extensions, issuer, subject }: Certificate): void {
  const { basicConstraints, keyUsage } = extensions;
  const isCa = basicConstraints === null ? issuer.text === subject.text : basicConstraints.ca;
  if (isCa && (keyUsage === null || keyUsage.has('keyCertSign'))) return;
  throw new Problem(
    'certificate_unfit',
    `"${subject.text}" is no CA, and vouches for no endorsement key.`,
    "Give the certificate of the TPM maker's root, or of an issuing CA below it; not that of one TPM.",
  );
}

/** All of them, as they are shown. */
async function shownTpmRoots({ read }: Pick<Records, 'read'>): Promise<TpmRootShown[]> {
  return (await tpmRootsOf(read)).map(({ sha256, certificate, added_at }) => {
    const { subject, notAfter } = parseCertificate(certificate);
    return { sha256, subject: subject.text, not_after: formatInstant(notAfter), added_at: formatInstant(added_at) };
  });
}

/** What people ask about them. */
export const tpmRootActions = {
  addTpmRoots: ({ records }: Factory, args: { file: string }) => addTpmRootFile(records, args),
  listTpmRoots: ({ records }: Factory, _: object) => shownTpmRoots(records),
  removeTpmRoot: ({ records }: Factory, args: { sha256: string }) => records.write('removeTpmRoot', args),
} as const;

/** The certificates themselves, as `challenge` takes them. */
export async function tpmRootCertificates({ read }: Pick<Records, 'read'>): Promise<Certificate[]> {
  return (await tpmRootsOf(read)).map(({ certificate }) => parseCertificate(certificate));
}
