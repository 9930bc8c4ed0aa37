// The connections that are open, by account and device: what is revoked loses its connection, not only its next request.

import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import type { Admission } from '../provisioning/device-credential.ts';
import type { Change } from '../registry/changes.ts';
import { closeInOrder } from './reply.ts';
import { Sets } from './sets.ts';
import type { Shown } from './shown.ts';
import type { Trust } from './trust.ts';
import type { Verdict } from './verdicts.ts';

const sweepInterval = 1000;
const judgedInATurn = 64;

/** One connection of a device, from the end of its handshake to its close. */
export interface Connection {
  readonly socket: TLSSocket;
  readonly account_id: string;
  /** The server name of the handshake, or null where none was sent. */
  readonly sni: string | null;
  /** Whether it took up an earlier session: then it shows its own certificate alone, and proved its key in that one. */
  readonly resumed: boolean;
  /** The peer's address; IPv4 as such, also through an IPv6 socket. */
  readonly address: string;
  readonly localAddress: string;
  /** What it showed; read at the first request. */
  shown: Shown | null;
  /** Who it was found to be at its last request. */
  verdict: Verdict | null;
  /** Why its present request, which the short path has looked at, is HTTP's to answer; null once it is taken up there. */
  judged: Admission | null;
  /** The device ID that its present request asks for. */
  askedDeviceId: string | null;
  /** The reply to its present request. */
  response: ServerResponse | null;
  /** Resolves when the requests before have been answered: of several sent in one go each waits for its turn. */
  answered: Promise<void>;
  /** How many of its requests have no reply yet. */
  unanswered: number;
  /** Whether it has been sent away: nothing that it still sends is acted on. */
  ending: boolean;
}

/** Judges a connection anew. */
export type Judge = (connection: Connection) => Promise<Admission>;

/** Holds the open connections and ends those that may no longer be. */
export class Connections implements Disposable {
  readonly #trust: Trust;
  readonly #judge: Judge;
  readonly #clock: () => number;
  readonly #all = new Set<Connection>();
  readonly #byAccount = new Sets<Connection>();
  readonly #byDevice = new Sets<Connection>();
  readonly #sweep: NodeJS.Timeout;
  #draining = false;

  constructor(trust: Trust, judge: Judge, clock: () => number) {
    this.#trust = trust;
    this.#judge = judge;
    this.#clock = clock;
    this.#sweep = setInterval(() => this.#endExpired(), sweepInterval).unref();
  }

  get size(): number {
    return this.#all.size;
  }

  /** How many are open in each account that has any, by its ID. */
  get sizes(): ReadonlyMap<string, number> {
    return this.#byAccount.sizes;
  }

  /** Takes up a connection until its socket closes. */
  add(connection: Connection): void {
    this.#all.add(connection);
    this.#byAccount.add(connection.account_id, connection);
    connection.socket.once('close', () => {
      this.#all.delete(connection);
      this.#byAccount.delete(connection.account_id, connection);
      if (connection.verdict?.kind === 'device') this.#byDevice.delete(connection.verdict.device.uuid, connection);
    });
  }

  /** Notes who a connection was found to be. */
  identified(connection: Connection, verdict: Verdict): void {
    if (connection.verdict === verdict) return;
    this.#note(connection, verdict);
    // Something may have changed while it was worked out; then that change was acted on when this connection was not known yet.
    const { account_id, shown } = connection;
    const remembered = this.#trust.verdicts.find(account_id, shown?.tbsSha256 ?? '', this.#clock());
    if (remembered !== verdict) void this.#judgeAnew([connection]);
  }

  #note(connection: Connection, verdict: Verdict): void {
    if (connection.verdict?.kind === 'device') this.#byDevice.delete(connection.verdict.device.uuid, connection);
    connection.verdict = verdict;
    if (verdict.kind === 'device' && !connection.socket.destroyed) {
      this.#byDevice.add(verdict.device.uuid, connection);
    }
  }

  /** Whether each reply is the last of its connection. */
  get draining(): boolean {
    return this.#draining;
  }

  /** From now on it is; replies that have begun say so no more, and their connections end when they are idle (`endIdle`). */
  drain(): void {
    this.#draining = true;
    for (const { response } of this.#all) if (response?.headersSent === false) response.shouldKeepAlive = false;
  }

  /** Closes in order each connection on which nothing is under way; one that has asked for nothing yet only where `late`. */
  endIdle(late: boolean): void {
    for (const connection of this.#all) {
      if (connection.ending || connection.unanswered > 0 || (hasAskedNothing(connection) && !late)) continue;
      connection.ending = true;
      closeInOrder(connection.socket);
    }
  }

  /** Ends what a change no longer lets in. */
  async act(change: Change): Promise<void> {
    switch (change.kind) {
      case 'device':
        return this.#judgeAnew(this.#byDevice.of(change.device_uuid));
      case 'provisioning_key':
      case 'account':
        return this.#judgeAnew(this.#byAccount.of(change.account_id));
      case 'everything':
        await Promise.all([...this.sizes.keys()].map((account_id) => this.#endExcluded(account_id)));
        return this.#judgeAnew([...this.#all]);
      case 'trust':
        await this.#endExcluded(change.account_id);
        return this.#judgeAnew(this.#byAccount.of(change.account_id));
      case 'master_key':
        return;
    }
  }

  /** A disabled or distrusted key ends whoever came through it at once, before anything is validated anew. */
  async #endExcluded(account_id: string): Promise<void> {
    if (this.#byAccount.of(account_id).length === 0) return;
    // What cannot be asked for, as of an account that is gone, keeps nobody: each is judged anew after this.
    const trust = await this.#trust.trustOf(account_id).catch(() => null);
    if (trust === null) return;
    const { disabled, distrusted } = trust;
    for (const { verdict, socket } of this.#byAccount.of(account_id)) {
      if (verdict?.publicKeys.some((key) => disabled.has(key) || distrusted.has(key))) socket.destroy();
    }
  }

  async #judgeAnew(connections: readonly Connection[]): Promise<void> {
    for (const [index, connection] of connections.entries()) {
      // Many at once are judged in turns with what devices ask meanwhile.
      if (index % judgedInATurn === judgedInATurn - 1) await nextTurn();
      if (connection.verdict === null || connection.socket.destroyed) continue;
      const { kind } = connection.verdict;
      const admission = await this.#judge(connection).catch(() => null);
      if (admission === null || admission.kind !== kind) connection.socket.destroy();
      else this.#note(connection, admission);
    }
  }

  /** A connection lives no longer than the shortest certificate on its path. */
  #endExpired(): void {
    const now = this.#clock();
    for (const { verdict, socket } of this.#all) {
      if (verdict !== null && verdict.validUntil < now) socket.destroy();
    }
  }

  /** Ends all that is open. */
  [Symbol.dispose](): void {
    clearInterval(this.#sweep);
    for (const { socket } of this.#all) socket.destroy();
  }
}

function hasAskedNothing({ response, verdict }: Connection): boolean {
  return response === null && verdict === null;
}
