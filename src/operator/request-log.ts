// Which request it is: an ID that its caller, every line of the log and the audit log know it by, and one line of its own.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { inRequest, type Log } from '../log.ts';
import { type Metrics, secondsSince } from '../metrics.ts';

const header = 'x-request-id';
const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

/**
 * How requests get their IDs, which are UUIDs. Over the socket its administrator may bring one along; what came over TCP
 * could be another's, and the log would have two requests under one ID.
 */
export function newRequestId(overSocket: boolean): (request: IncomingMessage) => string {
  return ({ headers }) => {
    const brought = headers[header];
    return overSocket && typeof brought === 'string' && uuid.test(brought) ? brought : randomUUID();
  };
}

/** Has each request of `app` known by its ID, and logged and counted when its reply has ended, however it ended. */
export function logRequests(app: FastifyInstance, log: Log, metrics: Metrics): void {
  app.addHook('onRequest', (request, reply, done) => {
    const began = performance.now();
    void reply.header(header, request.id);
    reply.raw.once('close', () => record(request, reply, began, { log, metrics }));
    inRequest(request.id, done);
  });
  // What reads a body calls back from outside.
  app.addHook('preValidation', (request, _reply, done) => inRequest(request.id, done));
}

/** Never the path or the query, which may hold what is secret, and never a body: the route's pattern says what it was. */
function record(
  { id, method, ip, principal, routeOptions }: FastifyRequest,
  { raw }: FastifyReply,
  began: number,
  { log, metrics }: { log: Log; metrics: Metrics },
): void {
  const { url: route = null, config } = routeOptions;
  const { operationId, access } = config;
  const seconds = secondsSince(began);
  const status = raw.headersSent ? raw.statusCode : null;
  metrics.operatorRequests.inc({ operation: operationId ?? 'none', status: `${status ?? 'none'}` });
  metrics.operatorRequestDuration.observe({ method }, seconds);
  const line = {
    request: id,
    method,
    route: operationId === undefined ? null : route,
    status,
    finished: raw.writableFinished,
    ms: Math.round(seconds * 1_000),
    by: principal && { kind: principal.kind, id: principal.id, name: principal.name },
    address: ip || null,
  };
  // Probes and scrapes come every few seconds, and say nothing of anybody.
  const isProbe = (access === 'anyone' || access === 'metrics') && status !== null && status < 400;
  log[isProbe ? 'debug' : 'info'](line, 'operator call');
}
