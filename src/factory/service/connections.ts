// The connections that are open: bounded while nobody knows whose they are, and ended when their station is removed.

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** How many connections may be open of which no request has been found to be a station's. */
export interface Bounds {
  readonly all: number;
  /** From one address. */
  readonly fromOneAddress: number;
  /** So many from one address are not ended for those of other addresses while some address has more. */
  readonly share: number;
}

/** Requests that one connection may have sent without a reply: each takes memory, and stations ask one at a time. */
const mostUnanswered = 100;
/** How long a connection is read on after its last reply, so that the reply is not lost to a reset, in milliseconds. */
const lingering = 2_000;

interface Connection {
  readonly raw: Socket;
  readonly address: string;
  secure: TLSSocket | null;
  /** The stations that it was found to be of. */
  readonly stations: Set<string>;
  /** Requests that have no reply yet. */
  unanswered: number;
}

/** Holds them, the oldest first. */
export class Connections {
  readonly #bounds: Bounds;
  /** By both of their ends: the same for a raw socket and for the TLS socket over it. */
  readonly #all = new Map<string, Connection>();
  #emptied: (() => void) | null = null;
  #closing = false;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Takes up a connection; false where it has ended already. Beyond the bounds the oldest that waits for nothing ends. */
  add(raw: Socket): boolean {
    raw.on('error', () => undefined);
    const key = keyOf(raw);
    if (key === null || this.#closing) {
      raw.destroy();
      return false;
    }
    const address = raw.remoteAddress!;
    const strangers = [...this.#all.values()].filter((each) => each.stations.size === 0 && !each.raw.destroyed);
    const near = strangers.filter((each) => each.address === address);
    if (near.length >= this.#bounds.fromOneAddress) endOldest(near);
    else if (strangers.length >= this.#bounds.all) endOldest(beyondShare(strangers, this.#bounds.share));
    const connection: Connection = { raw, address, secure: null, stations: new Set(), unanswered: 0 };
    this.#all.set(key, connection);
    raw.once('close', () => this.#forget(key, connection));
    return true;
  }

  /** Notes that the handshake of a connection is done. */
  secured(socket: TLSSocket): void {
    const connection = this.#of(socket);
    if (!connection) {
      socket.destroy();
      return;
    }
    connection.secure = socket;
    socket.on('error', () => undefined);
    socket.once('close', () => this.#forget(keyOf(connection.raw), connection));
    // Wherever Node would end it at once after its last reply.
    socket.destroySoon = () => closeInOrder(socket);
  }

  /** Notes that a request has come; `answered` is to be called when its reply has ended, however it ended. */
  asked(socket: Socket): { answered(): void } {
    const connection = this.#of(socket);
    if (!connection) return { answered: () => {} };
    connection.unanswered += 1;
    if (connection.unanswered > mostUnanswered) destroy(connection);
    return {
      answered: () => {
        connection.unanswered -= 1;
        if (this.#closing && connection.unanswered === 0) closeInOrder(connection.secure ?? connection.raw);
      },
    };
  }

  /** Notes whose a connection is. */
  identified(socket: Socket, station_id: string): void {
    this.#of(socket)?.stations.add(station_id);
  }

  /** Ends what a station has open. */
  endOf(station_id: string): void {
    for (const connection of this.#all.values()) if (connection.stations.has(station_id)) destroy(connection);
  }

  /** Ends those that wait for nothing, lets the others have their replies for `patience` ms, then ends all. */
  async close(patience: number): Promise<void> {
    this.#closing = true;
    for (const { unanswered, secure, raw } of this.#all.values()) {
      if (unanswered === 0) (secure ?? raw).destroy();
    }
    if (this.#all.size === 0) return;
    const empty = new Promise<void>((resolve) => (this.#emptied = resolve));
    const enough = setTimeout(() => {
      for (const connection of this.#all.values()) destroy(connection);
    }, patience);
    await empty;
    clearTimeout(enough);
  }

  #of(socket: Socket): Connection | undefined {
    return this.#all.get(keyOf(socket) ?? '');
  }

  #forget(key: string | null, connection: Connection): void {
    for (const [each, known] of key === null ? this.#all : [[key, this.#all.get(key)] as const]) {
      if (known === connection) this.#all.delete(each);
    }
    if (this.#all.size === 0) this.#emptied?.();
  }
}

/** Those of addresses that have more than their share; all where none has. */
function beyondShare(connections: readonly Connection[], share: number): readonly Connection[] {
  const counts = new Map<string, number>();
  for (const { address } of connections) counts.set(address, (counts.get(address) ?? 0) + 1);
  const beyond = connections.filter(({ address }) => counts.get(address)! > share);
  return beyond.length > 0 ? beyond : connections;
}

/** The oldest that no reply is due to; where each has a request under way, the oldest. */
function endOldest(connections: readonly Connection[]): void {
  const oldest = connections.find(({ unanswered }) => unanswered === 0) ?? connections[0];
  if (oldest) destroy(oldest);
}

function destroy({ secure, raw }: Connection): void {
  secure?.destroy();
  raw.destroy();
}

/** A socket destroyed while the peer is still sending answers with a reset, which discards the reply on its way. */
function closeInOrder(socket: Socket): void {
  socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingering).unref();
  socket.once('close', () => clearTimeout(timer));
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string | null {
  return remoteAddress === undefined ? null : `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
