// The proof that a device's key lies in a TPM (docs/keys-in-a-tpm.md): one challenge, one answer, no attestation key.

import type { Evidence } from '../../manifest/manifest.ts';
import { Problem } from '../../problem.ts';
import type { Certificate } from '../../x509/certificate.ts';
import type { PublicKey } from '../../x509/key.ts';
import type { Challenges, Subject } from './challenges.ts';
import { type Credential, makeCredential } from './credential.ts';
import { faultOfEndorsement } from './endorsement-certificate.ts';
import { faultOfDeviceKey, PublicAreaError, readPublicArea, type PublicArea } from './public-area.ts';

/** What a device shows to be challenged. */
export interface Claim {
  /** The certification request, whose signature has been verified: DER, the key in it, and the device ID that it names. */
  readonly request: { readonly der: Buffer; readonly publicKey: PublicKey; readonly deviceId: string };
  /** TPM2B_PUBLIC or TPMT_PUBLIC of the device key. */
  readonly publicArea: Buffer;
  /** The endorsement certificate, and intermediates after it. */
  readonly endorsement: readonly Certificate[];
  /** Who asks, by the station's ID, and for which order. */
  readonly station: string;
  readonly order: string;
}

/** What the device gets: only the TPM with this endorsement key can read the secret, and only with that key loaded. */
export interface TpmChallenge {
  readonly id: string;
  readonly credential: Credential;
  /** ms since 1970. */
  readonly endsAt: number;
}

const refused = (message: string, hint: string): Problem => new Problem('tpm_proof_refused', message, hint);

/**
 * Checks all that can be checked before the TPM answers, and makes the challenge. `roots` are the makers' that count,
 * `now` is ms since 1970. Throws Problem: `invalid_request` for a public area that is none, `tpm_proof_refused` with the
 * sentence of the first check that fails.
 */
export function challenge(
  claim: Claim,
  { roots, challenges, now }: { roots: readonly Certificate[]; challenges: Challenges; now: number },
): TpmChallenge {
  const { request, endorsement, station, order } = claim;
  const area = publicAreaOf(claim.publicArea);
  const fault = faultOfDeviceKey(area);
  if (fault !== null) {
    throw refused(
      fault,
      'Make the key in the TPM, with fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign.',
    );
  }
  if (area.publicKey.sha256 !== request.publicKey.sha256) {
    throw refused(
      'The public area is of another key than the request.',
      'Make the request with the key whose public area is sent.',
    );
  }
  const untrusted = faultOfEndorsement(endorsement, roots, now);
  const [certificate] = endorsement;
  if (untrusted !== null || certificate === undefined) {
    throw refused(
      untrusted ?? 'There is no endorsement certificate.',
      'Send the certificate of the EK with its intermediates; `factory tpm-root list` names the roots.',
    );
  }
  const subject: Subject = {
    station,
    order,
    deviceId: request.deviceId,
    publicKeySha256: request.publicKey.sha256,
    ekSha256: certificate.publicKey.sha256,
    ekCertificateTbsSha256: certificate.tbsSha256,
    name: area.name.toString('hex'),
    request: request.der,
  };
  const { id, secret, endsAt } = challenges.make(subject, now);
  // The EK's public key is that of its certificate: nothing that the device says of it is asked.
  return { id, credential: makeCredential(certificate.publicKey, area.name, secret.reveal()), endsAt };
}

/** A proof that holds: for this request, by this station, for this order, and what is remembered of it. */
export interface Proof {
  readonly request: Buffer;
  readonly order: string;
  readonly deviceId: string;
  readonly publicKeySha256: string;
  readonly evidence: Extract<Evidence, { kind: 'tpm' }>;
}

/**
 * Takes a station's answer to a challenge, once. Throws Problem `tpm_proof_refused` with its sentence where the challenge
 * is unknown, another station's, answered before or ended, and where the secret is another.
 */
export function verify(
  answer: { readonly id: string; readonly secret: Buffer; readonly station: string },
  { challenges, now }: { challenges: Challenges; now: number },
): Proof {
  const subject = challenges.take(answer.id, answer.secret, answer.station, now);
  const { request, order, deviceId, publicKeySha256, ekSha256, ekCertificateTbsSha256, name } = subject;
  const evidence = {
    kind: 'tpm',
    ek_sha256: ekSha256,
    ek_certificate_tbs_sha256: ekCertificateTbsSha256,
    name,
  } as const;
  return { request, order, deviceId, publicKeySha256, evidence };
}

function publicAreaOf(bytes: Buffer): PublicArea {
  try {
    return readPublicArea(bytes);
  } catch (error) {
    if (!(error instanceof PublicAreaError)) throw error;
    const hint = 'Send what `tpm2_create -u` or `tpm2_readpublic -o` has written.';
    throw new Problem('invalid_request', error.message, hint);
  }
}
