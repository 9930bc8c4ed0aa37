// One request and its reply: whose it is, whether it may be served, and what is said where it may not.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { inRequest, type Log } from '../log.ts';
import { secondsSince } from '../metrics.ts';
import { Problem } from '../problem.ts';
import { canonicalHost } from '../provisioning/host.ts';
import { refusalOf } from '../provisioning/refusal.ts';
import type { Connection, Connections } from './connections.ts';
import { route, type Routing } from './device-routes.ts';
import { identifyPeer } from './peer.ts';
import type { Refusals } from './refusals.ts';
import type { Sightings } from './sightings.ts';
import { anotherRequest } from './reply-watch.ts';
import { replyProblem, replyUnreadable } from './reply.ts';
import { parseRequestTarget } from './request-target.ts';
import { readShown } from './shown.ts';
import type { Unauthenticated } from './unauthenticated.ts';

/** The statuses with which whoever asked is turned away; the others say that what was asked for is not there. */
const turnedAway: ReadonlySet<number> = new Set([400, 403, 409, 421]);

/** Requests that one connection may have sent without a reply: each takes memory, and devices ask one at a time. */
const mostUnanswered = 100;

/** What answering works with. */
export interface ExchangeParts extends Routing {
  readonly connections: Connections;
  readonly refusals: Refusals;
  readonly sightings: Sightings;
  /** Lets go of whoever has been found to be somebody. */
  readonly unauthenticated: Unauthenticated;
  /** Ends the connection of whoever is turned away without a word. */
  readonly silent: boolean;
  readonly log: Log;
}

