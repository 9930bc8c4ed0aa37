// What a manifest holds of a certificate, and whether that is said of the one that came.

import type { ManifestCertificate } from './manifest-tables.ts';

/** What a manifest holds of a certificate, as far as it decides whether that gets in. */
export type MadeCertificate = Pick<
  ManifestCertificate,
  'line_id' | 'device_id' | 'public_key_sha256' | 'withdrawn_at' | 'beyond'
>;

/**
 * Whether that is what a line has said of this very certificate. Its mandate was held against the device ID and the key that
 * the manifest names: where the certificate is of others, whoever has the line's key has listed it under a name that passes.
 */
export function isHeld(
  made: MadeCertificate | null,
  shown: Pick<MadeCertificate, 'line_id' | 'device_id' | 'public_key_sha256'>,
): made is MadeCertificate {
  return (
    made !== null &&
    made.line_id === shown.line_id &&
    made.device_id === shown.device_id &&
    made.public_key_sha256 === shown.public_key_sha256
  );
}
