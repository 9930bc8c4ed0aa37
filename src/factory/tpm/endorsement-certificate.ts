// Endorsement certificates: a TPM's maker says that the private half of this key lies in a TPM of his.

import { clockTolerance, mostCertificates } from '../../provisioning/device-identity.ts';
import type { Certificate } from '../../x509/certificate.ts';
import { extensionOids } from '../../x509/extensions.ts';
import { findPaths } from '../../x509/path.ts';
import { isEndorsementKey } from './credential.ts';

/** tcg-kp-EKCertificate (TCG EK Credential Profile 2.5, §3.2.16). */
const endorsementPurpose = '2.23.133.8.1';

/**
 * Why what a device shows as its endorsement certificate, and intermediates after it, is none that one of `roots` vouches
 * for at the instant `now` (ms since 1970): one sentence; null where it is one.
 */
export function faultOfEndorsement(
  shown: readonly Certificate[],
  roots: readonly Certificate[],
  now: number,
): string | null {
  const [leaf, ...others] = shown;
  if (leaf === undefined) return 'There is no endorsement certificate.';
  if (shown.length > mostCertificates)
    return `More than ${mostCertificates} certificates came as endorsement certificate.`;
  if (roots.length === 0) return 'No root of a TPM maker is known here, so no endorsement certificate leads to one.';
  const anchors = roots.map((certificate) => ({ id: certificate.sha256, certificate }));
  const query = { leaf, others, anchors, now, tolerance: clockTolerance, excluded: new Set<string>() };
  const { paths, failure } = findPaths(query);
  if (paths.length > 0) return faultOfPurpose(leaf);
  const why = failure === null ? '' : ` ${failure.rule}`;
  return `The endorsement certificate does not lead to a root of a TPM maker that is known here.${why}`;
}

/** What a certificate must say of itself to be one of an endorsement key (the same profile, §3.2). */
function faultOfPurpose({ extensions, publicKey }: Certificate): string | null {
  const { all, basicConstraints, extendedKeyUsage, keyUsage, subjectAlternativeNames } = extensions;
  if (extendedKeyUsage?.includes(endorsementPurpose) !== true) {
    return `The certificate is none of an endorsement key: its extendedKeyUsage does not contain ${endorsementPurpose}.`;
  }
  if (basicConstraints?.ca === true) return 'The endorsement certificate is that of a CA.';
  // The TPM is named there, by its maker, model and version, and nowhere else.
  const isCritical = all.some(({ oid, critical }) => oid === extensionOids.subjectAlternativeName && critical);
  const isNamed = subjectAlternativeNames?.every(({ form }) => form === 'directoryName') === true;
  if (!isCritical || !isNamed) {
    return 'The endorsement certificate has no critical subjectAltName that holds a directoryName and nothing else.';
  }
  if (!isEndorsementKey(publicKey)) {
    return 'The endorsement key is none of RSA with 2,048 or 3,072 bits, P-256 and P-384.';
  }
  const use = publicKey.kind === 'rsa' ? 'keyEncipherment' : 'keyAgreement';
  return keyUsage?.has(use) === true ? null : `The endorsement certificate's keyUsage does not contain ${use}.`;
}
