// Whether the service is there, and what is wrong with the factory.

import type { FastifyInstance } from 'fastify';
import { readyLine } from '../factory.ts';
import { requireLineNetwork } from './caller.ts';
import { addRoute, type Service } from './routes.ts';

/** Adds them; neither asks for a certificate. */
export function addHealthRoutes(app: FastifyInstance, { factory, alarms }: Service): void {
  addRoute(app, 'GET', '/healthz', async () => ({ status: 'ok' }));
  addRoute(app, 'GET', '/readyz', async (request) => {
    await requireLineNetwork(factory, request.raw.socket);
    await readyLine(factory);
    return { status: alarms.present.length === 0 ? 'ready' : 'degraded', alarms: alarms.present };
  });
}
