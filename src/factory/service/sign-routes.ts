// `POST /sign`: a request in, the certificate with its sub-CA out, as people with curl have it.

import type { FastifyInstance, FastifyReply } from 'fastify';
import { certificateToPem } from '../../x509/certificate.ts';
import type { Enrolled } from '../enrolment.ts';
import { addRoute, enrolled, queried, requestIn, type Service, stationOf } from './routes.ts';

/** PEM, the leaf first (RFC 8555 §9.1). */
const chainType = 'application/pem-certificate-chain';

/** Adds it. */
export function addSignRoutes(app: FastifyInstance, service: Service): void {
  addRoute(app, 'POST', '/sign', async (request, reply) => {
    const station = await stationOf(service, request);
    const made = await enrolled(service, request, reply, {
      request: requestIn(request.body),
      station,
      order: queried(request, 'order'),
      evidence: { kind: 'station' },
      shown: null,
    });
    return sendChain(reply, made);
  });
}

/** Answers with the certificate and the sub-CA that has signed it. */
export function sendChain(reply: FastifyReply, { certificate, line }: Enrolled): FastifyReply {
  return reply.type(chainType).send(certificateToPem(certificate) + certificateToPem(line.ca.certificate.der));
}
