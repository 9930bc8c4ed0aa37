// One request and its reply: whose it is, whether it may be served, and what is said where it may not.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { inRequest, type Log } from '../log.ts';
import { secondsSince } from '../metrics.ts';
import { Problem } from '../problem.ts';
import type { Admission } from '../provisioning/device-credential.ts';
import { canonicalHost } from '../provisioning/host.ts';
import { refusalOf } from '../provisioning/refusal.ts';
import type { Account } from '../registry/tables.ts';
import type { Connection, Connections } from './connections.ts';
import { route, type Routing } from './device-routes.ts';
import { identifyPeer, knownPeer } from './peer.ts';
import type { Refusals } from './refusals.ts';
import type { Sightings } from './sightings.ts';
import { anotherRequest } from './reply-watch.ts';
import { replyProblem, replyUnreadable } from './reply.ts';
import { parseRequestTarget } from './request-target.ts';
import { readShown } from './shown.ts';
import type { Unauthenticated } from './unauthenticated.ts';
import type { Verdict } from './verdicts.ts';

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
  answer(connection: Connection, request: IncomingMessage, response: ServerResponse): void {
    const id = randomUUID();
    inRequest(id, () => this.#answer(id, connection, request, response));
  }

  #answer(id: string, connection: Connection, request: IncomingMessage, response: ServerResponse): void {
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
    const takeTurn = () => this.#takeTurn(id, connection, request, response);
    // When all that came in one go has been read: what HTTP cannot read behind it would cut the reply off.
    connection.answered = connection.answered.then(takeTurn, takeTurn);
  }

  /** Answers a request when its turn has come; gives a promise where that takes more than this moment. */
  #takeTurn(
    id: string,
    connection: Connection,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> | void {
    const fail = (error: unknown) => this.#fail(error, id, connection, response);
    try {
      if (connection.ending) request.resume();
      else return this.#serve(connection, request, response)?.catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  #count({ account_id }: Connection, response: ServerResponse, began: number): void {
    const { metrics } = this.#parts;
    const status = response.headersSent ? `${Math.floor(response.statusCode / 100)}xx` : 'none';
    metrics.deviceRequests.inc(metrics.accounts.of(account_id), status);
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

  /** At once where all that decides is remembered and still counts, as it mostly is; else when it is known. */
  #serve(connection: Connection, request: IncomingMessage, response: ServerResponse): Promise<void> | null {
    const { provisioning, trust } = this.#parts;
    connection.askedDeviceId = null;
    connection.response = response;
    // Before anything is refused: what was shown is kept with every refusal.
    connection.shown ??= readShown(connection.socket);
    const named = this.#hostOf(connection, request);
    const owner = trust.knownAccountOf(named);
    const known = trust.knownTrustOf(connection.account_id);
    if (owner === undefined || known === null) return this.#serveLater(connection, request, response, named);
    requireOwn(connection, named, owner);
    const verdict = connection.judged ? null : knownPeer(trust, connection, provisioning.clock());
    if (verdict === null) return this.#serveLater(connection, request, response, named);
    this.#identified(connection, verdict);
    return this.#route(connection, request, response, verdict, known.account);
  }

  async #serveLater(
    connection: Connection,
    request: IncomingMessage,
    response: ServerResponse,
    named: string,
  ): Promise<void> {
    const { provisioning, trust, sightings, metrics } = this.#parts;
    requireOwn(connection, named, await trust.accountOf(named));
    const { judged } = connection;
    connection.judged = null;
    const parts = { registry: provisioning.registry, trust, sightings, metrics };
    const admission = judged ?? (await identifyPeer(parts, connection, provisioning.clock()));
    if (admission.kind === 'refused') return this.#turnAway(connection, admission);
    this.#identified(connection, admission);
    const { account } = await trust.trustOf(connection.account_id);
    await this.#route(connection, request, response, admission, account);
  }

  /** Throws Problem, which says why, unless nothing is to be said. */
  #turnAway(connection: Connection, { refusal }: Extract<Admission, { kind: 'refused' }>): void {
    const { code, rule, remedy } = refusal;
    if (code !== 'certificate_untrusted' || !connection.resumed || this.#hasShownAll(connection)) {
      throw new Problem(code, rule, remedy);
    }
    connection.ending = true;
    this.#parts.refusals.note(refusal, connection);
    connection.socket.destroy();
  }

  #identified(connection: Connection, verdict: Verdict): void {
    if (connection.verdict === null) this.#parts.unauthenticated.remove(connection.socket);
    this.#parts.connections.identified(connection, verdict);
  }

  #route(
    connection: Connection,
    request: IncomingMessage,
    response: ServerResponse,
    verdict: Verdict,
    account: Account,
  ): Promise<void> | null {
    const target = parseRequestTarget(request.url ?? '');
    return route(this.#parts, { request, response, connection, target, verdict, account });
  }

  /**
   * Whether all is known that a device showed when it made its session, which now shows its leaf alone. Where it is not,
   * "untrusted" may be for want of intermediates, and nothing is said: a whole handshake shows what there is.
   */
  #hasShownAll({ account_id, shown }: Connection): boolean {
    return this.#parts.trust.shownBefore(account_id, shown?.tbsSha256 ?? '') !== null;
  }

  /** The host that the Host field names. Throws Problem where it names none. */
  #hostOf(connection: Connection, { rawHeaders }: IncomingMessage): string {
    const field = onlyHost(rawHeaders);
    const known = this.#named.get(connection);
    const named = known?.field === field ? known.named : hostNamed(field);
    if (field === null || named === null) {
      throw new Problem('invalid_request', 'The request is to have one Host field that names a host.');
    }
    if (known?.field !== field) this.#named.set(connection, { field, named });
    return named;
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

/** The Host field must name the account that the handshake named (RFC 9110 §7.4), or the address connected to. */
function requireOwn({ account_id, sni, localAddress }: Connection, named: string, owner: string | null): void {
  // Where nobody has the address, the connection came to the configured account.
  if (sni === null && named === localAddress && owner === null) return;
  if (owner !== account_id) {
    throw new Problem('misdirected_request', `The Host field names ${named}, which is no host of this account.`);
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
