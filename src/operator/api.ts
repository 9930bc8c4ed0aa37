// The operators' two listeners: a Unix socket in the data directory for the local administrator, and TCP for everyone with a login.

import type { AddressInfo } from 'node:net';
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import fastify, { type FastifyInstance } from 'fastify';
import type { Log } from '../log.ts';
import { Problem } from '../problem.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { accountRoutes } from './account-routes.ts';
import { allowListRoutes } from './allow-list-routes.ts';
import { credentialsRoutes } from './credentials-routes.ts';
import { type Custody, custodyRoutes } from './custody-routes.ts';
import { deviceRoutes } from './device-routes.ts';
import { fileRoutes } from './file-routes.ts';
import { fleetRootRoutes } from './fleet-root-routes.ts';
import { type Authenticate, guard } from './guard.ts';
import { keyRoutes } from './key-routes.ts';
import { listenOnSocket } from './listen-on-socket.ts';
import { socketPrincipal } from './principal.ts';
import { answerClientError, answerErrors, answerUnknownPath } from './problems.ts';
import type { Readiness } from './readiness.ts';
import { refusalRoutes } from './refusal-routes.ts';
import { requireRules, rule } from './rule.ts';
import { trustSetRoutes } from './trust-set-routes.ts';
import { upstreamRoutes } from './upstream-routes.ts';

export interface OperatorOptions {
  /** Absolute path of the Unix socket, of any length. */
  readonly socketPath: string;
  /** Loopback TCP port; 0 for a free one. */
  readonly port: number;
  readonly provisioning: Provisioning;
  readonly custody: Custody;
  readonly log: Log;
  readonly ready: () => Promise<Readiness>;
  /** Who calls over TCP; whoever opens the socket is its administrator. */
  readonly authenticate: Authenticate;
}

/** The listeners while they are open. */
export interface Operator extends AsyncDisposable {
  readonly port: number;
}

const bodyLimit = 4 * 1024 * 1024;
/** A percent-encoded device ID of 64 characters of four bytes, and room for names that are merely wrong. */
const longestSegment = 4096;
/** How long a request may take to arrive, in milliseconds. */
const requestTimeout = 60_000;
/** How long a call may go on after the end has begun, in milliseconds. */
const patience = 2_000;

/**
 * Opens both listeners. The socket is there for its owner alone and takes the place of one that a killed server left,
 * so the caller must know that no other server lives. Throws Problem `unavailable` where the port is taken.
 */
export async function startOperator({
  socketPath,
  port,
  provisioning,
  custody,
  log,
  ready,
  authenticate,
}: OperatorOptions): Promise<Operator> {
  await using opened = new AsyncDisposableStack();
  const remote = opened.adopt(openApi(provisioning, custody, { log, ready, authenticate }), close);
  await remote.listen({ host: '127.0.0.1', port }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' && error.code !== 'EACCES') throw error;
    throw new Problem(
      'unavailable',
      `The operator port ${port} cannot be listened on (${error.code}).`,
      'Choose another with --operator-port.',
    );
  });
  // A program of its own, so that nothing that comes over TCP can ever be taken for the socket's.
  const local = opened.adopt(
    openApi(provisioning, custody, { log, ready, authenticate: async () => socketPrincipal }),
    close,
  );
  opened.use(await listenOnSocket(local, socketPath));
  const all = opened.move();
  return {
    port: (remote.server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

interface ApiOptions {
  readonly log: Log;
  readonly ready: () => Promise<Readiness>;
  readonly authenticate: Authenticate;
}

/** Everything that may be asked, each by its rule; `authenticate` says who asks. */
function openApi(
  provisioning: Provisioning,
  custody: Custody,
  { log, ready, authenticate }: ApiOptions,
): FastifyInstance {
  const app = openServer(log);
  requireRules(app);
  guard(app, provisioning.registry, authenticate);
  healthRoutes(app, ready);
  app.addHook('onResponse', async ({ method, url }, reply) => {
    if (method !== 'GET') log.info({ method, url, status: reply.statusCode }, 'operator call');
  });
  void app.register(
    async (scope) => {
      const api = scope.withTypeProvider<TypeBoxTypeProvider>();
      accountRoutes(api, provisioning);
      credentialsRoutes(api, provisioning);
      fleetRootRoutes(api, provisioning);
      trustSetRoutes(api, provisioning);
      deviceRoutes(api, provisioning);
      allowListRoutes(api, provisioning);
      refusalRoutes(api, provisioning);
      upstreamRoutes(api, provisioning);
      custodyRoutes(api, custody);
      keyRoutes(api, provisioning);
    },
    { prefix: '/api/v1' },
  );
  void app.register(
    async (scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser(
        'application/octet-stream',
        { parseAs: 'buffer' },
        async (_: unknown, body: unknown) => body,
      );
      scope.addHook('preValidation', async ({ body }) => {
        if (!Buffer.isBuffer(body)) throw new Problem('invalid_request', 'The body is to be a file: there is none.');
      });
      fileRoutes(scope.withTypeProvider<TypeBoxTypeProvider>(), provisioning);
    },
    { prefix: '/api/v1' },
  );
  return app;
}

/**
 * What may be asked without a login: whether the process lives, and whether it serves. What is amiss while it serves is
 * told with a 200: a load balancer that took the node out for it would cut off devices that are served perfectly well.
 */
function healthRoutes(app: FastifyInstance, ready: () => Promise<Readiness>): void {
  app.get('/healthz', rule('getHealth', 'anyone'), async () => ({ status: 'ok' }));
  app.get('/readyz', rule('getReadiness', 'anyone'), async () => {
    const { serving, faults } = await ready();
    if (!serving) throw new Problem('unavailable', 'The server does not serve devices yet.');
    return faults.length === 0 ? { status: 'ready' } : { status: 'degraded', faults };
  });
}

function openServer(log: Log): FastifyInstance {
  const answerError = answerErrors(log);
  const app = fastify({
    bodyLimit,
    requestTimeout,
    routerOptions: { maxParamLength: longestSegment },
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    clientErrorHandler: answerClientError,
    forceCloseConnections: 'idle',
  });
  app.removeContentTypeParser('text/plain');
  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  app.setErrorHandler(answerError);
  app.setNotFoundHandler(answerUnknownPath);
  return app;
}

/** Lets the calls under way end, for a while. */
async function close(app: FastifyInstance): Promise<void> {
  const enough = setTimeout(() => app.server.closeAllConnections(), patience);
  await app.close();
  clearTimeout(enough);
}
