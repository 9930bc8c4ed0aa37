// The operators' two listeners: a Unix socket in the data directory for the local administrator, and TCP for everyone with a login.

import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import cookies from '@fastify/cookie';
import type { Log } from '../log.ts';
import type { Login } from '../login/login.ts';
import type { SingleSignOn } from '../login/single-sign-on.ts';
import type { Metrics } from '../metrics.ts';
import type { Webhooks } from '../notification/webhooks.ts';
import type { Tokens } from '../login/tokens.ts';
import { Problem } from '../problem.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { accountRoutes } from './account-routes.ts';
import { activityRoutes } from './activity-routes.ts';
import { allowListFileRoutes, allowListRoutes } from './allow-list-routes.ts';
import { type Audit, auditRoutes } from './audit-routes.ts';
import { type Backups, backupRoutes } from './backup-routes.ts';
import { consoleRoutes } from './console-routes.ts';
import { credentialsRoutes } from './credentials-routes.ts';
import { type Custody, custodyRoutes } from './custody-routes.ts';
import { nodeRoutes } from './node-routes.ts';
import { descriptionRoutes } from './description-routes.ts';
import { deviceRoutes } from './device-routes.ts';
import { eventRoutes, type Events } from './event-routes.ts';
import { fileRoutes } from './file-routes.ts';
import { fleetRootRoutes } from './fleet-root-routes.ts';
import { fleetRoutes } from './fleet-routes.ts';
import { type Authenticate, guard, mayStill } from './guard.ts';
import { closeHttpServer, openHttpServer } from './http-server.ts';
import { takeIdempotencyKeys } from './idempotency.ts';
import { boundInput } from './inbound.ts';
import { keyRoutes } from './key-routes.ts';
import { listenOnSocket } from '../listen-on-socket.ts';
import type { ListenerOptions } from './listener.ts';
import { manifestFileRoutes, manifestRoutes } from './manifest-routes.ts';
import { memberRoutes } from './member-routes.ts';
import { type MetricsOpen, metricsRoutes } from './metrics-routes.ts';
import { operatorRoutes } from './operator-routes.ts';
import { ownLoginRoutes } from './own-login-routes.ts';
import { type ChangesUnderWay, honourPreconditions } from './preconditions.ts';
import { socketPrincipal } from './principal.ts';
import type { Readiness } from './readiness.ts';
import { refusalRoutes } from './refusal-routes.ts';
import { RefusedAttempts } from './refused-attempts.ts';
import { requireRules, rule } from './rule.ts';
import { sessionRoutes } from './session-routes.ts';
import { singleSignOnRoutes } from './single-sign-on-routes.ts';
import { tokenRoutes } from './token-routes.ts';
import { trustSetRoutes } from './trust-set-routes.ts';
import { upstreamRoutes } from './upstream-routes.ts';
import { webhookRoutes } from './webhook-routes.ts';

/** What the routes work with, whichever listener a call comes by. */
interface ApiParts {
  readonly provisioning: Provisioning;
  readonly custody: Custody;
  readonly audit: Audit;
  readonly backups: Backups;
  readonly log: Log;
  readonly ready: () => Promise<Readiness>;
  readonly metrics: Metrics;
  readonly metricsOpen: MetricsOpen;
  readonly tokens: Tokens;
  readonly events: Events;
  readonly webhooks: Webhooks;
  readonly login: Login;
  /** Null where no identity provider is configured. */
  readonly sso: SingleSignOn | null;
  /** Where operators reach the server, such as `https://fleet.example`; known once it listens. */
  readonly url: () => string;
}

export interface OperatorOptions extends ApiParts {
  /** Absolute path of the Unix socket, of any length. */
  readonly socketPath: string;
  /** The IP address that the TCP port is opened on. */
  readonly address: string;
  /** TCP port; 0 for a free one. */
  readonly port: number;
  /** The certificate of the TCP port, and its hosts. */
  readonly listener: ListenerOptions;
  /** Who calls over TCP; whoever opens the socket is its administrator. */
  readonly authenticate: Authenticate;
}

/** The listeners while they are open. */
export interface Operator extends AsyncDisposable {
  readonly port: number;
}

/**
 * Opens both listeners. The socket is there for its owner alone and takes the place of one that a killed server left,
 * so the caller must know that no other server lives. Throws Problem `unavailable` where the port is taken.
 */
