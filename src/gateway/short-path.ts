// `GET /device`, which devices ask most often, answered without what HTTP costs; everything else goes on to HTTP.

import { randomUUID } from 'node:crypto';
import { inRequest } from '../log.ts';
import { secondsSince } from '../metrics.ts';
import type { Admission } from '../provisioning/device-credential.ts';
import type { Connection } from './connections.ts';
import { ownRecord } from './device-routes.ts';
import type { ExchangeParts } from './exchange.ts';
import { type PlainRequest, readPlainRequest } from './plain-request.ts';

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
const nothing: Buffer = Buffer.alloc(0);

/**
 * Answers each request of a connection as long as it is a plain `GET /device` of a device that gets in, with the bytes
 * that HTTP would answer with. At the first one that is not, HTTP has the connection from that request on: what is
 * unusual, and what is refused, is nobody else's.
 */
export class ShortPath {
  readonly #parts: ShortPathParts;
  readonly #keepAlive: string;
  #second = 0;
  #date = '';

  constructor(parts: ShortPathParts) {
    this.#parts = parts;
    this.#keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(parts.idleTimeout / 1000)}\r\n`;
  }

  /** Takes up a connection whose handshake is done. */
  take(connection: Connection): void {
    const { socket } = connection;
    const { headersTimeout, idleTimeout, toHttp, silent } = this.#parts;
    /** What has come since the request that is being answered. */
    let bytes: Buffer = nothing;
    let answering = false;
    let answered = false;
    const leave = () => {
      socket.off('data', read).off('timeout', late).setTimeout(0);
      socket.pause();
      socket.unshift(bytes);
      toHttp(connection);
      socket.resume();
    };
    const answer = async () => {
      const plain = readPlainRequest(bytes);
      if (plain === null) return leave();
      const asked = bytes;
      bytes = nothing;
      answering = true;
      const done = await this.#answer(connection, plain).catch(() => false);
      answering = false;
      if (socket.destroyed || connection.ending) return;
      if (!done) {
        bytes = Buffer.concat([asked, bytes]);
        return leave();
      }
      if (!answered) socket.setTimeout(idleTimeout + grace);
      answered = true;
      if (bytes.length > 0) void answer();
    };
    const read = (part: Buffer) => {
      bytes = bytes.length === 0 ? part : Buffer.concat([bytes, part]);
      if (!answering) void answer();
    };
    const late = () => {
      if (answering) return;
      if (answered) socket.destroy();
      else silent(connection);
    };
    socket.on('data', read).on('timeout', late).setTimeout(headersTimeout);
  }

  /** Whether the request has been answered; false where HTTP is to answer it. */
  async #answer(connection: Connection, plain: PlainRequest): Promise<boolean> {
    const id = randomUUID();
    connection.unanswered += 1;
    try {
      return await inRequest(id, () => this.#answerAs(id, connection, plain));
    } finally {
      connection.unanswered -= 1;
    }
  }

  async #answerAs(id: string, connection: Connection, { host, last }: PlainRequest): Promise<boolean> {
    const { provisioning, trust, connections, unauthenticated, lastSeen, metrics, identify } = this.#parts;
    const { socket, account_id } = connection;
    const began = performance.now();
    if (connections.draining || (await trust.accountOf(host)) !== account_id) return false;
    const admission = await identify(connection);
    if (admission.kind !== 'device') {
      connection.judged = admission;
      return false;
    }
    const { account } = await trust.trustOf(account_id);
    if (socket.destroyed || connection.ending) return true;
    if (connection.verdict === null) unauthenticated.remove(socket);
    connections.identified(connection, admission);
    const now = provisioning.clock();
    lastSeen.note(account_id, admission.device.uuid, now);
    const body = JSON.stringify(ownRecord(account, admission, now));
    const flushed = socket.write(this.#reply(id, body, last));
    metrics.deviceRequests.inc({ account: metrics.accounts.of(account_id), status: '2xx' });
    metrics.deviceRequestDuration.observe(secondsSince(began));
    if (last) {
      connection.ending = true;
      socket.destroySoon();
    } else if (!flushed) {
      // Who asks and does not read what it is answered is not read either.
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
    return true;
  }

  /** The bytes that HTTP would write. */
  #reply(id: string, body: string, last: boolean): string {
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`;
    const connection = last ? 'Connection: close\r\n' : this.#keepAlive;
    return `${head}x-request-id: ${id}\r\nDate: ${this.#present()}\r\n${connection}\r\n${body}`;
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
