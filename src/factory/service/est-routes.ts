// EST (RFC 7030 with RFC 8951), as its clients speak it, also under a label, which is the order's name.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../../problem.ts';
import { deviceIdOf } from '../../provisioning/device-identity.ts';
import { csrAttributes } from '../../x509/csr-attributes.ts';
import { sameName } from '../../x509/name.ts';
import { encodeCertsOnly, estBase64 } from '../../x509/pkcs7.ts';
import { readyLine } from '../factory.ts';
import { stationById } from '../records/stations.ts';
import type { Station } from '../records/tables.ts';
import { estPrefix } from './answers.ts';
import { requireLineNetwork, requirePlace, type ShownDevice, shownDevice } from './caller.ts';
import { addRoute, enrolled, requestIn, type Service, stationOf } from './routes.ts';

/** Adds them, each with and without a label. */
export function addEstRoutes(app: FastifyInstance, service: Service): void {
  for (const base of [estPrefix, `${estPrefix}/:label`]) {
    addRoute(app, 'GET', `${base}/cacerts`, async (request, reply) => {
      await requireLineNetwork(service.factory, request.raw.socket);
      const { ca, root } = await readyLine(service.factory);
      return sendBase64(reply, 'application/pkcs7-mime', encodeCertsOnly([ca.certificate.der, root.der]));
    });
    addRoute(app, 'GET', `${base}/csrattrs`, async (request, reply) => {
      await requireLineNetwork(service.factory, request.raw.socket);
      return sendBase64(reply, 'application/csrattrs', csrAttributes);
    });
    addRoute(app, 'POST', `${base}/simpleenroll`, async (request, reply) => {
      const station = await stationOf(service, request);
      const made = await enrolled(service, request, reply, {
        request: requestIn(request.body),
        station,
        order: labelOf(request),
        evidence: { kind: 'station' },
        shown: null,
      });
      return sendCertificate(reply, made.certificate);
    });
    addRoute(app, 'POST', `${base}/simplereenroll`, async (request, reply) => {
      const made = await reenrolled(service, request, reply);
      return sendCertificate(reply, made.certificate);
    });
    for (const refused of ['serverkeygen', 'fullcmc']) {
      addRoute(app, 'POST', `${base}/${refused}`, async () => {
        throw new Problem(
          'not_found',
          refused === 'serverkeygen'
            ? 'This service makes no keys: a device makes its own, and asks by simpleenroll.'
            : 'This service takes no CMC: ask by simpleenroll.',
        );
      });
    }
  }
}

/** The name of the order that a path names; null for none. */
function labelOf({ params }: FastifyRequest): string | null {
  return (params as { label?: string }).label ?? null;
}

/**
 * RFC 7030 §4.2.2: a device that shows the certificate that it has gets the same again for the same key, and another one,
 * in place of the first, for a new key. It asks under the station that it was made by, or that sends its password.
 */
async function reenrolled(service: Service, request: FastifyRequest, reply: FastifyReply) {
  const { factory } = service;
  const { ca } = await readyLine(factory);
  const asked = requestIn(request.body);
  const device = await shownDevice(factory, ca.certificate, request.raw.socket, asked.publicKey.sha256);
  const station =
    request.headers.authorization === undefined
      ? await stationOfDevice(service, device, request)
      : await stationOf(service, request);
  // The server compares device IDs octet by octet; names are the same where case and spaces differ (RFC 5280 §7.1).
  const claimed = deviceIdOf(asked, 'request');
  const isItsId = 'deviceId' in claimed && claimed.deviceId === device.made.device_id;
  if (!isItsId || !sameName(asked.subject, device.certificate.subject)) {
    throw new Problem(
      'invalid_request',
      `The request's subject is not that of the certificate shown, which is of the device "${device.made.device_id}".`,
    );
  }
  const { certificate } = device;
  return enrolled(service, request, reply, {
    request: asked,
    station,
    order: labelOf(request),
    evidence: { kind: 'station' },
    shown: { certificate, alone: request.headers.authorization === undefined },
  });
}

async function stationOfDevice(
  { factory, connections }: Service,
  { made }: ShownDevice,
  { raw: { socket } }: FastifyRequest,
): Promise<Station> {
  const station = (await stationById(factory.records.read, made.station_id))!;
  if (station.removed_at !== null) {
    throw new Problem(
      'station_not_allowed',
      `The device "${made.device_id}" was made by the station "${station.name}", which has been removed.`,
      'Let it send the password of another station.',
    );
  }
  requirePlace(station, socket);
  connections.identified(socket, station.id);
  return station;
}

/** RFC 7030 §4.2.3: the certificate that was made, and no other: clients take the first for theirs. */
function sendCertificate(reply: FastifyReply, certificate: Buffer): FastifyReply {
  return sendBase64(reply, 'application/pkcs7-mime; smime-type=certs-only', encodeCertsOnly([certificate]));
}

/** Clients before RFC 8951 need the header that it has them ignore. */
function sendBase64(reply: FastifyReply, type: string, der: Buffer): FastifyReply {
  return reply
    .headers({ 'content-type': type, 'content-transfer-encoding': 'base64' })
    .send(Buffer.from(estBase64(der)));
}
