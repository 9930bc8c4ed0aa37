// `GET /device`, which devices ask most often, answered without what HTTP costs; everything else goes on to HTTP.

import { randomUUID } from 'node:crypto';
import { inRequest } from '../log.ts';
import { secondsSince } from '../metrics.ts';
import type { AdmittedDevice } from '../provisioning/admission.ts';
import type { Admission } from '../provisioning/device-credential.ts';
import type { Account } from '../registry/tables.ts';
import type { Connection } from './connections.ts';
import { ownFacts } from './device-routes.ts';
import type { ExchangeParts } from './exchange.ts';
import { rememberedPeer } from './peer.ts';
import { type PlainRequest, readPlainRequest } from './plain-request.ts';
import type { Verdict } from './verdicts.ts';

/** What answering on the short path works with. */
export interface ShortPathParts extends Pick<
  ExchangeParts,
  'provisioning' | 'trust' | 'connections' | 'unauthenticated' | 'lastSeen' | 'metrics'
> {
  /** How long a connection may say nothing: at first, and after a reply, in milliseconds. */
  readonly headersTimeout: number;
  readonly idleTimeout: number;
  /** Who a connection is, as for every request. */
  readonly identify: (connection: Connection) => Promise<Admission>;
  /** Gives a connection to HTTP for good; what has come of it is in the socket to be read. */
  readonly toHttp: (connection: Connection) => void;
  /** Ends a connection that has said nothing in time. */
  readonly silent: (connection: Connection) => void;
}

/** What HTTP waits longer than it says, so that a request which is under way to it is not lost, in milliseconds. */
const grace = 1000;
/** How often it is looked who has said nothing for too long, in milliseconds, or oftener where that is soon. */
const sweepInterval = 1000;
/** Who sends more than this before it is answered is not read until then, in octets. */
const mostAhead = 64 * 1024;
const nothing: Buffer = Buffer.alloc(0);

/** A connection that waits to be asked, until when by `performance.now()`, and what is done then. */
interface Waiting {
  readonly connection: Connection;
  until: number;
  readonly late: () => void;
}

/** What a connection's next request will most likely have in common with its last: nothing of it decides anything. */
interface Last {
  /** The request's bytes, and what they were read as. */
  readonly asked: Buffer;
  readonly plain: PlainRequest;
  /** Of the reply, what is as it was while the device and the account are. */
  draft: Draft | null;
}

/** A reply but its request ID and its times. */
interface Draft {
  readonly admission: AdmittedDevice;
  readonly account: Account;
  /** Up to the request ID. */
  readonly head: string;
  /** The body up to the time; UTF-8, one character an octet. */
  readonly body: string;
}

/**
 * Answers each request of a connection as long as it is a plain `GET /device` of a device that gets in, with the bytes
 * that HTTP would answer with. At the first one that is not, HTTP has the connection from that request on: what is
 * unusual, and what is refused, is nobody else's.
 */
export class ShortPath implements Disposable {
  readonly #parts: ShortPathParts;
  /** All that are not HTTP's, and some that have closed. A timer of its own for each would be set anew at each request. */
  readonly #waiting = new Set<Waiting>();
  readonly #sweep: NodeJS.Timeout;
  readonly #keepAlive: string;
  #second = 0;
  #date = '';

  constructor(parts: ShortPathParts) {
    this.#parts = parts;
    this.#keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(parts.idleTimeout / 1000)}\r\n\r\n`;
    const soonest = Math.min(parts.headersTimeout, parts.idleTimeout);
    this.#sweep = setInterval(() => this.#endLate(), Math.min(sweepInterval, Math.ceil(soonest / 4))).unref();
  }

  /** Takes up a connection whose handshake is done. */
  take(connection: Connection): void {
    const { socket } = connection;
    const { headersTimeout, idleTimeout, toHttp, silent } = this.#parts;
    /** What has come since the request that is being answered. */
    let bytes: Buffer = nothing;
    let last: Last | null = null;
    let answering = false;
    let answered = false;
    const leave = () => {
      this.#waiting.delete(waiting);
      socket.off('data', read);
      socket.pause();
      socket.unshift(bytes);
      toHttp(connection);
      socket.resume();
    };
    const done = () => {
      waiting.until = performance.now() + idleTimeout + grace;
      answered = true;
    };
    const answer = () => {
      if (last === null || !last.asked.equals(bytes)) {
        const plain = readPlainRequest(bytes);
        if (plain === null) return leave();
        last = { asked: bytes, plain, draft: null };
      }
      if (this.#answerAtOnce(connection, last)) {
        bytes = nothing;
        done();
      } else {
        void answerLater(last);
      }
    };
    const answerLater = async (request: Last) => {
      bytes = nothing;
      answering = true;
      const isAnswered = await this.#answer(connection, request).catch(() => false);
      answering = false;
      if (socket.destroyed || connection.ending) return;
      if (!isAnswered) {
        bytes = Buffer.concat([request.asked, bytes]);
        return leave();
      }
      done();
      if (bytes.length > 0) answer();
    };
    const read = (part: Buffer) => {
      bytes = bytes.length === 0 ? part : Buffer.concat([bytes, part]);
      if (!answering) answer();
      else if (bytes.length > mostAhead) socket.pause();
    };
    const late = () => {
      if (answering) return;
      this.#waiting.delete(waiting);
      if (answered) socket.destroy();
      else silent(connection);
    };
    const waiting: Waiting = { connection, until: performance.now() + headersTimeout, late };
    this.#waiting.add(waiting);
    socket.on('data', read);
  }

