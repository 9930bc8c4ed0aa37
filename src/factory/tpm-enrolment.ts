// The two calls for a device whose key lies in a TPM: a challenge for its request, and what is made of its answer.

import { randomBytes } from 'node:crypto';

import type { Certificate } from '../x509/certificate.ts';
import { type CertificationRequest, parseCertificationRequest } from '../x509/certification-request.ts';
import { type Asked, checkRequest, windowFor } from './enrolment.ts';
import type { Factory } from './factory.ts';
import { certificateOfKey } from './records/certificates.ts';
import { Challenges } from './tpm/challenges.ts';
import { challenge, type TpmChallenge, verify } from './tpm/proof.ts';
import { tpmRootCertificates } from './tpm/roots.ts';

/** What a station brings from a device at the first call. */
export interface AskedOfTpm extends Pick<Asked, 'station' | 'order'> {
  readonly request: CertificationRequest;
  /** TPM2B_PUBLIC of the device key. */
  readonly publicArea: Buffer;
  /** The certificate of its TPM's endorsement key, and intermediates after it. */
  readonly endorsement: readonly Certificate[];
}

/** Those of the running service: a restart forgets them, and devices ask again. */
const open = new WeakMap<Factory, Challenges>();

function challengesOf(factory: Factory): Challenges {
  const challenges = open.get(factory) ?? new Challenges(randomBytes);
  open.set(factory, challenges);
  return challenges;
}

/**
 * Challenges a TPM to show that it has the key of a request, for the order whose window is open, or for the one that the
 * same ID and key were certified for before. Charges nothing. Throws Problem as `enroll` does for the request and the
 * window, and `tpm_proof_refused`.
 */
export async function challengeTpm(factory: Factory, asked: AskedOfTpm): Promise<TpmChallenge> {
  const { request, publicArea, endorsement, station } = asked;
  const deviceId = checkRequest(request);
  const now = factory.clock();
  const known = await certificateOfKey(factory.records.read, request.publicKey.sha256);
  const order =
    known?.state === 'made' && known.device_id === deviceId
      ? known.order_name
      : (await windowFor(factory, asked, now)).order_name;
  const claim = { request: { der: request.der, publicKey: request.publicKey, deviceId }, publicArea, endorsement };
  const roots = await tpmRootCertificates(factory.records);
  return challenge({ ...claim, station: station.id, order }, { roots, challenges: challengesOf(factory), now });
}

/**
 * Takes the answer of a station's TPM, once, and gives what it asks for: the request that was challenged, with the
 * evidence, for `enroll`. Throws Problem `tpm_proof_refused`.
 */
export function takeTpmAnswer(
  factory: Factory,
  { id, secret, station }: { id: string; secret: Buffer; station: Asked['station'] },
): Asked {
  const answer = { id, secret, station: station.id };
  const { request, order, evidence } = verify(answer, { challenges: challengesOf(factory), now: factory.clock() });
  return { request: parseCertificationRequest(request), station, order, evidence, shown: null };
}
