// The line's service while it listens: ports, handshakes and requests, their limits, and an end in order.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { inRequest, type Log } from '../../log.ts';
import { Problem } from '../../problem.ts';
import { AlarmWatch } from '../alarms.ts';
import { type Factory, readyLine } from '../factory.ts';
import { onStationRemoved } from '../stations.ts';
import { answerProblem, isEst, problemOfFramework, problemOfParser, rawAnswer } from './answers.ts';
import { addressOf, Guesses } from './caller.ts';
import { makeServiceCertificate, type Shown } from './certificate.ts';
import { type Bounds, Connections } from './connections.ts';
import { addEstRoutes } from './est-routes.ts';
import { addHealthRoutes } from './health-routes.ts';
import type { Service } from './routes.ts';
import { addSignRoutes } from './sign-routes.ts';
import { contextOptions } from './tls.ts';
import { addTpmRoutes } from './tpm-routes.ts';

/** Octets of a request's body, and of its line and header fields. */
const bodyLimit = 128 * 1024;
const largestHeader = 16 * 1024;
/** A percent-encoded name of 64 characters of four bytes, and room for names that are merely wrong. */
const longestSegment = 1_024;
/** How often the certificate is looked at, in milliseconds. */
const renewalInterval = 60 * 60 * 1000;
/** It is made anew when so much of its life is left. */
const renewBefore = 30 * 24 * 60 * 60 * 1000;

/** How it listens; times in milliseconds. */
export interface Limits {
  readonly handshakeTimeout: number;
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly idleTimeout: number;
  /** How long replies may take once the end has begun. */
  readonly patience: number;
  readonly strangers: Bounds;
}

const usual: Limits = {
  handshakeTimeout: 10_000,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  idleTimeout: 60_000,
  patience: 6_000,
  strangers: { all: 2_048, fromOneAddress: 512, share: 64 },
};

/** A service that listens. Disposing of it ends it in order: what is being answered is answered. */
export interface RunningService extends AsyncDisposable {
  /** Where it listens, by address. */
  readonly at: readonly { readonly address: string; readonly port: number }[];
  /** Makes its certificate anew where that is due now; done every hour by itself. */
  renew(): Promise<void>;
}

/**
 * Starts the service of a factory. Throws Problem `unavailable` where the line has no CA yet or a port is taken, and
 * CustodyProblem where its key is not there; then everything that was opened has been closed again.
 */
export async function startService(factory: Factory, limits: Partial<Limits> = {}): Promise<RunningService> {
  const { ca } = await readyLine(factory);
  await factory.keys.check(ca.key);
  const all: Limits = { ...usual, ...limits };
  const listener = await Listener.open(factory, all);
  try {
    for (const address of new Set(factory.config.factory.addresses)) await listener.listen(address);
    return listener;
  } catch (error) {
    await listener[Symbol.asyncDispose]();
    throw error;
  }
}

class Listener implements RunningService {
  readonly #factory: Factory;
  readonly #connections: Connections;
  readonly #limits: Limits;
  readonly #server: https.Server;
  readonly #app: FastifyInstance;
  readonly #ports: net.Server[] = [];
  readonly #alarms: AlarmWatch;
  readonly #held = new DisposableStack();
  #shown: Shown;

  private constructor(
    factory: Factory,
    limits: Limits,
    {
      app,
      connections,
      shown,
      alarms,
    }: Pick<Service, 'connections' | 'alarms'> & { app: FastifyInstance; shown: Shown },
  ) {
    this.#factory = factory;
    this.#limits = limits;
    this.#connections = connections;
    this.#app = app;
    this.#shown = shown;
    this.#alarms = alarms;
    this.#server = openServer(app, limits, { connections, shown });
    this.#held.use(onStationRemoved(factory, ({ id }) => connections.endOf(id)));
    const timer = setInterval(() => void this.renew(), renewalInterval).unref();
    this.#held.defer(() => clearInterval(timer));
  }

  static async open(factory: Factory, limits: Limits): Promise<Listener> {
    const connections = new Connections(limits.strangers);
    const shown = await makeServiceCertificate(factory);
    const alarms = new AlarmWatch(factory);
    const app = openApp({ factory, connections, guesses: new Guesses(factory.clock), alarms });
    await app.ready();
    return new Listener(factory, limits, { app, connections, shown, alarms });
  }