/** Answers requests. */
export class Exchange {
  readonly #parts: ExchangeParts;
  /** What is in the log: whoever is turned away while a custodian is away is given the same problem, which is told once. */
  readonly #logged = new WeakSet<Problem>();
  /** What the last Host field of a connection names: it is the same at each request, and whose it is is asked each time. */
  readonly #named = new WeakMap<Connection, { readonly field: string; readonly named: string }>();

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
  }

  /**
   * Answers one request, whatever happens. Requests that came in one go wait for each other, so that nothing is acted on
   * that was sent behind one that is refused.
   */
  async answer(connection: Connection, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = randomUUID();
    return inRequest(id, () => this.#answer(id, connection, request, response));
  }

  async #answer(id: string, connection: Connection, request: IncomingMessage, response: ServerResponse): Promise<void> {
    connection.socket.emit(anotherRequest);
    connection.unanswered += 1;
    if (this.#parts.connections.draining) response.shouldKeepAlive = false;
    const began = performance.now();
    response.once('close', () => {
      connection.unanswered -= 1;
      this.#count(connection, response, began);
    });
    if (connection.unanswered > mostUnanswered) {
      connection.ending = true;
      connection.socket.destroy();
      return;
    }
    const before = connection.answered;
    const turn = Promise.withResolvers<void>();
    connection.answered = turn.promise;
    await before;
    try {
      if (connection.ending) request.resume();
      else await this.#serve(connection, request, response);
    } catch (error) {
      this.#fail(error, id, connection, response);
    } finally {
      turn.resolve();
    }
  }

  #count({ account_id }: Connection, response: ServerResponse, began: number): void {
    const { metrics } = this.#parts;
    const status = response.headersSent ? `${Math.floor(response.statusCode / 100)}xx` : 'none';
    metrics.deviceRequests.inc({ account: metrics.accounts.of(account_id), status });
    metrics.deviceRequestDuration.observe(secondsSince(began));
  }

  /** Ends a connection on which something came that HTTP could not read, or not in time. */
  refuseUnreadable(connection: Connection, problem: Problem): void {
    const { refusals, silent } = this.#parts;
    const { socket, response } = connection;
    connection.ending = true;
    connection.shown ??= readShown(socket);
    if (turnedAway.has(problem.status)) refusals.note(refusalOf(problem), connection);
    // In the middle of another reply it would be taken for a part of that.
    if (silent || (response?.headersSent && !response.writableFinished)) socket.destroy();
    else replyUnreadable(problem, socket);
  }

  async #serve(connection: Connection, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { provisioning, trust, connections, sightings, metrics } = this.#parts;
    connection.askedDeviceId = null;
    connection.response = response;
    // Before anything is refused: what was shown is kept with every refusal.
    connection.shown ??= readShown(connection.socket);
    await this.#requireHost(connection, request);
    const { judged } = connection;
    connection.judged = null;
    const admission =
      judged ??
      (await identifyPeer(
        { registry: provisioning.registry, trust, sightings, metrics },
        connection,
        provisioning.clock(),
      ));
    if (admission.kind === 'refused') {
      const { code, rule, remedy } = admission.refusal;
      if (code === 'certificate_untrusted' && connection.resumed && !this.#hasShownAll(connection)) {
        connection.ending = true;
        this.#parts.refusals.note(admission.refusal, connection);
        connection.socket.destroy();
        return;
      }
      throw new Problem(code, rule, remedy);
    }
    if (connection.verdict === null) this.#parts.unauthenticated.remove(connection.socket);
    connections.identified(connection, admission);
    await route(this.#parts, {
      request,
      response,
      connection,
      target: parseRequestTarget(request.url ?? ''),
      verdict: admission,
      account: (await trust.trustOf(connection.account_id)).account,
    });
  }

  /**
   * Whether all is known that a device showed when it made its session, which now shows its leaf alone. Where it is not,
   * "untrusted" may be for want of intermediates, and nothing is said: a whole handshake shows what there is.
   */
  #hasShownAll({ account_id, shown }: Connection): boolean {
    return this.#parts.trust.shownBefore(account_id, shown?.tbsSha256 ?? '') !== null;
  }

  /** The Host field must name the account that the handshake named (RFC 9110 §7.4), or the address connected to. */
  async #requireHost(connection: Connection, { rawHeaders }: IncomingMessage): Promise<void> {
    const { account_id, sni, localAddress } = connection;
    const field = onlyHost(rawHeaders);
    const known = this.#named.get(connection);
    const named = known?.field === field ? known.named : hostNamed(field);
    if (field === null || named === null) {
      throw new Problem('invalid_request', 'The request is to have one Host field that names a host.');
    }
    if (known?.field !== field) this.#named.set(connection, { field, named });
    const owner = await this.#parts.trust.accountOf(named);
    // Where nobody has the address, the connection came to the configured account.
    if (sni === null && named === localAddress && owner === null) return;
    if (owner !== account_id) {
      throw new Problem('misdirected_request', `The Host field names ${named}, which is no host of this account.`);
    }
  }

  /** The one place where the gateway turns an error into bytes. */
  #fail(error: unknown, id: string, connection: Connection, response: ServerResponse): void {
    const { log, refusals, silent, rates } = this.#parts;
    connection.ending = !(error instanceof Problem && (error.status === 404 || error.status === 405));
    if (!(error instanceof Problem)) {
      log.error({ err: error }, 'a request failed');
      const problem = new Problem('internal_error', `The server failed; its log has the error under ${id}.`);
      replyProblem(response, problem, { last: connection.ending, comeBack: () => rates.comeBack() });
      return;
    }
    if (error.status >= 500 && !this.#logged.has(error)) {
      this.#logged.add(error);
      const { code, message: reason, hint } = error;
      log.warn({ code, reason, hint }, 'a request could not be served');
    }
    if (error.status === 429) {
      // However many there are, and whoever they are, it is one refusal of the account.
      const everybody = { address: null, sni: null, shown: null, verdict: null, askedDeviceId: null };
      refusals.note(refusalOf(error), { account_id: connection.account_id, ...everybody });
    } else if (turnedAway.has(error.status)) {
      refusals.note(refusalOf(error), connection);
      if (silent) {
        connection.socket.destroy();
        return;
      }
    }
    replyProblem(response, error, { last: connection.ending, comeBack: () => rates.comeBack() });
  }
}

/** The value of the Host field; null where there is none, or more than one (RFC 9112 §3.2). */
function onlyHost(rawHeaders: readonly string[]): string | null {
  let found: string | null = null;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!;
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue;
    if (found !== null) return null;
    found = rawHeaders[at + 1]!;
  }
  return found;
}

/** The host that a Host field names, in the form in which it is compared; null where it names none. */
function hostNamed(field: string | null): string | null {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]@/\s]+)(?::\d{1,5})?$/.exec(field ?? '');
  return match?.[1] === undefined ? null : hostOrNull(match[1]);
}

/** A host in the form in which it is compared; null for what is none. */
function hostOrNull(host: string): string | null {
  try {
    return canonicalHost(host);
  } catch {
    return null;
  }
}