export async function startOperator({
  socketPath,
  address,
  port,
  listener,
  authenticate,
  ...parts
}: OperatorOptions): Promise<Operator> {
  await using opened = new AsyncDisposableStack();
  const refused = opened.use(new RefusedAttempts(parts.provisioning.registry, parts.log));
  const underWay = { calls: new Set<string>(), changes: new Map<string, Promise<void>>() };
  const shared = { ...parts, refused, underWay };
  const remote = opened.adopt(await openApi({ ...shared, authenticate, listener }), closeHttpServer);
  await remote.listen({ host: address, port }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' && error.code !== 'EACCES') throw error;
    throw new Problem(
      'unavailable',
      `The operator port ${port} cannot be listened on (${error.code}).`,
      'Choose another with --operator-port.',
    );
  });
  // A program of its own, so that nothing that comes over TCP can ever be taken for the socket's.
  const local = opened.adopt(
    await openApi({ ...shared, authenticate: async () => socketPrincipal, listener: null }),
    closeHttpServer,
  );
  opened.use(await listenOnSocket(local, socketPath));
  parts.metrics.operatorConnections.from(async () => [
    [{ listener: 'tcp' }, await connectionsOf(remote)],
    [{ listener: 'socket' }, await connectionsOf(local)],
  ]);
  const all = opened.move();
  return {
    port: (remote.server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function connectionsOf({ server }: FastifyInstance): Promise<number> {
  return new Promise((resolve) => server.getConnections((error, count) => resolve(error === null ? count : 0)));
}

interface ApiOptions extends ApiParts {
  readonly refused: RefusedAttempts;
  /** What both listeners are at: one thing may be called for by either. */
  readonly underWay: { readonly calls: Set<string>; readonly changes: ChangesUnderWay };
  readonly authenticate: Authenticate;
  /** Null for the socket. */
  readonly listener: ListenerOptions | null;
}

/** Everything that may be asked, each by its rule; `authenticate` says who asks. */
async function openApi(options: ApiOptions): Promise<FastifyInstance> {
  const { provisioning, login, metrics, url, refused, underWay, authenticate } = options;
  const app = await openHttpServer(options.log, metrics, options.listener);
  await app.register(cookies);
  requireRules(app);
  guard(app, provisioning.registry, options);
  refused.watch(app);
  boundInput(app);
  takeIdempotencyKeys(app, provisioning.registry, underWay.calls);
  honourPreconditions(app, provisioning.registry, underWay.changes);
  healthRoutes(app, options.ready);
  metricsRoutes(app, metrics);
  consoleRoutes(app.withTypeProvider<TypeBoxTypeProvider>());
  void app.register(
    async (scope) => {
      const api = scope.withTypeProvider<TypeBoxTypeProvider>();
      descriptionRoutes(api);
      accountRoutes(api, provisioning);
      credentialsRoutes(api, provisioning);
      fleetRootRoutes(api, provisioning);
      trustSetRoutes(api, provisioning);
      fleetRoutes(api, provisioning);
      activityRoutes(api, provisioning);
      deviceRoutes(api, provisioning);
      allowListRoutes(api, provisioning);
      manifestRoutes(api, provisioning);
      refusalRoutes(api, provisioning);
      upstreamRoutes(api, provisioning);
      custodyRoutes(api, options.custody);
      nodeRoutes(api, provisioning.registry);
      keyRoutes(api, provisioning);
      auditRoutes(api, provisioning, options.audit, options.events);
      backupRoutes(api, provisioning, options.backups, options.audit);
      tokenRoutes(api, provisioning, options.tokens);
      eventRoutes(api, provisioning, options.events, (request) =>
        mayStill(request, provisioning.registry, authenticate),
      );
      webhookRoutes(api, options.webhooks);
      sessionRoutes(api, login);
      ownLoginRoutes(api, login);
      operatorRoutes(api, login, url);
      memberRoutes(api, login, url);
      singleSignOnRoutes(api, login, options.sso);
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
      manifestFileRoutes(scope.withTypeProvider<TypeBoxTypeProvider>(), provisioning);
    },
    { prefix: '/api/v1' },
  );
  void app.register(
    async (scope) => {
      scope.removeAllContentTypeParsers();
      // Of any length, and read as it arrives.
      scope.addContentTypeParser('application/octet-stream', async (_: unknown, body: unknown) => body);
      scope.addHook('preValidation', async ({ body }) => {
        if (!(body instanceof Readable))
          throw new Problem('invalid_request', 'The body is to be a file: there is none.');
      });
      allowListFileRoutes(scope.withTypeProvider<TypeBoxTypeProvider>(), provisioning);
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
    const { serving, ending, faults } = await ready();
    if (ending) throw new Problem('unavailable', 'The server is ending.');
    if (!serving) throw new Problem('unavailable', 'The server does not serve devices yet.');
    return faults.length === 0 ? { status: 'ready' } : { status: 'degraded', faults };
  });
}
