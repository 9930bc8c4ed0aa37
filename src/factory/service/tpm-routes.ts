// `POST /tpm/challenge` and `POST /tpm/enroll`: the certificate for a key that a TPM has shown to hold.

import type { FastifyInstance } from 'fastify';
import { type Static, type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';
import { Problem } from '../../problem.ts';
import { readCertificates } from '../../provisioning/device-identity.ts';
import { formatInstant } from '../../time.ts';
import { decodeBase64 } from '../../x509/pem.ts';
import { challengeTpm, takeTpmAnswer } from '../tpm-enrolment.ts';
import { addRoute, enrolled, queried, requestIn, type Service, stationOf } from './routes.ts';
import { sendChain } from './sign-routes.ts';

const ChallengeBody = Type.Object({
  /** PEM, or the base64 of its DER. */
  request: Type.String(),
  /** TPM2B_PUBLIC of the key, as `tpm2_create -u` and `tpm2_readpublic -o` write it: base64. */
  public: Type.String(),
  /** Of the endorsement key, intermediates after it: PEM, or base64 of DER. */
  ek_certificate: Type.String(),
});

const EnrollBody = Type.Object({
  id: Type.String(),
  /** What the TPM gave back: base64. */
  secret: Type.String(),
});

/** Adds them. */
export function addTpmRoutes(app: FastifyInstance, service: Service): void {
  addRoute(app, 'POST', '/tpm/challenge', async (request, reply) => {
    const station = await stationOf(service, request);
    const body = jsonIn(ChallengeBody, request.body);
    const { id, credential, endsAt } = await challengeTpm(service.factory, {
      request: requestIn(Buffer.from(body.request)),
      publicArea: octetsOf(body.public, 'public'),
      endorsement: readCertificates(
        body.ek_certificate.includes('-----BEGIN ')
          ? Buffer.from(body.ek_certificate)
          : octetsOf(body.ek_certificate, 'ek_certificate'),
        'The endorsement certificate',
      ),
      station,
      order: queried(request, 'order'),
    });
    reply.header('cache-control', 'no-store');
    return {
      id,
      /** The file that `tpm2_activatecredential -i` reads, and its two parts for whoever calls the TPM otherwise. */
      credential: credential.file.toString('base64'),
      credential_blob: credential.blob.toString('base64'),
      secret: credential.secret.toString('base64'),
      expires_at: formatInstant(endsAt),
    };
  });
  addRoute(app, 'POST', '/tpm/enroll', async (request, reply) => {
    const station = await stationOf(service, request);
    const { id, secret } = jsonIn(EnrollBody, request.body);
    const asked = takeTpmAnswer(service.factory, { id, secret: octetsOf(secret, 'secret'), station });
    return sendChain(reply, await enrolled(service, request, reply, asked));
  });
}

/** Throws Problem('invalid_request'). */
function jsonIn<const T extends TSchema>(schema: T, body: unknown): Static<T> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.isBuffer(body) ? body.toString('utf8') : '');
  } catch {
    throw new Problem('invalid_request', 'The body is no JSON.', 'docs/keys-in-a-tpm.md has the calls.');
  }
  const [error] = Value.Errors(schema, value);
  if (error === undefined) return value as Static<T>;
  const where = error.instancePath.slice(1).replaceAll('/', '.') || 'The body';
  throw new Problem('invalid_request', `${where} ${error.message}.`, 'docs/keys-in-a-tpm.md has the calls.');
}

/** Throws Problem('invalid_request'). */
function octetsOf(text: string, name: string): Buffer {
  const octets = decodeBase64(text);
  if (octets !== null) return octets;
  throw new Problem('invalid_request', `${name} is not base64.`, 'Write it by `base64 -w 0 FILE`.');
}
