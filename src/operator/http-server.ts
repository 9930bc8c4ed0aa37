// The HTTP server under the operators' API: its limits, its headers, how it reads bodies and tells what is wrong.

import fastify, { type FastifyInstance } from 'fastify';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { compilersFactory } from './compilers.ts';
import { bareHeaders, strictHeaders } from './headers.ts';
import { type ListenerOptions, tellApart } from './listener.ts';
import { describeRoutes } from './openapi.ts';
import { answerClientError, answerErrors, answerUnknownPath } from './problems.ts';
import { logRequests, newRequestId } from './request-log.ts';

const bodyLimit = 4 * 1024 * 1024;
/** A percent-encoded device ID of 64 characters of four bytes, and room for names that are merely wrong. */
const longestSegment = 4096;
/** Octets of a request's line and header fields. */
const largestHeader = 16 * 1024;
/** How long a request's header may take to arrive, in milliseconds. */
const headersTimeout = 10_000;
/** How long a request may take to arrive, in milliseconds. */
const requestTimeout = 60_000;
/** How long a call may go on after the end has begun, in milliseconds. */
const patience = 2_000;

/** Makes the server without a route, for TCP as `listener` says, or without it for the socket. */
export async function openHttpServer(
  log: Log,
  metrics: Metrics,
  listener: ListenerOptions | null,
): Promise<FastifyInstance> {
  const answerError = answerErrors(log);
  const app = fastify({
    bodyLimit,
    requestTimeout,
    genReqId: newRequestId(listener === null),
    http: { maxHeaderSize: largestHeader, headersTimeout, connectionsCheckingInterval: 1_000 },
    schemaController: { compilersFactory },
    routerOptions: { maxParamLength: longestSegment },
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply.headers(bareHeaders)),
    clientErrorHandler: answerClientError,
    forceCloseConnections: 'idle',
  });
  app.removeContentTypeParser('text/plain');
  app.setErrorHandler(answerError);
  app.setNotFoundHandler(answerUnknownPath);
  logRequests(app, log, metrics);
  await strictHeaders(app);
  if (listener !== null) tellApart(app, listener);
  describeRoutes(app);
  return app;
}

/** Lets the calls under way end, for a while. */
export async function closeHttpServer(app: FastifyInstance): Promise<void> {
  const enough = setTimeout(() => app.server.closeAllConnections(), patience);
  await app.close();
  clearTimeout(enough);
}