  get at(): { address: string; port: number }[] {
    return this.#ports.map((server) => {
      const { address, port } = server.address() as AddressInfo;
      return { address, port };
    });
  }

  async listen(host: string): Promise<void> {
    const { port } = this.#factory.config.factory;
    const server = net.createServer({ noDelay: true }, (socket) => {
      if (this.#connections.add(socket)) this.#server.emit('connection', socket);
    });
    try {
      server.listen({ port, host });
      await once(server, 'listening');
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const reason = code === 'EADDRINUSE' ? 'it is in use' : message;
      throw new Problem(
        'unavailable',
        `The service cannot listen on port ${port} of ${host}: ${reason}.`,
        'Choose others with --port and --address.',
      );
    }
    this.#ports.push(server);
  }

  async renew(): Promise<void> {
    if (this.#shown.notAfter - this.#factory.clock() > renewBefore) return;
    try {
      this.#shown = await makeServiceCertificate(this.#factory);
      this.#server.setSecureContext({ ...contextOptions, cert: this.#shown.cert, key: this.#shown.key });
    } catch (error) {
      this.#factory.log.error({ err: error }, "the service's certificate could not be made anew");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#held.dispose();
    for (const server of this.#ports) server.close();
    await this.#connections.close(this.#limits.patience);
    this.#server.close();
    await this.#app.close();
    await this.#alarms[Symbol.asyncDispose]();
  }
}

/** The TLS server, which is given its connections by whoever listens. */
function openServer(
  app: FastifyInstance,
  limits: Limits,
  { connections, shown: { cert, key } }: { connections: Connections; shown: Shown },
): https.Server {
  const server = https.createServer({
    ...contextOptions,
    cert,
    key,
    requestCert: true,
    // Who may ask is decided by our own path validation and records; OpenSSL's verdict is not used.
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1', 'http/1.0'],
    handshakeTimeout: limits.handshakeTimeout,
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: limits.idleTimeout,
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeout),
    maxHeaderSize: largestHeader,
    requireHostHeader: false,
  });
  /** What the request under way on a connection asks for. */
  const asked = new WeakMap<object, string>();
  server.on('secureConnection', (socket: TLSSocket) => {
    // A resumed session shows whoever had it first: none is let in.
    if (socket.isSessionReused()) socket.destroy();
    else connections.secured(socket);
  });
  server.on('tlsClientError', (_error, socket) => void socket.destroy());
  server.on('clientError', (error, socket) => {
    const problem = problemOfParser(error);
    if (problem === null || !socket.writable) socket.destroy();
    else (socket as Socket).end(rawAnswer(problem, isEst(asked.get(socket) ?? '')));
  });
  server.on('request', (request, response) => {
    const { socket } = request;
    asked.set(socket, request.url ?? '');
    const pending = connections.asked(socket);
    response.once('close', () => pending.answered());
    app.routing(request, response);
  });
  // Node starts to look after slow headers and bodies when a server listens, which this one never does by itself.
  server.emit('listening');
  return server;
}

/** The routes, and what is done for each request. */
function openApp(service: Service): FastifyInstance {
  const { log } = service.factory;
  const app = fastify({
    bodyLimit,
    genReqId: () => randomUUID(),
    routerOptions: { maxParamLength: longestSegment },
    frameworkErrors: (error, request, reply) => void answerProblem(problemOf(error, log), request, reply),
  });
  app.removeAllContentTypeParsers();
  // What it says that it is says little: some clients say nothing, and curl that it is a form.
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id);
    inRequest(request.id, done);
  });
  // What reads a body calls back from outside.
  app.addHook('preValidation', (request, _reply, done) => inRequest(request.id, done));
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error as FastifyError, log);
    const { method, routeOptions } = request;
    const { code, message } = problem;
    const address = addressOf(request.raw.socket);
    if (code !== 'internal_error') log.warn({ code, method, route: routeOptions.url, address }, `refused: ${message}`);
    return answerProblem(problem, request, reply);
  });
  app.setNotFoundHandler((request, reply) =>
    answerProblem(new Problem('not_found', 'There is no such path.'), request, reply),
  );
  addHealthRoutes(app, service);
  addEstRoutes(app, service);
  addSignRoutes(app, service);
  addTpmRoutes(app, service);
  return app;
}

/** What is none of a request's faults is ours, and only logged. */
function problemOf(error: FastifyError | Error, log: Log): Problem {
  if (error instanceof Problem) {
    if (error.code === 'custody_unavailable') log.error({ err: error }, 'a key cannot be used');
    return error;
  }
  const problem = problemOfFramework(error as FastifyError);
  if (problem !== null) return problem;
  log.error({ err: error }, 'a request failed');
  return new Problem('internal_error');
}
