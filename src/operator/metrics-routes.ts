// The metrics, for Prometheus and whatever else reads its text format.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Metrics } from '../metrics.ts';
import { isLoopback } from './listener.ts';
import { rule } from './rule.ts';

/** Who reads the metrics without a login. */
export type MetricsOpen = 'loopback' | 'nobody' | 'anyone';

/** Header fields of a request that somebody passes on: then who calls is not at the other end of the connection. */
const passedOn = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip'];

/** Whether whoever calls reads the metrics without a login. */
export function isOpenTo({ raw, headers }: FastifyRequest, open: MetricsOpen): boolean {
  if (open !== 'loopback') return open === 'anyone';
  return isLoopback(raw.socket.remoteAddress) && passedOn.every((field) => headers[field] === undefined);
}

/** Adds the route. */
export function metricsRoutes(app: FastifyInstance, metrics: Metrics): void {
  app.get(
    '/metrics',
    {
      ...rule('getMetrics', 'metrics'),
      schema: {
        produces: ['text/plain'],
        response: { 200: Type.String({ description: "Prometheus' text format; docs/metrics.md has the names." }) },
      },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.scrape()),
  );
}