  #endLate(): void {
    const now = performance.now();
    for (const waiting of this.#waiting) {
      if (waiting.connection.socket.destroyed) this.#waiting.delete(waiting);
      else if (waiting.until < now) waiting.late();
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sweep);
  }

  /**
   * Whether the request has been answered without waiting for anything: where all that decides is remembered and still
   * counts. It is the memory that `#answerAs` asks too, and that whatever changes is taken out of before anybody is told
   * of the change (Trust.forget): what was so at this connection's last request decides nothing.
   */
  #answerAtOnce(connection: Connection, last: Last): boolean {
    const { provisioning, trust, connections } = this.#parts;
    const { account_id, socket } = connection;
    const began = performance.now();
    if (connections.draining || connection.ending || socket.destroyed) return false;
    if (trust.knownAccountOf(last.plain.host) !== account_id) return false;
    const now = provisioning.clock();
    const verdict = this.#remembered(connection, now);
    const known = trust.knownTrustOf(account_id);
    if (verdict?.kind !== 'device' || known === null) return false;
    this.#send(randomUUID(), connection, last, verdict, known.account, began, now);
    return true;
  }

  /** Null also where nobody is let in at present: HTTP says so. */
  #remembered(connection: Connection, now: number): Verdict | null {
    try {
      return rememberedPeer(this.#parts.trust, connection, now);
    } catch {
      return null;
    }
  }

  /** Whether the request has been answered; false where HTTP is to answer it. */
  async #answer(connection: Connection, last: Last): Promise<boolean> {
    const id = randomUUID();
    connection.unanswered += 1;
    try {
      return await inRequest(id, () => this.#answerAs(id, connection, last));
    } finally {
      connection.unanswered -= 1;
    }
  }

  async #answerAs(id: string, connection: Connection, last: Last): Promise<boolean> {
    const { provisioning, trust, connections, identify } = this.#parts;
    const { socket, account_id } = connection;
    const began = performance.now();
    if (connections.draining || (await trust.accountOf(last.plain.host)) !== account_id) return false;
    const admission = await identify(connection);
    if (admission.kind !== 'device') {
      connection.judged = admission;
      return false;
    }
    const { account } = await trust.trustOf(account_id);
    if (socket.destroyed || connection.ending) return true;
    this.#send(id, connection, last, admission, account, began, provisioning.clock());
    return true;
  }

  /** Answers with the bytes that HTTP would write. */
  #send(
    id: string,
    connection: Connection,
    request: Last,
    admission: AdmittedDevice,
    account: Account,
    began: number,
    now: number,
  ): void {
    const { connections, unauthenticated, lastSeen, metrics } = this.#parts;
    const { socket, account_id } = connection;
    const { last } = request.plain;
    if (connection.verdict === null) unauthenticated.remove(socket);
    connections.identified(connection, admission);
    lastSeen.note(account_id, admission.device.uuid, now);
    if (request.draft?.admission !== admission || request.draft.account !== account) {
      request.draft = draftOf(admission, account);
    }
    const { head, body } = request.draft;
    const end = last ? 'Connection: close\r\n\r\n' : this.#keepAlive;
    const reply = `${head}${id}\r\nDate: ${this.#present()}\r\n${end}${body}${new Date(now).toISOString()}"}`;
    const flushed = socket.write(reply, 'latin1');
    metrics.deviceRequests.inc(metrics.accounts.of(account_id), '2xx');
    metrics.deviceRequestDuration.observe(secondsSince(began));
    if (last) {
      connection.ending = true;
      socket.destroySoon();
    } else if (!flushed) {
      // Who asks and does not read what it is answered is not read either.
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
  }

  /** The Date field, written once a second. */
  #present(): string {
    const now = Date.now();
    const second = Math.floor(now / 1000);
    if (second !== this.#second) this.#date = new Date(now).toUTCString();
    this.#second = second;
    return this.#date;
  }
}

/** As HTTP would begin it. */
function draftOf(admission: AdmittedDevice, account: Account): Draft {
  const facts = JSON.stringify(ownFacts(account, admission));
  const body = Buffer.from(`${facts.slice(0, -1)},"server_time":"`).toString('latin1');
  const size = body.length + '2026-11-23T07:26:09.282Z"}'.length;
  const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${size}\r\nx-request-id: `;
  return { admission, account, head, body };
}
