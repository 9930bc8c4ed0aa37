// What every route of the service is given, and how one is added.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../../problem.ts';
import { actAs } from '../../registry/acting.ts';
import {
  type CertificationRequest,
  CertificationRequestError,
  readRequestFile,
} from '../../x509/certification-request.ts';
import { type AlarmWatch, nearlyUsedUp } from '../alarms.ts';
import { type Asked, enroll, type Enrolled } from '../enrolment.ts';
import type { Factory } from '../factory.ts';
import type { Station } from '../records/tables.ts';
import { addressOf, callingStation, type Guesses } from './caller.ts';
import type { Connections } from './connections.ts';

/** The service while it is open. */
export interface Service {
  readonly factory: Factory;
  readonly connections: Connections;
  readonly guesses: Guesses;
  readonly alarms: AlarmWatch;
}

type Method = 'GET' | 'POST';
const methods: readonly Method[] = ['GET', 'POST'];

/** Adds a route; a path that takes one method alone says so to the other. */
export function addRoute(
  app: FastifyInstance,
  method: Method,
  url: string,
  handler: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>,
): void {
  app.route({ method, url, handler });
  for (const other of [...methods, 'PUT', 'PATCH', 'DELETE'].filter((each) => each !== method)) {
    if (app.hasRoute({ method: other, url })) continue;
    app.route({
      method: other,
      url,
      handler: async (_request, reply) => {
        reply.header('allow', method);
        throw new Problem('method_not_allowed', `This path takes ${method} alone.`);
      },
    });
  }
}

/** The station that asks; its connection is its own from then on. Throws as `callingStation` does. */
export async function stationOf({ factory, guesses, connections }: Service, request: FastifyRequest): Promise<Station> {
  const station = await callingStation(factory, guesses, request);
  connections.identified(request.raw.socket, station.id);
  return station;
}

/** The certification request in a body, in whatever form. Throws Problem('invalid_request'). */
export function requestIn(body: unknown): CertificationRequest {
  try {
    return readRequestFile(Buffer.isBuffer(body) ? body : Buffer.alloc(0));
  } catch (error) {
    if (!(error instanceof CertificationRequestError)) throw error;
    throw new Problem('invalid_request', error.message, 'Send one PKCS#10 request: PEM, DER, or its base64.');
  }
}

/** Text that a query has at the most once; null for none. Throws Problem('invalid_request'). */
export function queried(request: FastifyRequest, name: string): string | null {
  const value = (request.query as Record<string, unknown>)[name];
  if (value === undefined || typeof value === 'string') return value || null;
  throw new Problem('invalid_request', `The query has ${name} more than once.`);
}

/** Enrolls as `enroll` does, as done by the station; of a quota that is nearly used up it tells the client, each time. */
export async function enrolled(
  { factory, alarms }: Service,
  request: FastifyRequest,
  reply: FastifyReply,
  asked: Asked,
): Promise<Enrolled> {
  const { name } = asked.station;
  const address = addressOf(request.raw.socket);
  const actor = { kind: 'station', id: asked.station.id, name, address, request: request.id } as const;
  const made = await actAs(actor, () => enroll(factory, asked));
  const { deviceId: device, order, outcome, charged } = made;
  factory.log.info({ device, order, outcome, station: name, address, evidence: asked.evidence.kind }, 'certificate');
  if (charged === null) return made;
  const warnings = (['window', 'mandate'] as const)
    .map((what) => ({ what, ...charged[what] }))
    .filter(({ used, quota }) => used >= quota * nearlyUsedUp)
    .map(({ what, used, quota }) => `${used} of the ${quota} devices of the ${what} are made.`);
  if (warnings.length > 0) {
    reply.header('fleetroot-warning', warnings.join(' '));
    // The log is told once, and at once.
    const { window, mandate } = charged;
    if ([window, mandate].some(({ used, quota }) => used === Math.ceil(quota * nearlyUsedUp) || used === quota)) {
      void alarms.look();
    }
  }
  return made;
}
